"""`<root>/medloom.lock.json`: all unit records folded into one file, small enough to keep under version control.

It says what a root was built from. Runs read the records themselves; the lock is for people, `explain` and diffs.
"""

from __future__ import annotations

from pathlib import Path

from pipelines.records import StageFolder
from pipelines.spec import PipelineSpec
from shards.atomic import write_json

LOCK_NAME = "medloom.lock.json"


def write_lock(spec: PipelineSpec) -> Path:
    """Fold the records of all stages; no clock value enters, so the same data give the same lock."""
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
    path = spec.root / LOCK_NAME
    write_json(path, {"lock_version": 1, "pipeline": spec.name, "stages": stages})
    return path
