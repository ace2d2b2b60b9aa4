"""What the units of converters of rows are known by beside their rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ingest.columns import LabelList, NamesTable
from ingest.converters.array_files import ArrayFiles
from ingest.converters.audio_pieces import AudioPieces
from ingest.converters.dicom_folder import DicomFolder
from ingest.converters.folder_files import FolderFiles
from ingest.converters.hf_dataset import HuggingFace
from ingest.converters.labelled_video import LabelledVideo
from ingest.converters.nifti_volumes import NiftiVolumes
from ingest.converters.table_images import TableImages
from ingest.frame_labels import FrameTable
from ingest.rights import Rights
from ingest.table_file import JoinTable
from shards.stage import Context

USUAL: dict[str, Any] = {
    "source": "here",
    "rights": Rights(license="CC0-1.0"),
    "path": "set",
    "modality": "DX",
    "specialty": "radiology",
}
TABLE: dict[str, Any] = {**USUAL, "table": "t.csv", "image": "file"}
CODES = LabelList(column="c", names_table=NamesTable(table="codes.csv", code="code", name="words"))


def inputs(stage: Any, ctx: Context) -> list[tuple[str, ...]]:
    return [tuple(unit.inputs) for unit in stage.units(ctx)]


def named(kind: str, folder: Path) -> Any:
    """A converter of one kind over a folder set/ that gives it one unit, with labels that codes.csv words."""
    usual: dict[str, Any] = {**USUAL, "label_lists": (CODES,)}
    by_folder = {**usual, "parts": {"path": "^(?P<c>[^/]+)/"}}
    match kind:
        case "table":
            return TableImages(**usual, table="t.csv", image="file", check_files=False)
        case "folder":
            return FolderFiles(**by_folder)
        case "dicom":
            return DicomFolder(**by_folder, include=("*.dcm",))
        case "nifti":
            return NiftiVolumes(**{**by_folder, "label_lists": (replace(CODES, scope="series"),)})
        case "sound":
            return AudioPieces(**by_folder)
        case "video":
            return LabelledVideo(**usual, include=("x/*.mp4",), tables=(FrameTable(table="t.csv"),))
        case "arrays":
            np.savez(folder / "x/a.npz", images=np.zeros((2, 32, 32), np.uint8), c=np.array(["x", "x"]))
            return ArrayFiles(**usual, include=("*.npz",), pictures="images", row_arrays={"c": "c"})
    pl.DataFrame({"image": [{"bytes": b"", "path": ""}], "c": ["x"]}).write_parquet(folder / "train.parquet")
    return HuggingFace(**usual)


@pytest.mark.parametrize("kind", ["table", "folder", "dicom", "nifti", "sound", "video", "arrays", "parquet"])
def test_a_change_of_the_table_that_words_labels_makes_units_stale(
    put: Any, ctx: Context, tmp_path: Path, kind: str
) -> None:
    put("t.csv", "file,c\na.png,x\n")
    for ending in ("png", "dcm", "nii.gz", "wav", "mp4"):
        put(f"x/a.{ending}", "")
    stage = named(kind, tmp_path / "set")
    put("codes.csv", "code,words\nx,mass\n")
    before = inputs(stage, ctx)
    assert len(before) == 1
    assert inputs(stage, ctx) == before
    put("codes.csv", "code,words\nx,nodule\n")
    assert inputs(stage, ctx) != before


def test_the_signal_beside_a_header_makes_its_unit_stale(put: Any, ctx: Context) -> None:
    put("r/1.hea", "1 12 500 10\n")
    stage = FolderFiles(**{**USUAL, "modality": "ECG"}, include=("*.hea",), kind="ecg")
    put("r/1.dat", "one")
    before = inputs(stage, ctx)
    put("r/1.dat", "another")
    assert inputs(stage, ctx) != before


def test_an_optional_table_may_be_absent_and_counts_once_it_is_there(put: Any, ctx: Context, convert: Any) -> None:
    put("t.csv", "file\na.png\nb.png\n")
    options: dict[str, Any] = {"table": "test.txt", "header": ("name",), "on": {"file": "name"}}
    join = JoinTable(**options, adds={"split": "test"}, optional=True)
    stage = TableImages(**TABLE, join=(join,), official_split="split", check_files=False)
    before = inputs(stage, ctx)
    assert {sample.official_split for sample in convert(stage).samples} == {None}
    put("test.txt", "b.png\n")
    assert inputs(stage, ctx) != before
    splits = {sample.media.uri.rpartition("/")[2]: sample.official_split for sample in convert(stage).samples}
    assert splits == {"a.png": None, "b.png": "test"}
    required = TableImages(**TABLE, join=(JoinTable(**{**options, "table": "gone.txt"}, adds={"split": "x"}),))
    with pytest.raises(FileNotFoundError, match=r"gone\.txt"):
        inputs(required, ctx)


def test_a_table_that_words_a_code_in_two_ways_is_refused_before_any_work_unless_names_decide(
    put: Any, ctx: Context, convert: Any, tmp_path: Path
) -> None:
    put("t.csv", "file,c\na.png,x\n")
    put("x/a.png", "")
    put("codes.csv", "code,words\nx,mass\nx,nodule\ny,cyst\ny,cyst\n")
    stage = named("table", tmp_path / "set")
    with pytest.raises(ValueError, match="words 'x' in two ways"):
        inputs(stage, ctx)
    decided = replace(stage, label_lists=(replace(CODES, names={"x": "mass"}),))
    assert len(inputs(decided, ctx)) == 1
