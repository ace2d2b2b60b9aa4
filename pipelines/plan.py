"""What would run, unit by unit, and why: planned from the files alone, changing nothing.

A stage is planned when its inputs are known. A transform can be planned in part, from the parts that are there; a
build or a job waits until all of its inputs are complete.

A unit that rejected items for a passing reason (a file that was not there, a worker that died) runs again, once a run,
whatever its shape: nothing that its fingerprint holds would tell that the reason has passed. `Unit.settled` says how
many of these items are known to be as they were; where that is all of them, the unit is up to date. A source that has
the state of its files among its inputs (`check_files`) need not count: a file that is missing there stays missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipelines.deaths import Deaths
from pipelines.failure import asked
from pipelines.file_hashes import FileHashes
from pipelines.lineage import in_slice, lineage, needs_everything
from pipelines.options import plain
from pipelines.records import Basis, StageFolder, UnitRecord, token_hash
from pipelines.remarks import Remarks
from pipelines.source_yaml import SpecError, suggest
from pipelines.spec import PipelineSpec, StageSpec
from pipelines.stage_class import Shape, version_of
from pipelines.user_key import key_id
from shards.canonical import sha256_of
from shards.reasons import Reason
from shards.stage import Context, Kind, Output, Unit, UserError

JOB_UNIT = "job"
FORCED = "forced"


@dataclass(frozen=True, kw_only=True)
class UnitPlan:
    """One unit and why it has to run; an empty `why` means that it is skipped."""

    unit: Unit
    basis: Basis
    record: UnitRecord | None
    why: str
    lost: int = 0  # items for whose sake alone it runs again: their rejects may have passed


@dataclass(frozen=True, kw_only=True)
class StagePlan:
    """One stage: its units, what it waits for, and its output where it is complete."""

    spec: StageSpec
    folder: StageFolder
    fingerprint: str  # of the whole stage over the content of its inputs; empty while it waits
    units: tuple[UnitPlan, ...]
    waits: tuple[str, ...]  # inputs that are not complete
    output: Output | None
    remarks: tuple[str, ...] = ()  # what the stage said while it planned

    @property
    def stale(self) -> list[UnitPlan]:
        """Units that have to run."""
        return [unit for unit in self.units if unit.why]


class Planner:
    """Plans the stages of one pipeline in order."""

    def __init__(
        self,
        spec: PipelineSpec,
        key: bytes,
        force: Sequence[str] = (),
        check_content: bool = False,
        part: tuple[int, int] | None = None,
        work: Path | None = None,
        selected: Collection[str] | None = None,
    ) -> None:
        """`part` is the slice that will run; plans may write below `work`, and nothing where there is none.

        `selected` are the stages that will run: of others no content is checked.
        """
        for name in force:
            if name not in spec.by_name:
                message = f"pipeline `{spec.name}` has no stage `{name}`; {suggest(name, spec.by_name)}"
                raise SpecError(f"--force {name}", message)
        self.spec = spec
        self.key = key
        self.key_id = key_id(key)
        self.force = set(force)
        self.check_content = check_content
        self.part = part
        self.whole = needs_everything(spec)
        self.work = work
        self.selected = spec.by_name.keys() if selected is None else selected
        self.hashes = FileHashes(spec.root, fresh=check_content)
        self.deaths = Deaths(spec.root)
        self.forced_done: set[tuple[str, str]] = set()

    def context(self, stage: StageSpec, **more: Any) -> Context:
        """A context for planning `stage`."""
        out = self.spec.root / stage.name
        return Context(
            root=self.spec.root,
            out=out,
            tmp=self.work / stage.name if self.work else out / ".tmp",
            dry=self.work is None,
            folder=self.spec.folder,
            key=self.key,
            file_hash=self.hashes.sha256,
            **more,
        )

    def basis(self, stage: StageSpec, inputs: Sequence[str]) -> Basis:
        """The basis of a unit of `stage` that reads `inputs`."""
        with asked(stage.where, stage.name, "identity"):
            identity = getattr(stage.stage, "identity", None)
            return Basis(
                use=stage.use,
                version=version_of(stage.stage),
                params=plain(stage.stage),
                key_id=self.key_id,
                identity=dict(identity(self.context(stage))) if identity else {},
                inputs=tuple(map(token_hash, inputs)),
            )

    def stage(self, stage: StageSpec, inputs: Mapping[str, StagePlan]) -> StagePlan:
        """Plan one stage from the plans of its inputs."""
        folder = StageFolder(self.spec.root, stage.name)
        waits = tuple(name for name in stage.inputs if inputs[name].output is None)
        outputs = [plan.output for name in stage.inputs if (plan := inputs[name]).output is not None]
        common = self.basis(stage, ())
        fingerprint = "" if waits else self._over(common, [output.content for output in outputs]).fingerprint
        records = folder.records()
        finished = folder.finished(stage.contract.commits)
        if stage.shape is Shape.BUILD and self._unchanged(stage, folder, finished, fingerprint, records):
            return self._complete(stage, folder, fingerprint, records, finished)
        if stage.shape in (Shape.BUILD, Shape.JOB) and waits:
            return StagePlan(spec=stage, folder=folder, fingerprint="", units=(), waits=waits, output=None)
        what = "plan" if stage.shape is Shape.BUILD else "units"
        with asked(stage.where, stage.name, what), Remarks(type(stage.stage).__module__).heard() as said:
            units = self._units(stage, folder, common, outputs, [inputs[name] for name in stage.inputs], records)
            twice = [unit for unit, count in Counter(unit.id for unit in units).items() if count > 1]
            if twice:
                raise UserError(f"plans the unit `{twice[0]}` twice; a unit's id becomes the name of its file")
        plans = tuple(self._unit(stage, folder, common, unit, records) for unit in units)
        output = None
        kept = [plan.record for plan in plans if plan.record is not None and not plan.why]
        done = not waits and len(kept) == len(plans) and finished.get("fingerprint") == fingerprint
        if done and (stage.shape in (Shape.BUILD, Shape.JOB) or finished["content"] == manifest_content(kept)):
            output = folder.output(stage.contract.gives, finished["content"], kept)
        return StagePlan(
            spec=stage,
            folder=folder,
            fingerprint=fingerprint,
            units=plans,
            waits=waits,
            output=output,
            remarks=tuple(said),
        )

    def all(self, names: Iterable[str] | None = None) -> dict[str, StagePlan]:
        """Plans of all stages by name, in order; or of those named and of what they take from."""
        needed = lineage(self.spec, self.spec.by_name if names is None else names)
        plans: dict[str, StagePlan] = {}
        for stage in self.spec.stages:
            if stage.name in needed:
                plans[stage.name] = self.stage(stage, plans)
        return plans

    def _over(self, common: Basis, inputs: Sequence[str]) -> Basis:
        return replace(common, inputs=tuple(map(token_hash, inputs)))

    def _unchanged(
        self,
        stage: StageSpec,
        folder: StageFolder,
        finished: Mapping[str, str],
        fingerprint: str,
        records: Mapping[str, UnitRecord],
    ) -> bool:
        """Whether a build was committed over the same inputs, its files are all there, and no item may be mended."""
        same = bool(fingerprint) and finished.get("fingerprint") == fingerprint and stage.name not in self.force
        return same and all(folder.intact(record) and not record.lost for record in records.values())

    def _complete(
        self,
        stage: StageSpec,
        folder: StageFolder,
        fingerprint: str,
        records: Mapping[str, UnitRecord],
        finished: Mapping[str, str],
    ) -> StagePlan:
        units = tuple(
            UnitPlan(unit=Unit(id=record.unit), basis=Basis(**record.basis), record=record, why="")
            for record in records.values()
        )
        output = folder.output(stage.contract.gives, finished["content"], list(records.values()))
        return StagePlan(spec=stage, folder=folder, fingerprint=fingerprint, units=units, waits=(), output=output)

    def _units(
        self,
        stage: StageSpec,
        folder: StageFolder,
        common: Basis,
        outputs: Sequence[Output],
        plans: Sequence[StagePlan],
        records: Mapping[str, UnitRecord],
    ) -> Sequence[Unit]:
        if stage.shape is Shape.SOURCE:
            return list(stage.stage.units(self.context(stage)))
        if stage.shape is Shape.JOB:
            return [Unit(id=JOB_UNIT, inputs=tuple(output.content for output in outputs))]
        if stage.shape is Shape.BUILD:

            def is_fresh(unit: Unit) -> bool:
                return not self._unit(stage, folder, common, unit, records).why

            ctx = self.context(stage, is_fresh=is_fresh, forced=stage.name in self.force)
            return list(stage.stage.plan(outputs, ctx))
        units: dict[str, Unit] = {}
        for plan in plans:
            for part in _parts(plan):
                if part.id in units:
                    message = f"two inputs hold a part named `{part.id}`; give their sources different `source:` names"
                    raise SpecError(stage.where, message)
                size = part.path.stat().st_size
                units[part.id] = Unit(
                    id=part.id,
                    payload={"part": str(part.path)},
                    inputs=(part.content,),
                    size_bytes=size,
                    items=part.rows,
                )
        return list(units.values())

    def _unit(
        self, stage: StageSpec, folder: StageFolder, common: Basis, unit: Unit, records: Mapping[str, UnitRecord]
    ) -> UnitPlan:
        basis = self._over(common, unit.inputs)
        record = records.get(unit.id)
        lost = 0
        if record is None and folder.has_record(unit.id):
            why = "its record is damaged"
        elif record is None and unit.replaces in records:  # what is wrong with the one before
            before = replace(unit, id=unit.replaces, replaces="")
            why = self._unit(stage, folder, common, before, records).why or "not done yet"
        elif record is None:
            why = "not done yet"
        elif record.fingerprint != basis.fingerprint:
            why = basis.changes(record.basis)
            assert why, f"{stage.name}/{unit.id}: a fingerprint that changed for no reason"
        elif not folder.intact(record):
            why = "its output is missing or has another size"
        elif stage.name in self.force and (stage.name, unit.id) not in self.forced_done:
            why = FORCED
        elif self._is_checked(stage) and (stage.name, unit.id) not in self.forced_done:
            why = "content is checked again"
        elif (lost := self._lost(stage, unit, record)) and self._is_tried_here(stage, unit):
            why = tried_again(lost)
        else:
            why, lost = "", 0
        return UnitPlan(unit=unit, basis=basis, record=record, why=why, lost=lost)

    def _is_checked(self, stage: StageSpec) -> bool:
        return self.check_content and stage.shape is Shape.SOURCE and stage.name in self.selected

    def _lost(self, stage: StageSpec, unit: Unit, record: UnitRecord) -> int:
        """Items whose rejects may have passed: not those that are known to stand, nor those left out after deaths."""
        settled = unit.settled or 0
        if unit.settled is None and stage.shape is Shape.SOURCE and getattr(stage.stage, "check_files", False):
            settled = record.rejected.get(Reason.MISSING_FILE, 0)
        left_out = len(self.deaths.blamed(stage.name, unit.id, record.fingerprint)) if record.lost else 0
        return max(0, record.lost - settled - left_out)

    def _is_tried_here(self, stage: StageSpec, unit: Unit) -> bool:
        """Whether this process tries lost items of a unit again: once a run, and of several slices one."""
        if (stage.name, unit.id) in self.forced_done:
            return False
        if self.part is None:
            return True
        return self.part[0] == 0 if stage.name in self.whole else in_slice(unit.id, self.part)


def _parts(plan: StagePlan) -> Sequence[Any]:
    if plan.output is not None:
        return plan.output.parts
    fresh = [unit.record for unit in plan.units if unit.record is not None and not unit.why]
    return plan.folder.output(Kind.MANIFEST, "", fresh).parts


def tried_again(lost: int) -> str:
    """Why a unit runs again whose inputs did not change."""
    return (
        f"{lost} items failed for a reason that may pass; they are tried again"
        if lost > 1
        else "1 item failed for a reason that may pass; it is tried again"
    )


def manifest_content(records: Sequence[UnitRecord]) -> str:
    """Content hash of a manifest: over the ids and content hashes of its parts."""
    parts = [(record.unit, record.content) for record in records]
    return sha256_of(sorted(parts))
