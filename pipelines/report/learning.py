"""How training went: one set of charts for every checkpoint stage, from its `log.jsonl`, and its previews in order.

Validation has a chart of its own: its noise and noise levels are frozen and its weights are the averaged ones, so it is
another quantity than the training loss and not the same one on other data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.pictures import Picture, of_file
from pipelines.report.caption_length import captions_cut
from pipelines.report.chart import Chart, Line, Point, line_chart, short, smoothed
from pipelines.report.outputs import Outputs
from pipelines.status import StageStatus
from shards.stage import Kind

NOT_LOSSES = ("samples", "lr", "samples_per_s", "grad_norm", "val_loss", "loss")
VERSION = "medloom_model"  # of the format of the model's record: of no interest to a reader
PREVIEWS = 5
PREVIEW_SIDE_PX = 640


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What the model drew at one point of its training."""

    samples: int
    picture: Picture
    what: str


@dataclass(frozen=True, kw_only=True)
class Training:
    """One checkpoint stage."""

    stage: str
    facts: list[tuple[str, str]]
    charts: list[Chart]
    previews: list[Preview]


def trainings(outputs: Outputs) -> list[Training]:
    """Every finished checkpoint stage that kept a log."""
    found = []
    for stage in outputs.complete(Kind.CHECKPOINT):
        folder = outputs.folders[stage.name].path
        lines = read_lines(folder / "log.jsonl")
        if lines:
            facts = _facts(lines, outputs.statuses[stage.name], folder)
            parts = [path for name in outputs.manifest_stages for path in outputs.paths(name)]
            if cut := captions_cut(folder / "model", parts):
                facts.append(("captions cut by the text encoder", cut))
            found.append(
                Training(
                    stage=stage.name,
                    facts=facts,
                    charts=charts(stage.name, lines),
                    previews=_previews(folder / "previews"),
                )
            )
    return found


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a log up to the first one that is not whole."""
    lines: list[dict[str, Any]] = []
    for text in path.read_text().splitlines() if path.is_file() else []:
        try:
            lines.append(json.loads(text))
        except ValueError:
            break
    return lines


def series(lines: Sequence[Mapping[str, Any]], name: str) -> list[Point]:
    """(samples seen, value) of all lines that have `name`."""
    return [(float(line["samples"]), float(line[name])) for line in lines if name in line and "samples" in line]


def charts(stage: str, lines: Sequence[Mapping[str, Any]]) -> list[Chart]:
    """Training loss, validation loss, and the terms of the loss where there are several."""
    loss, held_out = series(lines, "loss"), series(lines, "val_loss")
    names = [name for name in dict.fromkeys(n for line in lines for n in line) if name not in NOT_LOSSES]
    terms = [name for name in names if series(lines, name)]
    drawn = [
        line_chart(
            f"{stage}: training loss",
            [Line(name="each log line", points=loss, faint=True), Line(name="smoothed", points=smoothed(loss))],
            "samples seen",
        ),
        line_chart(
            f"{stage}: validation loss",
            [Line(name="validation loss", points=held_out, colour=1, dots=True)],
            "samples seen",
        ),
    ]
    if len(terms) > 1:
        lines_of = [Line(name=name, points=smoothed(series(lines, name)), colour=2 + i) for i, name in enumerate(terms)]
        drawn.append(line_chart(f"{stage}: terms of the loss, weighted", lines_of, "samples seen"))
    return [chart for chart in drawn if chart is not None]


def _facts(lines: Sequence[Mapping[str, Any]], state: StageStatus, folder: Path) -> list[tuple[str, str]]:
    loss, held_out, speed = (series(lines, name) for name in ("loss", "val_loss", "samples_per_s"))
    facts = [("samples seen", f"{max(line['samples'] for line in lines):,}")]
    if loss:
        facts.append(("last training loss", short(loss[-1][1])))
    if held_out:
        best = min(held_out, key=lambda point: point[1])
        facts.append(("best validation loss", f"{short(best[1])} at {best[0]:,.0f} samples"))
    if speed:
        middle = sorted(value for _, value in speed)[len(speed) // 2]
        facts.append(("speed, median", f"{middle:,.0f} samples/s"))
    if rates := series(lines, "lr"):
        facts.append(("highest learning rate", short(max(rate for _, rate in rates))))
    facts.append(("time", duration(state.seconds)))
    return [*facts, *_model_facts(folder / "model" / "medloom.json")]


def _model_facts(path: Path) -> list[tuple[str, str]]:
    """What the published model says of itself: its plain top-level values."""
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError):
        return []
    plain = {
        name: value
        for name, value in record.items()
        if isinstance(value, str | int | float) and value != "" and name != VERSION
    }
    return [
        (name.replace("_", " "), f"{value:,}" if isinstance(value, int) else str(value))
        for name, value in plain.items()
    ]


def _previews(folder: Path) -> list[Preview]:
    """At most PREVIEWS of the pictures drawn while training, evenly spread, the first and the last among them."""
    paths = sorted(folder.glob("*.png"))
    if len(paths) > PREVIEWS:
        paths = [paths[round(i * (len(paths) - 1) / (PREVIEWS - 1))] for i in range(PREVIEWS)]
    return [
        Preview(samples=int(path.stem), picture=of_file(path, PREVIEW_SIDE_PX), what=_what(path))
        for path in paths
        if path.stem.isdigit()
    ]


def _what(path: Path) -> str:
    from PIL import Image

    with Image.open(path) as image:
        text = image.info.get("settings", "{}")
    return str(json.loads(text).get("what", ""))


def duration(seconds: float) -> str:
    """12 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
