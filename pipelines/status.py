"""How far a pipeline is: units, samples, rejects by reason and disk, for each stage, read from the records alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from pipelines.records import StageFolder
from pipelines.spec import PipelineSpec


@dataclass(frozen=True, kw_only=True)
class StageStatus:
    """The records of one stage, summed."""

    stage: str
    use: str
    kind: str
    units: int
    complete: bool
    offered: int
    accepted: int
    rejected: dict[str, int]
    rows: int
    disk_bytes: int
    seconds: float


def status(spec: PipelineSpec) -> list[StageStatus]:
    """The state of every stage, in order; reads no media and plans nothing."""
    found = []
    for stage in spec.stages:
        folder = StageFolder(spec.root, stage.name)
        records = list(folder.records().values())
        rejected: Counter[str] = Counter()
        for record in records:
            rejected.update(record.rejected)
        found.append(
            StageStatus(
                stage=stage.name,
                use=stage.use,
                kind=stage.contract.gives.value,
                units=len(records),
                complete=bool(folder.finished()),
                offered=sum(record.offered for record in records),
                accepted=sum(record.accepted for record in records),
                rejected=dict(rejected.most_common()),
                rows=sum(max(record.rows, 0) + sum(rows for _, _, rows in record.parts) for record in records),
                disk_bytes=disk_bytes(folder.path),
                seconds=round(sum(record.seconds for record in records), 1),
            )
        )
    return found


def disk_bytes(folder: Path) -> int:
    """Size of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
