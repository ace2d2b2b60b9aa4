"""Tiles of slides: pixels of the source's crop, OpenSlide's values, and what of a slide is never read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image

from shards.intake import Skip
from shards.limits import Limits
from shards.locator import Locator
from shards.manifest import Media
from shards.media import MediaReader
from shards.uri import local_path

Picture = npt.NDArray[np.uint8]
SVS = "Aperio Image Library v11\r\n2048x1536 [0,0 2048x1536] (256x256) JPEG/RGB Q=90|AppMag = 20|MPP = 0.5010"
CM = "CENTIMETER"


def slide_picture() -> Picture:
    """A real immunohistochemistry picture, enlarged, in the corner of an empty slide: 2048 x 1536."""
    tissue = cv2.imread(str(local_path("package://skimage/data/ihc.png")))[:, :, ::-1]
    whole = np.full((1536, 2048, 3), 243, np.uint8)
    whole[256:1280, 512:1536] = cv2.resize(tissue, (1024, 1024), interpolation=cv2.INTER_CUBIC)
    return whole


@pytest.fixture(scope="session")
def whole() -> Picture:
    return slide_picture()


def half(picture: Picture, times: int) -> Picture:
    size = picture.shape[1] // 2**times, picture.shape[0] // 2**times
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def write_slide(path: Path, picture: Picture, how: str = "subifds", **options: Any) -> Path:
    """A pyramid of three levels as OME and QuPath (subifds), vips (pages) or Aperio (svs) write it."""
    tiles: dict[str, Any] = {
        "metadata": None,
        "tile": (256, 256),
        "photometric": "rgb",
        "compression": "zlib",
        **options,
    }
    with tifffile.TiffWriter(path, bigtiff=how == "big") as tiff:
        if how == "svs":
            label = np.zeros((64, 96, 3), np.uint8)
            label[:, :, 0] = 255  # a red label, where a patient's name would stand
            tiff.write(picture, description=SVS, subfiletype=0, **tiles)
            plain: dict[str, Any] = {"photometric": "rgb", "metadata": None}
            tiff.write(half(picture, 3), description="Aperio thumbnail", subfiletype=0, **plain)
            for times in (1, 2):
                tiff.write(half(picture, times), description="Aperio level", subfiletype=0, **tiles)
            tiff.write(label, description="Aperio\r\nlabel 96x64", subfiletype=1, **plain)
            tiff.write(label, description="Aperio\r\nmacro 96x64", subfiletype=9, **plain)
            return path
        metric = {"resolution": (20000, 20000), "resolutionunit": CM}
        tiff.write(picture, subifds=2 if how in ("subifds", "big") else 0, **metric, **tiles)
        for times in (1, 2):
            tiff.write(half(picture, times), subfiletype=1, **tiles)
    return path


def read(path: Path, level: int, left: int, top: int, side: int, **how: Any) -> Picture:
    view = Locator(level=level, left=left, top=top, width=side, height=side)
    frames = MediaReader(**how).read(Media(uri=str(path), kind="slide", locator=view.text()))
    return frames.pixels[0]


def refused(call: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    with pytest.raises(Skip) as skip:
        call(*args, **kwargs)
    return skip.value.reason.value


@pytest.mark.parametrize("how", ["subifds", "pages", "svs", "big"])
@pytest.mark.parametrize("compression", ["zlib", "lzw", None])
def test_pixels_of_a_tile_are_those_of_the_crop(tmp_path: Path, whole: Picture, how: str, compression: Any) -> None:
    path = write_slide(tmp_path / "a.tif", whole, how, compression=compression)
    slide = MediaReader().recording(str(path), Locator(level=0)).slide()
    assert [(level.width_px, level.height_px) for level in slide.levels] == [(2048, 1536), (1024, 768), (512, 384)]
    assert slide.microns_per_px == pytest.approx(0.501 if how == "svs" else 0.5)
    assert slide.magnification == (20 if how == "svs" else None)
    for level, left, top, side in ((0, 0, 0, 256), (0, 700, 333, 300), (1, 700, 332, 600), (2, 512, 256, 1024)):
        crop = half(whole, level)[top >> level : (top + side) >> level, left >> level : (left + side) >> level]
        assert (read(path, level, left, top, side) == crop).all(), (level, left)


@pytest.mark.parametrize("how", ["pages", "svs"])
@pytest.mark.oracle
def test_pixels_are_openslides(tmp_path: Path, whole: Picture, how: str) -> None:
    openslide = pytest.importorskip("openslide")
    path = write_slide(tmp_path / "a.svs", whole, how, compression="jpeg", compressionargs={"level": 90})
    with openslide.OpenSlide(str(path)) as theirs:
        assert theirs.level_dimensions == ((2048, 1536), (1024, 768), (512, 384))
        for level, left, top, side in ((0, 640, 300, 200), (1, 512, 256, 512), (2, 512, 256, 1024)):
            region = theirs.read_region((left, top), level, (side >> level, side >> level)).convert("RGB")
            difference = np.abs(np.asarray(region, int) - read(path, level, left, top, side))
            assert difference.max() <= 2, level


def test_a_tile_says_its_scale_and_its_size(tmp_path: Path, whole: Picture) -> None:
    path = write_slide(tmp_path / "a.tif", whole)
    view = Locator(level=1, left=512, top=256, width=1024, height=1024)
    facts = MediaReader().facts(str(path), view.text())
    assert (facts.kind, facts.width_px, facts.height_px, facts.frames) == ("slide", 512, 512, 1)
    frames = MediaReader().read(Media(uri=str(path), kind="slide", locator=view.text(), sha256=facts.sha256))
    assert frames.spacing_mm == pytest.approx((0.001, 0.001))
    assert frames.steps == ("tile at 512, 256 of level 0, 1024x1024, from level 1 (1 in 2)", "1 microns a pixel")
    assert MediaReader().facts(str(path)).kind == "image", "without a tile a TIFF is a picture"


def test_label_and_macro_are_no_levels(tmp_path: Path, whole: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_slide(tmp_path / "a.svs", whole, "svs")
    with tifffile.TiffFile(path) as tiff:
        beside = {int(page.dataoffsets[0]) for page in (tiff.pages[1], *tiff.pages[-2:])}
    asked: list[int] = []
    real = open(path, "rb")  # noqa: PTH123, SIM115

    class Watched:
        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def seek(self, at: int, whence: int = 0) -> int:
            asked.append(at)
            return real.seek(at, whence)

    from shards.slide import open_slide, overview, read_tile

    with real:
        slide = open_slide(Watched(), Limits())  # type: ignore[arg-type]
        asked.clear()
        overview(Watched(), slide, Limits())  # type: ignore[arg-type]
        view = Locator(level=0, left=0, top=0, width=2048, height=1536)
        shown = read_tile(Watched(), slide, view, Limits()).pixels  # type: ignore[arg-type]
    assert asked
    assert not beside & set(asked)
    assert not ((shown[..., 0] > 250) & (shown[..., 1] < 5)).any(), "the red label"


@pytest.mark.parametrize(
    "view",
    [
        Locator(level=3, left=0, top=0, width=8, height=8),
        Locator(level=-1, left=0, top=0, width=8, height=8),
        Locator(level=0, left=2040, top=0, width=16, height=16),
        Locator(level=0, left=-4, top=0, width=16, height=16),
        Locator(level=0, left=0, top=0, width=0, height=16),
        Locator(level=0, left=0, top=0),
    ],
)
def test_a_tile_lies_on_the_slide(tmp_path: Path, whole: Picture, view: Locator) -> None:
    path = write_slide(tmp_path / "a.tif", whole)
    media = Media(uri=str(path), kind="slide", locator=view.text())
    assert refused(MediaReader().read, media) == "bad_row"
    assert refused(MediaReader().facts, str(path), view.text()) == "bad_row"


def test_a_tile_of_what_is_no_slide_is_refused(tmp_path: Path, whole: Picture) -> None:
    Image.fromarray(whole[:64, :64]).save(tmp_path / "a.png")
    assert refused(read, tmp_path / "a.png", 0, 0, 0, 8) == "bad_row"
    Image.fromarray(whole[:64, :64, 0]).save(tmp_path / "grey.tif")
    assert refused(read, tmp_path / "grey.tif", 0, 0, 0, 8) == "unsupported_pixels"
    big = write_slide(tmp_path / "big.tif", whole, "big")
    assert refused(MediaReader().facts, str(big)) == "unsupported_pixels"


def changed(path: Path, page_of: int, tag: int, value: int) -> None:
    """Overwrite one tag's first value."""
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tiff.pages[page_of].tags[tag].overwrite(value)


