"""ROCOv2, Kvasir-VQA, MedMNIST and PCam: recipes over the layouts of tests/ingest/container_layouts.py."""

from __future__ import annotations

import importlib.util
import runpy
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import yaml

from pipelines.recipe import read_recipe

LAYOUTS = runpy.run_path(str(Path(__file__).parents[1] / "container_layouts.py"))


@pytest.fixture(scope="module", autouse=True)
def quiet() -> None:
    datasets.disable_progress_bars()


def texts(made: Any) -> list[str]:
    return [sample.captions[0].text for sample in made.samples]


def test_rocov2_keeps_the_texts_of_its_source(tmp_path: Path, make: Any) -> None:
    LAYOUTS["roco"](tmp_path / "set", {"train": 3, "validation": 2, "test": 1})
    made = make("rocov2")
    assert not made.rejects
    assert {sample.modality for sample in made.samples} == {"CT"}
    assert {sample.captions[0].by for sample in made.samples} == {"source"}
    assert "Axial CT, figure 0." in texts(made)
    assert sorted(str(sample.official_split) for sample in made.samples) == ["test", *["train"] * 3, *["val"] * 2]


def test_rocov2_takes_the_modality_of_the_first_concept_that_is_one(tmp_path: Path, make: Any) -> None:
    concepts = {
        "CT": ["C0000001", "C0040405", "C0024485"],
        "MR": ["C0024485"],
        "CR": ["C1306645", "C0817096"],
        "US": ["C0041618"],
        "XA": ["C0002978"],
        "PT": ["C0032743"],
        "": ["C0000001"],
    }
    columns = {
        "image": LAYOUTS["pictures"](len(concepts), 5),
        "image_id": [f"r{number}" for number in range(len(concepts))],
        "caption": [f"of {code}." for code in concepts],
        "cui": list(concepts.values()),
    }
    text = datasets.Value("string")
    kinds = {"image_id": text, "caption": text, "cui": datasets.Sequence(text)}
    LAYOUTS["save"](columns, tmp_path / "set/data/train-00000-of-00001.parquet", **kinds)
    made = make("rocov2")
    assert made.counts == {"unknown_modality": 1}
    found = {sample.captions[0].text: sample.modality for sample in made.samples}
    assert found == {f"of {code}.": code for code in concepts if code}


def test_kvasir_vqa_makes_one_caption_of_all_answers(tmp_path: Path, make: Any, lies: Any) -> None:
    LAYOUTS["kvasir_vqa"](tmp_path / "set")
    made = make("kvasir_vqa")
    assert len(made.samples) == 3
    worded = [text.lower() for text in texts(made)]
    assert sum("polyp and oesophagitis" in text for text in worded) == 1
    assert worded.count("an endoscopic image.") == 1
    assert sum("a polyp snare" in text for text in worded) == 1
    assert not any("none" in text or "no " in text for text in worded)
    assert not lies(made, ("polyp", "oesophagitis"))


def test_pathmnist(tmp_path: Path, make: Any, lies: Any) -> None:
    (tmp_path / "set").mkdir()
    tiles = LAYOUTS["tiles"](LAYOUTS["slide"](), 4, 224)
    pictures = {"train": tiles[:2], "val": tiles[2:3], "test": tiles[3:]}
    labels = {"train": np.array([[8], [6]]), "val": np.array([[0]]), "test": np.array([[3]])}
    LAYOUTS["medmnist"](tmp_path / "set", "pathmnist_224", pictures, labels)
    made = make("medmnist_path")
    assert not made.rejects
    worded = " ".join(texts(made)).lower()
    for words in (
        "colorectal adenocarcinoma epithelium",
        "colon mucosa labelled normal",
        "adipose tissue",
        "lymphocytes",
    ):
        assert words in worded
    assert not lies(made, ("mucus", "debris"))


def test_pcam_speaks_of_the_centre(tmp_path: Path, make: Any, lies: Any) -> None:
    (tmp_path / "set").mkdir()
    LAYOUTS["pcam"](tmp_path / "set", LAYOUTS["slide"](), "train", 6)
    made = make("pcam")
    assert not made.rejects
    worded = texts(made)
    assert sum("no metastatic tissue in its centre" in text for text in worded) == 4
    assert sum("metastatic tissue in its centre" in text and "no " not in text for text in worded) == 2
    assert {sample.group.partition(":")[0] for sample in made.samples} == {"slide"}
    assert not lies(made)


def test_the_classes_of_pathmnist_are_those_of_its_package(tmp_path: Path) -> None:
    """Worded anew where a class is called normal, which a caption may not say by itself."""
    package = importlib.util.find_spec("medmnist")
    if package is None or not package.submodule_search_locations:
        pytest.skip("medmnist is not installed")
    known = runpy.run_path(str(Path(package.submodule_search_locations[0]) / "info.py"))["INFO"]["pathmnist"]["label"]
    options = read_recipe("medmnist_path", tmp_path, "here").options
    worded = yaml.safe_load(yaml.serialize(options))["label_lists"][0]["names"]
    assert list(worded) == list(known)
    for number, words in known.items():
        own = worded[number]
        assert own.startswith(words) or own == "colon mucosa labelled normal", (own, words)
