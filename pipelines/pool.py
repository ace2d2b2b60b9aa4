"""Where tasks are done: in this process (`--serial`), or wherever `ray_pool.py` puts them. One small protocol."""

from __future__ import annotations

import importlib
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any, Protocol

from pipelines.board import MemoryBoard, Note
from pipelines.execute import Executor, Outcome, Task, Work
from pipelines.spec import Resources
from shards.stage import DeadlineExceeded


class Pool(Protocol):
    """Workers of one stage at a time."""

    def open(self, work: Work, resources: Resources, tasks: int) -> None:
        """Make workers for a stage that has `tasks` tasks."""

    def free(self) -> int:
        """How many more tasks may be submitted now."""

    def submit(self, task: Task) -> None:
        """Begin a task."""

    def wait(self, seconds: float) -> list[Outcome]:
        """Outcomes that came within `seconds`, possibly none."""

    def note(self, unit: str) -> Note:
        """What is known of a unit in work."""

    def close(self) -> None:
        """End the workers of this stage."""

    def stop(self) -> None:
        """End everything of this pool, within seconds, whatever the workers do."""


def make_services(services: Mapping[str, str]) -> dict[str, Any]:
    """The objects that a stage's contract declares, made once for a run."""
    made = {}
    for name, use in services.items():
        module, _, class_name = use.partition(":")
        made[name] = getattr(importlib.import_module(module), class_name)()
    return made


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raise DeadlineExceeded in the main thread after `seconds`; elsewhere only the stage's own checks count."""
    if threading.current_thread() is not threading.main_thread() or seconds > 1e7:
        yield
        return

    def ring(signum: int, frame: FrameType | None) -> None:
        raise DeadlineExceeded

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class SerialPool:
    """One worker: this process. Ctrl-C raises where the work is."""

    def __init__(self, listener: Any = None) -> None:
        self.board = MemoryBoard()
        self.listener = listener  # called with (unit, note) on progress, since nobody else can look while work is done
        self.executor: Executor | None = None
        self.outcomes: list[Outcome] = []

    def open(self, work: Work, resources: Resources, tasks: int) -> None:
        self.board = _Told(self.listener) if self.listener else MemoryBoard()
        self.executor = Executor(work, self.board, make_services(work.services))

    def free(self) -> int:
        return 0 if self.outcomes else 1

    def submit(self, task: Task) -> None:
        assert self.executor is not None
        with alarm(task.deadline_s):
            self.outcomes.append(self.executor.run(task))

    def wait(self, seconds: float) -> list[Outcome]:
        done, self.outcomes = self.outcomes, []
        return done

    def note(self, unit: str) -> Note:
        return self.board.read(unit)

    def close(self) -> None:
        if self.executor is not None:
            self.executor.close()
            self.executor = None

    def stop(self) -> None:
        self.close()


class _Told(MemoryBoard):
    """A board that tells a listener of each progress note."""

    def __init__(self, listener: Any) -> None:
        super().__init__()
        self.listener = listener

    def progress(self, unit: str, done: int, total: int, what: str) -> None:
        super().progress(unit, done, total, what)
        self.listener(unit, self.read(unit))
