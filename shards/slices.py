"""Slices of a volume in radiological convention, with square pixels, as display values.

Axial: the patient's right on the left of the picture, anterior up. Coronal: right on the left, superior up.
Sagittal: anterior on the left, superior up. Square pixels: both in-plane axes are brought to the finer of their two
spacings by linear interpolation (antialiased where anything shrinks), so thick slices make a coronal picture smooth
and never squashed, and nothing that was measured is lost. Whether a volume of thick slices should be cut across them
at all is the converter's choice; `anisotropy` tells it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from shards.display import HIGH_PERCENTILE, LOW_PERCENTILE, Grey, linear, named, percentile_range, to_bytes
from shards.frames import Frames, chosen_frames
from shards.intake import Skip
from shards.limits import Limits
from shards.locator import Locator
from shards.nifti import Volume
from shards.reasons import Reason
from shards.windows import WINDOWS

PLANES = {"sagittal": 0, "coronal": 1, "axial": 2}  # the axis of RAS that a slice of the plane is perpendicular to
_SAMPLED_VOXELS = 1 << 24  # percentiles look at no more; a larger volume is strided evenly


def slice_count(volume: Volume, plane: str) -> int:
    """How many slices the volume has in a plane."""
    return int(volume.stored.shape[PLANES[plane]])


def stack(volume: Volume, plane: str, every: int = 1) -> range:
    """Indices of each k-th slice of a plane, the middle one among them."""
    count = slice_count(volume, plane)
    return range(count // 2 % every, count, every)


def slice_position_mm(volume: Volume, plane: str, index: int) -> float:
    """World coordinate of the middle of a slice along its axis: mm to the right, anterior or superior."""
    middle = [(n - 1) / 2 for n in volume.stored.shape[:3]]
    middle[PLANES[plane]] = index
    return float((volume.affine @ [*middle, 1.0])[PLANES[plane]])


def in_plane(volume: Volume, plane: str) -> tuple[tuple[int, int], tuple[float, float]]:
    """(rows, columns) of voxels in a plane and the (row, column) spacing in mm."""
    axis = PLANES[plane]
    across, down = (axis_ for axis_ in range(3) if axis_ != axis)
    shape, spacing = volume.stored.shape, volume.spacing_mm
    return (int(shape[down]), int(shape[across])), (spacing[down], spacing[across])


def picture_size(volume: Volume, plane: str) -> tuple[int, int]:
    """(height, width) in pixels of a slice with square pixels."""
    (rows, columns), (row_mm, column_mm) = in_plane(volume, plane)
    finest_mm = min(row_mm, column_mm)
    return max(1, round(rows * row_mm / finest_mm)), max(1, round(columns * column_mm / finest_mm))


def anisotropy(volume: Volume, plane: str) -> float:
    """Ratio, at least 1, of the coarser to the finer spacing inside a plane."""
    spacing = in_plane(volume, plane)[1]
    return max(spacing) / min(spacing)


def volume_percentiles(
    volume: Volume, index: int = 0, low: float = LOW_PERCENTILE, high: float = HIGH_PERCENTILE
) -> tuple[float, float]:
    """Percentiles (0..100) over the finite values of one 3-D volume, in the header's units; (0, 1) for colour."""
    if volume.colour:
        return 0.0, 1.0
    part = volume.stored[..., index]
    if part.size > _SAMPLED_VOXELS:
        part = _as_it_lies(part)[:: -(-part.size // _SAMPLED_VOXELS)]
    if part.dtype.kind == "f":
        part = part[np.isfinite(part)]
    values, counts = np.unique(part, return_counts=True)
    ends = percentile_range(values, counts, low, high)
    first, last = (end * volume.slope + volume.intercept for end in ends)
    return min(first, last), max(first, last)


def _as_it_lies(part: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """All values in the order of memory, without a copy of them: flips are undone, and the axes' order."""
    forward = part[tuple(slice(None, None, -1 if step < 0 else 1) for step in part.strides)]
    return forward.transpose(np.argsort([-step for step in forward.strides], kind="stable")).reshape(-1)


def select(volume: Volume, view: Locator) -> tuple[str, range, int]:
    """(plane, slice indices, volume index) that a locator means; raises Skip.

    Without a slice these are a stack, each `step`-th one of the plane (axial where none is named), and of these the
    places from `frame_start` to `frame_stop`.
    """
    plane = view.axis or "axial"
    if plane not in PLANES:
        raise Skip(Reason.BAD_ROW, f"axis {plane!r}: use one of {', '.join(PLANES)}")
    count = slice_count(volume, plane)
    index = view.volume or 0
    if not 0 <= index < volume.stored.shape[3] or not 0 <= (view.slice or 0) < count:
        raise Skip(Reason.BAD_ROW, f"no {plane} slice {view.slice} of {count} in volume {index}")
    if view.slice is not None:
        return plane, range(view.slice, view.slice + 1), index
    if view.step is not None and view.step < 1:
        raise Skip(Reason.BAD_ROW, f"step {view.step}")
    whole = stack(volume, plane, view.step or 1)
    places = chosen_frames(view, len(whole))
    return plane, whole[places.start : places.stop], index


def read_slices(volume: Volume, view: Locator, limits: Limits) -> Frames:
    """The slices that `view` selects, [T, H, W] or [T, H, W, 3]; raises Skip.

    Grey values go through the locator's low and high, or its named CT window (the caller knows that voxels are HU), or
    else the 0.5 and 99.5 percentiles of the volume.
    """
    plane, indices, index = select(volume, view)
    height, width = picture_size(volume, plane)
    limits.check_frame(width, height)
    limits.check_total(len(indices) * height * width * (3 if volume.colour else 1))
    (rows, columns), spacing = in_plane(volume, plane)
    steps = _words(volume, plane, indices, index)
    scale = None if volume.colour else _scale(volume, index, view)
    if scale is not None:
        steps.append(scale.wording)
    if (height, width) != (rows, columns):
        steps.append(f"{rows}x{columns} voxels to {height}x{width} square pixels, linear")
    pixels = np.empty((len(indices), height, width, *((3,) if volume.colour else ())), np.uint8)
    for place, i in enumerate(indices):  # into one array: a list of them and their stack would be twice the clip
        pixels[place] = _picture(volume, plane, i, index, scale, (height, width))
    spacing_mm = spacing[0] * rows / height, spacing[1] * columns / width
    return Frames(pixels=pixels, spacing_mm=spacing_mm, steps=tuple(steps))


def _scale(volume: Volume, index: int, view: Locator) -> Grey:
    if view.low is not None and view.high is not None:
        return linear(view.low, view.high)
    if view.window in WINDOWS:
        return named(WINDOWS[view.window])
    if view.window is not None:
        raise Skip(Reason.BAD_ROW, f"no window {view.window!r} for a volume: use one of {', '.join(WINDOWS)}")
    if index not in volume.ranges:
        volume.ranges[index] = volume_percentiles(volume, index)
    low, high = volume.ranges[index]
    return linear(low, high, f"linear from {low:g} to {high:g} (0.5 and 99.5 percentiles of the volume)")


def _words(volume: Volume, plane: str, indices: range, index: int) -> list[str]:
    ends = [slice_position_mm(volume, plane, i) for i in (indices[0], indices[-1])]
    place = f"{ends[0]:.1f} mm" if len(indices) == 1 else f"{ends[0]:.1f} to {ends[1]:.1f} mm"
    words = [f"{plane} at {place}, radiological convention, by the affine"]
    if indices.step > 1:
        words.append(f"one slice in {indices.step}")
    if volume.unit != "mm":
        words.append(f"{volume.unit} to mm" if volume.unit else "no unit of length in the header, taken as mm")
    if volume.oblique_degrees > 1:
        words.append(f"along the volume's own axes, up to {volume.oblique_degrees:.0f} degrees from the patient's")
    if volume.stored.shape[3] > 1:
        words.append(f"volume {index} of {volume.stored.shape[3]}")
    if (volume.slope, volume.intercept) != (1.0, 0.0) and not volume.colour:
        words.append(f"slope {volume.slope:g} intercept {volume.intercept:g}")
    return words


def _picture(
    volume: Volume, plane: str, i: int, index: int, scale: Grey | None, size: tuple[int, int]
) -> npt.NDArray[np.uint8]:
    """One slice [H, W] or [H, W, 3]. Rows go down from superior (anterior), columns right from right (anterior)."""
    at = [slice(None)] * 3 + [index]
    at[PLANES[plane]] = i
    part = volume.stored[tuple(at)]  # a view: np.take copies a whole turned volume first
    part = part.swapaxes(0, 1)[::-1, ::-1]
    if scale is None:
        if part.shape[:2] == size:
            return np.ascontiguousarray(part)
        return np.dstack([to_bytes(_resize(part[..., c] / 255.0, size)) for c in range(3)])
    return to_bytes(_resize(scale.unit(volume.values(part)), size))


def _resize(unit: npt.NDArray[np.float64], size: tuple[int, int]) -> npt.NDArray[Any]:
    """0..1 values [H, W] at another size: linear when it grows, area-weighted linear when it shrinks."""
    if unit.shape == size:
        return unit
    from PIL import Image

    grown = Image.fromarray(unit.astype(np.float32)).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.clip(np.asarray(grown, np.float64), 0.0, 1.0)
