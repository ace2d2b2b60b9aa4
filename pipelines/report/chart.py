"""Line charts as geometry: a few hundred points a line, ticks at round numbers, a log scale for values over decades.

A template draws them as inline SVG. Colours come from classes of the page's style sheet, so a chart follows light and
dark mode and prints well. Each chart carries a title and a description for those who cannot see it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

WIDTH, HEIGHT = 380, 230  # of the view box; the page scales it
LEFT, RIGHT, TOP, BOTTOM = 50, 12, 12, 40
MAX_POINTS = 360  # a line has more samples than a page has pixels
LOG_FROM_RATIO = 8.0  # the largest value over the smallest, from which a log scale reads better
SMOOTH_OVER = 0.04  # share of all points that a smoothed one averages

Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One series. `faint` is drawn thin behind the others."""

    name: str
    points: Sequence[Point]
    colour: int = 0  # class c0, c1, ... of the style sheet
    faint: bool = False
    dots: bool = False


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A drawing in the units of its view box, for the macro `chart`."""

    title: str
    description: str
    note: str  # below the x axis
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    lines: list[tuple[Line, list[Point]]]  # back to front
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = HEIGHT - BOTTOM


def line_chart(title: str, lines: Sequence[Line], x_label: str, *, log: bool | None = None) -> Chart | None:
    """All lines on common axes, or None where there is nothing to draw. `log`: None chooses by the range."""
    drawn = [(line, thinned(finite(line.points))) for line in lines]
    values = [y for _, points in drawn for _, y in points]
    if not values:
        return None
    positive = min(values) > 0
    use_log = positive and (max(values) / min(values) >= LOG_FROM_RATIO if log is None else log)
    x_axis = Axis.over([x for _, points in drawn for x, _ in points], LEFT, WIDTH - RIGHT, from_zero=True)
    y_axis = Axis.over(values, HEIGHT - BOTTOM, TOP, log=use_log)
    return Chart(
        title=title,
        description=describe(drawn),
        note=f"{x_label}; log scale" if use_log else x_label,
        x_ticks=[(x_axis.place(value), short(value)) for value in x_axis.ticks(4)],
        y_ticks=[(y_axis.place(value), short(value)) for value in y_axis.ticks()],
        lines=[
            (line, [(x_axis.place(x), y_axis.place(y)) for x, y in points])
            for line, points in sorted(drawn, key=lambda item: not item[0].faint)
        ],
    )


def describe(drawn: Sequence[tuple[Line, Sequence[Point]]]) -> str:
    """What the lines do, in words."""
    return "; ".join(
        f"{line.name} goes from {short(points[0][1])} to {short(points[-1][1])}"
        for line, points in drawn
        if points and not line.faint
    )


def finite(points: Sequence[Point]) -> list[Point]:
    """Points whose both numbers are numbers."""
    return [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]


def thinned(points: Sequence[Point]) -> list[Point]:
    """At most about MAX_POINTS points, each the mean of its neighbours."""
    step = max(1, math.ceil(len(points) / MAX_POINTS))
    groups = [points[i : i + step] for i in range(0, len(points), step)]
    return [(sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)) for group in groups]


def smoothed(points: Sequence[Point]) -> list[Point]:
    """A centred running mean over SMOOTH_OVER of the points, over fewer at both ends."""
    reach = max(1, round(len(points) * SMOOTH_OVER / 2))
    sums = [0.0]
    for _, y in points:
        sums.append(sums[-1] + y)
    found = []
    for i, (x, _) in enumerate(points):
        first, last = max(0, i - reach), min(len(points), i + reach + 1)
        found.append((x, (sums[last] - sums[first]) / (last - first)))
    return found


def short(value: float, digits: int = 4) -> str:
    """A number as it stands on an axis: 0.02, 1.5, 120, 40k, 2M; `digits` significant ones."""
    if value and (abs(value) < 1e-3 or abs(value) >= 1e9):
        mantissa, _, exponent = f"{value:.0e}".partition("e")
        return f"{mantissa}e{int(exponent)}"
    for limit, unit in ((1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            return f"{value / (1e3 if unit == 'k' else limit):.3g}{unit}"
    return f"{value:.{digits}g}"


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A scale from values to the view box, linear or logarithmic."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    @classmethod
    def over(
        cls, values: Sequence[float], start: float, end: float, *, log: bool = False, from_zero: bool = False
    ) -> Axis:
        """An axis that holds all values with a little room."""
        low, high = min(values), max(values)
        if log:
            return cls(low=low / 1.15, high=high * 1.15, start=start, end=end, log=True)
        room = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
        low = 0.0 if from_zero or 0 <= low <= (high - low) * 0.6 else low - room
        return cls(low=low, high=high if from_zero and high > 0 else high + room, start=start, end=end)

    def place(self, value: float) -> float:
        """Where a value lies in the view box."""
        low, high, at = (
            (math.log(v) for v in (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        )
        return self.start + (at - low) / (high - low) * (self.end - self.start)

    def ticks(self, wanted: int = 5) -> list[float]:
        """Round values inside the axis: 1, 2 or 5 times a power of ten."""
        if self.log:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
                found = [s * 10.0**d for d in decades for s in steps if self.low <= s * 10.0**d <= self.high]
                if len(found) >= 3:
                    break
            return found
        size: Literal[1, 2, 5, 10]
        raw = (self.high - self.low) / wanted
        power = 10.0 ** math.floor(math.log10(raw))
        size = next(s for s in (1, 2, 5, 10) if s * power >= raw * 0.999)
        step = size * power
        first = math.ceil(self.low / step - 1e-9)
        return [n * step for n in range(first, math.floor(self.high / step + 1e-9) + 1)]
