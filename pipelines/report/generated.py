"""Real beside generated, prompt by prompt: `grid.json` of an evaluation, its pictures made small.

Every generated picture carries the word synthetic, on the page as in its file. The real one beside it is held out: the
model has not been trained on it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.pictures import Picture, of_file
from pipelines.report.outputs import Outputs, read_json

SIDE_PX = 224
MAX_PROMPTS = 24
MAX_DRAWN = 8  # pictures a prompt


@dataclass(frozen=True, kw_only=True)
class Row:
    """One prompt."""

    prompt: str
    key: str  # of the real sample
    real: Picture | None
    drawn: list[Picture]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The prompts of one evaluation."""

    stage: str
    rows: list[Row]
    left_out: int  # prompts beyond MAX_PROMPTS


def grids(outputs: Outputs) -> list[Grid]:
    """One for each stage that wrote a grid."""
    found = []
    for stage, path in outputs.holding("grid.json"):
        entries = _varied(read_json(path))
        rows = [_row(entry, path.parent) for entry in entries[:MAX_PROMPTS]]
        found.append(Grid(stage=stage.name, rows=rows, left_out=max(0, len(entries) - MAX_PROMPTS)))
    return found


def _varied(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """In their order, but every text once before any comes twice."""
    seen: Counter[str] = Counter()
    turns = []
    for entry in entries:
        turns.append(seen[entry["prompt"]])
        seen[entry["prompt"]] += 1
    return [entry for _, entry in sorted(zip(turns, entries, strict=True), key=lambda pair: pair[0])]


def _row(entry: dict[str, Any], folder: Path) -> Row:
    real = entry.get("real")
    return Row(
        prompt=entry["prompt"],
        key=entry.get("key") or "",
        real=of_file(folder / real, SIDE_PX) if real else None,
        drawn=[of_file(folder / path, SIDE_PX) for path in entry["generated"][:MAX_DRAWN]],
    )
