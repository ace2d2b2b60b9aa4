"""Figures of several pictures: where their panels lie, and which of them the caption speaks of by which letter.

A picture is cut where bands of white, or of black, run all the way through it, again and again (recursive XY-cut,
Nagy and Seth 1984). What that gives is believed only under these rules, since a false pairing is worse than none:

1. Every panel is a filled rectangle of more than one colour: its four sides stand out against the bands along most of
   their length. So plots, tissue on white and bones on black are not cut in pieces. Small pieces are letters, titles
   and scales, and are left out. Between black bands, which many pictures have inside, every piece must also fill its
   strip.
2. No panel has a seam inside, where a picture ends along a straight line: then there may be two of them.
3. There are as many panels as the caption has letters.
4. Their order is certain: cutting into rows first or into columns first, and sorting by rows or by columns, all give
   the same. In a grid they do not, and there the letters at the panels decide: two of them at least must be read that
   tell the orders apart, and all that are read must fit one order.
5. No letter that is read at a panel says otherwise.

Else the figure stays whole. Letters of one part of the caption (`A-C`) get the rectangle around their panels, if
nothing else lies in it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ingest.scrapers.panel_letters import letter_in
from ingest.scrapers.panels import Panels, Part

Picture = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

_WHITE, _BLACK = 225, 30  # of 255: what JPEG leaves of white and black
_BAND = 0.99  # share of a row or column that is of the bands' colour
_THINNEST = 0.001  # of the picture's side, at least 2 px
_SMALL = 0.08  # of the picture's side: no panel
_TINY = 0.01  # of the picture: a letter
_FILLED = 0.85  # of each side of a panel
_PLAIN = 6.0  # standard deviation of what is of one colour
_EDGE_PX = 4  # how deep its side is looked for
_HALO_PX = 10  # what JPEG adds around a panel: a block and its neighbour
_SEAM_STEP, _SEAM_SHARE, _SEAM_CALM = 14, 0.6, 0.25
_SAME_LINE = 0.05  # of the picture's side: tops this close are of one row, and left sides of one column
_MARGIN = 0.12  # of a panel's sides: how far outside of it its letter may stand, above or to the left
MOST_PX = 40_000_000  # of a picture that is looked at


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels; `right` and `bottom` are the first outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    def of(self, picture: Any) -> Any:
        """The part of a picture [H, W, ...]."""
        return picture[self.top : self.bottom, self.left : self.right]

    def meets(self, other: Box) -> bool:
        """Whether two rectangles share a pixel."""
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom


def pair_panels(picture: Picture, panels: Panels) -> list[tuple[Part, Box]] | None:
    """Each part of a caption with its rectangle of a picture [H, W] or [H, W, 3]; None where the figure stays whole."""
    for bands, is_white in _bands(picture):
        orders = _orders(bands, panels.count, is_white)
        if orders is not None and all(_is_panel(picture, bands, box) for box in orders[0]):
            chosen = _chosen(picture, orders)
            return None if chosen is None else _grouped(chosen, panels)
    return None


def has_panels(picture: Picture) -> bool:
    """Whether a picture is several filled rectangles between white bands, whatever they show and in which order.

    Black bands are not asked: many single pictures, such as two views of one ultrasound, have them inside.
    """
    bands, is_white = next(_bands(picture))
    boxes = _panels(list(_cut(bands, Box(0, 0, bands.shape[1], bands.shape[0]), (0, 1))), bands, is_white) or ()
    return len(boxes) > 1 and all(_is_filled(picture, bands, box) for box in boxes)


def _bands(picture: Picture) -> Iterator[tuple[Mask, bool]]:
    """Where a picture is white, and where it is black."""
    for is_white in (True, False):
        mask: Mask = np.asarray(picture >= _WHITE if is_white else picture <= _BLACK)
        yield (mask if picture.ndim == 2 else np.asarray(mask.all(axis=2))), is_white


def _panels(pieces: Sequence[_Piece], bands: Mask, is_white: bool) -> tuple[Box, ...] | None:
    """The pieces that may be panels; None where black bands have a piece that does not fill its strip."""
    height, width = bands.shape
    if not is_white and any(piece.is_loose and not _is_tiny(piece.box, width, height) for piece in pieces):
        return None
    return tuple(piece.box for piece in pieces if not _is_small(piece.box, width, height))


def _orders(bands: Mask, count: int, is_white: bool) -> list[tuple[Box, ...]] | None:
    """The orders in which so many panels can be read; None where there are not so many, or none for certain."""
    height, width = bands.shape
    whole = Box(0, 0, width, height)
    orders: list[tuple[Box, ...]] = []
    for axes in ((0, 1), (1, 0)):
        found = _panels(list(_cut(bands, whole, axes)), bands, is_white)
        if found is None or len(found) != count or (orders and set(found) != set(orders[0])):
            return None
        orders.append(found)
    row = _ranks([box.top for box in orders[0]], _SAME_LINE * height)
    column = _ranks([box.left for box in orders[0]], _SAME_LINE * width)
    orders.append(tuple(sorted(orders[0], key=lambda box: (row[box.top], box.left))))
    orders.append(tuple(sorted(orders[0], key=lambda box: (column[box.left], box.top))))
    return list(dict.fromkeys(orders))


def _ranks(starts: Sequence[int], near: float) -> dict[int, int]:
    """The number of the row, or column, of each start; those near the first of one are in it."""
    ranks: dict[int, int] = {}
    first, rank = -math.inf, -1
    for start in sorted(starts):
        if start > first + near:
            first, rank = start, rank + 1
        ranks[start] = rank
    return ranks


@dataclass(frozen=True, slots=True)
class _Piece:
    """What lies between bands. A loose one does not reach to the sides of the strip that it was cut from."""

    box: Box
    is_loose: bool


def _cut(bands: Mask, box: Box, axes: Sequence[int], *, is_loose: bool | None = None) -> Iterator[_Piece]:
    """The pieces between bands, cut along the first axis that has any, and so on; the margins of the whole go first."""
    trimmed = _trimmed(bands, box)
    if trimmed is None:
        return
    if is_loose is not None:
        sides = zip(dataclasses.astuple(box), dataclasses.astuple(trimmed), strict=True)
        is_loose = is_loose or any(abs(before - after) > _HALO_PX for before, after in sides)
    for axis in axes:
        pieces = list(_pieces(bands, trimmed, axis))
        if len(pieces) > 1:
            for piece in pieces:
                yield from _cut(bands, piece, axes, is_loose=bool(is_loose))
            return
    yield _Piece(_tight(bands, trimmed), bool(is_loose))


def _tight(bands: Mask, box: Box) -> Box:
    """The box without the halo around a panel: lines at its sides that are mostly of the bands' colour."""
    sides = []
    for axis in (0, 1):
        filled = 1 - box.of(bands).mean(axis=1 - axis) >= 0.5
        ends = [int(np.argmax(line)) if line[:_HALO_PX].any() else 0 for line in (filled, filled[::-1])]
        sides.append((ends[0], len(filled) - ends[1]))
    (top, bottom), (left, right) = sides
    return Box(box.left + left, box.top + top, box.left + right, box.top + bottom)


