"""`<root>/medloom.lock.json`: all unit records folded into one file, small enough to keep under version control.

It says what a root was built from. Runs read the records themselves; the lock is for people, `explain` and diffs.
"""

from __future__ import annotations

import fcntl
from typing import Any

from pipelines.records import StageFolder
from pipelines.spec import PipelineSpec
from shards.atomic import json_bytes, write_json

LOCK_NAME = "medloom.lock.json"


def write_lock(spec: PipelineSpec) -> None:
    """Fold the records of all stages; no clock value enters, so the same data give the same lock.

    Slices fold one after another, so the last one to end has seen what all of them did.
    """
    with (spec.root / ".folding").open("a") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        path = spec.root / LOCK_NAME
        value = {"lock_version": 1, "pipeline": spec.name, "stages": _folded(spec)}
        if not (path.is_file() and path.read_bytes() == json_bytes(value)):
            write_json(path, value)


def _folded(spec: PipelineSpec) -> dict[str, Any]:
    stages = {}
    for stage in spec.stages:
        folder = StageFolder(spec.root, stage.name)
        records = folder.records()
        finished = folder.finished()
        stages[stage.name] = {
            "use": stage.use,
            "kind": stage.contract.gives.value,
            "content": finished.get("content", ""),
            "complete": bool(finished),
            "units": {
                record.unit: {
                    "fingerprint": record.fingerprint,
                    "content": record.content,
                    "offered": record.offered,
                    "accepted": record.accepted,
                    "rejected": dict(record.rejected),
                }
                for record in records.values()
            },
        }
    return stages
