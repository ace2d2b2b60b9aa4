"""What the runner does with a build stage, for tests of the pack stage, and as a script that can be killed.

    python build_stage.py ROOT MANIFEST N '{"preset": "square-64"}'

runs PackShards in ROOT/pack and exits without any clean-up before the N-th rename or removal of a file (0: never).
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipelines.options import plain
from pipelines.records import Basis, StageFolder
from shards.manifest import content_hash, read_part
from shards.pack import PackShards
from shards.stage import Context, Kind, Output, Part, Unit


def inputs_of(parts: Sequence[Path]) -> list[Output]:
    """A finished manifest stage with these parts."""
    made = []
    for path in parts:
        rows = read_part(path)
        made.append(Part(id=path.stem, path=path, content=content_hash(rows), rows=rows.height))
    return [Output(stage="source", kind=Kind.MANIFEST, path=parts[0].parent, content="", parts=tuple(made))]


def build(stage: PackShards, root: Path, parts: Sequence[Path], *, forced: bool = False) -> dict[str, Any]:
    """Bring ROOT/pack up to date; returns which units ran, the records of all, and the content hash."""
    folder = StageFolder(root, "pack")
    notes: list[str] = []
    done: set[str] = set()
    (root / "tmp").mkdir(parents=True, exist_ok=True)
    tmp = Path(tempfile.mkdtemp(dir=root / "tmp"))

    def basis(unit: Unit) -> Basis:
        return Basis(
            use="shards.pack:PackShards", version="1", params=plain(stage), key_id="", identity={}, inputs=unit.inputs
        )

    def is_fresh(unit: Unit) -> bool:
        record = None if forced and unit.id not in done else folder.records().get(unit.id)
        if record is None or record.fingerprint != basis(unit).fingerprint or not folder.intact(record):
            return False
        return record.lost <= (unit.settled or 0) or unit.id in done

    context = Context(
        root=root,
        out=folder.path,
        tmp=tmp,
        folder=root,
        is_fresh=is_fresh,
        forced=forced,
        on_progress=lambda done, total, what: notes.append(what) if not total else None,
    )
    units = stage.plan(inputs_of(parts), context)
    ran = [unit for unit in units if not is_fresh(unit)]
    with stage.open(context) as worker:
        for unit in ran:
            folder.write(unit, basis(unit), worker.process(unit), 0.0)
            done.add(unit.id)
    records = folder.records()
    content = stage.commit([folder.part(records[unit.id]) for unit in units], context)
    folder.sweep_units(unit.id for unit in units)
    return {"ran": [unit.id for unit in ran], "records": folder.records(), "content": content, "notes": notes}


def exit_before(event_number: int) -> None:
    """Leave the process at once when it is about to rename or remove its N-th file."""
    seen = 0

    def hook(event: str, _: object) -> None:
        nonlocal seen
        if event in ("os.rename", "os.remove"):
            seen += 1
            if seen == event_number:
                os._exit(9)

    sys.addaudithook(hook)


if __name__ == "__main__":
    target, manifest, number, options = sys.argv[1:]
    stage_ = PackShards(**json.loads(options))
    exit_before(int(number))
    print(build(stage_, Path(target), [Path(manifest)])["content"])
