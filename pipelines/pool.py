"""Where tasks are done: in this process (`--serial`), or wherever `ray_pool.py` puts them. One small protocol."""

from __future__ import annotations

import faulthandler
import importlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from pipelines.board import FileBoard, Listener, MemoryBoard, Note
from pipelines.deaths import notes_here
from pipelines.execute import Ending, Executor, Outcome, Task, Work
from pipelines.spec import Resources
from shards.stage import DeadlineExceeded


class Pool(Protocol):
    """Workers of one stage at a time."""

    def gpus(self) -> float:
        """How many GPUs there are."""

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


HANG_S = 5.0  # past its deadline, until a unit in this process counts as hung for good
RAY_SETTINGS = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # the raylet's lines on stdout; what a worker died of stands in a reject or error
    "RAY_DISABLE_FAILURE_SIGNAL_HANDLER": "1",  # it prints a stack on SIGTERM
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}


def ray_pool(address: str | None, workers: int | None) -> Pool:
    """Workers on local Ray, or on the cluster at `address`; ValueError where Ray is not installed."""
    os.environ.update(RAY_SETTINGS)  # Ray reads them when it is imported
    try:
        from pipelines.ray_pool import RayPool
    except ModuleNotFoundError as error:
        raise ValueError("Ray is not installed; run with --serial, or `pip install 'medloom[ray]'`") from error
    return RayPool(address, workers)


def make_service(use: str) -> Any:
    """The object of a `module:Class` that a stage's contract declares as a service."""
    module, _, class_name = use.partition(":")
    return getattr(importlib.import_module(module), class_name)()


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raise DeadlineExceeded in the main thread after `seconds`; elsewhere only the stage's own checks count."""
    if threading.current_thread() is not threading.main_thread() or seconds > 1e7:
        yield
        return

    def ring(signum: int, frame: FrameType | None) -> None:
        raise DeadlineExceeded

    # Code outside Python that does not come back cannot be interrupted: then the process says where it is and ends.
    faulthandler.dump_traceback_later(seconds + HANG_S, exit=True, file=2)
    before = signal.signal(signal.SIGALRM, ring)
    begun = time.monotonic()
    others_s, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        rest_s = max(others_s - (time.monotonic() - begun), 0.001) if others_s else 0.0
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, rest_s)


def gpus_here() -> float:
    """How many GPUs this process may use."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return float(len([name for name in visible.split(",") if name.strip() not in ("", "-1")]))
    return float(len(list(Path("/dev").glob("nvidia[0-9]*"))))


class SerialPool:
    """One worker: this process. Ctrl-C raises where the work is."""

    def __init__(self, listener: Listener | None = None) -> None:
        self.board: MemoryBoard | None = None
        self.listener = listener
        self.executor: Executor | None = None
        self.outcomes: list[Outcome] = []
        self.services: dict[tuple[str, str], Any] = {}  # by name and class; they live as long as the run

    def gpus(self) -> float:
        return gpus_here()

    def open(self, work: Work, resources: Resources, tasks: int) -> None:
        files = FileBoard(notes_here(work.notes) / work.name)
        files.open()
        self.board = MemoryBoard(files, self.listener)
        for name, use in work.services.items():
            if (name, use) not in self.services:
                self.services[name, use] = make_service(use)
        services = {name: self.services[name, use] for name, use in work.services.items()}
        self.executor = Executor(work, self.board, services)

    def free(self) -> int:
        return 0 if self.outcomes else 1

    def submit(self, task: Task) -> None:
        assert self.executor is not None
        try:
            with alarm(task.deadline_s):
                self.outcomes.append(self.executor.run(task))
        except DeadlineExceeded:  # it rang after the stage's own code had ended
            self.outcomes.append(Outcome(task=task, ending=Ending.DEADLINE))

    def wait(self, seconds: float) -> list[Outcome]:
        done, self.outcomes = self.outcomes, []
        return done

    def note(self, unit: str) -> Note:
        assert self.board is not None
        return self.board.read(unit)

    def close(self) -> None:
        if self.executor is not None:
            self.executor.close()
            self.executor = None
        if self.board is not None:
            self.board.close()

    def stop(self) -> None:
        self.close()
