"""Columns of data sets of Hugging Face: own ones precede those of places, and each file has what is asked for."""

from __future__ import annotations

import runpy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import pytest

from ingest.columns import LabelColumn
from ingest.converters.hf_dataset import HuggingFace
from ingest.rights import Rights
from ingest.table_file import Turn
from shards.manifest import Sample

COMMON: dict[str, Any] = {"source": "here", "rights": Rights(license="CC-BY-NC-4.0"), "specialty": "pathology"}
LAYOUTS = runpy.run_path(str(Path(__file__).with_name("container_layouts.py")))
pictures, save, TEXT = (LAYOUTS[name] for name in ("pictures", "save", "TEXT"))


@pytest.fixture(scope="module", autouse=True)
def quiet() -> None:
    datasets.disable_progress_bars()


def by_row(samples: Sequence[Sample]) -> list[Sample]:
    return sorted(samples, key=lambda one: (one.media.uri, int(one.media.view.row or 0)))


def test_columns_called_file_and_row_are_the_sets_own(tmp_path: Path, convert: Any) -> None:
    cells = {
        "image": pictures(3, 3),
        "file": ["a.png", "b.png", "a.png"],
        "row": ["x", "y", "x"],
        "says": ["1", "2", "3"],
    }
    save(cells, tmp_path / "data/train-00000-of-00001.parquet", file=TEXT, row=TEXT, says=TEXT)
    options: dict[str, Any] = {
        **COMMON,
        "modality": "SM",
        "path": str(tmp_path),
        "source_id": "file",
        "caption": "says",
    }
    first, second, third = by_row(convert(HuggingFace(**options)).samples)
    assert first.source_id == third.source_id != second.source_id
    assert [one.media.view.row for one in (first, second, third)] == [0, 1, 2]
    gathered = by_row(convert(HuggingFace(**options, gather="row")).samples)
    assert [[one.text for one in sample.captions] for sample in gathered] == [["1", "3"], ["2"]]


def test_a_file_that_lacks_a_column_is_named_before_any_work(tmp_path: Path, ctx: Any, convert: Any) -> None:
    save({"image": pictures(1, 1), "says": ["1"]}, tmp_path / "data/test-00000-of-00001.parquet", says=TEXT)
    save({"image": pictures(1, 2), "told": ["2"]}, tmp_path / "data/train-00000-of-00001.parquet", told=TEXT)
    options: dict[str, Any] = {**COMMON, "modality": "SM", "path": str(tmp_path)}
    for column, file in (("says", "train"), ("told", "test")):
        with pytest.raises(ValueError, match=rf"{file}-00000-of-00001.parquet has no column '{column}'"):
            list(HuggingFace(**options, caption=column).units(ctx))
    gathered = convert(HuggingFace(**options, caption="says", gather="image")).samples
    assert sorted([one.text for one in sample.captions] for sample in gathered) == [[], ["1"]]


def test_answers_of_an_item_without_a_split_are_kept(tmp_path: Path, convert: Any) -> None:
    cells = {"image": pictures(3, 3), "id": list("aab"), "ask": list("xyx"), "says": list("101")}
    split = {"split": [None, None, "test"]}
    texts = dict.fromkeys(("id", "ask", "says", "split"), TEXT)
    save({**cells, **split}, tmp_path / "data/train-00000-of-00001.parquet", **texts)
    states = {"1": "present", "0": "absent"}
    found = convert(
        HuggingFace(
            **COMMON,
            modality="SM",
            path=str(tmp_path),
            gather=Turn(index="id", names="ask", values="says"),
            labels=(LabelColumn(column=("x", "y"), states=states),),
            official_split="split",
        )
    )
    first, second = by_row(found.samples)
    assert [(label.name, label.state) for label in first.labels] == [("x", "present"), ("y", "absent")]
    assert [(label.name, label.state) for label in second.labels] == [("x", "present")]
    assert (first.official_split, second.official_split) == (None, "test")