def _lines(bands: Mask, box: Box, axis: int) -> Mask:
    """Which rows (axis 0) or columns (axis 1) of a box are of the bands' colour."""
    return np.asarray(box.of(bands).mean(axis=1 - axis) >= _BAND)


def _trimmed(bands: Mask, box: Box) -> Box | None:
    """The box without its margins; None where nothing is left."""
    sides = []
    for axis in (0, 1):
        kept = np.flatnonzero(~_lines(bands, box, axis))
        if not kept.size:
            return None
        sides.append((int(kept[0]), int(kept[-1]) + 1))
    (top, bottom), (left, right) = sides
    return Box(box.left + left, box.top + top, box.left + right, box.top + bottom)


def _pieces(bands: Mask, box: Box, axis: int) -> Iterator[Box]:
    lines = _lines(bands, box, axis)
    thinnest = max(2, round(_THINNEST * bands.shape[axis]))
    ends = np.flatnonzero(np.diff(np.concatenate(([False], lines, [False])).astype(np.int8)))
    start = 0
    for first, stop in ends.reshape(-1, 2):
        if stop - first >= thinnest and first > 0 and stop < len(lines):
            yield _piece(box, axis, start, int(first))
            start = int(stop)
    yield _piece(box, axis, start, len(lines))


def _piece(box: Box, axis: int, start: int, stop: int) -> Box:
    if axis == 0:
        return Box(box.left, box.top + start, box.right, box.top + stop)
    return Box(box.left + start, box.top, box.left + stop, box.bottom)


