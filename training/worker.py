"""One process of a distributed training stage: `medloom train-worker <spec>` under `torchrun`."""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from shards.atomic import write_json
from shards.stage import Cancelled, Context, Kind, Output
from training.launch import error_file, stop_signals
from training.world import join_world


def main(spec_path: Path) -> None:
    """Do this rank's share of what the spec says; returns when the stage is done or was asked to stop."""
    spec = json.loads(Path(spec_path).read_bytes())
    root, out, tmp, folder = (Path(spec["context"][name]) for name in ("root", "out", "tmp", "folder"))
    context = Context(root=root, out=out, tmp=tmp, folder=folder)
    sys.path.append(str(context.folder))  # a custom stage lies beside the pipelines file; never before our packages
    stage = _stage(spec["stage"], spec["fields"])
    inputs = [
        Output(stage=each["stage"], kind=Kind(each["kind"]), path=Path(each["path"]), content=each["content"])
        for each in spec["inputs"]
    ]
    with stop_signals() as signalled, join_world() as world:
        try:
            stage.work(inputs, context, world, lambda: signalled() or not _alive(spec["launcher"]))
        except Cancelled:
            return
        except (ValueError, OSError) as error:  # for a person, whom only the process that launched this one can tell
            write_json(error_file(tmp, world.rank), {"error": str(error)})
            raise


def _stage(use: str, fields: dict[str, Any]) -> Any:
    module, _, name = use.partition(":")
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
    return getattr(importlib.import_module(module), name)(**values)


def _alive(process: int) -> bool:
    """Is the process that started the run still there, and not a dead one whose parent has not looked yet?"""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    stat = Path(f"/proc/{process}/stat")
    return not stat.is_file() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
