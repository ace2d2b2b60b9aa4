"""An electrocardiogram as the sheet that a cardiologist reads: 25 mm/s, 10 mm/mV, on squares of 1 and 5 mm.

The sheet is drawn at the size that is asked for and never resampled. It is 256 mm wide, 6 for the calibration pulse
(1 mV, 0.2 s) and 250 for 10 s, so that 256, 512 and 1024 px have 1, 2 and 4 px a mm; other widths get the largest
scale at which 5 mm are whole pixels. More height gives the rows more room and changes no scale. Recordings with six
standard leads or more are drawn in three rows of four with a rhythm strip (2.5 s a lead, one time axis for all),
others one lead a row. No filter is applied; what is left out, held at an edge or shifted is in the steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shards.ecg import STANDARD, Ecg, Values
from shards.frames import Frames
from shards.intake import Skip
from shards.pen import Ink, draw_curve, draw_text
from shards.reasons import Reason

NOMINAL_PX = (1024, 704)  # width, height: 4 px a mm
WIDE_MM, PULSE_MM, STRIP_S = 256, 6, 10.0
MM_PER_S, MM_PER_MV = 25, 10
_COLUMNS = (("I", "II", "III"), ("aVR", "aVL", "aVF"), ("V1", "V2", "V3"), ("V4", "V5", "V6"))
_RHYTHM = ("II", "V1", "V5", "I")  # the first that was recorded
_ENOUGH = 6  # standard leads that make a sheet of twelve
_MOST_ROWS = 12
_REACH = 0.9  # of the distance between rows: what leaves it is held at the edge
_OFFSET_MV = 1.0  # a median beyond would draw a lead in its neighbour's place
_FINE_GRID_PX = 2  # pixels a mm below which lines of 1 mm are left out
_PAPER, _FINE, _COARSE = (255, 252, 250), (252, 228, 226), (240, 176, 174)
_COARSE_ALONE = (247, 208, 206)  # paler: without lines of 1 mm it fills a third of a small sheet
_INK = np.array([16, 16, 24], np.float64)


@dataclass(frozen=True, slots=True)
class Strip:
    """A lead in a part of a row."""

    lead: str
    row: int
    start_s: float
    stop_s: float


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things lie on a sheet, in pixels."""

    px_per_mm: float
    left_px: int  # of the first moment
    base_px: tuple[int, ...]  # of 0 mV, a row
    pitch_mm: float

    def x(self, seconds: npt.NDArray[np.float64] | float) -> npt.NDArray[np.float64]:
        """Centre of the pen."""
        return np.asarray(self.left_px + 0.5 + np.asarray(seconds) * MM_PER_S * self.px_per_mm, np.float64)

    def y(self, row: int, mv: npt.NDArray[np.float64] | float) -> npt.NDArray[np.float64]:
        """Centre of the pen."""
        return np.asarray(self.base_px[row] + 0.5 - np.asarray(mv) * MM_PER_MV * self.px_per_mm, np.float64)


