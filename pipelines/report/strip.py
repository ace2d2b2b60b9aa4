"""Scores as a strip: one line a kind of pictures, its mean as a dot and its range over seeds as a bar, on one scale.

A distance says nothing alone, so result, floor and ceilings stand on one axis, which is logarithmic where they span
decades. Left is better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.report.chart import LOG_FROM_RATIO, Axis, short

WIDTH = 440  # of the view box
LEFT, RIGHT, TOP, ROW_HEIGHT, BOTTOM = 166, 62, 8, 32, 26
COLOURS = {"result": 1, "floor": 3, "ceiling": 4, "other subjects": 2}  # classes c1, c3, ... of the style sheet


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One kind of pictures; `low` and `high` are its range over the seeds."""

    name: str
    role: str  # decides the colour
    note: str  # below the name: the role, or against what where that is not the usual
    mean: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A mark in the units of the view box."""

    mark: Mark
    text: str
    colour: int
    y: float
    mean_x: float
    low_x: float
    high_x: float


@dataclass(frozen=True, kw_only=True)
class Strip:
    """A drawing for the macro `strip`."""

    title: str
    description: str
    note: str
    marks: list[Placed]
    ticks: list[tuple[float, str]]
    height: int
    bottom: int
    width: int = WIDTH
    left: int = LEFT


def strip(title: str, marks: Sequence[Mark], what: str) -> Strip | None:
    """The drawing, or None without marks; `what` names the axis."""
    if not marks:
        return None
    values = [value for mark in marks for value in (mark.low, mark.mean, mark.high)]
    log = min(values) > 0 and max(values) / min(values) >= LOG_FROM_RATIO
    axis = Axis.over(values, LEFT, WIDTH - RIGHT, log=log)
    bottom = TOP + ROW_HEIGHT * len(marks)
    return Strip(
        title=title,
        description="; ".join(f"{m.name} ({m.note}) {short(m.mean)}, {short(m.low)} to {short(m.high)}" for m in marks),
        note=f"{what}, log scale: left is better" if log else f"{what}: left is better",
        marks=[
            Placed(
                mark=mark,
                text=short(mark.mean, 3),
                colour=COLOURS.get(mark.role, 4),
                y=TOP + ROW_HEIGHT * (at + 0.5),
                mean_x=axis.place(mark.mean),
                low_x=axis.place(mark.low),
                high_x=axis.place(mark.high),
            )
            for at, mark in enumerate(marks)
        ],
        ticks=[(axis.place(value), short(value)) for value in axis.ticks(4)],
        height=bottom + BOTTOM,
        bottom=bottom,
    )
