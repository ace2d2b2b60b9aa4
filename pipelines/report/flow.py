"""The graph of stages as a drawing: columns by longest path, rows by the mean place of the neighbours.

The layered drawing of Sugiyama, Tagawa and Toda (1981, doi 10.1109/TSMC.1981.4308636): an edge over several columns
gets a place of its own in each, so that no edge runs behind a box.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pipelines.spec import PipelineSpec

BOX_WIDTH, BOX_HEIGHT = 148, 62
COLUMN_GAP, ROW_GAP = 34, 12
LANE_HEIGHT = 14  # of an edge that passes a column
MARGIN = 4
SWEEPS = 8


@dataclass(frozen=True)
class Slot:
    """A box, or a lane of an edge, in one column."""

    name: str
    is_box: bool
    column: int

    @property
    def height(self) -> int:
        """Of the slot."""
        return BOX_HEIGHT if self.is_box else LANE_HEIGHT


@dataclass(frozen=True, kw_only=True)
class Note:
    """What stands in a box below its name."""

    kind: str
    lines: tuple[str, str]
    complete: bool


@dataclass(frozen=True, kw_only=True)
class Box:
    """One stage in the drawing."""

    name: str
    left: float
    top: float
    note: Note
    width: int = BOX_WIDTH
    height: int = BOX_HEIGHT


@dataclass(frozen=True, kw_only=True)
class Flow:
    """A drawing in the units of its view box, for the macro `flow`."""

    description: str
    width: int
    height: int
    boxes: list[Box]
    edges: list[str]  # SVG paths


def flow(spec: PipelineSpec, notes: Mapping[str, Note]) -> Flow:
    """The drawing of a pipeline; `notes` by stage."""
    columns, chains = _columns(spec)
    _order(columns, chains)
    tallest = max(_tall(column) for column in columns)
    places = {slot: place for column in columns for slot, place in _places(column, tallest).items()}
    steps = [f"{s.name} from {', '.join(s.inputs)}" if s.inputs else f"{s.name}, a source" for s in spec.stages]
    return Flow(
        description="; ".join(steps),
        width=MARGIN * 2 + len(columns) * (BOX_WIDTH + COLUMN_GAP) - COLUMN_GAP,
        height=MARGIN * 2 + tallest,
        boxes=[
            Box(name=slot.name, left=left, top=middle - BOX_HEIGHT / 2, note=notes[slot.name])
            for slot, (left, middle) in places.items()
            if slot.is_box
        ],
        edges=[_edge([places[slot] for slot in chain]) for chain in chains],
    )


def _columns(spec: PipelineSpec) -> tuple[list[list[Slot]], list[list[Slot]]]:
    """Slots by column, and for each edge the chain of slots it runs through."""
    column: dict[str, int] = {}
    for stage in spec.stages:
        column[stage.name] = max((column[name] + 1 for name in stage.inputs), default=0)
    for stage in reversed(spec.stages):  # a source stands just before the first stage that reads it
        readers = [column[other.name] for other in spec.stages if stage.name in other.inputs]
        if not stage.inputs and readers:
            column[stage.name] = min(readers) - 1
    columns: list[list[Slot]] = [[] for _ in range(max(column.values()) + 1)]
    boxes = {name: Slot(name, is_box=True, column=at) for name, at in column.items()}
    for slot in boxes.values():
        columns[slot.column].append(slot)
    chains = []
    for stage in spec.stages:
        for name in stage.inputs:
            between = range(column[name] + 1, column[stage.name])
            lanes = [Slot(f"{name} to {stage.name}", is_box=False, column=at) for at in between]
            for lane in lanes:
                columns[lane.column].append(lane)
            chains.append([boxes[name], *lanes, boxes[stage.name]])
    return columns, chains


def _order(columns: list[list[Slot]], chains: Sequence[Sequence[Slot]]) -> None:
    """Sort each column by the mean place of its neighbours, forwards and backwards in turn."""
    before: dict[Slot, list[Slot]] = {slot: [] for column in columns for slot in column}
    after: dict[Slot, list[Slot]] = {slot: [] for column in columns for slot in column}
    for chain in chains:
        for one, other in pairwise(chain):
            before[other].append(one)
            after[one].append(other)
    for sweep in range(SWEEPS):
        forwards = sweep % 2 == 0
        neighbours = before if forwards else after
        rank = {slot: i / max(len(column), 1) for column in columns for i, slot in enumerate(column)}
        for column in columns if forwards else columns[::-1]:

            def mean(slot: Slot) -> float:
                near = neighbours[slot]  # noqa: B023  # used within the same turn of the loop
                return sum(rank[other] for other in near) / len(near) if near else rank[slot]  # noqa: B023

            column.sort(key=mean)
            rank.update({slot: i / len(column) for i, slot in enumerate(column)})


def _tall(column: Sequence[Slot]) -> int:
    return sum(slot.height + ROW_GAP for slot in column) - ROW_GAP


def _places(column: Sequence[Slot], tallest: int) -> dict[Slot, tuple[float, float]]:
    """Left edge and middle of each slot; a column stands in the middle of the drawing."""
    places: dict[Slot, tuple[float, float]] = {}
    y = MARGIN + (tallest - _tall(column)) / 2
    for slot in column:
        places[slot] = (MARGIN + slot.column * (BOX_WIDTH + COLUMN_GAP), y + slot.height / 2)
        y += slot.height + ROW_GAP
    return places


def _edge(places: Sequence[tuple[float, float]]) -> str:
    """From the right side of the first box through all lanes to the left side of the last."""
    x, y = places[0][0] + BOX_WIDTH, places[0][1]
    path = f"M{x:.0f},{y:.1f}"
    for left, middle in places[1:]:
        bend = (left - x) / 2
        path += f" C{x + bend:.0f},{y:.1f} {left - bend:.0f},{middle:.1f} {left:.0f},{middle:.1f}"
        x, y = left, middle
        if (left, middle) != places[-1]:
            x += BOX_WIDTH
            path += f" H{x:.0f}"
    return path