def lay_out(width_px: int, height_px: int, rows: int) -> Layout:
    """The layout of a sheet: 5 mm are whole pixels, every 0 mV lies on a line of 5 mm."""
    box_px = max(1, 5 * width_px // WIDE_MM)
    scale = box_px / 5
    pitch_mm = height_px / scale / rows
    pitch_mm = 5 * (pitch_mm // 5) or pitch_mm
    top_px = (height_px - rows * pitch_mm * scale) / 2
    first = round(top_px + pitch_mm * scale / 2)
    left_px = max(0, int(width_px - WIDE_MM * scale) // 2) + math.ceil(PULSE_MM * scale)
    return Layout(scale, left_px, tuple(first + round(row * pitch_mm * scale) for row in range(rows)), pitch_mm)


def draw_sheet(ecg: Ecg, target_px: tuple[int, int] | None = None) -> Frames:
    """The sheet as one frame [1, H, W, 3] of (width, height) `target_px`; raises Skip(BLANK) where all is flat."""
    width_px, height_px = target_px or NOMINAL_PX
    leads, notes = _ready(ecg)
    strips, words = _strips(leads)
    layout = lay_out(width_px, height_px, max(strip.row for strip in strips) + 1)
    pixels, fine = _paper(width_px, height_px, layout)
    ink = np.zeros((height_px, width_px))
    held = [strip.lead for strip in strips if _draw_strip(ink, strip, leads[strip.lead], ecg.rate_hz, layout)]
    for row in range(len(layout.base_px)):
        _draw_pulse(ink, layout, row)
    shown = np.floor(pixels * (1 - ink[..., None]) + _INK * ink[..., None] + 0.5).astype(np.uint8)
    drawn = f"drawn at {width_px}x{height_px}: 25 mm/s, 10 mm/mV, {layout.px_per_mm:g} px a mm"
    grid = "squares of 1 and 5 mm" if fine else "squares of 5 mm (those of 1 mm are below 2 px)"
    steps = [*ecg.notes, *notes, drawn, grid, "a pulse of 1 mV and 0.2 s in front of each row", *words]
    if ecg.duration_s > STRIP_S + 1 / ecg.rate_hz:
        steps.append(f"the first {STRIP_S:g} s of {ecg.duration_s:g} s")
    elif ecg.duration_s < STRIP_S - 1 / ecg.rate_hz:
        steps.append(f"{ecg.duration_s:g} s recorded: what is beyond is empty paper")
    if held:
        reach_mv = _REACH * layout.pitch_mm / MM_PER_MV
        steps.append(f"held at the edge of their row, {reach_mv:g} mV: {', '.join(dict.fromkeys(held))}")
    return Frames(pixels=shown[None], steps=tuple(steps), drawn=target_px is not None)


def _ready(ecg: Ecg) -> tuple[dict[str, Values], list[str]]:
    """The leads with what is said of them: gaps, flat ones, offsets that are taken off."""
    notes: list[str] = []
    gaps, flat, shifted = [], [], []
    leads = {}
    for name, values in ecg.leads.items():
        recorded = values[np.isfinite(values)]
        if len(recorded) < len(values):
            gaps.append(name)
        if np.ptp(recorded) == 0:
            flat.append(name)
        offset = float(np.median(recorded))
        if abs(offset) > _OFFSET_MV:
            shifted.append(f"{name} {offset:.3g}")
        leads[name] = values - offset if abs(offset) > _OFFSET_MV else values
    if len(flat) == len(leads):
        raise Skip(Reason.BLANK, "every lead is flat")
    for said, names in (("gaps where nothing was recorded", gaps), ("flat", flat), ("median in mV taken off", shifted)):
        if names:
            notes.append(f"{said}: {', '.join(names)}")
    return leads, notes


def _strips(leads: dict[str, Values]) -> tuple[list[Strip], list[str]]:
    """What is drawn where, and that in words."""
    missing = [name for name in STANDARD if name not in leads]
    if len(STANDARD) - len(missing) >= _ENOUGH:
        quarter = STRIP_S / len(_COLUMNS)
        strips = [
            Strip(name, row, quarter * column, quarter * (column + 1))
            for column, names in enumerate(_COLUMNS)
            for row, name in enumerate(names)
            if name in leads
        ]
        rhythm = next(name for name in (*_RHYTHM, *STANDARD) if name in leads)
        strips.append(Strip(rhythm, len(_COLUMNS[0]), 0.0, STRIP_S))
        words = [f"12-lead sheet, 3 rows of 4 leads of {quarter:g} s, rhythm strip {rhythm}"]
        if missing:
            words.append(f"not recorded, their place is empty: {', '.join(missing)}")
        others = [name for name in leads if name not in STANDARD]
        return strips, [*words, *([f"not drawn: {', '.join(others)}"] if others else [])]
    names = list(leads)[:_MOST_ROWS]
    words = [f"one lead a row: {', '.join(names)}"]
    if len(leads) > len(names):
        words.append(f"not drawn: {len(leads) - len(names)} further leads")
    return [Strip(name, row, 0.0, STRIP_S) for row, name in enumerate(names)], words


def _paper(width_px: int, height_px: int, layout: Layout) -> tuple[npt.NDArray[np.float64], bool]:
    """The empty sheet [H, W, 3], its lines one pixel wide, and whether it has those of 1 mm."""
    pixels = np.empty((height_px, width_px, 3))
    pixels[:] = _PAPER
    fine = layout.px_per_mm >= _FINE_GRID_PX
    grid = ((1, _FINE), (5, _COARSE)) if fine else ((5, _COARSE_ALONE),)
    for step_mm, colour in grid:
        rows = _lines(layout.base_px[0], step_mm * layout.px_per_mm, height_px)
        columns = _lines(layout.left_px, step_mm * layout.px_per_mm, width_px)
        pixels[rows] = colour
        pixels[:, columns] = colour
    return pixels, fine


def _lines(origin_px: int, step_px: float, size_px: int) -> Sequence[int]:
    first, last = math.ceil(-origin_px / step_px), math.floor((size_px - 1 - origin_px) / step_px)
    return [math.floor(origin_px + n * step_px + 1e-9) for n in range(first, last + 1)]


def _pen_px(layout: Layout) -> float:
    """0.35 mm, and never less than a pixel."""
    return max(1.0, 0.35 * layout.px_per_mm)


def _draw_strip(ink: Ink, strip: Strip, values: Values, rate_hz: float, layout: Layout) -> bool:
    """Draw a lead and its name; whether some of it was held at the edge of its row."""
    first = math.ceil(strip.start_s * rate_hz - 1e-6)
    last = min(len(values) - 1, math.floor(strip.stop_s * rate_hz + 1e-6))
    high_px = max(7.0, 4 * layout.px_per_mm)
    name_x = layout.left_px + (strip.start_s * MM_PER_S + 1.5) * layout.px_per_mm
    name_y = layout.base_px[strip.row] - min(14.0, layout.pitch_mm * 0.28) * layout.px_per_mm
    draw_text(ink, strip.lead, name_x, name_y, high_px, max(1.0, 0.4 * layout.px_per_mm))
    if last < first:
        return False
    part = values[first : last + 1]
    reach_mv = _REACH * layout.pitch_mm / MM_PER_MV
    kept = np.clip(part, -reach_mv, reach_mv)
    recorded = np.isfinite(part)
    starts = np.flatnonzero(recorded & ~np.r_[False, recorded[:-1]])
    stops = np.flatnonzero(recorded & ~np.r_[recorded[1:], False]) + 1
    times = (first + np.arange(len(part))) / rate_hz
    for start, stop in zip(starts, stops, strict=True):
        x, y = layout.x(times[start:stop]), layout.y(strip.row, kept[start:stop])
        draw_curve(ink, x, y, _pen_px(layout))
    return bool((kept[recorded] != part[recorded]).any())


def _draw_pulse(ink: Ink, layout: Layout, row: int) -> None:
    """1 mV for 0.2 s in the 6 mm in front of the trace."""
    mm = np.array([-6.0, -5.5, -5.5 + 1e-6, -0.5, -0.5 + 1e-6, 0.0])
    x = layout.x(mm / MM_PER_S)
    draw_curve(ink, x, layout.y(row, np.array([0.0, 0.0, 1.0, 1.0, 0.0, 0.0])), _pen_px(layout))
