"""`pipelines.yaml`, parsed and checked before anything runs: keys, options by type, inputs, kinds and columns.

Four keys a stage (`use`, `from`, `with`, `resources`), no templating. Checking imports the stage modules only, which
import nothing heavy themselves, and writes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, cast

import yaml

from pipelines.house import see_folder
from pipelines.options import build
from pipelines.overrides import empty, put, read_overrides
from pipelines.recipe import PREFIX, merged, read_recipe
from pipelines.source_yaml import (
    SpecError,
    compose_file,
    known_keys,
    mapping,
    scalar,
    sequence,
    suggest,
    where,
)
from pipelines.stage_class import Shape, find, shape_of
from shards.stage import Contract, Kind

NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
FILLED_BY = {"split": "`ingest.curate:Curate`", "captions": "`captioning.fill:FillCaptions`"}
RESERVED = ("errors",)  # folders below the root that are no stage's


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What one worker of a stage needs, and how many workers there are."""

    cpus: float = 1.0
    gpus: float = 0.0  # a preference: without GPUs the stage runs on CPUs, unless required
    required: bool = False
    workers: int | None = None  # default: as many as fit
    deadline_s: float = 3600.0  # for one unit; a job has none unless given
    attempts: int = 3  # how often a unit is tried when its worker dies

    def __post_init__(self) -> None:
        if self.cpus <= 0 or self.gpus < 0:
            raise ValueError("`cpus` must be above 0 and `gpus` not below 0")
        if self.workers is not None and self.workers < 1:
            raise ValueError("`workers` must be at least 1; leave it out to use what is there")
        if self.deadline_s <= 0 or self.attempts < 1:
            raise ValueError("`deadline_s` must be above 0 and `attempts` at least 1")


@dataclass(frozen=True, kw_only=True)
class StageSpec:
    """One stage as the file gives it, already built and checked."""

    name: str
    use: str
    stage: Any
    shape: Shape
    inputs: tuple[str, ...]
    resources: Resources
    has_deadline: bool
    where: str

    @property
    def contract(self) -> Contract:
        """What the stage takes and gives."""
        contract: Contract = self.stage.contract
        return contract


@dataclass(frozen=True, kw_only=True)
class PipelineSpec:
    """One pipeline: its stages in an order in which every input comes first."""

    name: str
    file: Path
    folder: Path
    root: Path
    key_file: Path | None  # None: the key stands in the open, for public data
    public_key: str | None
    stages: tuple[StageSpec, ...]
    by_name: Mapping[str, StageSpec] = field(repr=False)


def load(file: Path, pipeline: str, overrides: Sequence[str] = ()) -> PipelineSpec:
    """Read and check one pipeline of `file`.

    `overrides` are `stage.option=value` texts. Raises SpecError with `file:line` and a suggestion.
    """
    label = file.name if file.parent == Path() else str(file)
    folder = file.absolute().parent
    see_folder(folder)
    top = compose_file(file, label)
    entries = mapping(top, "the pipelines file")
    known_keys(entries, ("version", "pipelines"), "the pipelines file", top)
    if "version" not in entries or repr(scalar(entries["version"])) != "1":  # neither true nor 1.0
        node = entries.get("version", top)
        raise SpecError(where(node), "the file must say `version: 1`; this medloom reads no other version")
    if "pipelines" not in entries:
        raise SpecError(where(top), "the file has no `pipelines:`")
    pipelines = mapping(entries["pipelines"], "`pipelines`")
    if pipeline not in pipelines:
        raise SpecError(
            where(entries["pipelines"]), f"there is no pipeline `{pipeline}`; {suggest(pipeline, pipelines)}"
        )
    node = pipelines[pipeline]
    parts = mapping(node, f"pipeline `{pipeline}`")
    known_keys(parts, ("root", "key", "stages"), f"pipeline `{pipeline}`", node)
    if "stages" not in parts or "root" not in parts:
        raise SpecError(where(node), f"pipeline `{pipeline}` needs `root:` (a folder) and `stages:`")
    root = scalar(parts["root"])
    if not isinstance(root, str) or not root or "://" in root:
        message = f"`root` must be a folder that all workers see, not {root!r}; publish to object storage by a copy"
        raise SpecError(where(parts["root"]), message)
    public_key, key_file = _key(parts.get("key"), folder)
    specs = _stages(parts["stages"], read_overrides(overrides), folder)
    ordered = _order(specs)
    _contracts(ordered)
    return PipelineSpec(
        name=pipeline,
        file=file,
        folder=folder,
        root=(folder / Path(root).expanduser()).absolute(),
        key_file=key_file,
        public_key=public_key,
        stages=tuple(ordered),
        by_name={spec.name: spec for spec in ordered},
    )


def pipeline_names(file: Path) -> list[str]:
    """The pipelines of a file, in its order."""
    entries = mapping(compose_file(file, str(file)), "the pipelines file")
    return list(mapping(entries["pipelines"], "`pipelines`")) if "pipelines" in entries else []


def _key(node: yaml.Node | None, folder: Path) -> tuple[str | None, Path | None]:
    if node is None:
        return None, Path("~/.config/medloom/key").expanduser()
    entries = mapping(node, "`key`")
    known_keys(entries, ("file", "public"), "`key`", node)
    values = {name: scalar(child) for name, child in entries.items()}
    if len(values) != 1 or not all(isinstance(value, str) and value for value in values.values()):
        raise SpecError(where(node), "`key` is either `file: PATH` or, on public data only, `public: TEXT`")
    if "public" in values:
        return values["public"], None
    return None, (folder / Path(values["file"]).expanduser()).absolute()


