"""Pixels as data urls (RFC 2397), so that a page carries its own pictures and asks nobody for anything.

Stills become WebP and clips H.264 in MP4, no larger than a page shows them: a page of hundreds of pairs then has a few
megabytes. Pixels are made square first, as they are for training; nothing is ever enlarged.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from shards import codecs, geometry
from shards.frames import Frames
from shards.geometry import Pixels

WEBP_QUALITY = 84
CLIP_RATE_FACTOR = 24  # x264
MAX_CLIP_FRAMES = 96  # what a page plays of a longer clip


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A picture or a clip ready for a page."""

    url: str  # data url
    is_clip: bool
    width_px: int
    height_px: int
    frames: int  # that the url holds
    of_source: bool = False  # of the source file, and not of the shard that holds the sample


def of_frames(frames: Frames, side_px: int) -> Picture:
    """Frames with the longer side at most `side_px`; one frame is a still, more are a clip."""
    pixels = smaller(frames.pixels[:MAX_CLIP_FRAMES], side_px, frames.spacing_mm)
    width, height = geometry.size(pixels)
    is_clip = pixels.shape[0] > 1
    url = _clip_url(pixels, frames.fps) if is_clip else _still_url(pixels)
    return Picture(url=url, is_clip=is_clip, width_px=width, height_px=height, frames=pixels.shape[0])


def of_file(path: Path, side_px: int) -> Picture:
    """A PNG, JPEG or MP4 file as `of_frames`; ValueError where it does not decode."""
    return of_frames(Frames(pixels=codecs.decode(path.read_bytes(), path.suffix.removeprefix("."))), side_px)


def smaller(pixels: Pixels, side_px: int, spacing_mm: tuple[float, float] | None = None) -> Pixels:
    """Square pixels, the longer side at most `side_px`; clips get even sizes, as H.264 in 4:2:0 wants."""
    width, height, _ = geometry.isotropic_size(*geometry.size(pixels), spacing_mm)
    longer = max(width, height, side_px)
    new = [geometry.half_up(side * side_px, longer) for side in (width, height)]
    if pixels.shape[0] > 1:
        new = [max(2, side // 2 * 2) for side in new]
    return geometry.resize(pixels, new[0], new[1])


def _still_url(pixels: Pixels) -> str:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(pixels[0]).save(out, "WEBP", quality=WEBP_QUALITY, method=4)
    return _data_url(out.getvalue(), "image/webp")


def _clip_url(pixels: Pixels, fps: float | None) -> str:
    data, _ = codecs.encode(pixels, "mp4", quality=CLIP_RATE_FACTOR, fps=fps)
    return _data_url(data, "video/mp4")


def _data_url(data: bytes, mime: str) -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"
