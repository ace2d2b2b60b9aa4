"""The six top-level packages must be ours: their names are common, and a user's folder may hold its own `training/`.

The folder of the pipelines file is appended to `sys.path`, never inserted, so a user's packages of the same names
can never be taken for ours, while a custom stage in that folder is found.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

PACKAGES = ("shards", "ingest", "captioning", "training", "eval", "pipelines")


def check_house() -> Path:
    """The folder that holds all six packages; SystemExit(2) where another package took one of the names."""
    here = Path(__file__).resolve().parent.parent
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        found = Path(spec.origin).resolve().parent.parent if spec and spec.origin else None
        if found != here:
            message = (
                f"medloom: the package `{name}` comes from {found}, not from {here}; take that folder off PYTHONPATH"
            )
            print(message, file=sys.stderr)  # noqa: T201  # before any logging or console exists
            raise SystemExit(2)
    return here


def see_folder(folder: Path) -> None:
    """Make modules beside the pipelines file importable, behind everything else."""
    text = str(folder)
    if text not in sys.path:
        sys.path.append(text)
