"""Which stages need which, and which units belong to which slice: questions to the pipelines file alone."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from pipelines.spec import PipelineSpec
from pipelines.stage_class import Shape


def in_slice(unit: str, part: tuple[int, int]) -> bool:
    """Whether the unit belongs to the slice (i, n): by a hash of its name, so that a chain of units stays together.

    Of a name with `..` only what stands before it counts: so a source keeps units together, such as those of one host.
    """
    return zlib.crc32(unit.partition("..")[0].encode()) % part[1] == part[0]


def lineage(spec: PipelineSpec, names: Iterable[str]) -> set[str]:
    """Names of stages and of all that they need."""
    needed: set[str] = set()
    stack = [*names]
    while stack:
        name = stack.pop()
        if name not in needed:
            needed.add(name)
            stack += spec.by_name[name].inputs
    return needed


def needs_everything(spec: PipelineSpec) -> set[str]:
    """Builds, jobs, and whatever takes from one of these: stages that slices of a run cannot divide."""
    found: set[str] = set()
    for stage in spec.stages:
        if stage.shape in (Shape.BUILD, Shape.JOB) or not found.isdisjoint(stage.inputs):
            found.add(stage.name)
    return found
