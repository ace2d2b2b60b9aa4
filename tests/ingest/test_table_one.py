"""MediSyn's Table 1: counts by hand on a small table, in the paper's names and in ours."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest

from ingest.quota import HeldOut
from ingest.table_one import NOT_IN_PAPER, markdown, shortfalls, summarise
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


def test_the_page_for_people(summary: dict[str, Any]) -> None:
    assert json.loads(json.dumps(summary)) == summary
    lines = shortfalls(summary)
    assert lines == [
        "cardiology: 1 of 4 clips held out",
        "for training only, since they come from fewer than three groups: DX, NM",
    ]
    page = markdown(summary)
    assert "6 images and 4 clips, from 9 groups, none of them in two splits." in page
    assert "| radiology | 6 | 0 | 5 | 5 | 0 | 1 | 1 | 0 |" in page
    assert "| X-ray | 2 | 0 |" in page
    assert "| bridges_splits | 1 |" in page
    assert "2 pairs came with a published split; 1 of them lie in another one here." in page
    assert all(f"- {line}" in page for line in lines)
