"""Running a pipeline: stage by stage, each planned from what is on disk, its stale units done, its output made whole.

To resume after anything, run the same command again. A unit that fails does not stop the others; a stage with a
failed unit is not complete, and what needs it is not run.

Slices (`--units I/N`) divide the units of sources and transforms by a hash of the unit's name, so a chain of units
stays in one slice. What needs everything (builds, jobs and all behind them) is done by the slice that finds its inputs
complete. A slice goes round until nothing was left to do, so the last one to end has seen what all others did.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pipelines.execute import Ending, Outcome, Task, Work
from pipelines.lock_file import write_lock
from pipelines.plan import (
    FORCED,
    Planner,
    StagePlan,
    UnitPlan,
    in_slice,
    lineage,
    manifest_content,
    needs_everything,
    tried_again,
)
from pipelines.pool import Pool
from pipelines.root import ERRORS_FOLDER, WORK_FOLDER, check_root, clean, root_key
from pipelines.run_lock import run_lock, stage_lock, workers_gone
from pipelines.screen import Screen
from pipelines.source_yaml import SpecError, suggest
from pipelines.spec import PipelineSpec, StageSpec
from pipelines.stage_class import Shape
from shards.atomic import TMP_PREFIX, write_bytes
from shards.reasons import Reason
from shards.stage import Output, Part

BYTES_IN_FLIGHT = 8 * 2**30
DEATHS_TO_QUARANTINE = 2  # a first death may be the machine's fault
MAX_QUARANTINED = 50
WORKERS_END_S = 3.0  # after the pool was stopped


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How to run, as the command line gives it."""

    only: str | None = None
    until: str | None = None
    part: tuple[int, int] | None = None  # (i, n): the i-th of n slices, i from 0
    force: tuple[str, ...] = ()
    check_content: bool = False


@dataclass(kw_only=True)
class RunReport:
    """What a run did."""

    done: dict[str, int] = field(default_factory=dict)  # units by stage
    fresh: dict[str, int] = field(default_factory=dict)
    failed: dict[str, list[str]] = field(default_factory=dict)  # "unit: error" by stage
    waiting: list[str] = field(default_factory=list)

    @property
    def worked(self) -> bool:
        """Whether anything was done at all."""
        return any(self.done.values())


def run(spec: PipelineSpec, options: RunOptions, pool: Callable[[], Pool], screen: Screen) -> RunReport:
    """Bring every selected stage up to date. `pool` is called only when there is work to do."""
    selected = _selected(spec, options)
    check_root(spec.root)
    with run_lock(spec.root, options.part, screen.say, lambda: clean(spec)):
        key = root_key(spec)
        work = spec.root / WORK_FOLDER / f"{TMP_PREFIX}plan-{os.getpid()}"
        planner = Planner(spec, key, options.force, options.check_content, options.part, work)
        runner = _Runner(spec, options, planner, pool, screen, key)
        try:
            runner.place(selected)
            runner.stages(selected)
        except BaseException:
            runner.broken = True
            raise
        finally:
            runner.end()
            shutil.rmtree(work, ignore_errors=True)
            if runner.broken and options.part is None and workers_gone(spec.root, WORKERS_END_S):
                clean(spec)
        planner.hashes.save()
        write_lock(spec)
        with contextlib.suppress(OSError):  # not empty while other slices work
            (spec.root / WORK_FOLDER).rmdir()
        return runner.report


def _selected(spec: PipelineSpec, options: RunOptions) -> set[str]:
    names = set(spec.by_name)
    for name in (options.only, options.until):
        if name is not None and name not in names:
            raise SpecError(f"pipeline `{spec.name}`", f"has no stage `{name}`; {suggest(name, names)}")
    if options.only is not None:
        return {options.only}
    return lineage(spec, options.until) if options.until is not None else names


