"""DICOM objects as display values: open once, then decode the frames that a locator selects, one at a time.

Grey frames go through shards.dicom_display. Where neither locator nor header says how to show them: up to 8 stored
bits their full range, else the 0.5 and 99.5 percentiles of the object without its padding (over at most 16 evenly
spaced frames, so that a frame looks the same whichever frames are asked for). Colour frames are RGB by the declared
depth, palettes are expanded, overlays are left out. Slices are turned to radiological convention (shards.dicom_turn).
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shards.dicom_display import Transform, choose_voi, is_padding, transform
from shards.dicom_file import read_dataset
from shards.dicom_groups import frames_per_s
from shards.dicom_layout import GREY, PALETTE, Layout, read_layout
from shards.dicom_palette import expand_palette
from shards.dicom_pixels import check_data, read_frame
from shards.dicom_turn import arrange
from shards.display import HIGH_PERCENTILE, LOW_PERCENTILE, Grey, linear, percentile_range
from shards.foreign import foreign
from shards.frames import Frames, chosen_frames
from shards.intake import Skip
from shards.limits import Limits
from shards.locator import Locator
from shards.reasons import Reason

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

_STATISTIC_FRAMES = 16
_STATISTIC_PIXELS = 1 << 20  # of one frame; a larger one is strided evenly
_UNSCALED = linear(0.0, 1.0)


@dataclass(eq=False)
class DicomImage:
    """An opened object: its data set with encoded pixels, its checked layout, and statistics once they were needed."""

    dataset: FileDataset
    layout: Layout
    size_bytes: int
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)


def open_image(data: bytes, form: str, limits: Limits) -> DicomImage:
    """Parse and check a whole file; `form` is Sniffed.format. Raises Skip."""
    dataset = read_dataset(io.BytesIO(data), form, limits, pixels=True)
    layout = read_layout(dataset, limits)
    check_data(dataset, layout)
    return DicomImage(dataset, layout, size_bytes=len(data))


def cine_rate(image: DicomImage) -> float | None:
    """Frames per second of a cine; None for one frame and for stacks of slices."""
    with foreign():
        return frames_per_s(image.dataset) if image.layout.frames > 1 else None


def read_frames(image: DicomImage, view: Locator, limits: Limits) -> Frames:
    """The selected frames, [T, H, W] or [T, H, W, 3]; raises Skip."""
    if image.layout.is_video:
        return _read_stream(image, view, limits)
    layout, chosen = image.layout, chosen_frames(view, image.layout.frames)
    colour = layout.photometric not in GREY
    laid = arrange(image.dataset, layout, chosen)
    limits.check_frame(laid.width_px, laid.height_px)
    channels = (3,) if colour else ()
    limits.check_total(len(chosen) * laid.height_px * laid.width_px * (3 if colour else 1))
    steps: list[str] = []
    pixels = np.empty((len(chosen), laid.height_px, laid.width_px, *channels), np.uint8)
    for place, frame in enumerate(chosen):
        shown, words = _colour(image, frame) if colour else _grey(image, frame, view)
        pixels[place] = laid.show(place, shown)
        steps.extend(word for word in (*words, *laid.turns[place].words) if word not in steps)
    return Frames(pixels=pixels, fps=cine_rate(image), spacing_mm=laid.spacing_mm, steps=(*steps, *laid.words))


def _grey(image: DicomImage, frame: int, view: Locator) -> tuple[npt.NDArray[np.uint8], list[str]]:
    stored = read_frame(image.dataset, image.layout, frame)
    voi, wording = choose_voi(image.dataset, image.layout, frame, view)
    if voi is None:
        voi, wording = _fallback(image)
    steps = transform(image.dataset, image.layout, frame, voi)
    return steps.display(stored), _words(steps, wording)


def _fallback(image: DicomImage) -> tuple[Grey, str]:
    """The range shown where nobody states one; worked out once for the object."""
    layout = image.layout
    full = layout.bits_stored <= 8 and not layout.floating
    if "all" not in image.ranges:
        if full:
            every = np.array(layout.stored_range)
            ends = transform(image.dataset, layout, 0, _UNSCALED).modality(every)
            image.ranges["all"] = float(ends.min()), float(ends.max())
        else:
            count = min(layout.frames, _STATISTIC_FRAMES)
            sampled = sorted({round(i) for i in np.linspace(0, layout.frames - 1, count)})
            values, counts = _merge(_histogram(image, frame) for frame in sampled)
            image.ranges["all"] = percentile_range(values, counts, LOW_PERCENTILE, HIGH_PERCENTILE)
    low, high = image.ranges["all"]
    source = f"full range of {layout.bits_stored} bits" if full else "0.5 and 99.5 percentiles"
    scale = linear(low, high, f"linear from {low:g} to {high:g} ({source})")
    return scale, scale.wording


def _words(steps: Transform, voi: str) -> list[str]:
    words = []
    if steps.modality_table is not None:
        words.append("modality LUT of the header")
    elif (steps.slope, steps.intercept) != (1.0, 0.0):
        words.append(f"rescale slope {steps.slope:g} intercept {steps.intercept:g}")
    words.append(voi)
    if steps.invert:
        words.append("inverted (MONOCHROME1)")
    if steps.padding is not None:
        words.append("padding shown black")
    return words


def _colour(image: DicomImage, frame: int) -> tuple[npt.NDArray[np.uint8], list[str]]:
    layout = image.layout
    values = read_frame(image.dataset, layout, frame)
    if layout.photometric == PALETTE:
        return expand_palette(values, image.dataset), ["palette expanded"]
    words = [] if layout.photometric == "RGB" else [f"{layout.photometric} to RGB"]
    if layout.bits_stored != 8:
        words.append(f"linear over the {layout.bits_stored} declared bits")
    return _to_depth(values, layout.bits_stored), words


def _to_depth(values: npt.NDArray[Any], bits: int) -> npt.NDArray[np.uint8]:
    """Unsigned samples of some depth as 0..255."""
    if bits == 8 and values.dtype == np.uint8:
        return np.asarray(values)
    return linear(0, (1 << bits) - 1).display(values)


def _read_stream(image: DicomImage, view: Locator, limits: Limits) -> Frames:
    """Frames of an MPEG-2, MPEG-4 or HEVC transfer syntax (PS3.5 8.2.5 to 8.2.9): one stream in the fragments."""
    from pydicom.encaps import generate_fragments, parse_basic_offsets

    from shards.video import open_video, read_video

    with foreign():
        encapsulated = io.BytesIO(image.dataset[image.layout.keyword].value)
        parse_basic_offsets(encapsulated)  # stands before the fragments
        stream = b"".join(generate_fragments(encapsulated))
    chosen = chosen_frames(view, image.layout.frames)
    video = open_video(io.BytesIO(stream), limits)
    if video.frames < image.layout.frames:
        raise Skip(Reason.TRUNCATED, f"{video.frames} of {image.layout.frames} frames")
    found = read_video(io.BytesIO(stream), video, Locator(frame_start=chosen.start, frame_stop=chosen.stop), limits)
    if found.pixels.shape[1:3] != (image.layout.rows, image.layout.columns):
        raise Skip(Reason.CORRUPT, "the video has another size than the header")
    return Frames(pixels=found.pixels, fps=cine_rate(image) or found.fps, steps=found.steps)


def _histogram(image: DicomImage, frame: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Distinct modality values of a frame and how often each occurs, without padding and what is not finite."""
    stored = read_frame(image.dataset, image.layout, frame).reshape(-1)
    stored = stored[:: max(1, -(-stored.size // _STATISTIC_PIXELS))]
    steps = transform(image.dataset, image.layout, frame, _UNSCALED)
    if steps.padding is not None:
        stored = stored[~is_padding(stored, steps.padding)]
    values, counts = np.unique(stored, return_counts=True)
    values = steps.modality(values)
    kept = np.isfinite(values)
    return values[kept], counts[kept]


def _merge(
    histograms: Iterable[tuple[npt.NDArray[Any], npt.NDArray[Any]]],
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    values, counts = np.zeros(0), np.zeros(0, np.int64)
    for more_values, more_counts in histograms:
        values, where = np.unique(np.concatenate([values, more_values]), return_inverse=True)
        counts = np.bincount(where, np.concatenate([counts, more_counts]), values.size).astype(np.int64)
    return values, counts


def series_percentiles(
    images: Iterable[DicomImage], low: float = LOW_PERCENTILE, high: float = HIGH_PERCENTILE
) -> tuple[float, float]:
    """Percentiles (0..100) over all grey pixels of a series in modality units, padding left out: one scale for all.

    Images may come from a generator, so that one is held at a time. Colour images count for nothing. Raises Skip.
    """
    grey = (image for image in images if image.layout.photometric in GREY and not image.layout.is_video)
    values, counts = _merge(_histogram(image, frame) for image in grey for frame in range(image.layout.frames))
    return percentile_range(values, counts, low, high)
