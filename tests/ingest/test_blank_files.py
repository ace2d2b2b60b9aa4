"""Pictures of one value are rejected where files are opened: equal ones would tie all patients who have one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

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
