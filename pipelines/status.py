"""How far a pipeline is: units, samples, rejects by reason and disk, for each stage, read from the records alone."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipelines.failure import StageError
from pipelines.plan import Planner
from pipelines.records import StageFolder, UnitRecord
from pipelines.spec import PipelineSpec, StageSpec
from pipelines.user_key import read_key


@dataclass(frozen=True, kw_only=True)
class StageStatus:
    """The records of one stage, summed."""

    stage: str
    use: str
    kind: str
    units: int
    state: str  # complete, changed (complete, but not over its present inputs and options), begun, or not begun
    complete: bool
    offered: int
    accepted: int
    rejected: dict[str, int]
    rows: int
    disk_bytes: int
    seconds: float

    @property
    def finished(self) -> bool:
        """Whether there is an output, be it of earlier inputs."""
        return self.state in ("complete", "changed")


def status(spec: PipelineSpec) -> list[StageStatus]:
    """The state of every stage, in order; reads no media and lists no source, so a source's new files are not seen."""
    planner = Planner(spec, read_key(spec, create=False))
    contents: dict[str, str] = {}  # of stages that are complete
    found = []
    for stage in spec.stages:
        folder = StageFolder(spec.root, stage.name)
        records = list(folder.records().values())
        state = _state(stage, folder, records, planner, contents)
        rejected: Counter[str] = Counter()
        for record in records:
            rejected.update(record.rejected)
        found.append(
            StageStatus(
                stage=stage.name,
                use=stage.use,
                kind=stage.contract.gives.value,
                units=len(records),
                state=state,
                complete=state == "complete",
                offered=sum(record.offered for record in records),
                accepted=sum(record.accepted for record in records),
                rejected=dict(rejected.most_common()),
                rows=sum(max(record.rows, 0) + sum(rows for _, _, rows in record.parts) for record in records),
                disk_bytes=disk_bytes(folder.path),
                seconds=round(sum(record.seconds for record in records), 1),
            )
        )
    return found


def _state(
    stage: StageSpec,
    folder: StageFolder,
    records: list[UnitRecord],
    planner: Planner,
    contents: dict[str, str],
) -> str:
    finished: Mapping[str, str] = folder.finished(stage.contract.commits)
    if not finished:
        return "begun" if folder.path.is_dir() and any(folder.path.iterdir()) else "not begun"
    if not all(folder.intact(record) for record in records) or not contents.keys() >= {*stage.inputs}:
        return "changed"
    try:
        now = planner.basis(stage, [contents[name] for name in stage.inputs]).fingerprint
    except StageError:  # a model that is not here: `plan` says so
        now = finished["fingerprint"]
    if now != finished["fingerprint"]:
        return "changed"
    contents[stage.name] = finished["content"]
    return "complete"


def disk_bytes(folder: Path) -> int:
    """Size of all files below a folder; those that come and go meanwhile count as they are met."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size  # noqa: PTH118  # of many files
            except FileNotFoundError:
                continue
    return total
