"""Slices of a run (`--units I/N`): which units one of them does, what it waits for, and when it has done its part.

The units of sources and of transforms of sources are divided by a hash of the unit's name, so a chain of units stays in
one slice. From the first build on nobody can say which slices will be alive, so there each takes what no other is at.
Plans of builds, commits and jobs are made by one slice at a time. A slice that found nothing to do waits while others
are busy, unless a job stands between: then it ends, and the one that does the job does what follows.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

from pipelines.crew import Crew
from pipelines.lineage import in_slice, lineage, needs_everything
from pipelines.plan import StagePlan
from pipelines.run_lock import Busy, stage_lock
from pipelines.spec import PipelineSpec, StageSpec
from pipelines.stage_class import Shape
from shards.stage import Output

POLL_S = 0.3


class Slices:
    """What slice (i, n) of a run does among the others."""

    def __init__(self, spec: PipelineSpec, selected: set[str], part: tuple[int, int], crew: Crew) -> None:
        self.spec = spec
        self.selected = selected
        self.part = part
        self.crew = crew
        self.whole = needs_everything(spec)
        self.busy = Busy(spec.root)
        self.seen: dict[str, object] = {}
        self.last = False  # whether this was the last look, after no other slice was busy

    def is_whole(self, stage: StageSpec) -> bool:
        """Whether a stage needs everything before it, so that its units cannot be divided beforehand."""
        return stage.name in self.whole

    def planning(self, stage: StageSpec) -> AbstractContextManager[object]:
        """Around planning: a build's plan is not made while another slice commits."""
        if stage.shape is Shape.BUILD:
            return stage_lock(self.spec.root, stage.name, wait=True)
        return nullcontext()

    def units(self, plan: StagePlan, outputs: Mapping[str, Output]) -> None:
        """Do this slice's units of a stage; a job has none."""
        if not self.is_whole(plan.spec):
            self.crew.do(plan, [unit for unit in plan.stale if in_slice(unit.unit.id, self.part)], outputs)
        elif plan.spec.shape is not Shape.JOB:
            self.crew.share(plan, outputs)

    @contextmanager
    def turn(self, stage: StageSpec) -> Iterator[bool]:
        """The right to finish a stage; False where another slice does it as a job. Nobody waits for a job."""
        job = stage.shape is Shape.JOB
        with stage_lock(self.spec.root, stage.name, wait=not job) as ours:
            if job:
                self.busy.stop()
            try:
                yield ours
            finally:
                if job:
                    self.busy.start()

    def look(self) -> None:
        """Keep what is complete now, before a round."""
        self.seen = self._signs()

    def go_on(self, plans: Mapping[str, StagePlan], *, worked: bool) -> bool:
        """Whether to go round again, maybe after others have finished something."""
        if worked:
            self.last = False
            return True
        if self.last or not self.crew.report.waiting:
            return False
        self.busy.stop()
        try:
            while self.busy.others():
                if self._signs() != self.seen:
                    return True
                if not self._is_worth_waiting(plans):
                    return False
                time.sleep(POLL_S)
            self.last = True  # the others may have finished something just before they ended
            return True
        finally:
            self.busy.start()

    def _signs(self) -> dict[str, object]:
        """What changes when any slice finishes a stage."""
        found: dict[str, object] = {}
        for stage in self.spec.stages:
            try:
                stat = (self.spec.root / stage.name / "stage.json").stat()
            except OSError:
                continue
            found[stage.name] = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
        return found

    def _is_worth_waiting(self, plans: Mapping[str, StagePlan]) -> bool:
        """Whether a stage that this slice would share in waits for others, and for no job and nothing that failed."""
        missing = {name for name, plan in plans.items() if plan.output is None}
        hopeless = {name for name in missing if self.spec.by_name[name].shape is Shape.JOB}
        hopeless |= self.crew.report.failed.keys()
        return any(
            plans[name].waits and self.is_whole(plans[name].spec) and hopeless.isdisjoint(lineage(self.spec, [name]))
            for name in self.crew.report.waiting
        )