@pytest.mark.parametrize(
    ("tag", "value", "reason"),
    [
        (256, 4_000_000_000, ("corrupt", "too_large")),  # width
        (257, 4_000_000_000, ("corrupt", "too_large")),  # height
        (322, 65520, ("corrupt",)),  # tile width
        (322, 1 << 24, ("too_large", "corrupt")),
        (323, 1 << 30, ("too_large", "corrupt")),
        (259, 33003, ("codec_missing",)),  # compression: JPEG 2000 in YCbCr
        (259, 9999, ("codec_missing",)),
        (277, 60000, ("unsupported_pixels", "corrupt")),  # samples a pixel
    ],
)
def test_lying_headers_are_rejects(tmp_path: Path, whole: Picture, tag: int, value: int, reason: tuple[str]) -> None:
    path = write_slide(tmp_path / "a.tif", whole, "pages")
    changed(path, 0, tag, value)
    assert refused(read, path, 0, 0, 0, 64) in reason


def test_bombs_and_cut_files_are_rejects(tmp_path: Path, whole: Picture) -> None:
    black = np.zeros((8192, 8192, 3), np.uint8)
    with tifffile.TiffWriter(tmp_path / "bomb.tif") as tiff:  # 200 MB in 200 kB, as one tile
        tiff.write(black, tile=(8192, 8192), photometric="rgb", compression="zlib")
    assert (tmp_path / "bomb.tif").stat().st_size < 300_000
    limits = Limits(max_pixels=4_000_000)
    assert refused(read, tmp_path / "bomb.tif", 0, 0, 0, 64, limits=limits) == "too_large"
    path = write_slide(tmp_path / "jpeg.tif", whole, "pages", compression="jpeg")
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        start = int(tiff.pages[0].dataoffsets[0])
    frame = data.index(b"\xff\xc0", start)
    data[frame + 5 : frame + 9] = b"\xff\xdc\xff\xdc"  # 65,500 x 65,500 pixels in the tile's own header
    path.write_bytes(data)
    assert refused(read, path, 0, 0, 0, 64) == "corrupt"
    path = write_slide(tmp_path / "cut.tif", whole, "pages")
    path.write_bytes(path.read_bytes()[:200_000])
    assert refused(read, path, 0, 1000, 800, 300) in ("truncated", "corrupt")
    (tmp_path / "noise.tif").write_bytes(b"II*\0" + np.random.default_rng(0).bytes(5000))
    assert refused(read, tmp_path / "noise.tif", 0, 0, 0, 8) in ("corrupt", "unsupported_pixels")
