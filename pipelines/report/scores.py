"""Scores of an evaluation, from `metrics.json`: each beside its floor and its ceilings, with the range over the seeds.

The record is read as JSON, in the schema of `eval/record.py`; a figure that is null there has no place on the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.pictures import Picture, of_file
from pipelines.report.chart import short
from pipelines.report.outputs import Outputs, read_json
from pipelines.report.strip import Mark, Strip, strip

SCHEMA = 1  # of metrics.json
PAIR_SIDE_PX = 192
MAX_PAIRS = 12
DIGITS = 3  # significant ones; a figure over a few seeds has no more
SHARES = ("precision", "recall", "density", "coverage")

Json = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Space:
    """One feature space: a drawing, the verdict in words, and every row."""

    name: str
    facts: list[tuple[str, str]]
    strips: list[Strip]
    verdict: str
    rows: list[Json]


@dataclass(frozen=True, kw_only=True)
class Scores:
    """One evaluation."""

    stage: str
    record: Json  # for the tables that show it as it is
    spaces: list[Space]
    settings: list[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """How near generated pictures are to training pictures, and the pairs that are most alike."""

    stage: str
    spaces: list[Json]
    pairs: list[tuple[Picture, Picture, str, float]]  # generated, training, key of the latter, correlation


def records(outputs: Outputs) -> list[tuple[str, Path, Json]]:
    """Stage, folder and record of every evaluation; ValueError for a schema that is not read here."""
    found: list[tuple[str, Path, Json]] = []
    for stage, path in outputs.holding("metrics.json"):
        record = read_json(path)
        if not isinstance(record, dict) or record.get("schema") != SCHEMA:
            raise ValueError(f"{path} is not of schema {SCHEMA}: run the stage again with `--force {stage.name}`")
        found.append((stage.name, path.parent, record))
    return found


def scores(outputs: Outputs) -> list[Scores]:
    """Every evaluation of the pipeline."""
    return [
        Scores(
            stage=stage,
            record=record,
            spaces=[_space(space, record) for space in record["spaces"]],
            settings=[*flat(record["model"]), *flat(record["settings"]), *flat(record["data"])],
        )
        for stage, _, record in records(outputs)
    ]


def _space(space: Json, record: Json) -> Space:
    name, metric = space["name"], space["metric"]
    rows = [row for row in record["rows"] if row["space"] == name]
    figures = (("fd", f"{metric} in {name}"), ("kid", f"KID in {name}"))
    drawn = [strip(title, _marks(rows, figure), title.partition(" ")[0]) for figure, title in figures]
    verdict = next((v for v in record["verdicts"] if v["space"] == name), None)
    return Space(
        name=name,
        facts=[("dimensions", f"{space['dimensions']:,}"), *flat(space["facts"])],
        strips=[one for one in drawn if one is not None],
        verdict=_verdict(verdict, metric) if verdict else "",
        rows=[_row(row) for row in rows],
    )


def _marks(rows: Sequence[Json], figure: str) -> list[Mark]:
    drawn = [row for row in rows if row[figure] is not None]
    usual = drawn[0]["against"] if drawn else ""
    return [
        Mark(
            name=row["sample"],
            role=row["role"],
            note=row["role"] if row["against"] == usual else f"to {row['against']}",
            **{part: row[figure][part] for part in ("mean", "low", "high")},
        )
        for row in drawn
    ]


def _row(row: Json) -> Json:
    """A row with its shares averaged over the seeds, as words."""
    found = row["scores"]
    shares = {name: [score[name] for score in found if score.get(name) is not None] for name in SHARES}
    return {
        "sample": row["sample"],
        "against": row["against"],
        "role": row["role"],
        "n": min(score["n"] for score in found),
        "seeds": len({score["seed"] for score in found}),
        "fd": ranged(row["fd"]),
        "kid": ranged(row["kid"]),
        **{name: f"{sum(values) / len(values):.2f}" if values else "–" for name, values in shares.items()},
    }


def _verdict(verdict: Json, metric: str) -> str:
    """Where the result lies, in one sentence."""
    figure = metric if verdict["figure"] == "fd" else "KID"
    untrained, noise = (_share(verdict[f"share_of_{name}"]) for name in ("untrained", "noise"))
    parts = [
        f"{figure} of what the model draws is {ranged(verdict['generated'])}, at most {untrained} of the untrained "
        f"model's and {noise} of noise's"
    ]
    if verdict["floor"] is not None:
        parts.append(f"real pictures among themselves have {ranged(verdict['floor'])}")
    parts.append("the ranges over the seeds " + ("overlap" if verdict["ranges_overlap"] else "do not overlap"))
    return "; ".join(parts) + "."


def _share(value: float | None) -> str:
    return f"{value:.2f}" if value is not None else "more than all"


def ranged(value: Json | None) -> str:
    """ "12.3 (11.9 to 12.8)", or the value alone where the ends agree."""
    if value is None or value["mean"] is None:
        return "–"
    if value["low"] == value["high"]:
        return short(value["mean"], DIGITS)
    return f"{short(value['mean'], DIGITS)} ({short(value['low'], DIGITS)} to {short(value['high'], DIGITS)})"


def estimated(value: Json | None) -> str:
    """ "0.91 (0.88 to 0.94)" of an estimate with its 95 % interval."""
    if value is None or value["value"] is None:
        return "–"
    if value["low"] is None or value["high"] is None:
        return short(value["value"], DIGITS)
    return f"{short(value['value'], DIGITS)} ({short(value['low'], DIGITS)} to {short(value['high'], DIGITS)})"


def percent(value: Json | None) -> str:
    """ "91 % (88 to 94)" of a share with its interval."""
    if value is None or value["value"] is None:
        return "–"
    whole = f"{100 * value['value']:.0f} %"
    ends = value["low"], value["high"]
    return whole if None in ends else f"{whole} ({100 * ends[0]:.0f} to {100 * ends[1]:.0f})"


def flat(values: Json, before: str = "") -> list[tuple[str, str]]:
    """Nested values as (name, text), names joined by dots."""
    found: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            found += flat(value, f"{before}{name}.")
        elif value not in (None, "", []):
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            found.append((f"{before}{name}", text))
    return found


def neighbours(outputs: Outputs) -> list[Neighbours]:
    """Every evaluation that looked for copies."""
    found = []
    for stage, folder, record in records(outputs):
        pairs = [
            (
                of_file(folder / pair["generated"], PAIR_SIDE_PX),
                of_file(folder / pair["train"], PAIR_SIDE_PX),
                *_of(pair),
            )
            for pair in record["closest_pairs"][:MAX_PAIRS]
        ]
        if record["copying"] or pairs:
            found.append(Neighbours(stage=stage, spaces=record["copying"], pairs=pairs))
    return found


def _of(pair: Json) -> tuple[str, float]:
    return pair["train_key"], pair["correlation"]
