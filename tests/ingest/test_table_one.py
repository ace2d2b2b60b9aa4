"""MediSyn's Table 1: counts by hand on a small table, in the paper's names and in ours."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest

from ingest.quota import HeldOut
from ingest.table_one import NOT_IN_PAPER, markdown, shortfalls, summarise
from pipelines.report.render import render
from shards.vocabulary import MEDISYN_MODALITIES

TRAIN, TEST = 0, 2


def pair(component: int, specialty: str, modality: str, split: int, **fields: Any) -> dict[str, Any]:
    known = {"clip": False, "held_out": False, "derived": False, "official": -1, "license": "CC-BY-4.0", "source": "a"}
    return {"component": component, "specialty": specialty, "modality": modality, "split": split} | known | fields


@pytest.fixture
def summary() -> dict[str, Any]:
    rows = [
        *(pair(n, "radiology", "CT", TRAIN) for n in range(3)),
        pair(3, "radiology", "CR", TEST, held_out=True, official=TRAIN),
        pair(4, "radiology", "DX", TRAIN, license="CC0-1.0"),
        pair(4, "radiology", "NM", TRAIN),
        *(pair(n, "cardiology", "US", TRAIN, clip=True, source="b") for n in range(5, 8)),
        pair(8, "cardiology", "US", TEST, clip=True, held_out=True, official=TEST),
    ]
    return summarise(pl.DataFrame(rows), HeldOut(images=1, clips=4), {"duplicate": 2, "bridges_splits": 1})


def test_counts(summary: dict[str, Any]) -> None:
    assert summary["total"] == {
        "pairs": 10, "images": 6, "clips": 4, "maps": 0, "groups": 9, "train": 8, "val": 0, "test": 2,
        "held_out_images": 1, "held_out_clips": 1,
    }  # fmt: skip
    by = {row["specialty"]: row for row in summary["by_specialty"]}
    assert (by["radiology"]["images"], by["radiology"]["clips"], by["radiology"]["groups"]) == (6, 0, 5)
    assert (by["radiology"]["lacks_images"], by["radiology"]["lacks_clips"]) == (0, 0)
    assert (by["cardiology"]["lacks_images"], by["cardiology"]["lacks_clips"]) == (0, 3)
    assert {row["license"]: row["pairs"] for row in summary["by_licence"]} == {"CC-BY-4.0": 9, "CC0-1.0": 1}
    assert {row["source"]: row["clips"] for row in summary["by_source"]} == {"a": 1, "b": 3}
    assert summary["official_split"] == {"pairs": 2, "moved": 1}
    assert list(summary["rejects"]) == ["bridges_splits", "duplicate"]


def test_modalities_in_the_names_of_the_paper_and_in_ours(summary: dict[str, Any]) -> None:
    paper = {row["modality"]: (row["images"], row["clips"]) for row in summary["by_medisyn_modality"]}
    assert list(paper) == [*MEDISYN_MODALITIES, NOT_IN_PAPER]
    assert paper["X-ray"] == (2, 0)
    assert paper["CT"] == (3, 0)
    assert paper["ultrasound"] == (0, 4)
    assert paper["surgical footage"] == (0, 0)
    assert paper[NOT_IN_PAPER] == (1, 0)
    ours = {row["modality"]: row["name"] for row in summary["by_modality"]}
    assert ours == {"US": "ultrasound image", "CT": "CT image", "CR": "radiograph", "DX": "digital radiograph",
                    "NM": "nuclear medicine image"}  # fmt: skip
    assert summary["train_only"] == {"modalities": ["DX", "NM"], "specialties": []}


def test_maps_computed_from_scans_are_in_no_number_of_pictures() -> None:
    pictures = [pair(n, "neurology", "MR", TRAIN) for n in range(3)]
    maps = [pair(n, "neurology", "MR", TEST, derived=True) for n in range(2, 9)]
    maps.append(pair(9, "anatomy", "MR", TRAIN, derived=True, clip=True))
    found = summarise(pl.DataFrame(pictures + maps), HeldOut(images=1, clips=1), {})
    assert {**found["total"], "held_out_images": 0} == {
        "pairs": 11, "images": 3, "clips": 0, "maps": 8, "groups": 3, "train": 3, "val": 0, "test": 0,
        "held_out_images": 0, "held_out_clips": 0,
    }  # fmt: skip
    paper = {row["modality"]: row for row in found["by_medisyn_modality"] if row["pairs"]}
    assert {name: (row["images"], row["clips"], row["maps"]) for name, row in paper.items()} == {"MRI": (3, 0, 8)}
    of_maps_alone = next(row for row in found["by_specialty"] if row["specialty"] == "anatomy")
    assert (of_maps_alone["images"], of_maps_alone["lacks_images"], of_maps_alone["lacks_clips"]) == (0, 0, 0)
    page = markdown(found)
    assert "3 images and 0 clips, from 3 groups, none of them in two splits." in page
    assert "| neurology | 3 | 0 | 7 | 3 | 3 | 0 | 0 | 0 | 0 |" in page
    assert "| MR | MR image | 3 | 0 | 8 | 3 | 3 | 0 | 0 |" in page
    assert "8 pairs (8 MR) are maps computed from scans: a column of their own" in page
    section = render("section_table1.j2", content=found)
    assert '<tr><th scope="row">all</th><td class="n">3</td><td class="n">0</td>' in section
    assert "8 more pairs are maps computed from scans" in section


def test_the_page_for_people(summary: dict[str, Any]) -> None:
    assert json.loads(json.dumps(summary)) == summary
    lines = shortfalls(summary)
    assert lines == [
        "cardiology: held out 1 of the 4 clips that are wanted (whole groups move, at most a tenth of them)",
        "for training only, since they come from fewer than three groups: DX, NM",
    ]
    page = markdown(summary)
    assert "more pairs" not in render("section_table1.j2", content=summary)
    assert "6 images and 4 clips, from 9 groups, none of them in two splits." in page
    assert "| radiology | 6 | 0 | 5 | 5 | 0 | 1 | 1 | 0 |" in page
    assert "| X-ray | 2 | 0 |" in page
    assert "| bridges_splits | 1 |" in page
    assert "2 pairs came with a published split; 1 of them lie in another one here." in page
    assert all(f"- {line}" in page for line in lines)
