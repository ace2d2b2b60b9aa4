"""No process of ours outlives us: whatever this process started, also through others that died, is found and ended.

An orphan is handed to process 1 and its origin is forgotten, unless an ancestor has asked for it (prctl(2),
PR_SET_CHILD_SUBREAPER, Linux 3.4). Where there is no /proc, nothing is known and nothing is ended.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
END_S = 2.0


def adopt_orphans() -> None:
    """From now on the orphans among our descendants become our children."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants() -> set[int]:
    """Process ids of our children, theirs, and so on."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            _, _, rest = path.read_text(errors="replace").rpartition(")")  # a program's name may hold anything
            children.setdefault(int(rest.split()[1]), []).append(int(path.parent.name))
    found: set[int] = set()
    stack = [os.getpid()]
    while stack:
        new = [pid for pid in children.get(stack.pop(), ()) if pid not in found]
        found.update(new)
        stack += new
    return found


def end(spare: Iterable[int]) -> None:
    """Kill all descendants but `spare`, and wait up to END_S seconds until they are gone."""
    spared = set(spare)
    until = time.monotonic() + END_S
    while (left := descendants() - spared) and time.monotonic() < until:
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(0.01)
