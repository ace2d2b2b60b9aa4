"""Runs a pipeline again and again, each time failing at another write, fsync, rename or removal, and then unharmed.

    python crash_harness.py FOLDER MODE OVERRIDE FIRST STEP

MODE is `exit` (the process ends there, a write half done) or `error` (EIO). The run under fault has the option
OVERRIDE; the run after it has none, and must leave the same files as a run that was never disturbed. Prints one JSON
object. Each run has a process of its own, forked before any thread is there.
"""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from pipelines.pool import SerialPool
from pipelines.run import RunOptions, run
from pipelines.screen import Screen
from pipelines.spec import load

ALL_DONE, FAILED, SURVIVED, DIED = 0, 1, 2, 9


class Fault:
    """Counts what changes the disk, and fails at one of these."""

    def __init__(self, at: int, mode: str) -> None:
        self.at = at
        self.mode = mode
        self.count = 0

    def __call__(self, before: Callable[[], Any] = lambda: None) -> None:
        self.count += 1
        if self.count == self.at:
            if self.mode == "exit":
                before()
                os._exit(DIED)
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def install(self) -> None:
        for name in ("fsync", "replace", "rename", "unlink", "mkdir", "rmdir"):
            setattr(os, name, self.wrapped(getattr(os, name)))
        opened = io.open

        def open_(file: Any, mode: str = "r", *more: Any, **named: Any) -> Any:
            handle = opened(file, mode, *more, **named)
            return Torn(handle, self) if "w" in mode and "b" in mode else handle

        io.open = open_  # type: ignore[assignment]

    def wrapped(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self()
            return real(*arguments, **named)

        return call


class Torn:
    """A file whose write may be cut in the middle."""

    def __init__(self, handle: Any, fault: Fault) -> None:
        self.handle = handle
        self.fault = fault

    def write(self, data: Any) -> int:
        def half() -> None:
            self.handle.write(data[: len(data) // 2])
            self.handle.flush()

        self.fault(half)
        return int(self.handle.write(data))

    def __enter__(self) -> Torn:
        return self

    def __exit__(self, *error: object) -> None:
        self.handle.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.handle, name)


def forked(work: Callable[[], int]) -> int:
    """Exit code of `work` in a process of its own."""
    pid = os.fork()
    if pid == 0:
        try:
            code = work()
        except OSError:
            code = FAILED
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def go(folder: Path, overrides: tuple[str, ...], fault: Fault | None) -> int:
    if fault:
        fault.install()
    report = run(load(folder / "pipelines.yaml", "toy", overrides), RunOptions(), SerialPool, Screen(quiet=True))
    if report.failed:
        return FAILED
    return SURVIVED if fault and fault.count >= fault.at else ALL_DONE


def snapshot(root: Path) -> dict[str, Any]:
    """All files that a run leaves, but for what says when it was done or what failed on the way."""
    found: dict[str, Any] = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_file() and not name.startswith((".", "errors", "file_hashes")) and "checkpoints" not in name:
            found[name] = path.read_bytes()
            if "/units/" in name:
                found[name] = {**json.loads(found[name]), "seconds": 0, "seal": ""}
    return found


def main() -> None:
    folder, mode, override, first, step = (
        Path(sys.argv[1]),
        sys.argv[2],
        sys.argv[3],
        int(sys.argv[4]),
        int(sys.argv[5]),
    )
    root, template = folder / "out", folder / "template"
    if root.exists():
        shutil.copytree(root, template)
    assert forked(lambda: go(folder, (), None)) == ALL_DONE
    wanted = snapshot(root)
    bad, at = [], first
    while True:
        shutil.rmtree(root)
        if template.exists():
            shutil.copytree(template, root)
        end = forked(partial(go, folder, (override,) if override else (), Fault(at, mode)))
        if end == ALL_DONE:
            break
        again = forked(lambda: go(folder, (), None))
        found = snapshot(root)
        if again != ALL_DONE or found != wanted:
            differ = sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))
            bad.append({"at": at, "first": end, "again": again, "differ": differ})
        at += step
    sys.stdout.write(json.dumps({"tried": len(range(first, at, step)), "events": at, "bad": bad}) + "\n")


if __name__ == "__main__":
    main()
