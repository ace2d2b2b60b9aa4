"""NIfTI files that hold pictures over time and no volume, as sets of ultrasound clips do: CAMUS.

The first stored axis runs to the right of the picture and the second one down, as ITK writes and shows pictures; time
is the third, or the fourth where the third has one entry. A file with both is a volume over time and refused. Nothing
is turned, and no orientation is asked for: the affine of a clip says nothing of the patient. One picture alone is a
clip of one frame. The locator's axis `time` means that a file is read so (shards.slices reads it as a volume).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shards.display import Grey, linear
from shards.frames import Frames, chosen_frames
from shards.intake import Skip
from shards.limits import Limits
from shards.locator import Locator
from shards.nifti import Volume, header_of, read_stored
from shards.reasons import Reason
from shards.slices import picture_size, read_slices, select, volume_percentiles

SPACING_MM = (1e-4, 1e4)  # what a spacing may be: a tenth of a micron, ten metres
_NO_CHOICE = ("slice", "step", "volume", "window")  # parts of a locator that a clip has none of


@dataclass(frozen=True, slots=True)
class Cine:
    """All frames of one file."""

    frames: Volume  # as stored: [X, Y, T, 1] or [X, Y, T, 1, 3] for colour
    spacing_mm: tuple[float, float] | None  # between rows, between columns
    fps: float | None  # frames per second, where the header says so

    @property
    def size_bytes(self) -> int:
        """Memory held."""
        return self.frames.size_bytes

    @property
    def size_px(self) -> tuple[int, int, int]:
        """(frames, height, width)."""
        width, height, count = self.frames.stored.shape[:3]
        return count, height, width


def open_cine(data: bytes, compressed: bool, limits: Limits) -> Cine:
    """All frames of a file given as its bytes; raises Skip."""
    header = header_of(data, compressed, limits, placed=False)
    over_volumes = header.shape[2] == 1
    if not over_volumes and header.volumes > 1:
        raise Skip(Reason.UNSUPPORTED_PIXELS, f"{header.shape[2]} slices over time, not one picture over time")
    stored = read_stored(data, compressed, header)
    if over_volumes:  # time is the fourth axis
        stored = stored.swapaxes(2, 3)
    across_mm, down_mm, _, _ = np.diag(header.affine)
    lowest_mm, highest_mm = SPACING_MM
    sound = lowest_mm < across_mm < highest_mm and lowest_mm < down_mm < highest_mm
    frames = Volume(
        stored=stored,
        slope=header.slope,
        intercept=header.intercept,
        affine=header.affine,
        spacing_mm=(float(across_mm), float(down_mm), 0.0),
        oblique_degrees=0.0,
        unit=header.unit,
    )
    return Cine(
        frames=frames,
        spacing_mm=(float(down_mm), float(across_mm)) if sound else None,
        fps=1 / header.step_s if over_volumes and header.volumes > 1 and header.step_s else None,
    )


def read_cine(cine: Cine, view: Locator, limits: Limits) -> Frames:
    """The frames that `view` selects, [T, H, W] or [T, H, W, 3]; raises Skip.

    8 bits are shown as stored; other values through the locator's low and high, or else the 0.5 and 99.5 percentiles
    of all frames, so that every part of a clip is shown alike.
    """
    for name in _NO_CHOICE:
        if getattr(view, name) is not None:
            raise Skip(Reason.BAD_ROW, f"locator {name} means nothing in a clip")
    count, height, width = cine.size_px
    chosen = chosen_frames(view, count)
    limits.check_frame(width, height)
    limits.check_total(len(chosen) * height * width * (3 if cine.frames.colour else 1))
    scale = _scale(cine, view)
    part = cine.frames.stored[:, :, chosen.start : chosen.stop, 0]
    shape = (len(chosen), height, width, *part.shape[3:])
    pixels = np.empty(shape, np.uint8)
    for place in range(len(chosen)):
        picture = part[:, :, place].swapaxes(0, 1)
        pixels[place] = picture if scale is None else scale.display(cine.frames.values(picture))
    steps = ["first axis to the right, second axis down, as stored", scale.wording if scale else "8 bits as stored"]
    if cine.spacing_mm is None:
        steps.append("no spacing in the header: pixels taken as square")
    return Frames(
        pixels=pixels, fps=cine.fps if len(chosen) > 1 else None, spacing_mm=cine.spacing_mm, steps=tuple(steps)
    )


def _scale(cine: Cine, view: Locator) -> Grey | None:
    """How values are shown; None for those that are shown as they are."""
    frames = cine.frames
    if frames.colour:
        return None
    if view.low is not None and view.high is not None:
        return linear(view.low, view.high)
    if frames.stored.dtype == np.uint8 and (frames.slope, frames.intercept) == (1.0, 0.0):
        return None
    if 0 not in frames.ranges:
        frames.ranges[0] = volume_percentiles(frames)
    low, high = frames.ranges[0]
    return linear(low, high, f"linear from {low:g} to {high:g} (0.5 and 99.5 percentiles of the clip)")


def read_nifti(content: Volume | Cine, view: Locator, limits: Limits) -> Frames:
    """The slices or frames that `view` selects of an opened file; raises Skip."""
    return read_cine(content, view, limits) if isinstance(content, Cine) else read_slices(content, view, limits)


def nifti_sizes(content: Volume | Cine, view: Locator, limits: Limits) -> tuple[int, int, int, float | None]:
    """(frames, height, width, frames per second) of what `view` selects; raises Skip."""
    if isinstance(content, Cine):
        count, height, width = content.size_px
        frames, fps = len(chosen_frames(view, count)), content.fps
    else:
        plane, indices, _ = select(content, view)
        (height, width), frames, fps = picture_size(content, plane), len(indices), None
    limits.check_frame(width, height)
    return frames, height, width, fps if frames > 1 else None
