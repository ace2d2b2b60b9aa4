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
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from pipelines import reaper
from pipelines.board import FileBoard, Note
from pipelines.execute import Ending, Executor, Outcome, Task, Work
from pipelines.failure import TRACE
from pipelines.house import check_house, see_folder
from pipelines.interrupt import kept
from pipelines.pool import make_service
from pipelines.spec import Resources
from shards.stage import ServiceLost

OBJECT_STORE_BYTES = 100 * 2**20  # records and tasks only; Ray's default takes a third of the memory
GRACE_S = 4.0  # between the wish to stop and the end of a worker
START_S = 300.0  # for the first worker of a stage; a cluster may have to bring up a machine
STARTS = 3  # failed in a row
SERVICE_S = 60.0


def cpus_here() -> int:
    """Cores that this process may use; a batch system may have given it a few of the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Remote:
    """A service hosted in a named actor, called like the object itself."""

    def __init__(self, name: str, actor: Any) -> None:
        self._name = name
        self._actor = actor

    def __getattr__(self, method: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return ray.get(self._actor.call.remote(method, args, kwargs), timeout=SERVICE_S)
            except RayTaskError:  # raised by the service itself, which lives
                raise
            except RayError as error:
                raise ServiceLost(f"the service `{self._name}` died or gave no answer in {SERVICE_S:g} s") from error

        return call


class _ServiceHost:
    """The actor that holds one service."""

    def __init__(self, use: str, folder: Path) -> None:
        see_folder(folder)
        self.service = make_service(use)

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return getattr(self.service, name)(*args, **kwargs)


class _Worker:
    """The actor that holds an open stage."""

    def __init__(self, work: Work, services: dict[str, Any], lock: str) -> None:
        check_house()
        os.chdir(work.root)  # the folder that Ray was started from is gone, and MKL ends a process without one
        self.lock = Path(lock).open("a+")  # noqa: SIM115  # for the life of this process; NFS shares what can be read
        fcntl.flock(self.lock, fcntl.LOCK_SH)
        remote = {name: _Remote(name, actor) for name, actor in services.items()}
        self.executor = Executor(work, FileBoard(work.notes / work.name), remote)

    def ready(self) -> None:
        """Answers once the stage is there."""

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
        self.before: set[int] = set()  # processes that were there before Ray
        self.session: str | None = None  # folder of logs and sockets of a local Ray; it does not remove it itself
        self.starting: dict[Any, Any] = {}  # object ref -> actor that is not ready yet
        self.idle: list[Any] = []
        self.running: dict[Any, tuple[Task, Any, float]] = {}  # object ref -> task, actor, time of its deadline
        self.services: dict[tuple[str, str], Any] = {}  # by name and class; they live as long as the run
        self.board: FileBoard | None = None
        self.options: dict[str, Any] = {}
        self.work: Work | None = None
        self.failures = 0  # of workers to start, in a row
        self.since = 0.0  # when there was a worker last

    def start(self) -> None:
        """Start local Ray, or join the cluster at `address`."""
        if self.started:
            return
        self.started = True
        self.before = reaper.descendants()
        reaper.adopt_orphans()
        # Ray puts the current folder at the front of every worker's path; a user's own `training/` there would
        # be taken for ours, so Ray is started from an empty folder.
        before = Path.cwd()
        quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
        with tempfile.TemporaryDirectory() as empty, kept():
            os.chdir(empty)
            try:
                if self.address:
                    self._join(self.address, quiet)
                else:
                    found = ray.init(
                        address="local",
                        include_dashboard=False,
                        object_store_memory=OBJECT_STORE_BYTES,
                        num_cpus=max(self.limit or 0, cpus_here()),
                        **quiet,
                    )
                    self.session = found.address_info["session_dir"]
            finally:
                os.chdir(before)

    def _join(self, address: str, quiet: Mapping[str, Any]) -> None:
        try:
            ray.init(address=address, **quiet)
        except ConnectionError as error:
            raise ValueError(
                f"no Ray cluster answers at {address}: start one with `ray start --head`, which names its address, or "
                "leave out --address"
            ) from error

    def gpus(self) -> float:
        self.start()
        return float(ray.cluster_resources().get("GPU", 0))

    def open(self, work: Work, resources: Resources, tasks: int) -> None:
        self.start()
        self.work = work
        self.board = FileBoard(work.notes / work.name)
        self.board.open()
        total = ray.cluster_resources()
        cpus, gpus = min(resources.cpus, total.get("CPU", 1)), resources.gpus
        if gpus > total.get("GPU", 0):  # a preference: `required` was checked before any work
            gpus = 0.0
        fit = total.get("CPU", 1) / cpus
        if gpus:
            fit = min(fit, total["GPU"] / gpus)
        size = max(1, min(math.floor(fit), tasks, resources.workers or tasks, self.limit or tasks))
        for name, use in work.services.items():
            if (name, use) not in self.services:
                host = ray.remote(_ServiceHost).options(num_cpus=0)
                self.services[name, use] = host.remote(use, work.folder)
        self.options = {"num_cpus": cpus, "num_gpus": gpus, "max_restarts": 0}
        self.failures, self.since = 0, time.monotonic()
        for _ in range(size):
            self._begin()

    def _begin(self) -> None:
        """Begin a worker; it gets tasks once it is ready, so that their deadlines do not count its start."""
        assert self.work is not None
        services = {name: self.services[name, use] for name, use in self.work.services.items()}
        lock = str(self.work.root / ".workers")
        actor = ray.remote(_Worker).options(**self.options).remote(self.work, services, lock)
        self.starting[actor.ready.remote()] = actor

    def _welcome(self, reference: Any) -> None:
        actor = self.starting.pop(reference)
        try:
            ray.get(reference)
        except RayError as error:
            self.failures += 1
            if self.failures < STARTS:
                self._begin()
            elif not (self.idle or self.running or self.starting):
                assert self.work is not None
                *_, reason = str(error).strip().splitlines()
                raise ValueError(f"no worker of stage `{self.work.name}` could be started: {reason}") from error
        else:
            self.failures = 0
            self.idle.append(actor)

    def free(self) -> int:
        return len(self.idle)

    def submit(self, task: Task) -> None:
        actor = self.idle.pop()
        self.running[actor.run.remote(task)] = (task, actor, time.monotonic() + task.deadline_s + GRACE_S)

    def wait(self, seconds: float) -> list[Outcome]:
        ready, _ = ray.wait([*self.running, *self.starting], num_returns=1, timeout=seconds)
        outcomes = []
        for reference in ready:
            if reference in self.starting:
                self._welcome(reference)
            else:
                outcomes.append(self._outcome(reference))
        now = time.monotonic()
        if self.idle or self.running:
            self.since = now
        elif now - self.since > START_S:
            assert self.work is not None
            raise ValueError(f"no worker of stage `{self.work.name}` could be placed in {START_S:g} s; is there room?")
        return outcomes + self._overdue(now)

    def _outcome(self, reference: Any) -> Outcome:
        task, actor, _ = self.running.pop(reference)
        try:
            outcome: Outcome = ray.get(reference)
        except RayTaskError as error:  # raised by the worker, which lives
            outcome = Outcome(task=task, ending=Ending.ERROR, error=type(error).__name__, trace=str(error))
        except RayError:  # whatever else there is: memory ran out, the node is lost; the worker is not to be used again
            ray.kill(actor)
            self._begin()
            return Outcome(task=task, ending=Ending.DIED)
        self.idle.append(actor)
        return outcome

    def _overdue(self, now: float) -> list[Outcome]:
        outcomes = []
        for reference, (task, actor, deadline) in list(self.running.items()):
            if now > deadline:
                ray.kill(actor)
                del self.running[reference]
                self._begin()
                outcomes.append(Outcome(task=task, ending=Ending.DEADLINE))
        return outcomes

    def note(self, unit: str) -> Note:
        assert self.board is not None
        return self.board.read(unit)

    def close(self) -> None:
        if self.board is None:
            return
        with contextlib.suppress(RayError):
            ray.get([actor.close.remote() for actor in self.idle], timeout=GRACE_S * 5)
        for actor in [*self.idle, *self.starting.values()]:
            ray.kill(actor)
        self.idle, self.starting, self.work = [], {}, None
        self.board.close()

    def stop(self) -> None:
        if not self.started:
            return
        if ray.is_initialized():
            self._stop_workers()
            ray.shutdown()
        if not self.address:
            reaper.end(self.before)
        if self.session is not None and not os.environ.get(TRACE):  # decoders write to its logs, whatever they read
            shutil.rmtree(self.session, ignore_errors=True)
        if self.board is not None:
            self.board.close()
        self.started = False

    def _stop_workers(self) -> None:
        if self.board is not None:
            self.board.cancel()
        if self.running:
            with contextlib.suppress(RayError):
                ray.wait(list(self.running), num_returns=len(self.running), timeout=GRACE_S)
        busy = [actor for _, actor, _ in self.running.values()]
        for actor in [*busy, *self.idle, *self.starting.values(), *self.services.values()]:
            ray.kill(actor)
        self.idle, self.starting, self.running, self.services = [], {}, {}, {}
