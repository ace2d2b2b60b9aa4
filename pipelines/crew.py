"""The units of one stage done on a pool: longest first, bounded in flight by bytes, each with the items that it lost.

A unit that fails hides no other. What a stage says and what became of its units goes into the report of the run.
"""

from __future__ import annotations

import contextlib
import pickle
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.attempts import Attempts
from pipelines.claims import Claims
from pipelines.deaths import notes_here
from pipelines.execute import Ending, Outcome, Task, Work
from pipelines.plan import FORCED, Planner, StagePlan, UnitPlan, tried_again
from pipelines.pool import Pool
from pipelines.root import ERRORS_FOLDER, WORK_FOLDER
from pipelines.screen import Screen
from pipelines.spec import PipelineSpec, StageSpec
from pipelines.stage_class import Shape
from shards.atomic import write_bytes
from shards.reasons import Reason
from shards.stage import Output

BYTES_IN_FLIGHT = 8 * 2**30


@dataclass(kw_only=True)
class RunReport:
    """What a run did."""

    done: dict[str, int] = field(default_factory=dict)  # units by stage
    fresh: dict[str, int] = field(default_factory=dict)
    failed: dict[str, list[str]] = field(default_factory=dict)  # "unit: error" by stage
    remarks: dict[str, list[str]] = field(default_factory=dict)  # what stages said, by stage
    waiting: list[str] = field(default_factory=list)

    @property
    def worked(self) -> bool:
        """Whether anything was done at all."""
        return any(self.done.values())


