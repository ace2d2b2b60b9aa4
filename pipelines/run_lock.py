"""One run at a time on a root: advisory locks that the kernel drops when their process dies.

A whole run holds the lock alone; slices (`--units I/N`) share it, and each slice holds its own. Workers of a killed
run may live a little longer; they hold `.workers`, and a new run waits for them before it sweeps their leftovers.
Who finds the root without any other run cleans it up; where slices run, only the first of them does.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from pipelines.root import RUN_LOCK

WORKERS_WAIT_S = 130.0


class RootBusyError(ValueError):
    """Another run works on this root."""


@contextmanager
def run_lock(
    root: Path, part: tuple[int, int] | None, say: Callable[[str], None], clean: Callable[[], None]
) -> Iterator[None]:
    """Hold the root for a run, or for slice (i, n) of one; RootBusyError says who holds it.

    `clean` is called while nobody else works on the root.
    """
    who = f"process {os.getpid()}" if part is None else f"slices of {part[1]}"
    with ExitStack() as stack:
        handle = stack.enter_context((root / RUN_LOCK).open("a+"))
        if _got(handle, fcntl.LOCK_EX):
            handle.truncate(0)
            handle.write(who)
            handle.flush()
            if not workers_gone(root, 0.0):
                say("waiting for the workers of a killed run to end")
                if not workers_gone(root, WORKERS_WAIT_S):
                    raise RootBusyError(f"workers of a killed run still work on {root}; end them and run again")
            clean()
        elif part is None:
            raise RootBusyError(f"another run ({_holder(root)}) works on {root}; wait for it or stop it")
        if part is not None:
            _share(root, handle, who)
            own = stack.enter_context((root / f".run-{part[0] + 1}-of-{part[1]}").open("a"))
            if not _got(own, fcntl.LOCK_EX):
                raise RootBusyError(f"slice {part[0] + 1}/{part[1]} of {root} is already running")
        yield


def _got(handle: IO[str], how: int) -> bool:
    try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(root: Path) -> str:
    return (root / RUN_LOCK).read_text().strip() or "unknown"


def _share(root: Path, handle: IO[str], who: str) -> None:
    """Share the root with slices of the same number; the first of them may still be cleaning up."""
    refusals = 0
    while not _got(handle, fcntl.LOCK_SH):
        # The name of the holder is written just after its lock is taken, so an old name is given a second to change.
        refusals += not _holder(root).startswith("slices")
        if refusals > 10:
            raise RootBusyError(f"another run ({_holder(root)}) works on {root}; wait for it or stop it")
        time.sleep(0.1)
    if _holder(root) != who:
        raise RootBusyError(f"{_holder(root)} work on {root}, and this is one of {who}; wait for them")


def workers_gone(root: Path, patience_s: float) -> bool:
    """Whether no worker holds the root, now or within `patience_s`."""
    until = time.monotonic() + patience_s
    while True:
        with (root / ".workers").open("a+") as handle:
            if _got(handle, fcntl.LOCK_EX):
                return True
        if time.monotonic() > until:
            return False
        time.sleep(0.1)


@contextmanager
def stage_lock(root: Path, stage: str, *, wait: bool) -> Iterator[bool]:
    """Among slices, the right to plan a build and to finish a stage.

    Who plans after it got the lock sees all that the others did before they asked for it, so the last one to ask
    finishes the stage. False where it is not waited for and another slice has it.
    """
    with (root / f".stage-{stage}").open("a+") as handle:
        if wait:
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield wait or _got(handle, fcntl.LOCK_EX)


class Busy:
    """Among slices, a sign that this one may still finish what others wait for."""

    def __init__(self, root: Path) -> None:
        self.handle = (root / ".busy").open("a+")
        self.start()

    def start(self) -> None:
        """From now on others may wait for this slice."""
        fcntl.flock(self.handle, fcntl.LOCK_SH)

    def stop(self) -> None:
        """Nobody needs to wait for this slice any more."""
        fcntl.flock(self.handle, fcntl.LOCK_UN)

    def others(self) -> bool:
        """Whether any other slice is busy; asked by one that is not."""
        if _got(self.handle, fcntl.LOCK_EX):
            self.stop()
            return False
        return True

    def close(self) -> None:
        """Let go of the file."""
        self.handle.close()
