"""Doing one unit: the same code in this process and on a Ray worker.

A worker opens its stage once and processes many units. What it hands back is a record and never rows or pixels: the
rows are on disk, under their final name, before the record that speaks of them.
"""

from __future__ import annotations

import logging
import pickle
import shutil
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import chain, count
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.board import Board
from pipelines.failure import trace, words
from pipelines.house import see_folder
from pipelines.records import Basis, StageFolder, UnitRecord
from pipelines.remarks import Remarks
from pipelines.root import WORK_FOLDER
from pipelines.stage_class import Shape
from shards.atomic import fsync_folder, make_folder, write_json
from shards.canonical import sha256_file, sha256_of
from shards.manifest import content_hash
from shards.stage import (
    Cancelled,
    Context,
    DeadlineExceeded,
    Kind,
    Output,
    OutputFile,
    Part,
    Result,
    Unit,
    UserError,
    Worker,
)

LOG = logging.getLogger(__name__)
STALE_FOLDER = ".stale"  # below the root: checkpoints of earlier configurations


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a worker must know of a stage; it travels to other processes."""

    name: str
    shape: Shape
    stage: bytes  # pickled, since its module is importable only after `folder` is on the path
    root: Path
    folder: Path
    notes: Path  # below it workers leave notes
    key: bytes
    services: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Task:
    """One unit, or one job with its inputs."""

    unit: Unit
    basis: Basis
    fingerprint: str
    deadline_s: float
    inputs: tuple[Output, ...] = ()
    anew: str = ""  # a job begins again, whatever it saved, unless it was begun under this very name
    quarantined: Mapping[str, str] = field(default_factory=dict)


class Ending(StrEnum):
    """How a task ended."""

    DONE = "done"
    ERROR = "error"  # an exception of the stage
    DIED = "died"  # the worker process ended
    DEADLINE = "deadline"
    CANCELLED = "cancelled"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The ending of a task: its record, or what went wrong."""

    task: Task
    ending: Ending
    record: UnitRecord | None = None
    error: str = ""  # one sentence
    trace: str = ""
    remarks: tuple[str, ...] = ()  # what the stage said