def _is_small(box: Box, width: int, height: int) -> bool:
    return box.width < _SMALL * width or box.height < _SMALL * height


def _is_tiny(box: Box, width: int, height: int) -> bool:
    return box.width * box.height < _TINY * width * height


def _is_panel(picture: Picture, bands: Mask, box: Box) -> bool:
    """Whether a box is one filled rectangle (rules 1 and 2)."""
    return _is_filled(picture, bands, box) and not any(_has_seam(box.of(picture), axis) for axis in (0, 1))


def _is_filled(picture: Picture, bands: Mask, box: Box) -> bool:
    """Whether a box stands out along its four sides, and is of more than one colour, as the bars of a chart are not."""
    if np.max(box.of(picture).std(axis=(0, 1))) < _PLAIN:
        return False
    inside = ~box.of(bands)
    sides = (inside[:_EDGE_PX], inside[-_EDGE_PX:], inside[:, :_EDGE_PX].T, inside[:, -_EDGE_PX:].T)
    return all(side.any(axis=0).mean() >= _FILLED for side in sides)


def _has_seam(panel: Picture, axis: int) -> bool:
    """Whether brightness jumps along a whole row (axis 0) or column of a panel that is calm elsewhere."""
    grey = (panel if panel.ndim == 2 else panel.mean(axis=2)).astype(np.int16)
    jumps = (np.abs(np.diff(grey, axis=axis)) >= _SEAM_STEP).mean(axis=1 - axis)
    margin = max(2, round(0.05 * len(jumps)))
    inner = jumps[margin:-margin]
    return bool(inner.size and inner.max() >= _SEAM_SHARE and np.median(inner) <= _SEAM_CALM)


def _chosen(picture: Picture, orders: list[tuple[Box, ...]]) -> tuple[Box, ...] | None:
    """The one order that the letters in the panels allow (rules 4 and 5)."""
    boxes = orders[0]
    read = {box: letter for box in boxes if (letter := letter_in(_with_margin(box, boxes).of(picture))) is not None}
    fitting = [order for order in orders if all(order.index(box) == ord(read[box]) - ord("a") for box in read)]
    if len(fitting) != 1:
        return None
    (order,) = fitting
    others = [other for other in orders if other != order]
    told = [box for box in read if any(other.index(box) != order.index(box) for other in others)]
    return order if not others or len(told) >= 2 else None


def _with_margin(box: Box, boxes: Sequence[Box]) -> Box:
    """A panel with what lies above and to the left of it, up to the next panel, where its letter may stand."""
    top = max(0, round(box.top - _MARGIN * box.height))
    left = max(0, round(box.left - _MARGIN * box.width))
    above = Box(box.left, top, box.right, box.top)
    beside = Box(left, box.top, box.left, box.bottom)
    top = max([top, *(other.bottom for other in boxes if other.meets(above))])
    left = max([left, *(other.right for other in boxes if other.meets(beside))])
    return Box(left, top, box.right, box.bottom)


def _grouped(boxes: tuple[Box, ...], panels: Panels) -> list[tuple[Part, Box]] | None:
    """Each part with the rectangle around its panels; None where another panel lies in one."""
    found = []
    left = list(boxes)
    for part in panels.parts:
        own, left = left[: len(part.letters)], left[len(part.letters) :]
        around = Box(
            min(box.left for box in own),
            min(box.top for box in own),
            max(box.right for box in own),
            max(box.bottom for box in own),
        )
        if any(around.meets(box) for box in boxes if box not in own):
            return None
        found.append((part, around))
    return found
