"""Running a pipeline: stage by stage, each planned from what is on disk, its stale units done, its output made whole.

To resume after anything, run the same command again. A unit that fails does not stop the others; a stage with a
failed unit is not complete, and what needs it is not run.
"""

from __future__ import annotations

import pickle
import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pipelines.execute import Ending, Outcome, Task, Work
from pipelines.lock_file import write_lock
from pipelines.plan import Planner, StagePlan, UnitPlan, lineage, manifest_content, root_is_usable
from pipelines.pool import Pool
from pipelines.run_lock import run_lock, stage_lock
from pipelines.screen import Screen
from pipelines.source_yaml import SpecError, suggest
from pipelines.spec import PipelineSpec, StageSpec
from pipelines.stage_class import Shape
from pipelines.user_key import read_key
from shards.atomic import sweep, write_bytes
from shards.reasons import Reason
from shards.stage import Output, Part

BYTES_IN_FLIGHT = 8 * 2**30
DEATHS_TO_QUARANTINE = 2  # a first death may be the machine's fault
MAX_QUARANTINED = 50


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
    root_is_usable(spec.root)
    with run_lock(spec.root, options.part, screen.say):
        if options.part is None:
            for stage in spec.stages:
                sweep(spec.root / stage.name)
        key = read_key(spec, create=True)
        planner = Planner(spec, key, options.force, options.check_content)
        runner = _Runner(spec, options, planner, pool, screen, key)
        try:
            runner.stages(selected)
        finally:
            runner.end()
        planner.hashes.save()
        if options.part is None:
            write_lock(spec)
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

    def stages(self, selected: set[str]) -> None:
        """Bring the selected stages up to date, in order."""
        for stage in self.spec.stages:
            plan = self.planner.stage(stage, self.plans)
            if stage.name in selected:
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
        partial = plan.waits and not (stage.shape is Shape.TRANSFORM and self.options.part is not None)
        if partial:
            self.screen.say(f"{name}: waits for {', '.join(plan.waits)}")
            return plan
        mine = [unit for unit in plan.stale if self._mine(unit.unit.id, stage)]
        self.report.fresh[name] = len(plan.units) - len(plan.stale)
        if plan.output is not None and not mine:
            self.screen.fresh(name, len(plan.units))
            return plan
        if stage.shape is not Shape.TRANSFORM and stage.shape is not Shape.SOURCE:
            with stage_lock(self.spec.root, name) as ours:
                return self._do(plan, mine) if ours else plan
        return self._do(plan, mine)

    def _mine(self, unit: str, stage: StageSpec) -> bool:
        if self.options.part is None or stage.shape in (Shape.JOB, Shape.BUILD):
            return True
        i, n = self.options.part
        return zlib.crc32(unit.encode()) % n == i

    def _do(self, plan: StagePlan, mine: list[UnitPlan]) -> StagePlan:
        name = plan.spec.name
        failed = self._units(plan, mine) if mine else []
        self.report.done[name] = len(mine) - len(failed)
        if failed:
            self.report.failed[name] = failed
            return plan
        self.planner.forced_done.update((name, unit.unit.id) for unit in mine)
        if plan.waits or len(mine) < len(plan.stale):
            self.screen.say(f"{name}: this slice is done; the stage waits for the other slices")
            return plan
        return self._finish(plan)

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
        folder.finish(stage.contract.gives, content, plan.fingerprint)
        if stage.shape is not Shape.JOB:
            folder.sweep_units(record.unit for record in kept)
        output = folder.output(stage.contract.gives, content, kept)
        self.screen.done(stage.name, kept)
        return StagePlan(
            spec=stage, folder=folder, fingerprint=plan.fingerprint, units=plan.units, waits=(), output=output
        )

    def _units(self, plan: StagePlan, mine: list[UnitPlan]) -> list[str]:
        """Do units on the pool, longest first, bounded in flight by bytes; returns what failed."""
        stage = plan.spec
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
        failed: list[str] = []
        deaths: Counter[tuple[str, str]] = Counter()
        with self.screen.stage(stage.name, len(queue), sum(unit.unit.items for unit in mine)) as bar:
            while queue or running:
                while queue and pool.free() and _fits(queue[-1], running):
                    task = queue.pop()
                    running[task.unit.id] = task
                    pool.submit(task)
                for outcome in pool.wait(0.2):
                    task = running.pop(outcome.task.unit.id)
                    again = self._again(outcome, stage, deaths, failed)
                    if again is not None:
                        queue.append(again)
                    elif outcome.record is not None:
                        bar.unit(outcome.record)
                bar.notes([(unit, pool.note(unit)) for unit in running])
        pool.close()
        return failed

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
        )

    def _again(
        self, outcome: Outcome, stage: StageSpec, deaths: Counter[tuple[str, str]], failed: list[str]
    ) -> Task | None:
        """Whether a task that did not end well is tried again, and without which items."""
        task, unit = outcome.task, outcome.task.unit.id
        if outcome.ending is Ending.DONE:
            return None
        if outcome.ending is Ending.CANCELLED:
            raise KeyboardInterrupt
        if outcome.ending is Ending.ERROR:
            trace = self.spec.root / "errors" / f"{stage.name}-{unit}.txt"
            write_bytes(trace, outcome.trace.encode())
            failed.append(f"{unit}: {outcome.error} (see {trace})")
            return None
        assert self.pool is not None
        note = self.pool.note(unit)
        hung = outcome.ending is Ending.DEADLINE
        if hung and (not note.item or time.time() - note.since < task.deadline_s / 2):
            message = (
                f"{unit}: not done in {task.deadline_s:g} s; raise `deadline_s` under `resources` of `{stage.name}`"
            )
            failed.append(message)
            return None
        deaths[unit, note.item] += 1
        quarantined = dict(task.quarantined)
        if note.item and (hung or deaths[unit, note.item] >= DEATHS_TO_QUARANTINE):
            quarantined[note.item] = (Reason.DEADLINE if hung else Reason.WORKER_DIED).value
        limit = stage.resources.attempts if not note.item else MAX_QUARANTINED * DEATHS_TO_QUARANTINE
        if sum(count for (of, _), count in deaths.items() if of == unit) >= limit:
            failed.append(f"{unit}: its worker died {limit} times")
            return None
        return Task(**{**task.__dict__, "quarantined": quarantined})


def _fits(task: Task, running: dict[str, Task]) -> bool:
    """Whether a task's bytes fit beside those in flight; one task alone always does."""
    return not running or task.unit.size_bytes + sum(t.unit.size_bytes for t in running.values()) <= BYTES_IN_FLIGHT
