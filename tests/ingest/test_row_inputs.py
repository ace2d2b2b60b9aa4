"""What the units of converters of rows are known by beside their rows, and text files, which no cell leads out of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ingest.columns import CaptionColumn, LabelList, NamesTable, TextFiles
from ingest.converters import text_columns
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


@pytest.fixture
def put(tmp_path: Path) -> Callable[[str, str], None]:
    """put(path, text): a file below set/."""

    def write(path: str, text: str) -> None:
        where = tmp_path / "set" / path
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_text(text)

    return write


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


@pytest.mark.parametrize("gather", [False, True])
@pytest.mark.parametrize("check_files", [False, True])
def test_text_files_count_and_are_not_read_for_a_plan(
    put: Any, ctx: Context, monkeypatch: pytest.MonkeyPatch, gather: bool, check_files: bool
) -> None:
    put("t.csv", "file,study\na.png,1\nb.png,2\n")
    texts = (TextFiles(column="report", path="r/s{study}.txt"),)
    stage = TableImages(**TABLE, texts=texts, caption="report", gather=gather, check_files=check_files, unit_rows=1)
    put("r/s1.txt", "Clear.")
    put("r/s2.txt", "Clear.")
    monkeypatch.setattr(text_columns, "open_binary", lambda _: pytest.fail("a plan reads no text"))
    before = inputs(stage, ctx)
    assert inputs(stage, ctx) == before
    put("r/s2.txt", "Clear lungs.")
    after = inputs(stage, ctx)
    assert (after[0], after[1] != before[1]) == (before[0], True)


def test_no_cell_leads_to_a_text_outside_its_folder(put: Any, convert: Any, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("Mass.")
    put("r/sub/1.txt", "Effusion.")
    (tmp_path / "set/r/link.txt").symlink_to(tmp_path / "secret.txt")
    cells = ["sub/1", "../../secret", str(tmp_path / "secret"), "..\\..\\secret", "link", "none", ""]
    put("t.csv", "file,study\n" + "".join(f"{number}.png,{cell}\n" for number, cell in enumerate(cells)))
    stage = TableImages(
        **TABLE,
        texts=(TextFiles(column="report", path="r/{study}.txt"),),
        caption=CaptionColumn(column="report"),
        check_files=False,
    )
    found = convert(stage)
    said = {s.media.uri.rpartition("/")[2]: [caption.text for caption in s.captions] for s in found.samples}
    assert said == {"0.png": ["Effusion."], "5.png": [], "6.png": []}
    assert found.reasons == {f"{number}.png": "path_escapes" for number in (1, 2, 3, 4)}


def test_texts_may_lie_where_the_user_says(put: Any, convert: Any, tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports/s1.txt").write_text("Effusion.")
    put("t.csv", "file,study\na.png,1\n")
    for path in ("../reports/s{study}.txt", str(tmp_path / "reports/s{study}.txt"), "./reports/s{study}.txt"):
        where = path.replace("../", f"{tmp_path}/set/../")
        found = convert(
            TableImages(**TABLE, texts=(TextFiles(column="t", path=where),), caption="t", check_files=False)
        )
        assert [caption.text for caption in found.samples[0].captions] == ["Effusion."], path


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
