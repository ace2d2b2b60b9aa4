"""Arrays of numbers as pictures: which axis counts what, and what their values show.

Axis 0 counts the rows of a collection (pictures, volumes, slices of k-space) and is chosen by `Locator.row`; what lies
behind it is one picture or a stack of slices. An axis of 3 at the end is colour. A shape that could be read in two ways
is refused and not guessed: an axis of 3 or 4 before the height may be channels or slices. Integers show the full range
of their type, since a range taken from one picture would make two pictures of one collection differ; floats show the
locator's low and high, and without them their own percentiles. Complex values are k-space (shards.kspace).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from shards.display import HIGH_PERCENTILE, LOW_PERCENTILE, linear, percentile_range
from shards.frames import Frames, chosen_frames
from shards.intake import Skip
from shards.kspace import Crop, magnitude
from shards.limits import Limits
from shards.locator import Locator
from shards.reasons import Reason

Values = npt.NDArray[Any]

COLOURS = 3
_PIECES = 64  # nearly all pictures differ from their first value within the first piece
_SAMPLED_ROWS, _SAMPLED_VALUES = 64, 1 << 18  # of a collection and of each row: what percentiles look at


@dataclass(frozen=True, slots=True)
class Stored:
    """What a header says of one array; nothing of it has been read."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def row_bytes(self) -> int:
        """Size of one entry along axis 0, as Python's integer: a header may claim anything."""
        return int(np.prod(self.shape[1:], dtype=object)) * self.dtype.itemsize

    @property
    def size_bytes(self) -> int:
        """Size of all of it."""
        return int(np.prod(self.shape, dtype=object)) * self.dtype.itemsize


class ArrayFile(Protocol):
    """A file that holds named arrays. Reading raises Skip."""

    size_bytes: int  # memory that it may hold

    def names(self) -> list[str]: ...
    def stored(self, name: str) -> Stored: ...
    def rows(self, name: str, start: int, stop: int) -> Values: ...  # along axis 0; the array has one
    def crop(self) -> Crop | None: ...  # of what k-space gives
    def attributes(self, names: Iterable[str]) -> Mapping[str, str]: ...  # of the file


@dataclass(frozen=True, slots=True)
class Layout:
    """What the axes of an array are."""

    rows: int | None  # None: the array is one picture
    frames: int  # slices of one row; 1 for pictures
    height_px: int
    width_px: int
    colour: bool
    coils: int = 0  # of k-space


def layout(stored: Stored, limits: Limits) -> Layout:
    """What the axes mean; Skip for a shape or type that is no picture, or claims more than the limits allow."""
    kind, size = stored.dtype.kind, stored.dtype.itemsize
    if kind not in "biufc" or size > (16 if kind == "c" else 8):
        raise Skip(Reason.UNSUPPORTED_PIXELS, f"values of type {stored.dtype.str}")
    found = _kspace_axes(stored.shape) if kind == "c" else _axes(stored.shape)
    if found is None:
        raise Skip(Reason.UNSUPPORTED_PIXELS, f"an array of shape {stored.shape} is read as no picture")
    if found.rows is not None:
        limits.check_rows(found.rows)
    limits.check_frames(found.frames)
    limits.check_frame(found.width_px, found.height_px)
    limits.check_total(stored.row_bytes if found.rows is not None else stored.size_bytes)
    return found


def _axes(shape: tuple[int, ...]) -> Layout | None:
    match shape:
        case (height, width):
            return Layout(None, 1, height, width, colour=False)
        case (height, width, 1 | 3 as last):
            return Layout(None, 1, height, width, colour=last == COLOURS)
        case (rows, height, width):
            return Layout(rows, 1, height, width, colour=False)
        case (rows, height, width, 1 | 3 as last) | (rows, 1, height, width, 1 | 3 as last):
            return Layout(rows, 1, height, width, colour=last == COLOURS)
        case (_, 2 | 3 | 4, _, _) | (_, _, _, 2 | 4):  # channels or slices: refused
            return None
        case (rows, frames, height, width) | (rows, 1, frames, height, width):
            return Layout(rows, frames, height, width, colour=False)
        case (rows, frames, height, width, 1 | 3 as last):
            return Layout(rows, frames, height, width, colour=last == COLOURS)
    return None


def _kspace_axes(shape: tuple[int, ...]) -> Layout | None:
    match shape:
        case (rows, height, width):
            return Layout(rows, 1, height, width, colour=False, coils=1)
        case (rows, coils, height, width):
            return Layout(rows, 1, height, width, colour=False, coils=coils)
    return None


