"""Running a pipeline: stage by stage, each planned from what is on disk, its stale units done, its output made whole.

To resume after anything, run the same command again. A unit that fails does not stop the others; a stage with a
failed unit is not complete, and what needs it is not run. Of stages that are not selected only those are looked at
that a selected one takes from.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.captioners import write_captioners
from pipelines.crew import Crew, RunReport
from pipelines.deaths import Deaths
from pipelines.failure import StageError, asked, trace
from pipelines.interrupt import unbroken
from pipelines.lineage import lineage
from pipelines.lock_file import write_lock
from pipelines.placing import check_room
from pipelines.plan import Planner, StagePlan, manifest_content
from pipelines.pool import Pool
from pipelines.remarks import Remarks
from pipelines.root import WORK_FOLDER, check_root, clean, root_key
from pipelines.run_lock import run_lock, workers_gone
from pipelines.screen import Screen
from pipelines.slices import Slices
from pipelines.source_yaml import SpecError, suggest
from pipelines.spec import PipelineSpec, StageSpec
from pipelines.stage_class import Shape
from shards.atomic import TMP_PREFIX
from shards.stage import Output, Part, UserError

WORKERS_END_S = 3.0  # after the pool was stopped
COMMIT, LOOK_OVER = "commit", "look_over"  # in a report, beside the names of units


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How to run, as the command line gives it."""

    only: str | None = None
    until: str | None = None
    part: tuple[int, int] | None = None  # (i, n): the i-th of n slices, i from 0
    force: tuple[str, ...] = ()
    check_content: bool = False


def run(spec: PipelineSpec, options: RunOptions, pool: Callable[[], Pool], screen: Screen) -> RunReport:
    """Bring every selected stage up to date. `pool` is called only when there is work to do."""
    selected = _selected(spec, options)
    check_root(spec.root)
    deaths = Deaths(spec.root)
    notes = spec.root / WORK_FOLDER
    if options.part is not None:
        notes /= f".slice-{options.part[0] + 1}-of-{options.part[1]}"
    died: list[tuple[str, str]] = []

    def begin() -> None:
        work = spec.root / WORK_FOLDER
        for left in (work, *work.glob(".slice-*")):
            died.extend(deaths.collect(left))
        clean(spec)

    with run_lock(spec.root, options.part, screen.say, begin):
        died += deaths.collect(notes)  # of this slice's own, where others are at work
        for stage, unit in died:
            again = "the item is tried once more, and left out as `worker_died` if that happens again"
            screen.warn(f"{stage}: the process of an earlier run ended within an item of {unit}; {again}")
        made = spec.key_file if spec.key_file is not None and not spec.key_file.exists() else None
        key = root_key(spec)
        if made is not None:
            screen.say(
                f"made the private key {made}: ids and splits depend on it, so keep a copy, and show it to nobody"
            )
        work = spec.root / WORK_FOLDER / f"{TMP_PREFIX}plan-{os.getpid()}"
        planner = Planner(spec, key, options.force, options.check_content, options.part, work, selected)
        crew = Crew(spec, planner, pool, screen, RunReport(), notes)
        runner = _Runner(spec, options, selected, planner, crew)
        try:
            needy = [name for name in selected if spec.by_name[name].resources.required]
            check_room(spec, planner.all(needy), needy, lambda: crew.pool().gpus())
            runner.stages()
        except BaseException:
            crew.broken = True
            raise
        finally:
            with unbroken():
                runner.end(work)
        planner.hashes.save()
        write_lock(spec)
        write_captioners(spec)
        with contextlib.suppress(OSError):  # not empty while other slices work
            (spec.root / WORK_FOLDER).rmdir()
        return crew.report


def _selected(spec: PipelineSpec, options: RunOptions) -> set[str]:
    names = set(spec.by_name)
    for option, name in (("--only", options.only), ("--until", options.until)):
        if name is not None and name not in names:
            message = f"pipeline `{spec.name}` has no stage `{name}`; {suggest(name, names)}"
            raise SpecError(f"{option} {name}", message)
    selected = names
    if options.only is not None:
        selected = {options.only}
    elif options.until is not None:
        selected = lineage(spec, [options.until])
    for name in options.force:
        if name in names - selected:
            option = f"--only {options.only}" if options.only is not None else f"--until {options.until}"
            raise SpecError(f"--force {name}", f"the stage `{name}` is not run with `{option}`; leave out one of them")
    return selected


