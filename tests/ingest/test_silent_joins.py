"""A joined table that speaks of nothing is remarked upon before any work, without an id; it is no error."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ingest.converters.array_files import ArrayFiles
from ingest.converters.folder_files import FolderFiles
from ingest.converters.hf_dataset import HuggingFace
from ingest.converters.table_images import TableImages
from ingest.rights import Rights
from ingest.table_file import JoinTable, Turn
from pipelines.crew import RunReport
from pipelines.pool import SerialPool
from pipelines.run import RunOptions, run
from pipelines.screen import Screen
from pipelines.spec import load

USUAL: dict[str, Any] = {
    "source": "mine",
    "rights": Rights(license="CC-BY-4.0"),
    "modality": "XC",
    "specialty": "dermatology",
}
OF_FILES = {"on": {"stem": "id"}}
OF_ROWS = {"on": {"file": "id"}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    where = tmp_path / "set"
    (where / "a").mkdir(parents=True)
    for number in range(6):
        Image.effect_noise((16, 16), 50).save(where / f"a/img-{number}.png")
    (where / "rows.csv").write_text("file\n" + "".join(f"a/img-{number}.png\n" for number in range(6)))
    return where


def of_files(folder: Path, *join: JoinTable) -> FolderFiles:
    return FolderFiles(path=str(folder), include=("*.png",), join=join, unit_files=2, **USUAL)


def of_rows(folder: Path, *join: JoinTable, **options: Any) -> TableImages:
    return TableImages(path=str(folder), table="rows.csv", image="file", join=join, unit_rows=2, **USUAL, **options)


def remarks(source: Any, ctx: Any, caplog: pytest.LogCaptureFixture) -> list[str]:
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        list(source.units(ctx))
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("check_files", [True, False])
def test_ids_that_are_written_differently(folder: Path, ctx: Any, caplog: Any, check_files: bool) -> None:
    (folder / "train.csv").write_text("id,sex\nIMG_0,F\nIMG_1,F\n")
    (remark,) = remarks(of_files(folder, JoinTable(table="train.csv", **OF_FILES)), ctx, caplog)
    assert remark.startswith("join: no row of train.csv speaks of anything that is read here, by stem = id.")
    assert "IMG" not in remark
    join = JoinTable(table="train.csv", **OF_ROWS)
    (remark,) = remarks(of_rows(folder, join, check_files=check_files), ctx, caplog)
    assert remark.startswith("join: no row of train.csv speaks of anything that is read here, by file = id.")


@pytest.mark.parametrize("check_files", [True, False])
def test_one_row_of_the_last_unit_is_enough(folder: Path, ctx: Any, caplog: Any, check_files: bool) -> None:
    (folder / "train.csv").write_text("id,sex\na/img-5.png,F\n")
    (folder / "test.csv").write_text("id,sex\nimg-5,F\n")
    assert remarks(of_files(folder, JoinTable(table="test.csv", **OF_FILES)), ctx, caplog) == []
    join = JoinTable(table="train.csv", **OF_ROWS)
    assert remarks(of_rows(folder, join, check_files=check_files), ctx, caplog) == []


def test_only_the_silent_one_of_several_is_told(folder: Path, ctx: Any, caplog: Any) -> None:
    (folder / "train.csv").write_text("id,code\nimg-1,x\n")
    (folder / "test.csv").write_text("id\nimg-9\n")
    (folder / "codes.csv").write_text("code,sex\nx,F\n")
    (folder / "others.csv").write_text("code,age\ny,50\n")
    joins = [
        JoinTable(table="train.csv", adds={"split": "train"}, **OF_FILES),
        JoinTable(table="test.csv", adds={"split": "test"}, **OF_FILES),
        JoinTable(table="codes.csv", on={"code": "code"}),
        JoinTable(table="others.csv", on={"code": "code"}),
        JoinTable(table="absent.csv", optional=True, **OF_FILES),
    ]
    found = remarks(of_files(folder, *joins), ctx, caplog)
    assert [remark.split(" speaks")[0] for remark in found] == [
        "join: no row of test.csv",
        "join: no row of others.csv",
    ]


def test_a_table_that_is_turned_is_looked_at_where_it_is_read_anyway(folder: Path, ctx: Any, caplog: Any) -> None:
    (folder / "long.csv").write_text("id,name,value\nIMG_0,acne,1\n")
    turn = Turn(index="id", names="name", values="value")
    found = remarks(of_rows(folder, JoinTable(table="long.csv", turn=turn, **OF_ROWS)), ctx, caplog)
    assert [remark.split(" speaks")[0] for remark in found] == ["join: no row of long.csv"]


def of_parquet(folder: Path, *join: JoinTable, **options: Any) -> HuggingFace:
    return HuggingFace(path=str(folder / "cells"), join=join, unit_rows=2, **USUAL, **options)


def of_arrays(folder: Path, *join: JoinTable, **options: Any) -> ArrayFiles:
    return ArrayFiles(path=str(folder / "arrays"), pictures="x", join=join, unit_rows=2, **USUAL, **options)


@pytest.fixture
def contained(folder: Path) -> Path:
    """The same six pictures in the cells of a Parquet file, and in an array beside their ids."""
    (folder / "cells").mkdir()
    (folder / "arrays").mkdir()
    paths = [folder / f"a/img-{number}.png" for number in range(6)]
    cells = {
        "image": pa.array([{"bytes": path.read_bytes(), "path": path.name} for path in paths]),
        "id": [path.stem for path in paths],
        "caption": [f"Skin {number}." for number in range(6)],
    }
    pq.write_table(pa.table(cells), folder / "cells/train-0.parquet", row_group_size=2)
    shown = np.stack([np.asarray(Image.open(path)) for path in paths])
    np.savez(folder / "arrays/skin.npz", x=shown, id=np.array(cells["id"]))
    return folder


MAKERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "rows": (of_parquet, {}),
    "gathered rows": (of_parquet, {"gather": "id", "caption": "caption"}),
    "array": (of_arrays, {"row_arrays": {"id": "id"}}),
}


@pytest.mark.parametrize("maker", MAKERS)
def test_the_rows_of_one_file_are_looked_at(contained: Path, ctx: Any, caplog: Any, maker: str) -> None:
    make, options = MAKERS[maker]
    where = contained / ("arrays" if make is of_arrays else "cells")
    on = {"on": {"id": "id"}}
    (where / "other.csv").write_text("id,sex\nIMG_0,F\nIMG_1,F\n")
    (where / "last.csv").write_text("id,age\nimg-5,40\n")
    joins = [JoinTable(table=f"{where}/{name}.csv", **on) for name in ("other", "last")]
    (remark,) = remarks(make(contained, *joins, **options), ctx, caplog)
    assert remark.startswith("join: no row of other.csv speaks of anything that is read here, by id = id.")
    assert remarks(make(contained, joins[1], **options), ctx, caplog) == []


def test_parts_and_composed_columns_are_what_rows_may_be_joined_on(contained: Path, ctx: Any, caplog: Any) -> None:
    (contained / "numbers.csv").write_text("number,sex\n3,F\nx-3,F\n")
    join = JoinTable(table=f"{contained}/numbers.csv", on={"number": "number"})
    parts = {"id": r"-(?P<number>\d)$"}
    assert remarks(of_parquet(contained, join, parts=parts), ctx, caplog) == []
    assert remarks(of_arrays(contained, join, parts=parts, row_arrays={"id": "id"}), ctx, caplog) == []
    composed = of_parquet(contained, join, compose={"number": "x-{row}"})
    assert remarks(composed, ctx, caplog) == []


def test_values_that_cannot_be_read_are_the_reject_that_they_were(contained: Path, convert: Any) -> None:
    (contained / "arrays/skin.npz").unlink()
    path = contained / "arrays/skin.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.random.default_rng(0).integers(0, 255, (6, 16, 16), dtype=np.uint8)
        ids = np.array([f"img-{number}".encode() for number in range(6)])
        file.create_dataset("id", data=ids, chunks=(2,), fletcher32=True)
    path.write_bytes(path.read_bytes().replace(b"img-5", b"img-9"))
    (contained / "t.csv").write_text("id,sex\nimg-8,F\n")
    join = JoinTable(table=f"{contained}/t.csv", on={"id": "id"})
    found = convert(of_arrays(contained, join, row_arrays={"id": "id"}))
    assert found.counts == {"corrupt": 1}
    assert len(found.samples) == 4


PIPELINE = """
version: 1
pipelines:
  mine:
    root: out
    key: {public: joins}
    stages:
      scans:
        use: "ingest.converters.folder_files:FolderFiles"
        with: {source: scans, path: set, include: ["*.png"], modality: XC, specialty: dermatology,
               rights: {license: CC-BY-4.0}, join: [{table: train.csv, "on": {stem: id}}], unit_files: 2}
"""


def test_a_run_says_it_once_and_a_run_that_has_nothing_to_do_does_not(
    folder: Path, tmp_path: Path, capsys: Any
) -> None:
    (folder / "train.csv").write_text("id,sex\nIMG_0,F\n")
    (tmp_path / "pipelines.yaml").write_text(PIPELINE)

    def go() -> RunReport:
        return run(load(tmp_path / "pipelines.yaml", "mine", ()), RunOptions(), SerialPool, Screen())

    report = go()
    (remark,) = report.remarks["scans"]
    assert report.done == {"scans": 6}
    shown = capsys.readouterr()
    assert (shown.out + shown.err).count("no row of train.csv") == 1
    assert remark.startswith("join: no row of train.csv")
    assert go().remarks == {}
    assert "train.csv" not in "".join(capsys.readouterr())
