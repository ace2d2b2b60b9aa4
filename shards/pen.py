"""Lines drawn by their coverage: a square pen over curves y(x), and a round one over the strokes of a few letters.

What is drawn must be the same bytes on every machine and with every version of an image library, since shards are; so
it is plain arithmetic of numpy, and letters are strokes of our own. A pixel's ink is the share of it that the pen
covers. Coordinates are pixels; pixel i reaches from i to i + 1.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

Ink = npt.NDArray[np.float64]  # [H, W], 0 paper to 1 ink
_FINE = 8  # columns a pixel

# Strokes as points on a grid of 4 x 6, y up; enough for the names of leads
_LETTERS = {
    "A": "0,0 2,6 4,0; 0.8,2 3.2,2",
    "C": "4,5 3,6 1,6 0,5 0,1 1,0 3,0 4,1",
    "E": "4,6 0,6 0,0 4,0; 0,3 3,3",
    "F": "4,6 0,6 0,0; 0,3 3,3",
    "G": "4,5 3,6 1,6 0,5 0,1 1,0 3,0 4,1 4,2.6 2.4,2.6",
    "I": "0,0 0,6",
    "L": "0,6 0,0 3.6,0",
    "M": "0,0 0,6 2,2 4,6 4,0",
    "R": "0,0 0,6 3,6 4,5 4,4 3,3 0,3; 2,3 4,0",
    "V": "0,6 2,0 4,6",
    "X": "0,0 4,6; 0,6 4,0",
    "Y": "0,6 2,3 4,6; 2,3 2,0",
    "Z": "0,6 4,6 0,0 4,0",
    "a": "0.3,3.6 1,4 2.4,4 3,3.4 3,0; 3,2.3 1,2.3 0,1.6 0,0.7 0.8,0 2,0 3,0.8",
    "d": "3,6 3,0; 3,3.4 2.2,4 1,4 0,3 0,1 1,0 2.2,0 3,0.6",
    "e": "0,2 3,2 3,3.2 2.2,4 0.8,4 0,3.2 0,0.8 0.8,0 2.2,0 3,0.6",
    "l": "0,0 0,6",
    "0": "1,0 0,1 0,5 1,6 3,6 4,5 4,1 3,0 1,0",
    "1": "0.4,4.8 1.6,6 1.6,0",
    "2": "0,5 1,6 3,6 4,5 4,4 0,0 4,0",
    "3": "0,6 4,6 1.8,3.6 3,3.6 4,2.6 4,1 3,0 1,0 0,1",
    "4": "3,0 3,6 0,2 4,2",
    "5": "4,6 0.4,6 0,3.4 2.8,3.6 4,2.6 4,1 3,0 1,0 0,0.8",
    "6": "3.6,6 2,6 0,3.4 0,1 1,0 3,0 4,1 4,2.4 3,3.4 1,3.4 0,2.4",
    "7": "0,6 4,6 1.4,0",
    "8": "1,3.2 0,4.2 0,5 1,6 3,6 4,5 4,4.2 3,3.2 1,3.2 0,2.2 0,1 1,0 3,0 4,1 4,2.2 3,3.2",
    "9": "0.4,0 2,0 4,2.6 4,5 3,6 1,6 0,5 0,3.6 1,2.6 3,2.6 4,3.6",
    " ": "",
}


def draw_curve(ink: Ink, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], wide_px: float) -> None:
    """Add the line through the points (x ascending, y down) with a square pen of `wide_px`, in place."""
    height, width = ink.shape
    reach = wide_px / 2
    first = max(0, int(np.floor(x[0] - reach)))
    last = min(width, int(np.ceil(x[-1] + reach)))
    if last <= first:
        return
    edges = first + np.arange((last - first) * _FINE + 1) / _FINE
    on_edge = np.interp(edges, x, y)
    inside = (edges >= x[0]) & (edges <= x[-1])
    upper = np.where(inside, on_edge, np.inf)
    lower = np.where(inside, on_edge, -np.inf)
    upper, lower = np.minimum(upper[:-1], upper[1:]), np.maximum(lower[:-1], lower[1:])
    place = np.floor((x - first) * _FINE).astype(np.int64)  # points between the edges
    within = (place >= 0) & (place < len(upper))
    np.minimum.at(upper, place[within], y[within])
    np.maximum.at(lower, place[within], y[within])
    upper, lower = _spread(upper, np.minimum, reach), _spread(lower, np.maximum, reach)
    drawn = np.isfinite(upper)
    top = max(0, int(np.floor(upper[drawn].min(initial=np.inf, where=True) - reach))) if drawn.any() else 0
    bottom = min(height, int(np.ceil(lower[drawn].max() + reach))) if drawn.any() else 0
    if bottom <= top:
        return
    rows = np.arange(top, bottom, dtype=np.float64)[:, None]
    covered = np.minimum(lower + reach, rows + 1) - np.maximum(upper - reach, rows)
    share = np.clip(covered, 0, 1).reshape(bottom - top, last - first, _FINE).mean(axis=2)
    region = ink[top:bottom, first:last]
    np.maximum(region, share, out=region)


def _spread(values: npt.NDArray[np.float64], choose: np.ufunc, reach_px: float) -> npt.NDArray[np.float64]:
    """Each fine column with what its neighbours within the pen's reach have."""
    out = values.copy()
    for shift in range(1, round(reach_px * _FINE) + 1):
        choose(out[shift:], values[:-shift], out=out[shift:])
        choose(out[:-shift], values[shift:], out=out[:-shift])
    return out


def draw_text(ink: Ink, text: str, left_px: float, base_px: float, high_px: float, wide_px: float) -> None:
    """Add a text of known letters, its baseline at `base_px`, with a round pen, in place."""
    unit = high_px / 6
    at = left_px
    for letter in text:
        strokes = _strokes(letter)
        for stroke in strokes:
            points = [(at + x * unit, base_px - y * unit) for x, y in stroke]
            for start, stop in pairwise(points):
                _draw_segment(ink, start, stop, wide_px)
        right = max((x for stroke in strokes for x, _ in stroke), default=2.0)
        at += (right + 2.4) * unit


def _strokes(letter: str) -> list[list[tuple[float, float]]]:
    lines = (line.split() for line in _LETTERS[letter].split("; ") if line)
    return [[(float(x), float(y)) for x, y in (point.split(",") for point in line)] for line in lines]


def _draw_segment(ink: Ink, start: tuple[float, float], stop: tuple[float, float], wide_px: float) -> None:
    """A straight stroke: a pixel's ink falls off with the distance of its centre over one pixel."""
    reach = wide_px / 2 + 1
    height, width = ink.shape
    left, right = sorted((start[0], stop[0]))
    top, bottom = sorted((start[1], stop[1]))
    columns = np.arange(max(0, int(left - reach)), min(width, int(right + reach) + 1))
    rows = np.arange(max(0, int(top - reach)), min(height, int(bottom + reach) + 1))
    if not columns.size or not rows.size:
        return
    x, y = columns[None, :] + 0.5 - start[0], rows[:, None] + 0.5 - start[1]
    along = (stop[0] - start[0], stop[1] - start[1])
    length_2 = along[0] ** 2 + along[1] ** 2
    share = np.clip((x * along[0] + y * along[1]) / length_2, 0, 1) if length_2 else np.zeros(())
    distance = np.hypot(x - share * along[0], y - share * along[1])
    region = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    np.maximum(region, np.clip(wide_px / 2 + 0.5 - distance, 0, 1), out=region)