class Executor:
    """Holds an open stage and does tasks one after another."""

    def __init__(self, work: Work, board: Board, services: Mapping[str, Any]) -> None:
        see_folder(work.folder)
        self.work = work
        self.board = board
        self.stage = pickle.loads(work.stage)  # noqa: S301  # made by the runner in this very run
        self.folder = StageFolder(work.root, work.name)
        self.opened = ExitStack()
        self.ctx = Context(
            root=work.root,
            out=self.folder.path,
            tmp=work.root / WORK_FOLDER,
            folder=work.folder,
            key=work.key,
            services=services,
            is_cancelled=board.cancelled,
        )
        self.worker: Worker | None = None
        self.remarks = Remarks(type(self.stage).__module__)

    def _aim(self, task: Task) -> None:
        """Point the worker's context at one task; a stage keeps the context that it was opened with."""
        unit, ctx = task.unit.id, self.ctx
        self.board.mark(unit, "")  # what an earlier attempt was at is not what this one is at
        ctx.tmp = self.work.root / WORK_FOLDER / f"{self.work.name}-{unit}"
        shutil.rmtree(ctx.tmp, ignore_errors=True)  # of an attempt that was killed
        ctx.tmp.mkdir(parents=True)
        ctx.deadline = time.monotonic() + task.deadline_s
        ctx.on_progress = lambda done, total, what: self.board.progress(unit, done, total, what)
        ctx.mark = lambda item: self.board.mark(unit, item)
        ctx.quarantined = task.quarantined

    def run(self, task: Task) -> Outcome:
        """Do one task; every exception of the stage becomes an outcome."""
        with self.remarks.heard() as said:
            outcome = self._outcome(task)
        return replace(outcome, remarks=tuple(said))

    def _outcome(self, task: Task) -> Outcome:
        try:
            self._aim(task)
            return Outcome(task=task, ending=Ending.DONE, record=self._do(task))
        except Cancelled:
            return Outcome(task=task, ending=Ending.CANCELLED)
        except DeadlineExceeded:
            return Outcome(task=task, ending=Ending.DEADLINE)
        except (Exception, SystemExit) as error:  # noqa: BLE001  # a failing unit must not hide how the others end
            sentence = words(error, plainly=self.work.shape is Shape.JOB)
            return Outcome(task=task, ending=Ending.ERROR, error=sentence, trace=trace(error))
        finally:
            shutil.rmtree(self.ctx.tmp, ignore_errors=True)

    def _do(self, task: Task) -> UnitRecord:
        started = time.monotonic()
        self.folder.forget(task.unit.id)
        if self.work.shape is Shape.JOB:
            return self._job(task, started)
        if self.worker is None:
            self.worker = self._opened()
        result = self.worker.process(task.unit)
        self.board.mark(task.unit.id, "")  # from here on no item is to blame
        return self.folder.write(task.unit, task.basis, result, time.monotonic() - started)

    def _opened(self) -> Worker:
        try:
            worker: Worker = self.opened.enter_context(self.stage.open(self.ctx))
        except UserError:
            raise
        except (ValueError, OSError) as error:  # of options and models, since no row was read yet
            raise UserError(words(error, plainly=True)) from error
        return worker

    def _job(self, task: Task, started: float) -> UnitRecord:
        begun = self.folder.path / "begun.json"
        held = begun.read_bytes() if begun.is_file() else b""
        if task.fingerprint.encode() not in held or task.anew.encode() not in held:
            self._set_aside(begun)
            if task.anew or not self._taken_up(task.fingerprint):
                self.folder.make()
                write_json(begun, {"fingerprint": task.fingerprint, **({"anew": task.anew} if task.anew else {})})
        result: Result = self.stage.run(task.inputs, self.ctx)
        parts = []
        if self.stage.contract.gives is Kind.MANIFEST:
            parts = [_part(path) for path in sorted(self.folder.parts.glob("*.parquet"))]
        result = self._accounted(result, parts)
        return self.folder.write(task.unit, task.basis, result, time.monotonic() - started, parts)

    def _accounted(self, result: Result, parts: list[Part]) -> Result:
        """The result with the parts among its files, so that a cut one is noticed, and never without a content."""
        files = {file.path: file for part in parts for file in part.files} | {file.path: file for file in result.files}
        content = result.content or sha256_of(sorted((file.path, file.sha256) for file in files.values()))
        if not (result.content or files or result.rows is not None):
            raise UserError(
                f"the Result of `{type(self.stage).__name__}` has neither `content` nor `files`, so no other stage "
                "could tell that it changed; give one of them (docs/custom-stage.md)"
            )
        return replace(result, files=tuple(files.values()), content=content)

    def _set_aside(self, begun: Path) -> None:
        """What another configuration of this job left: checkpoints are kept under `.stale/`, the rest goes."""
        if self.stage.contract.gives is Kind.CHECKPOINT and any(self.folder.path.glob("checkpoints/*")):
            old = sha256_file(begun)[:8] if begun.is_file() else "unknown"
            stale = self.work.root / STALE_FOLDER
            make_folder(stale)
            names = (f"{self.work.name}-{old}{number}" for number in chain([""], (f".{i}" for i in count(2))))
            kept = next(stale / name for name in names if not (stale / name).exists())
            self.folder.path.rename(kept)
            fsync_folder(stale)
            LOG.warning("begun anew; what an earlier run saved is kept in %s/%s", STALE_FOLDER, kept.name)
        else:
            shutil.rmtree(self.folder.path)

    def _taken_up(self, fingerprint: str) -> bool:
        """Whether a run of this very configuration was set aside; of several the latest is put back in its place."""
        begun = [
            path
            for path in (self.work.root / STALE_FOLDER).glob(f"{self.work.name}-*/begun.json")
            if fingerprint.encode() in path.read_bytes()
        ]
        if not begun:
            return False
        latest = max(begun, key=lambda path: path.stat().st_mtime_ns).parent
        latest.rename(self.folder.path)
        fsync_folder(self.work.root)
        LOG.warning("goes on from what was kept in %s/%s", STALE_FOLDER, latest.name)
        return True

    def close(self) -> None:
        """Leave the stage's own context."""
        self.opened.close()
        self.worker = None


def _part(path: Path) -> Part:
    rows = pl.read_parquet(path)
    file = OutputFile(path=f"parts/{path.name}", size_bytes=path.stat().st_size, sha256=sha256_file(path))
    return Part(id=path.stem, path=path, content=content_hash(rows), rows=rows.height, files=(file,))
