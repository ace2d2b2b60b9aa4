"""PathVQA and PMC-OA: pictures of which the source says little, in the source's words and with the licence it has."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets
import numpy as np
import pytest

from shards.media import MediaReader

CONTAINERS = runpy.run_path(str(Path(__file__).parents[1] / "container_layouts.py"))
SETS = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "layouts" / "thin.py")))
FIGURES = [
    {"image": "PMC212319_Fig3_4.jpg", "caption": "A. Real time image of a cell.\nBar: 5 \u00b5m"},
    {"image": "PMC212319_Fig3_5.jpg", "caption": "B. The same cell,\u2028later."},
    {"image": "PMC1043860_pbio-0030085-g005_1483.jpg", "caption": "Axial CT of the chest."},
    {"image": "PMC9_f1_1.jpg", "caption": "Not in the table."},
    {"image": "PMC10_f1_1.jpg", "caption": "In the table, without a licence."},
    {"image": "PMC11_f1_1.jpg", "caption": "In words that are no id."},
    {"image": "PMC12_f1_1.jpg", "caption": "Waived."},
]
LICENCES = (
    "pmcid,license\nPMC212319,CC-BY-4.0\nPMC1043860,CC-BY-NC-4.0\nPMC10,\nPMC11,CC BY\nPMC12,CC0\nPMC77,CC-BY-4.0\n"
)


@pytest.fixture(scope="module", autouse=True)
def quiet() -> None:
    datasets.disable_progress_bars()


@pytest.fixture
def licences(tmp_path: Path) -> str:
    (tmp_path / "licences.csv").write_text(LICENCES)
    return str(tmp_path / "licences.csv")


def test_path_vqa_keeps_questions_with_their_answers(tmp_path: Path, make: Any) -> None:
    CONTAINERS["path_vqa"](tmp_path / "set")
    one, two = CONTAINERS["pictures"](2)
    made = make("path_vqa")
    assert made.rejects == []
    texts = {(one.official_split, one.media.view.row): one for one in made.samples}
    assert {place: [caption.text for caption in sample.captions] for place, sample in texts.items()} == {
        ("train", 0): [
            "Question about a pathology image: is stroma seen? Answer: yes",
            "Question about a pathology image: where? Answer: in the wall",
        ],
        ("train", 1): ["Question about a pathology image: what is shown? Answer: a gland"],
        ("test", 0): ["Question about a pathology image: is it red? Answer: no"],
    }
    shown = MediaReader()
    for place, picture in ((("train", 0), one), (("train", 1), two), (("test", 0), one)):
        assert np.array_equal(shown.read(texts[place].media).pixels[0], np.asarray(picture))
    assert {sample.modality for sample in made.samples} == {"PATH"}, "and neither a slide nor a photograph"
    for sample in made.samples:
        assert sample.license == "LicenseRef-PathVQA"
        assert {sample.terms.train.answer, sample.terms.redistribute.answer} == {"unknown"}


def test_a_picture_without_a_whole_question_is_a_pathology_image(tmp_path: Path, make: Any, lies: Any) -> None:
    text = datasets.Value("string")
    columns = {"image": CONTAINERS["pictures"](2, 3), "question": ["what is seen?", None], "answer": [None, "yes"]}
    CONTAINERS["save"](columns, tmp_path / "set/data/train-00000-of-00001.parquet", question=text, answer=text)
    made = make("path_vqa")
    assert [sample.captions[0].text for sample in made.samples] == ["A pathology image."] * 2
    assert {sample.captions[0].by.partition("@")[0] for sample in made.samples} == {"template"}
    assert not lies(made)


def test_pmc_oa_has_the_licence_of_each_article(tmp_path: Path, make: Any, licences: str) -> None:
    shown = SETS.pmc_oa(tmp_path / "set", FIGURES)
    made = make("pmc_oa", licences=licences)
    assert made.counts == {"bad_row": 1}
    (reject,) = made.rejects
    assert reject.item.endswith("PMC11_f1_1.jpg")
    assert "no licence is stated, or none that is an SPDX id" in reject.detail
    found = {sample.media.uri.rpartition("/")[2]: sample for sample in made.samples}
    assert {name: sample.license for name, sample in found.items()} == {
        "PMC212319_Fig3_4.jpg": "CC-BY-4.0",
        "PMC212319_Fig3_5.jpg": "CC-BY-4.0",
        "PMC1043860_pbio-0030085-g005_1483.jpg": "CC-BY-NC-4.0",
        "PMC9_f1_1.jpg": "LicenseRef-PMC-unstated",
        "PMC10_f1_1.jpg": "LicenseRef-PMC-unstated",
        "PMC12_f1_1.jpg": "CC0-1.0",
    }
    commercial = {name: sample.terms.commercial.answer for name, sample in found.items()}
    assert commercial["PMC212319_Fig3_4.jpg"] == commercial["PMC12_f1_1.jpg"] == "yes"
    assert commercial["PMC1043860_pbio-0030085-g005_1483.jpg"] == "no"
    assert commercial["PMC9_f1_1.jpg"] == commercial["PMC10_f1_1.jpg"] == "unknown"
    reader = MediaReader()
    for name, sample in found.items():
        assert np.array_equal(reader.read(sample.media).pixels[0], shown[name])


def test_captions_of_pmc_oa_are_those_of_figures(tmp_path: Path, make: Any, licences: str) -> None:
    SETS.pmc_oa(tmp_path / "set", FIGURES)
    made = make("pmc_oa", licences=licences)
    first = "Published figure or a part of one, with the caption: A. Real time image of a cell. Bar: 5 \u00b5m"
    assert made.said("Fig3_4.jpg") == first
    assert made.said("Fig3_5.jpg").endswith("with the caption: B. The same cell, later.")
    assert {sample.modality for sample in made.samples} == {"FIG"}
    groups = {sample.media.uri.rpartition("/")[2]: sample.group for sample in made.samples}
    assert groups["PMC212319_Fig3_4.jpg"] == groups["PMC212319_Fig3_5.jpg"]
    assert len(set(groups.values())) == 5, "one an article"
    assert {group.partition(":")[0] for group in groups.values()} == {"article"}


def test_pmc_oa_needs_a_table_of_licences(tmp_path: Path, make: Any, licences: str) -> None:
    SETS.pmc_oa(tmp_path / "set", FIGURES[:1])
    with pytest.raises(FileNotFoundError, match="gone"):
        make("pmc_oa", licences=str(tmp_path / "gone.csv"))
    (tmp_path / "twice.csv").write_text("pmcid,license\nPMC212319,CC-BY-4.0\nPMC212319,CC-BY-NC-4.0\n")
    assert make("pmc_oa", licences=str(tmp_path / "twice.csv")).counts == {"bad_row": 1}
    (tmp_path / "other.csv").write_text("article,license\nPMC212319,CC-BY-4.0\n")
    with pytest.raises(ValueError, match="has no column 'pmcid'"):
        make("pmc_oa", licences=str(tmp_path / "other.csv"))


def test_the_beta_of_pmc_oa_names_its_articles_itself(tmp_path: Path, make: Any, licences: str) -> None:
    row = {**FIGURES[0], "pmcid": "PMC212319", "url_name": "1471-2121-4-13-3.jpg"}
    SETS.pmc_oa(tmp_path / "set", [row])
    (tmp_path / "set/pmc_oa.jsonl").rename(tmp_path / "set/train.jsonl")
    made = make("pmc_oa", licences=licences, table="train.jsonl")
    assert [sample.license for sample in made.samples] == ["CC-BY-4.0"]