def _stages(node: yaml.Node, changes: dict[str, dict[str, yaml.Node]], folder: Path) -> list[StageSpec]:
    entries = mapping(node, "`stages`")
    for name, options in changes.items():
        if name not in entries:
            raise SpecError(where(next(iter(options.values()))), f"no stage `{name}`; {suggest(name, entries)}")
    specs = []
    for name, child in entries.items():
        if not NAME.fullmatch(name):
            raise SpecError(where(child), f"stage name `{name}` must start with a letter and hold a-z, 0-9 and _ only")
        if name in RESERVED:
            raise SpecError(where(child), f"a stage cannot be named `{name}`: that folder is medloom's; choose another")
        specs.append(_stage(name, child, entries, changes.get(name, {}), folder))
    return specs


def _stage(
    name: str, node: yaml.Node, names: Mapping[str, Any], changes: dict[str, yaml.Node], folder: Path
) -> StageSpec:
    what = f"stage `{name}`"
    entries = mapping(node, what)
    known_keys(entries, ("use", "from", "with", "resources"), what, node)
    if "use" not in entries:
        raise SpecError(where(node), f"{what} needs `use: module:Class`, or `use: recipe:name`")
    use = str(scalar(entries["use"]))
    recipe = None
    if use.startswith(PREFIX):
        recipe = read_recipe(use.removeprefix(PREFIX), folder, where(entries["use"]))
        use = recipe.use
    try:
        cls = find(use, folder)
    except ValueError as error:
        raise SpecError(where(entries["use"]), f"{what}: {error}") from error
    inputs = []
    for item in sequence(entries["from"], f"`from` of {what}") if "from" in entries else []:
        source = scalar(item)
        if source not in names:
            others = [other for other in names if other != name]
            raise SpecError(
                where(item), f"{what} takes from `{source}`, which is no stage; {suggest(str(source), others)}"
            )
        if source in inputs:
            raise SpecError(where(item), f"{what} takes from `{source}` twice; remove one")
        inputs.append(source)
    options = entries.get("with", empty(node))
    for path, value in changes.items():
        if not isinstance(options, yaml.MappingNode):
            raise SpecError(where(options), f"`with` of {what} must be a mapping")
        options = put(options, path, value)
    if recipe is not None:
        accepted = frozenset(field.name for field in fields(cls))
        options = merged(recipe, cast(yaml.MappingNode, options), accepted)
    resources_node = entries.get("resources")
    resources = build(Resources, resources_node, f"`resources` of {what}") if resources_node else Resources()
    return StageSpec(
        name=name,
        use=use,
        stage=build(cls, options, f"{what} ({use})"),
        shape=shape_of(cls),
        inputs=tuple(inputs),
        resources=resources,
        has_deadline=resources_node is not None and "deadline_s" in mapping(resources_node, "`resources`"),
        where=where(entries["use"]),
    )


def _order(specs: list[StageSpec]) -> list[StageSpec]:
    """Topological order that keeps the file's order where it can; SpecError names the cycle."""
    by_name = {spec.name: spec for spec in specs}
    done: dict[str, StageSpec] = {}
    path: list[str] = []

    def visit(spec: StageSpec) -> None:
        if spec.name in done:
            return
        if spec.name in path:
            cycle = " -> ".join([*path[path.index(spec.name) :], spec.name])
            raise SpecError(spec.where, f"the stages form a cycle: {cycle}; remove one of these inputs from `from:`")
        path.append(spec.name)
        for name in spec.inputs:
            visit(by_name[name])
        path.pop()
        done[spec.name] = spec

    for spec in specs:
        visit(spec)
    return list(done.values())


def _contracts(ordered: list[StageSpec]) -> None:
    """Kinds and columns: what a stage takes must be what its inputs give."""
    columns: dict[str, set[str]] = {}
    given: dict[str, Kind] = {}
    for spec in ordered:
        contract, what = spec.contract, f"stage `{spec.name}` ({spec.use})"
        kinds = [given[name] for name in spec.inputs]
        allowed = {*contract.takes, *contract.may_take}
        for name, kind in zip(spec.inputs, kinds, strict=True):
            if kind not in allowed:
                wanted = " or ".join(sorted(allowed)) or "nothing: it reads from outside"
                raise SpecError(spec.where, f"{what} cannot take {kind} from `{name}`; it takes {wanted}")
        for kind in contract.takes:
            if kind not in kinds:
                makers = [name for name, other in given.items() if other == kind]
                hint = (
                    f"add one of {', '.join(f'`{name}`' for name in makers)} to `from:`"
                    if makers
                    else "add such a stage"
                )
                raise SpecError(spec.where, f"{what} needs an input that gives {kind}; {hint}")
        manifests = [columns[name] for name in spec.inputs if given[name] == Kind.MANIFEST]
        inherited: set[str] = set.intersection(*manifests) if manifests else set()
        for column in contract.needs:
            if column not in inherited:
                hint = f"; {FILLED_BY[column]} does" if column in FILLED_BY else ""
                raise SpecError(spec.where, f"{what} needs the column `{column}`, which no stage before it fills{hint}")
        columns[spec.name] = inherited | set(contract.adds)
        given[spec.name] = contract.gives
