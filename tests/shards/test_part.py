"""Parts of still pictures: pixels and facts agree, and nothing shows more than its locator says."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from shards.intake import Skip
from shards.locator import Locator
from shards.manifest import Media
from shards.media import MediaReader
from shards.reasons import Reason

WIDTH, HEIGHT = 40, 30
PIXELS = np.random.default_rng(7).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
PART = Locator(left=5, top=7, width=20, height=11)
DICOM = "package://pydicom/data/test_files/CT_small.dcm"


def encoded(format_name: str = "PNG", **options: Any) -> bytes:
    data = io.BytesIO()
    Image.fromarray(PIXELS).save(data, format_name, **options)
    return data.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.png").write_bytes(encoded())
    (tmp_path / "a.tif").write_bytes(encoded("TIFF"))
    turned = Image.Exif()
    turned[0x0112] = 6  # rows are the right side: what is shown is 30x40
    (tmp_path / "turned.png").write_bytes(encoded(exif=turned))
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo("inside.png")
        info.size = len(encoded())
        archive.addfile(info, io.BytesIO(encoded()))
    np.save(tmp_path / "a.npy", PIXELS[None])
    (tmp_path / "frames").mkdir()
    for number in range(2):
        (tmp_path / f"frames/{number}.png").write_bytes(encoded())
    return tmp_path


@pytest.mark.parametrize(
    ("name", "member"), [("a.png", None), ("a.tif", None), ("turned.png", None), ("a.tar", "inside.png")]
)
def test_facts_and_pixels_are_those_of_the_part(folder: Path, name: str, member: str | None) -> None:
    reader, uri = MediaReader(), str(folder / name)
    view = Locator(member=member, left=PART.left, top=PART.top, width=PART.width, height=PART.height).text()
    facts, whole = reader.facts(uri, view), reader.facts(uri, Locator(member=member).text())
    assert (facts.width_px, facts.height_px, facts.sha256, facts.kind) == (20, 11, whole.sha256, "image")
    frames = reader.read(Media(uri=uri, kind="image", locator=view, sha256=facts.sha256))
    shown = np.rot90(PIXELS, -1) if name == "turned.png" else PIXELS
    assert np.array_equal(frames.pixels, shown[None, 7:18, 5:25])
    assert frames.steps[-1] == "part of 20x11 at 5, 7"
    with pytest.raises(Skip, match="media_changed"):
        reader.read(Media(uri=uri, kind="image", locator=view, sha256="0" * 64))


@pytest.mark.parametrize(
    "part",
    [
        {"left": 21},
        {"top": 20},
        {"left": -1},
        {"top": -1},
        {"width": 0},
        {"height": 0},
        {"width": -3},
        {"width": WIDTH + 1, "left": 0},
        {"left": None},
        {"height": None},
        {"left": 1.5},
        {"top": "7"},
    ],
)
def test_a_part_that_is_not_inside_is_refused(folder: Path, part: dict[str, Any]) -> None:
    view = Locator(**{"left": 5, "top": 7, "width": 20, "height": 11, **part}).text()
    for call in (MediaReader().facts, lambda uri, view: MediaReader().read(Media(uri=uri, kind="image", locator=view))):
        with pytest.raises(Skip) as skip:
            call(str(folder / "a.png"), view)
        assert skip.value.reason is Reason.BAD_ROW


@pytest.mark.parametrize("name", ["a.npy", "frames", DICOM])
def test_a_part_of_what_is_no_still_picture_is_refused(folder: Path, name: str) -> None:
    reader, uri = MediaReader(), name if name == DICOM else str(folder / name)
    kind = {"a.npy": "array", "frames": "frames"}.get(name, "dicom")
    reader.read(Media(uri=uri, kind=kind))  # is now in the cache, and must not be served whole
    for call in (reader.facts, lambda uri, view: reader.read(Media(uri=uri, kind=kind, locator=view))):
        with pytest.raises(Skip) as skip:
            call(uri, PART.text())
        assert skip.value.reason is Reason.BAD_ROW


def test_a_tile_has_a_level_and_a_part_has_none() -> None:
    assert (PART.is_part, PART.is_tile) == (True, False)
    tile = Locator(level=0, left=5, top=7, width=20, height=11)
    assert (tile.is_part, tile.is_tile) == (False, True)
    assert (Locator().is_part, Locator().is_tile) == (False, False)
