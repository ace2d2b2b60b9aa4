"""The only file that knows Ray: local or on a cluster, one actor a worker, one task a unit.

Pixels never pass through the object store; a task and its record are small. A worker that dies or hangs is replaced,
and the note it left names the item it was at. Workers hold a shared lock on `<root>/.workers`, so a new run can wait
for those of a run that was killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import math
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError

from pipelines.board import FileBoard, Note
from pipelines.execute import WORK_FOLDER, Ending, Executor, Outcome, Task, Work
from pipelines.house import check_house
from pipelines.pool import make_services
from pipelines.spec import Resources

OBJECT_STORE_BYTES = 100 * 2**20  # records and tasks only; Ray's default takes a third of the memory
GRACE_S = 4.0  # between the wish to stop and the end of a worker
ATTACH_S = 60.0


class _Remote:
    """A service hosted in a named actor, called like the object itself."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: ray.get(self._actor.call.remote(name, args, kwargs))


class _ServiceHost:
    """The actor that holds one service."""

    def __init__(self, name: str, use: str) -> None:
        self.service = make_services({name: use})[name]

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return getattr(self.service, name)(*args, **kwargs)


class _Worker:
    """The actor that holds an open stage."""

    def __init__(self, work: Work, services: dict[str, Any], lock: str) -> None:
        check_house()
        self.lock = Path(lock).open("a")  # noqa: SIM115  # held for the life of this process
        fcntl.flock(self.lock, fcntl.LOCK_SH)
        remote = {name: _Remote(actor) for name, actor in services.items()}
        self.executor = Executor(work, FileBoard(work.root / WORK_FOLDER / work.name), remote)

    def run(self, task: Task) -> Outcome:
        return self.executor.run(task)

    def close(self) -> None:
        self.executor.close()


class RayPool:
    """Actors for one stage at a time, of a fixed number."""

    def __init__(self, address: str | None, workers: int | None) -> None:
        self.address = address
        self.limit = workers
        self.started = False
        self.idle: list[Any] = []
        self.running: dict[Any, tuple[Task, Any, float]] = {}  # object ref -> task, actor, time of its deadline
        self.services: dict[str, Any] = {}
        self.board = FileBoard(Path())
        self.options: dict[str, Any] = {}
        self.work: Work | None = None
        self.size = 0

    def start(self) -> None:
        """Start local Ray, or join the cluster at `address`."""
        if self.started:
            return
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        os.environ.setdefault("RAY_DISABLE_IMPORT_WARNING", "1")
        # Ray puts the current folder at the front of every worker's path; a user's own `training/` there would
        # be taken for ours, so Ray is started from an empty folder.
        before = Path.cwd()
        with tempfile.TemporaryDirectory() as empty:
            os.chdir(empty)
            try:
                if self.address:
                    ray.init(address=self.address, logging_level=logging.ERROR, log_to_driver=False)
                else:
                    ray.init(
                        address="local",
                        include_dashboard=False,
                        object_store_memory=OBJECT_STORE_BYTES,
                        num_cpus=max(self.limit or 0, os.cpu_count() or 1),
                        logging_level=logging.ERROR,
                        log_to_driver=False,
                    )
            finally:
                os.chdir(before)
        self.started = True

    def open(self, work: Work, resources: Resources, tasks: int) -> None:
        self.start()
        self.work = work
        self.board = FileBoard(work.root / WORK_FOLDER / work.name)
        self.board.open()
        total = ray.cluster_resources()
        cpus, gpus = min(resources.cpus, total.get("CPU", 1)), resources.gpus
        if gpus > total.get("GPU", 0):
            if resources.required:
                message = f"stage `{work.name}` requires {gpus:g} GPUs and the cluster has {total.get('GPU', 0):g}"
                raise ValueError(f"{message}; join a larger one with --address, or drop `required`")
            gpus = 0.0
        fit = total.get("CPU", 1) / cpus
        if gpus:
            fit = min(fit, total["GPU"] / gpus)
        self.size = max(1, min(math.floor(fit), tasks, resources.workers or tasks, self.limit or tasks))
        self.services = {
            name: ray.remote(_ServiceHost).options(num_cpus=0).remote(name, use) for name, use in work.services.items()
        }
        self.options = {"num_cpus": cpus, "num_gpus": gpus, "max_restarts": 0}
        self.idle = [self._actor() for _ in range(self.size)]

    def _actor(self) -> Any:
        assert self.work is not None
        lock = str(self.work.root / ".workers")
        return ray.remote(_Worker).options(**self.options).remote(self.work, self.services, lock)

    def free(self) -> int:
        return len(self.idle)

    def submit(self, task: Task) -> None:
        actor = self.idle.pop()
        self.running[actor.run.remote(task)] = (task, actor, time.monotonic() + task.deadline_s + GRACE_S)

    def wait(self, seconds: float) -> list[Outcome]:
        if not self.running:
            return []
        ready, _ = ray.wait(list(self.running), num_returns=1, timeout=seconds)
        outcomes = []
        for reference in ready:
            task, actor, _ = self.running.pop(reference)
            try:
                outcome: Outcome = ray.get(reference)
                self.idle.append(actor)
            except RayActorError:
                outcome = Outcome(task=task, ending=Ending.DIED, error="the worker process died")
                self.idle.append(self._actor())
            except RayError as error:
                outcome = Outcome(task=task, ending=Ending.ERROR, error=type(error).__name__, trace=str(error))
                self.idle.append(actor)
            outcomes.append(outcome)
        return outcomes + self._overdue()

    def _overdue(self) -> list[Outcome]:
        now = time.monotonic()
        outcomes = []
        for reference, (task, actor, deadline) in list(self.running.items()):
            if now > deadline:
                ray.kill(actor)
                del self.running[reference]
                self.idle.append(self._actor())
                outcomes.append(Outcome(task=task, ending=Ending.DEADLINE))
        return outcomes

    def note(self, unit: str) -> Note:
        return self.board.read(unit)

    def close(self) -> None:
        if self.work is None:
            return
        with contextlib.suppress(RayError):
            ray.get([actor.close.remote() for actor in self.idle], timeout=GRACE_S * 5)
        for actor in [*self.idle, *self.services.values()]:
            ray.kill(actor)
        self.idle, self.services, self.work = [], {}, None
        self.board.close()

    def stop(self) -> None:
        if not self.started:
            return
        self.board.cancel()
        if self.running:
            with contextlib.suppress(RayError):
                ray.wait(list(self.running), num_returns=len(self.running), timeout=GRACE_S)
        for _, actor, _ in self.running.values():
            ray.kill(actor)
        for actor in [*self.idle, *self.services.values()]:
            ray.kill(actor)
        self.running.clear()
        ray.shutdown()
        self.board.close()
        self.started = False
