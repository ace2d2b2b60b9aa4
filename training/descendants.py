"""All processes below one, however many sessions they have made.

`torchrun` gives each worker a session of its own, so no process group holds them all; and once it has ended, nothing
says any more whose they were. So they are looked up in /proc while it lives. Where there is no /proc, none are found.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class Found:
    """A process. Its start, in ticks since boot, tells it from a later one of the same number."""

    number: int
    started: int


def descendants(number: int) -> set[Found]:
    """The children of a process, their children, and so on."""
    children: dict[int, list[Found]] = {}
    for folder in PROC.glob("[0-9]*"):
        if stat := _stat(int(folder.name)):
            parent, started = stat
            children.setdefault(parent, []).append(Found(int(folder.name), started))
    found: set[Found] = set()
    ahead = [number]
    while ahead:
        below = children.get(ahead.pop(), [])
        found.update(below)
        ahead += [each.number for each in below]
    return found


def kill(processes: Iterable[Found]) -> None:
    """End those that still run."""
    for each in processes:
        stat = _stat(each.number)
        if stat and stat[1] == each.started:
            with suppress(ProcessLookupError):
                os.kill(each.number, signal.SIGKILL)


def _stat(number: int) -> tuple[int, int] | None:
    """Parent and start of a process (proc(5), fields 4 and 22); None where it is gone."""
    try:
        fields = (PROC / str(number) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(fields[1]), int(fields[19])
