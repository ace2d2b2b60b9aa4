"""What a decoder gives: display values with the record of how they came about, and the facts of a file.

Whatever the source (12-bit CT, palette PNG, YCbCr video), what leaves the decoders is uint8 over the full display
range, so that geometry, packing and captioning never have to know how a format stores its pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shards.intake import Skip
from shards.locator import Locator
from shards.reasons import Reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Frames:
    """Display values of one sample, 0 black to 255 white. One image is one frame."""

    pixels: npt.NDArray[np.uint8]  # [T, H, W] grey or [T, H, W, 3] RGB
    fps: float | None = None  # frames per second; None for an image
    spacing_mm: tuple[float, float] | None = None  # between rows, between columns
    steps: tuple[str, ...] = ()  # every step on values and geometry, in order, in words
    drawn: bool = False  # a drawing, made at the size that was asked for: no geometry is left to do

    def __post_init__(self) -> None:
        assert self.pixels.dtype == np.uint8, self.pixels.dtype
        assert self.pixels.ndim == 3 or (self.pixels.ndim == 4 and self.pixels.shape[3] == 3), self.pixels.shape


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What the manifest records of a media file, for the part that a locator selects."""

    sha256: str  # of the file's bytes, or of those that a locator selects in a container
    kind: str  # of vocabulary.MEDIA_KINDS
    width_px: int
    height_px: int
    frames: int  # 1 for an image
    fps: float | None = None
    own_bytes: int | None = None  # of a picture inside a container: how many it takes there
    is_flat: bool = False  # an array of one value throughout, or of one colour


def chosen_frames(view: Locator, count: int) -> range:
    """The frames of `count` that a locator means; all where it names none; raises Skip(BAD_ROW)."""
    start = view.frame_start or 0
    stop = count if view.frame_stop is None else view.frame_stop
    if not 0 <= start < stop <= count:
        raise Skip(Reason.BAD_ROW, f"no frames {start} to {stop} of {count}")
    return range(start, stop)
