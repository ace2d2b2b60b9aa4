"""Whole-slide images in TIFF files (Aperio SVS, OME and plain pyramids): their pyramid, and single tiles of it.

Through tifffile (BSD) and the codecs that DICOM needs anyway. OpenSlide (LGPL) reads more formats, but opens local
paths alone, whole folders of files that a header names, and ends the process when memory does; tiffslide asks for zarr
to read the same tiles. It is the oracle of the tests. Only levels of the pyramid are known here: thumbnail, label and
macro pictures of a slide may show a patient's label and are never read (DESIGN invariant 10). Forms whose first picture
may be such a one, or whose JPEG is one stream for a whole level, are refused by name. Places are pixels of
level 0; what is decoded is the tile and nothing around it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from shards.codestream import read_codestream
from shards.foreign import foreign
from shards.frames import Frames
from shards.intake import Skip
from shards.limits import Limits
from shards.locator import Locator
from shards.reasons import Reason

Picture = npt.NDArray[np.uint8]  # [H, W, 3]

_RGB, _YCBCR = 2, 6  # PhotometricInterpretation; YCbCr only inside JPEG, whose decoder gives RGB
_JPEG = (6, 7)
_COMPRESSIONS = (1, 5, *_JPEG, 8, 32946, 33005, 34712)  # none, LZW, JPEG, Deflate, JPEG 2000 in RGB
_MPP = re.compile(r"\bMPP\s*=\s*([\d.]+)|PhysicalSizeX=\"([\d.]+)\"(?![^>]*PhysicalSizeXUnit=\"(?!\u00b5m))")
_POWER = re.compile(r"\bAppMag\s*=\s*([\d.]+)|NominalMagnification=\"([\d.]+)\"")
_UNIT_UM = {2: 25_400.0, 3: 10_000.0}  # ResolutionUnit: inch, centimetre
_PLAUSIBLE_MPP = (0.02, 100.0)
_SAME_ASPECT = 0.02
_MOST_LEVELS = 32
_REFUSED = ("ndpi", "scn", "bif", "stk", "lsm")  # of tifffile
_BESIDE = ("Label", "Macro", "Thumbnail")


@dataclass(frozen=True, eq=False)
class Level:
    """One picture of the pyramid, in tiles or strips."""

    width_px: int
    height_px: int
    chunk_px: tuple[int, int]  # width, height
    offsets: npt.NDArray[np.uint64]
    sizes: npt.NDArray[np.uint64]
    tables: bytes | None
    is_jpeg: bool
    decode: Callable[..., Any]  # of tifffile


@dataclass(frozen=True, eq=False)
class Slide:
    """The pyramid, largest level first."""

    levels: tuple[Level, ...]
    microns_per_px: float | None  # of level 0
    magnification: float | None  # objective power

    @property
    def size_bytes(self) -> int:
        """Memory held."""
        return sum(level.offsets.nbytes + level.sizes.nbytes for level in self.levels)

    def downsample(self, level: int) -> float:
        """Pixels of level 0 in one of this level."""
        return self.levels[0].width_px / self.levels[level].width_px

    def region(self, view: Locator) -> tuple[int, int, int, int, int]:
        """(level, left, top, width, height) of a locator in pixels of its level; raises Skip(BAD_ROW)."""
        level = view.level or 0
        found = (view.left, view.top, view.width, view.height)
        if not 0 <= level < len(self.levels) or None in found:
            raise Skip(Reason.BAD_ROW, f"level {level} of {len(self.levels)}, or a tile without a place")
        left, top, width, height = (round((value or 0) / self.downsample(level)) for value in found)
        here = self.levels[level]
        if not (0 <= left < left + width <= here.width_px and 0 <= top < top + height <= here.height_px):
            raise Skip(Reason.BAD_ROW, f"no tile at {left}, {top} of {here.width_px}x{here.height_px}")
        return level, left, top, width, height


def open_slide(stream: BinaryIO, limits: Limits) -> Slide:
    """The pyramid of a TIFF file, its pixels left alone; raises Skip."""
    import tifffile

    with foreign(), tifffile.TiffFile(stream, _multifile=False) as tiff:
        refused = [name for name in _REFUSED if getattr(tiff, f"is_{name}", False)]
        if refused:
            raise Skip(Reason.UNSUPPORTED_PIXELS, f"slides in the form {refused[0]} are not read")
        series = tiff.series[0]
        if series.name in _BESIDE:
            raise Skip(Reason.UNSUPPORTED_PIXELS, "its first picture is a label, macro or thumbnail")
        base = series.levels[0].keyframe
        pages: list[Any] = [level.keyframe for level in series.levels[:_MOST_LEVELS]]
        if len(pages) == 1:  # a plain pyramid: further tiled pages, each smaller, of the same aspect
            pages += [page for page in tiff.pages[1:_MOST_LEVELS] if _is_smaller(page, base)]
        levels = sorted((_level(page, limits) for page in pages), key=lambda level: -level.width_px)
        mpp, power = _scale(base, str(base.description or ""))
    return Slide(tuple(levels), mpp, power)


def _is_smaller(page: Any, base: Any) -> bool:
    if not getattr(page, "is_tiled", False) or not page.is_reduced:
        return False
    ratio = page.imagewidth / page.imagelength * base.imagelength / base.imagewidth
    return bool(page.imagewidth < base.imagewidth and abs(ratio - 1) < _SAME_ASPECT)


def _level(page: Any, limits: Limits) -> Level:
    """What is needed to read one page, checked against the limits."""
    pixels = (page.samplesperpixel, page.bitspersample, page.planarconfig, page.sampleformat)
    if pixels != (3, 8, 1, 1) or page.photometric not in (_RGB, _YCBCR):
        raise Skip(Reason.UNSUPPORTED_PIXELS, "not 8-bit RGB")
    if page.compression not in _COMPRESSIONS or (page.photometric == _YCBCR and page.compression not in _JPEG):
        raise Skip(Reason.CODEC_MISSING, f"TIFF compression {int(page.compression)}")
    width, height = page.imagewidth, page.imagelength
    chunk = (page.tilewidth, page.tilelength) if page.is_tiled else (width, min(page.rowsperstrip, height))
    limits.check_frame(*chunk)
    expected = -(-width // chunk[0]) * -(-height // chunk[1])
    limits.check_total(expected * 16)
    if not len(page.dataoffsets) == len(page.databytecounts) == expected:
        raise Skip(Reason.CORRUPT, f"{len(page.dataoffsets)} of {expected} tiles")
    return Level(
        width_px=width,
        height_px=height,
        chunk_px=chunk,
        offsets=np.array(page.dataoffsets, np.uint64),
        sizes=np.array(page.databytecounts, np.uint64),
        tables=page.jpegtables,
        is_jpeg=page.compression in _JPEG,
        decode=page.decode,
    )


def _scale(page: Any, description: str) -> tuple[float | None, float | None]:
    """Microns per pixel and objective power of level 0, as far as a header states them plausibly."""
    found, power = _MPP.search(description), _POWER.search(description)
    mpp = float(found[1] or found[2]) if found else None
    unit, resolution = page.tags.valueof(296), page.tags.valueof(282)
    if mpp is None and unit in _UNIT_UM and resolution and resolution[0]:
        mpp = _UNIT_UM[unit] * resolution[1] / resolution[0]
    if mpp is not None and not _PLAUSIBLE_MPP[0] <= mpp <= _PLAUSIBLE_MPP[1]:
        mpp = None
    return mpp, float(power[1] or power[2]) if power else None


def read_tile(stream: BinaryIO, slide: Slide, view: Locator, limits: Limits) -> Frames:
    """The tile that a locator selects as one frame [1, H, W, 3], pixels of its level; raises Skip."""
    level, left, top, width, height = slide.region(view)
    pixels = read_region(stream, slide.levels[level], (left, top, width, height), limits)
    here = slide.downsample(level)
    step = f"tile at {view.left}, {view.top} of level 0, {view.width}x{view.height}, from level {level} (1 in {here:g})"
    mpp = slide.microns_per_px
    spacing = None if mpp is None else (mpp * here / 1000,) * 2
    scale = () if mpp is None else (f"{mpp * here:.4g} microns a pixel",)
    return Frames(pixels=pixels[None], spacing_mm=spacing, steps=(step, *scale))


def read_region(stream: BinaryIO, level: Level, box: tuple[int, int, int, int], limits: Limits) -> Picture:
    """(left, top, width, height) of a level [H, W, 3]; only the chunks that it touches are read."""
    left, top, width, height = box
    limits.check_frame(width, height)
    across, down = level.chunk_px
    columns = -(-level.width_px // across)
    out = np.full((height, width, 3), 255, np.uint8)  # a chunk that was never scanned is white
    for row in range(top // down, -(-(top + height) // down)):
        for column in range(left // across, -(-(left + width) // across)):
            picture = _chunk(stream, level, row * columns + column)
            if picture is None:
                continue
            x, y = column * across, row * down
            x0, y0 = max(left, x), max(top, y)
            x1, y1 = min(left + width, x + picture.shape[1]), min(top + height, y + picture.shape[0])
            out[y0 - top : y1 - top, x0 - left : x1 - left] = picture[y0 - y : y1 - y, x0 - x : x1 - x]
    return out


def _chunk(stream: BinaryIO, level: Level, index: int) -> Picture | None:
    """One decoded tile or strip; None where nothing is stored."""
    size_bytes = int(level.sizes[index])
    if size_bytes == 0:
        return None
    if size_bytes > 8 * level.chunk_px[0] * level.chunk_px[1] + (1 << 16):
        raise Skip(Reason.CORRUPT, f"a tile of {size_bytes} bytes")
    stream.seek(int(level.offsets[index]))
    data = stream.read(size_bytes)
    if len(data) < size_bytes:
        raise Skip(Reason.TRUNCATED, f"{len(data)} of {size_bytes} bytes of a tile")
    stated = read_codestream(data)
    if stated is not None and (stated.width_px > level.chunk_px[0] or stated.height_px > level.chunk_px[1]):
        raise Skip(Reason.CORRUPT, f"a tile that claims {stated.width_px}x{stated.height_px} pixels")
    with foreign():
        picture = level.decode(data, index, **({"jpegtables": level.tables} if level.is_jpeg else {}))[0]
    if picture is None:
        return None
    if picture.dtype != np.uint8 or picture.ndim != 4 or picture.shape[0] != 1 or picture.shape[3] != 3:
        raise Skip(Reason.CORRUPT, "a tile of another form")
    return np.asarray(picture[0])


def overview(stream: BinaryIO, slide: Slide, limits: Limits) -> tuple[Picture, float]:
    """The smallest level [H, W, 3] and how many pixels of level 0 one of it covers; raises Skip(TOO_LARGE)."""
    smallest = slide.levels[-1]
    picture = read_region(stream, smallest, (0, 0, smallest.width_px, smallest.height_px), limits)
    return picture, slide.downsample(len(slide.levels) - 1)
