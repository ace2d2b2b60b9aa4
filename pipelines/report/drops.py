"""What was offered and gave nothing: rejects by stage and reason, each with its sentence; and the shards made.

The items themselves are not named here, since an item may be the path of a file and a path may hold a name, and so may
a cell that a detail quotes; `medloom explain` gives them to the one who asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from pipelines.report.outputs import Outputs, read_json
from shards.reasons import Reason
from shards.stage import Kind
from shards.verify import verify

DETAILS = 3  # most frequent ones that are told
MAX_DETAIL_CHARACTERS = 160
QUOTING = (Reason.UNKNOWN_MODALITY, Reason.UNKNOWN_SPECIALTY)  # their details show a cell (ingest.unknown_cells)
VERIFIED_HERE_BYTES = 300_000_000  # a set of this size is hashed in a second or two; a larger one wants a verify stage


@dataclass(frozen=True, kw_only=True)
class Drop:
    """One reason in one stage."""

    stage: str
    reason: str
    sentence: str
    items: int
    offered: int  # to the stage
    details: list[str]


@dataclass(frozen=True, kw_only=True)
class Packed:
    """One shard set."""

    stage: str
    media: str
    preset: str
    steps: tuple[str, ...]
    shards: int
    samples: int
    size_bytes: int
    splits: dict[str, int]
    verified: str  # what verify says of it, empty where it was not asked
    remarks: list[str]


def drops(outputs: Outputs) -> list[Drop]:
    """By stage in the order of the pipeline, the most frequent reason first."""
    known = {reason.value: reason.text for reason in Reason}
    found = []
    for stage, state in outputs.statuses.items():
        paths = sorted(outputs.folders[stage].rejects.glob("*.parquet"))
        rows = pl.concat([pl.read_parquet(path) for path in paths]) if paths else None
        for reason, items in state.rejected.items():
            details = _details(rows, reason) if rows is not None and reason not in QUOTING else []
            found.append(
                Drop(
                    stage=stage,
                    reason=reason,
                    sentence=known.get(reason, "a reason of another version"),
                    items=items,
                    offered=state.offered,
                    details=details,
                )
            )
    return found


def _details(rows: pl.DataFrame, reason: str) -> list[str]:
    told = rows.filter((pl.col("reason") == reason) & (pl.col("detail") != ""))["detail"].value_counts()
    frequent = told.sort(["count", "detail"], descending=[True, False]).head(DETAILS)
    return [f"{detail[:MAX_DETAIL_CHARACTERS]} ({count})" for detail, count in frequent.iter_rows()]


def packed(outputs: Outputs) -> list[Packed]:
    """Every shard set of the pipeline, pictures and clips first, then latents."""
    reports = _verify_reports(outputs)
    found = []
    for stage, shard_set in {**outputs.shard_sets, **outputs.sets(Kind.LATENTS)}.items():
        size_bytes = sum(shard.bytes for shard in shard_set.shards)
        report = reports.get(stage)
        if report is None and size_bytes <= VERIFIED_HERE_BYTES:
            report = verify(shard_set.folder, decode=False).as_dict()
        found.append(
            Packed(
                stage=stage,
                media=shard_set.media,
                preset=shard_set.preset,
                steps=shard_set.steps,
                shards=len(shard_set.shards),
                samples=sum(shard_set.splits.values()),
                size_bytes=size_bytes,
                splits=shard_set.splits,
                verified=_verdict(report) if report else "",
                remarks=list(report["remarks"]) if report else [],
            )
        )
    return found


def _verify_reports(outputs: Outputs) -> dict[str, dict[str, Any]]:
    """What verify stages wrote, by the stage that they looked at."""
    found: dict[str, dict[str, Any]] = {}
    for stage in outputs.complete(Kind.REPORT):
        for name in stage.inputs:
            path = outputs.folders[stage.name].path / f"{name}.json"
            if path.is_file():
                value = read_json(path)
                if isinstance(value, dict) and {"members", "decoded", "problems", "remarks"} <= value.keys():
                    found[name] = value
    return found


def _verdict(report: dict[str, Any]) -> str:
    looked = f"{report['members']:,} members compared with their SHA-256"
    looked += f", {report['decoded']:,} decoded" if report["decoded"] else ""
    problems = len(report["problems"])
    return f"{looked}; {problems} problems, named by medloom verify" if problems else f"{looked}; nothing wrong"