class Crew:
    """Works for one stage after another; its pool is made when there is something to do."""

    def __init__(
        self,
        spec: PipelineSpec,
        planner: Planner,
        make_pool: Callable[[], Pool],
        screen: Screen,
        report: RunReport,
        notes: Path,
    ) -> None:
        """`notes` is the folder in which workers leave notes."""
        self.spec = spec
        self.planner = planner
        self.make_pool = make_pool
        self.made: Pool | None = None
        self.screen = screen
        self.report = report
        self.notes = notes
        self.deaths = planner.deaths
        self.anew = secrets.token_hex(8)  # what a forced job of this run is begun under
        self.finishes = 0  # stages that were made complete
        self.broken = False  # whether workers were broken off, so that they left temporary files
        self.failed: set[tuple[str, str]] = set()  # stage and unit: a slice that goes round does not try them again

    def pool(self) -> Pool:
        """The pool, made on first use."""
        self.made = self.made or self.make_pool()
        return self.made

    def end(self) -> None:
        """End the pool and all of its workers."""
        if self.made is not None:
            self.made.stop()
        for folder in (notes_here(self.notes), self.notes, self.spec.root / WORK_FOLDER):
            with contextlib.suppress(OSError):  # not empty while other slices work
                folder.rmdir()

    def share(self, plan: StagePlan, outputs: Mapping[str, Output]) -> None:
        """Do those units of a stage that no other slice is at, until none is left."""
        with Claims(self.spec.root, plan) as claims:
            units = plan.stale
            while units:
                self.do(plan, units, outputs, claims)
                units = claims.left()

    def do(
        self, plan: StagePlan, units: Sequence[UnitPlan], outputs: Mapping[str, Output], claims: Claims | None = None
    ) -> bool:
        """Do units of a stage; whether all of its units that were tried in this run went well."""
        stage, name = plan.spec, plan.spec.name
        mine = [unit for unit in units if (name, unit.unit.id) not in self.failed]
        self.report.done.setdefault(name, 0)
        plan.folder.make()
        if mine:
            self.remark(name, plan.remarks)
            if lost := sum(unit.lost for unit in mine):
                self.screen.say(f"{name}: {tried_again(lost)}")
            work = Work(
                name=name,
                shape=stage.shape,
                stage=pickle.dumps(stage.stage),
                root=self.spec.root,
                folder=self.spec.folder,
                notes=self.notes,
                key=self.planner.key,
                services=stage.contract.services,
            )
            self.pool().open(work, stage.resources, len(mine))
            self._all(plan, mine, outputs, claims)
            self.pool().close()
        return not self.report.failed.get(name)

    def _all(
        self, plan: StagePlan, mine: Sequence[UnitPlan], outputs: Mapping[str, Output], claims: Claims | None
    ) -> None:
        stage, pool = plan.spec, self.pool()
        attempts = Attempts(stage)
        in_order = sorted(mine, key=lambda unit: (unit.unit.size_bytes, unit.unit.id))
        queue = [self._task(stage, unit, outputs) for unit in in_order]
        running: dict[str, Task] = {}
        begun = False
        with self.screen.stage(stage.name, len(queue), sum(unit.unit.items for unit in mine)) as bar:
            while queue or running:
                while queue and pool.free() and _fits(queue[-1], running):
                    task = queue.pop()
                    if claims is not None and not claims.take(task.unit.id):
                        continue
                    if not begun:
                        plan.folder.reopen()
                        begun = True
                    running[task.unit.id] = task
                    pool.submit(task)
                if not (queue or running):  # other slices are at all that was left
                    break
                for outcome in pool.wait(0.2):
                    task = running.pop(outcome.task.unit.id)
                    again = self._ended(stage, outcome, attempts)
                    if again is not None:
                        queue.append(again)
                    elif claims is not None:
                        claims.drop(task.unit.id)
                    if outcome.record is not None:
                        bar.unit(outcome.record)
                bar.notes([(unit, pool.note(unit)) for unit in running])

    def remark(self, stage: str, remarks: Sequence[str]) -> None:
        """Show what a stage said, each text once a run."""
        for remark in remarks:
            known = self.report.remarks.setdefault(stage, [])
            if remark not in known:
                known.append(remark)
                self.screen.say(f"{stage}: {remark}")

    def _task(self, stage: StageSpec, unit: UnitPlan, outputs: Mapping[str, Output]) -> Task:
        endless = stage.shape is Shape.JOB and not stage.has_deadline
        forced = unit.why == FORCED
        if forced:
            self.deaths.forget(stage.name, unit.unit.id)
        self.deaths.begun(stage.name, unit.unit.id, unit.basis.fingerprint)
        blamed = self.deaths.blamed(stage.name, unit.unit.id, unit.basis.fingerprint)
        return Task(
            unit=unit.unit,
            basis=unit.basis,
            fingerprint=unit.basis.fingerprint,
            deadline_s=1e9 if endless else stage.resources.deadline_s,
            inputs=tuple(outputs[name] for name in stage.inputs) if stage.shape is Shape.JOB else (),
            anew=self.anew if forced else "",
            quarantined=dict.fromkeys(blamed, Reason.WORKER_DIED.value),
        )

    def _ended(self, stage: StageSpec, outcome: Outcome, attempts: Attempts) -> Task | None:
        """Take note of how a task ended; the task to try next, where there is one."""
        name, task, unit = stage.name, outcome.task, outcome.task.unit.id
        self.remark(name, outcome.remarks)
        if outcome.ending is Ending.CANCELLED:
            raise KeyboardInterrupt
        if outcome.ending is Ending.DONE:
            self.report.done[name] += 1
            self.planner.forced_done.add((name, unit))
            self.deaths.done(name, unit)
            self._trace(name, unit).unlink(missing_ok=True)
            return None
        if outcome.ending is Ending.ERROR:
            self.fail(name, unit, outcome.error, outcome.trace)
            return None
        self.broken = True
        again = attempts.again(task, self.pool().note(unit), hung=outcome.ending is Ending.DEADLINE)
        if isinstance(again, Task):
            return again
        self.fail(name, unit, again)
        return None

    def fail(self, stage: str, what: str, error: str, trace: str = "") -> None:
        """Record that a unit, or the commit of a stage, failed; the trace goes to a file."""
        self.failed.add((stage, what))
        if trace:
            path = self._trace(stage, what)
            try:
                write_bytes(path, trace.encode())
            except OSError:  # the disk may be what failed
                pass
            else:
                error = f"{error} (see {path})"
        self.report.failed.setdefault(stage, []).append(f"{what}: {error}")

    def finished(self, stage: str) -> None:
        """A stage is complete: what is left of earlier failures is of no use."""
        self.finishes += 1
        for path in (self.spec.root / ERRORS_FOLDER).glob(f"{stage}-*.txt"):
            path.unlink(missing_ok=True)

    def _trace(self, stage: str, unit: str) -> Path:
        return self.spec.root / ERRORS_FOLDER / f"{stage}-{unit}.txt"


def _fits(task: Task, running: Mapping[str, Task]) -> bool:
    """Whether a task's bytes fit beside those in flight; one task alone always does."""
    return not running or task.unit.size_bytes + sum(t.unit.size_bytes for t in running.values()) <= BYTES_IN_FLIGHT