class _Runner:
    def __init__(
        self, spec: PipelineSpec, options: RunOptions, selected: set[str], planner: Planner, crew: Crew
    ) -> None:
        self.spec = spec
        self.selected = selected
        self.planner = planner
        self.crew = crew
        self.report = crew.report
        self.screen = crew.screen
        self.slices = Slices(spec, selected, options.part, crew) if options.part is not None else None
        needed = lineage(spec, selected)
        self.order = [stage for stage in spec.stages if stage.name in needed]
        self.plans: dict[str, StagePlan] = {}

    def stages(self) -> None:
        """Bring the selected stages up to date, in order; a slice until it finds nothing more to do."""
        if self.slices is None:
            self.round()
            return
        going = True
        while going:
            self.slices.look()
            worked = self.round()
            going = self.slices.go_on(self.plans, worked=worked)
        if self.report.waiting:
            self.screen.say(f"this slice is done; {', '.join(self.report.waiting)} wait for other slices")

    def round(self) -> bool:
        """Look at every stage once, in order; whether anything was done."""
        before = self._tally()
        self.plans, self.report.waiting = {}, []
        for stage in self.order:
            turn = self.slices.planning(stage) if self.slices and stage.name in self.selected else None
            with turn or contextlib.nullcontext():
                plan = self.planner.stage(stage, self.plans)
            if stage.name in self.selected:
                self.report.fresh.setdefault(stage.name, len(plan.units) - len(plan.stale))
                plan = self.stage(plan)
                if plan.output is None:
                    self.report.waiting.append(stage.name)
            self.plans[stage.name] = plan
        return self._tally() != before

    def _tally(self) -> tuple[int, int]:
        return sum(self.report.done.values()), self.crew.finishes

    def end(self, work: Path) -> None:
        """End all workers and remove what was broken off; `work` is the planner's own folder."""
        self.crew.end()
        shutil.rmtree(work, ignore_errors=True)
        if self.slices is not None:
            self.slices.busy.close()
        elif self.crew.broken and workers_gone(self.spec.root, WORKERS_END_S):
            clean(self.spec)

    def stage(self, plan: StagePlan) -> StagePlan:
        """Do what is stale of one stage, then finish it; returns the plan with its output where complete."""
        stage, name = plan.spec, plan.spec.name
        if plan.waits and (self.slices is None or self.slices.is_whole(stage) or stage.shape is not Shape.TRANSFORM):
            if self.slices is None:
                self.screen.say(f"{name}: waits for {', '.join(plan.waits)}")
            return plan
        if plan.output is not None and not plan.stale:
            if name not in self.report.done:
                self.report.done[name] = 0
                lost = sum(unit.record.lost for unit in plan.units if unit.record is not None)
                self.screen.fresh(name, len(plan.units), lost)
            return plan
        if self.slices is None:
            return self._do(plan)
        self.slices.units(plan, self._outputs())
        with self.slices.turn(stage) as ours:
            if not ours:  # another slice does this job, and all that follows from it
                return plan
            plan = self.planner.stage(stage, self.plans)  # others may have done theirs meanwhile
            if plan.output is not None or plan.waits or (plan.stale and stage.shape is not Shape.JOB):
                return plan
            return self._do(plan)

    def _outputs(self) -> dict[str, Output]:
        return {name: plan.output for name, plan in self.plans.items() if plan.output is not None}

    def _do(self, plan: StagePlan) -> StagePlan:
        """Do all stale units and finish the stage."""
        return self._finish(plan) if self.crew.do(plan, plan.stale, self._outputs()) else plan

    def _finish(self, plan: StagePlan) -> StagePlan:
        """Make the stage's output visible and sweep what is no longer part of it."""
        stage, folder = plan.spec, plan.folder
        records = folder.records()
        kept = [records[unit.unit.id] for unit in plan.units]
        if stage.shape is Shape.BUILD:
            try:
                content = self._committed(stage, [folder.part(record) for record in kept])
            except StageError as error:
                self.crew.fail(stage.name, COMMIT, str(error), trace(error))
                return plan
        elif stage.shape is Shape.JOB:
            content = kept[0].content
        else:
            content = manifest_content(kept)
        if stage.shape is not Shape.JOB:  # before the stage is complete: what it gives is read off its records
            folder.sweep_units(record.unit for record in kept)
        output = folder.output(stage.contract.gives, content, kept)
        try:  # before the stage is complete: a run after a death, or after an error here, looks again
            self._look_over(plan, output)
        except StageError as error:
            self.crew.fail(stage.name, LOOK_OVER, str(error), trace(error))
            return plan
        folder.finish(stage.contract.gives, content, plan.fingerprint, stage.contract.commits)
        self.crew.finished(stage.name)
        self.screen.done(stage.name, kept)
        return replace(plan, output=output, waits=())

    def _look_over(self, plan: StagePlan, output: Output) -> None:
        """Let a stage whose units are all done look at them together; what it says is a remark."""
        stage = plan.spec
        look_over = getattr(stage.stage, LOOK_OVER, None)
        if callable(look_over) and output.parts:
            heard = Remarks(type(stage.stage).__module__).heard()
            with asked(stage.where, stage.name, LOOK_OVER, plainly=False), heard as said:
                look_over([part.path for part in output.parts], plan.units[0].basis.identity)
            self.crew.remark(stage.name, list(said))

    def _committed(self, stage: StageSpec, parts: Sequence[Part]) -> str:
        """The content of a build whose output was made visible."""
        with asked(stage.where, stage.name, COMMIT):
            content: str = stage.stage.commit(parts, self.planner.context(stage))
            if not content:
                raise UserError("`commit` returned no content hash, so no other stage could tell that it changed")
        return content
