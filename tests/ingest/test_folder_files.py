"""Class folders and names with codes: every file is offered once, and its path says what it is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from ingest.columns import LabelList
from ingest.converters.folder_files import FolderFiles
from ingest.rights import Rights
from ingest.table_file import JoinTable
from shards.canonical import sample_key
from shards.stage import Context
from shards.uri import package_folder

PICTURES = {"polyps/a.png": "ihc.png", "polyps/b.jpg": "retina.jpg", "cecum/c.png": "cell.png"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for place, name in PICTURES.items():
        (tmp_path / "set" / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(package_folder("skimage") / "data" / name, tmp_path / "set" / place)
    return tmp_path / "set"


def stage(**options: Any) -> FolderFiles:
    usual: dict[str, Any] = {
        "parts": {"path": "^(?P<class>[^/]+)/"},
        "label_lists": (LabelList(column="class", names={"polyps": "polyp", "cecum": "caecum"}, others="reject"),),
    }
    return FolderFiles(
        source="kvasir",
        rights=Rights(license="CC-BY-4.0"),
        path="set",
        modality="ES",
        specialty="gastroenterology",
        **{**usual, **options},
    )


def test_parts_that_fit_no_file_are_an_error(folder: Path, ctx: Context) -> None:
    fits = {"path": "^(?P<class>[^/]+)/", "stem": "^(?P<patient>[a-c])$"}
    assert list(stage(parts=fits, unit_files=1).units(ctx))  # each may fit in another unit
    with pytest.raises(ValueError, match=r"parts: '\^\(\?P<patient>P\[0-9\]\+\)' fits the stem of no file below .*set"):
        list(stage(parts={**fits, "stem": "^(?P<patient>P[0-9]+)"}).units(ctx))


def test_the_class_is_a_label_of_the_image(folder: Path, convert: Any) -> None:
    (folder / "notes.txt").write_text("not offered")
    (folder / "odd").mkdir()
    shutil.copy(folder / "polyps/a.png", folder / "odd/d.png")
    found = convert(stage(probe=True))
    assert {sample.media.uri.rpartition("/")[2]: sample.labels[0].name for sample in found.samples} == {
        "a.png": "polyp",
        "b.jpg": "polyp",
        "c.png": "caecum",
    }
    assert found.reasons == {"odd/d.png": "bad_row"}
    first = next(sample for sample in found.samples if sample.media.uri.endswith("a.png"))
    assert first.key == sample_key("kvasir", "polyps/a.png", "")
    assert (first.media.width_px, first.media.frames, first.labels[0].scope) == (512, 1, "image")
    assert first.retrieved is not None


def test_a_table_beside_the_folder_joins_on_a_part_of_the_name(folder: Path, convert: Any) -> None:
    (folder / "split.csv").write_text("file-name;split-index\na;0\nc;1\n")
    join = JoinTable(table="split.csv", separator=";", on={"stem": "file-name"})
    found = convert(stage(join=(join,), official_split="split-index", split_names={"0": "train", "1": "test"}))
    splits = {sample.media.uri.rpartition("/")[2]: sample.official_split for sample in found.samples}
    assert splits == {"a.png": "train", "b.jpg": None, "c.png": "test"}


def test_hidden_linked_and_excluded_files_are_rejects_with_reasons(folder: Path, convert: Any, tmp_path: Path) -> None:
    (folder / "polyps/.hidden.png").write_bytes(b"")
    (tmp_path / "outside.png").write_bytes(b"")
    (folder / "polyps/leads_out.png").symlink_to(tmp_path / "outside.png")
    (folder / "polyps/empty.png").write_bytes(b"")
    found = convert(stage(exclude={"polyps/b.jpg": "burned_in_text_unchecked"}, probe=True))
    assert found.reasons == {
        "polyps/.hidden.png": "hidden",
        "polyps/leads_out.png": "path_escapes",
        "polyps/b.jpg": "burned_in_text_unchecked",
        "polyps/empty.png": "not_recognised",
    }


def test_units_of_any_size_give_the_same_rows(folder: Path, convert: Any) -> None:
    for number in range(40):
        os.link(folder / "polyps/a.png", folder / f"polyps/n{number}.png")
    whole, cut = convert(stage()), convert(stage(unit_files=5))
    assert len(cut.units) > 3
    assert whole.rows.sort("key").equals(cut.rows.sort("key"))


def test_a_root_that_is_not_laid_out_as_expected_says_what_was_found(folder: Path, convert: Any) -> None:
    with pytest.raises(FileNotFoundError, match=r"no labels\.csv, \*\.avi; found cecum, polyps"):
        convert(stage(expects=("labels.csv", "*.avi")))
    convert(stage(expects=("polyps", "*.jpg")))


def test_a_column_that_is_nowhere_is_said_before_any_work(folder: Path, ctx: Context) -> None:
    (folder / "split.csv").write_text("file-name;split-index\na;0\n")
    join = JoinTable(table="split.csv", separator=";", on={"stem": "file-name"})
    assert len(list(stage(join=(join,), official_split="split-index").units(ctx))) == 1
    with pytest.raises(ValueError, match="no column 'klass'; did you mean 'class'"):
        next(iter(stage(join=(join,), label_lists=(LabelList(column="klass"),)).units(ctx)))
