"""One run at a time on a root: advisory locks that the kernel drops when their process dies.

A whole run holds the lock alone; slices (`--units I/N`) share it, and each slice holds its own. Workers of a killed
run may live a little longer; they hold `.workers`, and a new run waits for them before it sweeps their leftovers.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

WORKERS_WAIT_S = 130.0


class RootBusyError(ValueError):
    """Another run works on this root."""


def _try(path: Path, how: int, stack: ExitStack) -> IO[str] | None:
    handle = stack.enter_context(path.open("a+"))
    try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    return handle


@contextmanager
def run_lock(root: Path, part: tuple[int, int] | None, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the root for a run, or for slice (i, n) of one; RootBusyError says who holds it."""
    with ExitStack() as stack:
        how = fcntl.LOCK_EX if part is None else fcntl.LOCK_SH
        handle = _try(root / ".run", how, stack)
        if handle is None:
            holder = (root / ".run").read_text().strip() or "unknown"
            raise RootBusyError(f"another run (process {holder}) works on {root}; wait for it or stop it")
        if part is None:
            handle.truncate(0)
            handle.write(str(os.getpid()))
            handle.flush()
            _wait_for_workers(root, stack, say)
        elif _try(root / f".run-{part[0]}-of-{part[1]}", fcntl.LOCK_EX, stack) is None:
            raise RootBusyError(f"slice {part[0]}/{part[1]} of {root} is already running")
        yield


def _wait_for_workers(root: Path, stack: ExitStack, say: Callable[[str], None]) -> None:
    until = time.monotonic() + WORKERS_WAIT_S
    told = False
    while True:
        with (root / ".workers").open("a") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                pass
        if time.monotonic() > until:
            raise RootBusyError(f"workers of a killed run still hold {root / '.workers'}; end them and run again")
        if not told:
            say("waiting for the workers of a killed run to end")
            told = True
        time.sleep(0.2)


@contextmanager
def stage_lock(root: Path, stage: str) -> Iterator[bool]:
    """Among slices, the right to finish one stage; False when another slice has it."""
    with ExitStack() as stack:
        yield _try(root / f".stage-{stage}", fcntl.LOCK_EX, stack) is not None