@dataclass(frozen=True, slots=True)
class ArrayPart:
    """The values that a locator selects, as they are stored, and how they are shown."""

    values: Values  # [T, H, W], [T, H, W, 3], or k-space [T, coils, H, W]
    crop: Crop | None  # of k-space

    @property
    def kind(self) -> str:
        """Of vocabulary.MEDIA_KINDS."""
        return "kspace" if self.values.dtype.kind == "c" else "array"

    @property
    def size_px(self) -> tuple[int, int]:
        """(height, width) as shown."""
        if self.kind == "array":
            return int(self.values.shape[1]), int(self.values.shape[2])
        height_px, width_px = self.values.shape[2:]
        return (int(height_px), int(width_px)) if self.crop is None else self.crop.size_px(height_px, width_px)

    def sha256(self) -> str:
        """Of type, shape and values, so that equal pictures meet wherever they lie."""
        digest = hashlib.sha256(f"{self.values.dtype.str}{self.values.shape}\n".encode())
        digest.update(np.ascontiguousarray(self.values).data)
        return digest.hexdigest()

    def is_flat(self) -> bool:
        """Whether all of it is one value, NaN too, or one colour: then it is equal to parts of other files that are."""
        colours = COLOURS if self.kind == "array" and self.values.ndim == 4 else 1
        values = self.values.reshape(-1, colours)
        pieces = np.array_split(values, _PIECES)
        has_nan = values.dtype.kind in "fc"
        return all(np.array_equal(one, np.broadcast_to(values[0], one.shape), equal_nan=has_nan) for one in pieces)

    def show(self, view: Locator) -> Frames:
        """As display values."""
        values, steps = self.values, []
        if self.kind == "kspace":
            values, step = magnitude(values, self.crop)
            steps.append(step)
        shown, step = _display(values, view)
        return Frames(pixels=shown, steps=(*steps, step))


def part_of(file: ArrayFile, view: Locator, limits: Limits) -> ArrayPart:
    """What `view` selects, read from the file; nothing else of the array is; raises Skip."""
    name = view.array or ""
    stored = file.stored(name)
    axes = layout(stored, limits)
    if axes.rows is None:
        _check_alone(view)
        values = file.rows(name, 0, stored.shape[0])[None]
    elif view.row is None and axes.frames == 1:  # axis 0 counts the frames of one stack
        frames = chosen_frames(view, axes.rows)
        limits.check_total(len(frames) * stored.row_bytes)
        values = file.rows(name, frames.start, frames.stop)
    else:
        row = 0 if view.row is None and axes.rows == 1 else view.row
        if row is None or not 0 <= row < axes.rows:
            raise Skip(Reason.BAD_ROW, f"no row {row} of {axes.rows}")
        frames = chosen_frames(view, axes.frames)
        values = file.rows(name, row, row + 1)
        if axes.frames > 1:
            values = values.reshape(axes.frames, *_picture(axes))[frames.start : frames.stop]
    shape = (axes.coils, axes.height_px, axes.width_px) if axes.coils else _picture(axes)
    return ArrayPart(values.reshape(-1, *shape), file.crop() if axes.coils else None)


def _picture(axes: Layout) -> tuple[int, ...]:
    return (axes.height_px, axes.width_px, *((COLOURS,) if axes.colour else ()))


def _check_alone(view: Locator) -> None:
    if view.row or view.frame_start or view.frame_stop not in (None, 1):
        raise Skip(Reason.BAD_ROW, "the array is one picture and has no rows")


def _display(values: Values, view: Locator) -> tuple[npt.NDArray[np.uint8], str]:
    """uint8 of the same shape, and the step in words."""
    dtype = values.dtype
    if view.low is not None and view.high is not None:
        scale = linear(view.low, view.high)
    elif dtype == np.uint8:
        return np.ascontiguousarray(values), "8 bits as stored"
    elif dtype.kind == "b":
        return values.astype(np.uint8) * np.uint8(255), "two values as black and white"
    elif dtype.kind in "iu":
        ends = np.iinfo(dtype)
        scale = linear(float(ends.min), float(ends.max), f"linear over the full range of {dtype.name}")
    else:
        low, high = _percentiles([values])
        scale = linear(low, high, f"linear from {low:g} to {high:g} (0.5 and 99.5 percentiles of what is shown)")
    return scale.display(values), scale.wording


def collection_range(file: ArrayFile, name: str, limits: Limits) -> tuple[float, float]:
    """Percentiles 0.5 and 99.5 over a whole array, so that its pictures stay comparable; raises Skip.

    Looks at no more than 64 rows, spread evenly, which is each slice of most k-space volumes.
    """
    axes = layout(file.stored(name), limits)
    count = axes.rows or 1
    rows = range(0, count, -(-count // _SAMPLED_ROWS))
    views = [Locator(array=name or None, row=None if axes.rows is None else row) for row in rows]
    sampled = []
    for view in views:
        part = part_of(file, view, limits)
        shown = magnitude(part.values, part.crop)[0] if part.kind == "kspace" else part.values
        sampled.append(shown.reshape(-1)[:: -(-shown.size // _SAMPLED_VALUES)].copy())
    return _percentiles(sampled)


def _percentiles(pieces: list[Values]) -> tuple[float, float]:
    values = np.concatenate([piece.reshape(-1) for piece in pieces])
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
    return percentile_range(*np.unique(values, return_counts=True), LOW_PERCENTILE, HIGH_PERCENTILE)
