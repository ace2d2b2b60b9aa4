"""Items at which this process died: nobody watches a serial run or a slice but the run after it.

The item in work stands in a small file. A run that finds such a file of a dead process counts a death of that item:
after the first it is tried again, since a person or the machine may have ended the process; after a second one in a row
it is left out as `worker_died`, until its unit changes or is forced. Workers on Ray are watched by the runner itself.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.board import FileBoard
from shards.atomic import write_json

FOLDER = ".deaths"  # below the root
DEATHS_TO_BLAME = 2


def notes_here(notes: Path) -> Path:
    """Where this process leaves its notes, apart from those of workers that somebody watches."""
    return notes / ".here"


class Deaths:
    """Counts by stage, unit and item in `<root>/.deaths/<stage>/<unit>.json`; one process at a time has a unit."""

    def __init__(self, root: Path) -> None:
        self.folder = root / FOLDER

    def collect(self, notes: Path) -> list[tuple[str, str]]:
        """Count what a dead process left below `notes` and remove it; stages and units in which it died."""
        found = []
        for path in sorted(notes_here(notes).glob("*/*.item")):
            stage, unit = path.parent.name, path.stem
            item = FileBoard(path.parent).read(unit).item
            if item:
                state = self._read(stage, unit)
                counts: dict[str, int] = state.setdefault("items", {})
                # a run that ended here got past what was only suspected
                state["items"] = {**_blamed(counts), item: counts.get(item, 0) + 1}
                write_json(self._path(stage, unit), state)
                found.append((stage, unit))
        shutil.rmtree(notes_here(notes), ignore_errors=True)
        return found

    def blamed(self, stage: str, unit: str, fingerprint: str) -> list[str]:
        """Items of a unit that ended the process too often; of a unit that changed since, none."""
        state = self._read(stage, unit)
        if not state or state.get("fingerprint", fingerprint) != fingerprint:
            return []
        return [*_blamed(state["items"])]

    def begun(self, stage: str, unit: str, fingerprint: str) -> None:
        """The unit is about to be done as what it is now: what was counted for another is forgotten."""
        state = self._read(stage, unit)
        if state and state.get("fingerprint", fingerprint) != fingerprint:
            self.forget(stage, unit)
        elif state:
            write_json(self._path(stage, unit), {**state, "fingerprint": fingerprint})

    def done(self, stage: str, unit: str) -> None:
        """The unit was done: what was blamed stays so, the rest is forgotten."""
        state = self._read(stage, unit)
        blamed = _blamed(state.get("items", {}))
        if state and not blamed:
            self.forget(stage, unit)
        elif state:
            write_json(self._path(stage, unit), {**state, "items": blamed})

    def forget(self, stage: str, unit: str) -> None:
        """Blame nothing of a unit any more."""
        self._path(stage, unit).unlink(missing_ok=True)
        for folder in (self.folder / stage, self.folder):
            with contextlib.suppress(OSError):  # not empty, or never made
                folder.rmdir()

    def _path(self, stage: str, unit: str) -> Path:
        return self.folder / stage / f"{unit}.json"

    def _read(self, stage: str, unit: str) -> dict[str, Any]:
        try:
            state = json.loads(self._path(stage, unit).read_bytes())
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) and isinstance(state.get("items"), dict) else {}


def _blamed(counts: Mapping[str, int]) -> dict[str, int]:
    return {item: count for item, count in counts.items() if count >= DEATHS_TO_BLAME}
