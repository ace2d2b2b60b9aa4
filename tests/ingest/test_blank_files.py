"""Pictures of one value are rejected where files are opened: equal ones would tie all patients who have one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ingest.converters.array_files import ArrayFiles
from ingest.converters.hf_dataset import HuggingFace
from ingest.converters.table_images import TableImages
from ingest.probe import ProbeMedia
from ingest.rights import Rights
from shards.manifest import write_part
from shards.stage import Context, Unit

BLANK = ("black.png", "grey.jpg", "large.jpg", "deep.png", "colour.png")
SHOWN = ("dark.png", "dot.png", "noise.jpg")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    flat = np.zeros((512, 512), np.uint8)
    dark, dot = flat.copy(), flat.copy()
    dark[256:] = 12
    dot[250:254, 250:254] = 255
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    pictures = {
        "black.png": flat,
        "grey.jpg": flat[:40, :30] + 90,
        "large.jpg": np.full((2000, 2000, 3), (200, 10, 90), np.uint8),
        "deep.png": flat.astype(np.uint16) + 4095,
        "colour.png": np.full((64, 64, 3), (200, 10, 90), np.uint8),
        "dark.png": dark,
        "dot.png": dot,
        "noise.jpg": noise,
    }
    for name, pixels in pictures.items():
        Image.fromarray(pixels).save(tmp_path / name)
    (tmp_path / "t.csv").write_text("file\n" + "".join(f"{name}\n" for name in pictures))
    return tmp_path


def stage(**options: Any) -> TableImages:
    rights = Rights(license="CC0-1.0")
    return TableImages(
        source="here",
        rights=rights,
        path=".",
        table="t.csv",
        image="file",
        modality="CT",
        specialty="radiology",
        **options,
    )


CELLS, ARRAYS = {"path": "cells", "image": "image"}, {"path": "arrays", "pictures": ".+"}


@pytest.fixture
def contained(table: Path) -> Path:
    """The pictures of `table` in cells of a Parquet file, and rows of arrays that are flat, or flat but for one dot."""
    for name in ("cells", "arrays"):
        (table / name).mkdir()
    cells = [{"bytes": (table / name).read_bytes(), "path": name} for name in (*BLANK, *SHOWN)]
    pq.write_table(pa.table({"image": cells, "name": [*BLANK, *SHOWN]}), table / "cells/train-0.parquet")
    volumes = np.zeros((2, 6, 32, 32), np.int16)
    volumes[:, 2:4] = np.random.default_rng(0).integers(0, 900, (2, 2, 32, 32))
    volumes[1, 4, 31, 31] = 1
    with h5py.File(table / "arrays/slices.h5", "w") as file:
        file["volumes"] = volumes
        file["real"] = np.stack([np.full((40, 30), value, np.float32) for value in (0.0, 0.25, np.nan)])
        file["colour"] = np.tile(np.array([200, 10, 90], np.uint8), (2, 16, 16, 1))
        file["kspace"] = np.zeros((1, 4, 32, 32), np.complex64)
        file["colour"][1, 15, 15] = (10, 200, 90)  # the same two values in other channels
    return table


def inside(kind: Any, options: Mapping[str, str], **more: Any) -> Any:
    usual = {"source": "here", "rights": Rights(license="CC0-1.0"), "modality": "CT", "specialty": "radiology"}
    return kind(**usual, **options, **more)


SLICES = {f"slices.h5 volumes {row} slice {at}" for row in (0, 1) for at in (0, 1, 4, 5)} - {
    "slices.h5 volumes 1 slice 4"
}
FLAT = SLICES | {"slices.h5 real 0", "slices.h5 real 1", "slices.h5 real 2", "slices.h5 colour 0", "slices.h5 kspace 0"}


def test_cells_of_parquet_files_are_looked_at_as_files_are(contained: Path, convert: Any) -> None:
    found = convert(inside(HuggingFace, CELLS, probe=True, source_id="name"))
    names = (*BLANK, *SHOWN)
    assert {names[int(item.rpartition(" ")[2])] for item in found.reasons} == set(BLANK)
    assert set(found.reasons.values()) == {"blank"}
    assert len(found.samples) == len(SHOWN)


def test_rows_and_slices_of_arrays_that_are_flat_are_blank(contained: Path, convert: Any) -> None:
    found = convert(inside(ArrayFiles, ARRAYS, probe=True, volumes="slices", group="item"))
    assert found.reasons == dict.fromkeys(FLAT, "blank")
    assert len(found.samples) == 6  # four slices, one of a single dot, and the picture of two colours
    stacks = convert(inside(ArrayFiles, {**ARRAYS, "pictures": "volumes"}, probe=True))
    assert len(stacks.samples) == 2


@pytest.mark.parametrize(("kind", "options"), [(HuggingFace, CELLS), (ArrayFiles, ARRAYS)])
def test_a_probe_later_rejects_the_same_rows(
    contained: Path, convert: Any, ctx: Context, tmp_path: Path, kind: Any, options: Mapping[str, str]
) -> None:
    more = {"volumes": "slices", "group": "item"} if kind is ArrayFiles else {}
    rows = convert(inside(kind, options, **more)).rows
    write_part(rows, tmp_path / "part.parquet")
    with ProbeMedia().open(ctx) as worker:
        result = worker.process(Unit(id="part", payload={"part": str(tmp_path / "part.parquet")}))
    told = {reject.item for reject in convert(inside(kind, options, probe=True, **more)).rejects}
    assert len(result.rejects) == len(told) == (len(BLANK) if kind is HuggingFace else len(FLAT))
    assert {reject.reason for reject in result.rejects} == {"blank"}


def test_a_converter_that_opens_files_rejects_them(table: Path, convert: Any) -> None:
    found = convert(stage(probe=True))
    assert found.reasons == dict.fromkeys(BLANK, "blank")
    assert sorted(sample.media.uri.rpartition("/")[2] for sample in found.samples) == sorted(SHOWN)


def test_a_probe_later_rejects_the_same(table: Path, convert: Any, ctx: Context, tmp_path: Path) -> None:
    rows = convert(stage()).rows
    assert rows.height == len(BLANK) + len(SHOWN)
    write_part(rows, tmp_path / "part.parquet")
    with ProbeMedia().open(ctx) as worker:
        result = worker.process(Unit(id="part", payload={"part": str(tmp_path / "part.parquet")}))
    names = dict(rows.select("key", "media").iter_rows())
    assert {names[reject.item]["uri"].rpartition("/")[2] for reject in result.rejects} == set(BLANK)
    assert {reject.reason for reject in result.rejects} == {"blank"}