class _Runner:
    def __init__(
        self,
        spec: PipelineSpec,
        options: RunOptions,
        planner: Planner,
        pool: Callable[[], Pool],
        screen: Screen,
        key: bytes,
    ) -> None:
        self.spec = spec
        self.options = options
        self.planner = planner
        self.make_pool = pool
        self.pool: Pool | None = None
        self.screen = screen
        self.key = key
        self.report = RunReport()
        self.plans: dict[str, StagePlan] = {}
        self.whole = needs_everything(spec) if options.part is not None else set(spec.by_name)
        self.worked = False  # in this round
        self.broken = False  # whether workers were broken off, so that they left temporary files
        self.failed: set[tuple[str, str]] = set()  # stage and unit: a slice that goes round does not try them again

    def place(self, selected: set[str]) -> None:
        """SpecError before any work when a stage that is not complete needs what no worker has."""
        needy = [stage for stage in self.spec.stages if stage.resources.required and stage.name in selected]
        plans = self.planner.all() if needy else {}
        for stage in needy:
            if plans[stage.name].output is None:
                self.pool = self.pool or self.make_pool()
                there, needed = self.pool.gpus(), stage.resources.gpus
                if needed > there:
                    message = f"stage `{stage.name}` requires {needed:g} GPUs and there are {there:g}"
                    raise SpecError(stage.where, f"{message}; join a cluster with --address, or drop `required`")

    def stages(self, selected: set[str]) -> None:
        """Bring the selected stages up to date, in order; a slice until it finds nothing more to do."""
        self.round(selected)
        while self.options.part is not None and self.worked:
            self.round(selected)
        if self.options.part is not None and self.report.waiting:
            self.screen.say(f"this slice is done; {', '.join(self.report.waiting)} wait for other slices")

    def round(self, selected: set[str]) -> None:
        """Look at every stage once, in order."""
        self.plans, self.report.waiting, self.worked = {}, [], False
        for stage in self.spec.stages:
            plan = self.planner.stage(stage, self.plans)
            if stage.name in selected:
                self.report.fresh.setdefault(stage.name, len(plan.units) - len(plan.stale))
                plan = self.stage(plan)
                if plan.output is None:
                    self.report.waiting.append(stage.name)
            self.plans[stage.name] = plan

    def end(self) -> None:
        """End the pool and all of its workers."""
        if self.pool is not None:
            self.pool.stop()

    def stage(self, plan: StagePlan) -> StagePlan:
        """Do what is stale of one stage, then finish it; returns the plan with its output where complete."""
        stage, name = plan.spec, plan.spec.name
        whole = name in self.whole
        if plan.waits and (whole or stage.shape is not Shape.TRANSFORM):
            if self.options.part is None:
                self.screen.say(f"{name}: waits for {', '.join(plan.waits)}")
            return plan
        if plan.output is not None and not plan.stale:
            if name not in self.report.done:
                self.report.done[name] = 0
                lost = sum(unit.record.lost for unit in plan.units if unit.record is not None)
                self.screen.fresh(name, len(plan.units), lost)
            return plan
        if self.options.part is None:
            return self._do(plan)
        if not whole:
            self._units(plan, [unit for unit in plan.stale if in_slice(unit.unit.id, self.options.part)])
        with stage_lock(self.spec.root, name) as ours:
            plan = self.planner.stage(stage, self.plans)  # other slices may have done theirs meanwhile
            ready = ours and plan.output is None and not plan.waits and (whole or not plan.stale)
            return self._do(plan) if ready else plan

    def _do(self, plan: StagePlan) -> StagePlan:
        """Do all stale units and finish the stage."""
        return self._finish(plan) if self._units(plan, plan.stale) else plan

    def _finish(self, plan: StagePlan) -> StagePlan:
        """Make the stage's output visible and sweep what is no longer part of it."""
        stage, folder = plan.spec, plan.folder
        records = folder.records()
        kept = [records[unit.unit.id] for unit in plan.units]
        if stage.shape is Shape.BUILD:
            parts: Sequence[Part] = [folder.part(record) for record in kept]
            content = stage.stage.commit(parts, self.planner.context(stage))
        elif stage.shape is Shape.JOB:
            content = kept[0].content
        else:
            content = manifest_content(kept)
        if stage.shape is not Shape.JOB:  # before the stage is complete: what it gives is read off its records
            folder.sweep_units(record.unit for record in kept)
        folder.finish(stage.contract.gives, content, plan.fingerprint, stage.contract.commits)
        self.worked = True
        output = folder.output(stage.contract.gives, content, kept)
        self.screen.done(stage.name, kept)
        return StagePlan(
            spec=stage, folder=folder, fingerprint=plan.fingerprint, units=plan.units, waits=(), output=output
        )

    def _units(self, plan: StagePlan, mine: list[UnitPlan]) -> bool:
        """Do units on the pool, longest first, bounded in flight by bytes; whether all of them went well."""
        stage, name = plan.spec, plan.spec.name
        mine = [unit for unit in mine if (name, unit.unit.id) not in self.failed]
        failed = self.report.failed.get(name, [])
        self.report.done.setdefault(name, 0)
        plan.folder.make()
        if not mine:
            return not failed
        plan.folder.reopen()
        if lost := sum(unit.lost for unit in mine):
            self.screen.say(f"{name}: {tried_again(lost)}")
        if self.pool is None:
            self.pool = self.make_pool()
        pool = self.pool
        work = Work(
            name=stage.name,
            shape=stage.shape,
            stage=pickle.dumps(stage.stage),
            root=self.spec.root,
            folder=self.spec.folder,
            key=self.key,
            services=stage.contract.services,
        )
        pool.open(work, stage.resources, len(mine))
        queue = [self._task(plan, unit) for unit in sorted(mine, key=lambda unit: (unit.unit.size_bytes, unit.unit.id))]
        running: dict[str, Task] = {}
        done = 0
        deaths: Counter[tuple[str, str]] = Counter()
        with self.screen.stage(stage.name, len(queue), sum(unit.unit.items for unit in mine)) as bar:
            while queue or running:
                while queue and pool.free() and _fits(queue[-1], running):
                    task = queue.pop()
                    running[task.unit.id] = task
                    pool.submit(task)
                for outcome in pool.wait(0.2):
                    task = running.pop(outcome.task.unit.id)
                    if outcome.record is not None:
                        bar.unit(outcome.record)
                        done += 1
                        self.planner.forced_done.add((name, task.unit.id))
                        continue
                    again = self._again(outcome, stage, deaths)
                    if isinstance(again, Task):
                        queue.append(again)
                    else:
                        self.failed.add((name, task.unit.id))
                        failed = self.report.failed.setdefault(name, [])
                        failed.append(f"{task.unit.id}: {again}")
                bar.notes([(unit, pool.note(unit)) for unit in running])
        pool.close()
        self.report.done[name] += done
        self.worked = self.worked or done > 0
        return not failed

    def _task(self, plan: StagePlan, unit: UnitPlan) -> Task:
        stage = plan.spec
        endless = stage.shape is Shape.JOB and not stage.has_deadline
        inputs: tuple[Output, ...] = ()
        if stage.shape is Shape.JOB:
            inputs = tuple(output for name in stage.inputs if (output := self.plans[name].output) is not None)
        return Task(
            unit=unit.unit,
            basis=unit.basis,
            fingerprint=unit.basis.fingerprint,
            deadline_s=1e9 if endless else stage.resources.deadline_s,
            inputs=inputs,
            anew=unit.why == FORCED,
        )

    def _again(self, outcome: Outcome, stage: StageSpec, deaths: Counter[tuple[str, str]]) -> Task | str:
        """What is tried next where a task did not end well, without the items to blame; or why nothing is."""
        task, unit = outcome.task, outcome.task.unit.id
        if outcome.ending is Ending.CANCELLED:
            raise KeyboardInterrupt
        if outcome.ending is Ending.ERROR:
            trace = self.spec.root / ERRORS_FOLDER / f"{stage.name}-{unit}.txt"
            try:
                write_bytes(trace, outcome.trace.encode())
            except OSError:  # the disk may be what failed
                return outcome.error
            return f"{outcome.error} (see {trace})"
        assert self.pool is not None
        note = self.pool.note(unit)
        hung = outcome.ending is Ending.DEADLINE
        if hung and (not note.item or time.time() - note.since < task.deadline_s / 2):
            return f"not done in {task.deadline_s:g} s; raise `deadline_s` under `resources` of `{stage.name}`"
        self.broken = True
        deaths[unit, note.item] += 1
        quarantined = dict(task.quarantined)
        if note.item and (hung or deaths[unit, note.item] >= DEATHS_TO_QUARANTINE):
            quarantined[note.item] = (Reason.DEADLINE if hung else Reason.WORKER_DIED).value
        limit = stage.resources.attempts if not note.item else MAX_QUARANTINED * DEATHS_TO_QUARANTINE
        if sum(count for (of, _), count in deaths.items() if of == unit) >= limit:
            return (
                f"its worker process died {limit} times; if the machine ran out of memory, lower `workers` under "
                f"`resources` of `{stage.name}`"
            )
        return Task(**{**task.__dict__, "quarantined": quarantined})


def _fits(task: Task, running: dict[str, Task]) -> bool:
    """Whether a task's bytes fit beside those in flight; one task alone always does."""
    return not running or task.unit.size_bytes + sum(t.unit.size_bytes for t in running.values()) <= BYTES_IN_FLIGHT
