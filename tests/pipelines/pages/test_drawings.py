"""Charts, strips and the graph as geometry: inside their boxes, in order, and true to the values."""

from __future__ import annotations

import math
import re
from itertools import combinations, pairwise
from pathlib import Path

import pytest

from pipelines.report.chart import HEIGHT, LEFT, RIGHT, WIDTH, Axis, Line, line_chart, short, smoothed, thinned
from pipelines.report.flow import BOX_HEIGHT, BOX_WIDTH, Note, flow
from pipelines.report.learning import charts, duration, read_lines
from pipelines.report.strip import Mark, strip
from pipelines.spec import PipelineSpec


@pytest.mark.parametrize(
    ("low", "high", "log", "expected"),
    [
        (0.0, 10.0, False, [0, 2, 4, 6, 8, 10]),
        (-0.03, 0.05, False, [-0.02, 0, 0.02, 0.04]),
        (0.0, 14_384.0, False, [0, 5000, 10_000]),
        (0.02, 30.0, True, [0.1, 1, 10]),
        (0.9, 2.3, True, [1, 1.5, 2]),
    ],
)
def test_ticks_are_round(low: float, high: float, log: bool, expected: list[float]) -> None:
    axis = Axis(low=low, high=high, start=0, end=100, log=log)
    assert axis.ticks() == pytest.approx(expected)


@pytest.mark.parametrize("values", [[5.0], [0.0], [-1.0, -1.0], [1e-9, 2e-9], [3.0, 4e8], [-2.0, 7.0]])
def test_every_value_lies_inside_its_axis(values: list[float]) -> None:
    for log in {False, min(values) > 0}:
        axis = Axis.over(values, 200, 20, log=log)
        assert all(20 <= axis.place(value) <= 200 for value in values)
        assert all(20 - 1e-6 <= axis.place(tick) <= 200 + 1e-6 for tick in axis.ticks())


def test_chart_is_logarithmic_where_values_span_decades() -> None:
    falling = [(float(n), math.exp(-n / 100)) for n in range(1000)]
    chart = line_chart("loss", [Line(name="loss", points=falling)], "samples seen")
    assert chart is not None
    assert chart.note.endswith("log scale")
    (_, places) = chart.lines[0]
    assert all(LEFT - 1 <= x <= WIDTH - RIGHT + 1 and 0 <= y <= HEIGHT for x, y in places)
    steps = [after[1] - before[1] for before, after in pairwise(places[:-1])]
    assert max(steps) - min(steps) < 1e-6  # an exponential is a straight line
    flat = line_chart("loss", [Line(name="loss", points=[(0, 1.0), (1, 1.2)])], "samples seen")
    assert flat is not None
    assert not flat.note.endswith("log scale")


def test_chart_without_a_number_is_none() -> None:
    assert line_chart("loss", [Line(name="loss", points=[(0.0, math.nan), (1.0, math.inf)])], "x") is None
    assert strip("nothing", [], "FD") is None


def test_thinning_and_smoothing_keep_the_mean() -> None:
    points = [(float(n), float(n % 2)) for n in range(5000)]
    few = thinned(points)
    assert 180 <= len(few) <= 360
    assert sum(y for _, y in few) / len(few) == pytest.approx(0.5, abs=0.02)
    assert all(abs(y - 0.5) < 0.02 for _, y in smoothed(points))
    assert smoothed([(1.0, 3.0)]) == [(1.0, 3.0)]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.02, "0.02"),
        (1.5, "1.5"),
        (8000, "8000"),
        (40_000, "40k"),
        (2e6, "2M"),
        (2e-5, "2e-5"),
        (3e10, "3e10"),
    ],
)
def test_short_numbers(value: float, text: str) -> None:
    assert short(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_log_cut_off_by_a_kill_is_read_to_its_last_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"samples": 8, "loss": 2.0}\n{"samples": 8, "val_loss": 3.0}\n{"samples": 16, "lo')
    lines = read_lines(path)
    assert len(lines) == 2
    titles = [chart.title for chart in charts("train", lines)]
    assert titles == ["train: training loss", "train: validation loss"]
    assert read_lines(tmp_path / "none.jsonl") == []


def test_strip_orders_values_from_left_to_right() -> None:
    marks = [
        Mark(name="noise", role="ceiling", note="", mean=150, low=140, high=160),
        Mark(name="generated", role="result", note="", mean=6, low=5, high=7),
        Mark(name="real", role="floor", note="", mean=2, low=2, high=2),
    ]
    drawn = strip("FD", marks, "FD")
    assert drawn is not None
    by_name = {placed.mark.name: placed for placed in drawn.marks}
    assert by_name["real"].mean_x < by_name["generated"].mean_x < by_name["noise"].mean_x
    assert all(p.low_x <= p.mean_x <= p.high_x for p in drawn.marks)
    assert all(drawn.left <= p.low_x and p.high_x <= drawn.width for p in drawn.marks)
    negative = strip(
        "KID", [Mark(name="real", role="floor", note="", mean=-0.001, low=-0.002, high=0.001), marks[1]], "KID"
    )
    assert negative is not None
    assert "log" not in negative.note


def test_boxes_do_not_overlap_and_every_input_has_an_edge(atlas: PipelineSpec) -> None:
    notes = {stage.name: Note(kind="manifest", lines=("", ""), complete=True) for stage in atlas.stages}
    drawn = flow(atlas, notes)
    assert {box.name for box in drawn.boxes} == set(atlas.by_name)
    for one, other in combinations(drawn.boxes, 2):
        apart = abs(one.left - other.left) >= BOX_WIDTH or abs(one.top - other.top) >= BOX_HEIGHT
        assert apart, (one.name, other.name)
    for box in drawn.boxes:
        assert 0 <= box.left <= drawn.width - BOX_WIDTH
        assert 0 <= box.top <= drawn.height - BOX_HEIGHT
    assert len(drawn.edges) == sum(len(stage.inputs) for stage in atlas.stages)
    places = {box.name: box for box in drawn.boxes}
    for stage in atlas.stages:
        for name in stage.inputs:
            assert places[name].left < places[stage.name].left


def test_a_long_edge_runs_behind_no_box(atlas: PipelineSpec) -> None:
    notes = {stage.name: Note(kind="manifest", lines=("", ""), complete=True) for stage in atlas.stages}
    drawn = flow(atlas, notes)
    passing = [part for path in drawn.edges for part in level_parts(path)]
    assert passing  # pack feeds judge over the column of train
    for x, y in passing:
        for box in drawn.boxes:
            inside = box.left < x < box.left + BOX_WIDTH and box.top < y < box.top + BOX_HEIGHT
            assert not inside, box.name


def level_parts(path: str) -> list[tuple[float, float]]:
    """The middles of the level parts of an edge, which are where it passes a column."""
    found, x, y = [], 0.0, 0.0
    for command, numbers in re.findall(r"([MCH])([^MCH]*)", path):
        values = [float(number) for number in re.findall(r"[\d.]+", numbers)]
        if command == "H":
            found.append(((x + values[0]) / 2, y))
            x = values[0]
        else:
            x, y = values[-2:]
    return found
