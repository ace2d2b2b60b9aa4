"""What the stages of one pipeline have left behind, as the sections of the report read it.

Everything is optional: a stage that has not run, or a pipeline without it, leaves its section out. Files are read as
what they are (Parquet, JSON), never through the code that wrote them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.records import StageFolder
from pipelines.spec import PipelineSpec, StageSpec
from pipelines.status import StageStatus, status
from shards.index import INDEX_NAME, ShardSet, read_index
from shards.manifest import scan_parts
from shards.stage import Kind

COUNTED = ("key", "modality", "specialty", "source", "license", "group", "split")
SLAB = "slab:"  # groups that are parts of one volume


class Outputs:
    """The finished stages of a pipeline."""

    def __init__(self, spec: PipelineSpec) -> None:
        self.spec = spec
        self.folders = {stage.name: StageFolder(spec.root, stage.name) for stage in spec.stages}
        self.statuses: dict[str, StageStatus] = {row.stage: row for row in status(spec)}
        if not any(row.finished for row in self.statuses.values()):
            raise ValueError(
                f"pipeline `{spec.name}` has no finished stage in {spec.root}: `medloom run {spec.name}` first"
            )

    def complete(self, kind: Kind) -> list[StageSpec]:
        """Finished stages that give `kind`, in order."""
        stages = self.spec.stages
        return [s for s in stages if s.contract.gives is kind and self.statuses[s.name].finished]

    @cached_property
    def manifest_stages(self) -> list[str]:
        """The stages whose rows are the data set: those that are packed, else those that no manifest stage reads."""
        done = [stage.name for stage in self.complete(Kind.MANIFEST)]
        packed = [name for stage in self.complete(Kind.SHARDS) for name in stage.inputs if name in done]
        if packed:
            return list(dict.fromkeys(packed))
        read = {name for stage in self.complete(Kind.MANIFEST) for name in stage.inputs}
        return [name for name in done if name not in read]

    @cached_property
    def rows(self) -> pl.DataFrame:
        """The data set in the few columns that are counted, one row a sample; `volume` is the file of a slab."""
        paths = [path for name in self.manifest_stages for path in self.paths(name)]
        media = pl.col("media").struct
        return (
            scan_parts(paths)
            .select(
                *COUNTED,
                pl.when(pl.col("group").str.starts_with(SLAB)).then(media.field("uri")).alias("volume"),
                media.field("frames").fill_null(1).alias("frames"),
                pl.col("captions").list.first().struct.field("by").alias("by"),
            )
            .unique("key", keep="first", maintain_order=True)
            .sort("key")
            .collect()
        )

    def sets(self, kind: Kind) -> dict[str, ShardSet]:
        """Shard sets of one kind by stage."""
        names = [stage.name for stage in self.complete(kind)]
        return {n: read_index(self.folders[n].path) for n in names if (self.folders[n].path / INDEX_NAME).is_file()}

    @cached_property
    def shard_sets(self) -> dict[str, ShardSet]:
        """Packed pictures and clips by stage."""
        return self.sets(Kind.SHARDS)

    def holding(self, file: str) -> Iterator[tuple[StageSpec, Path]]:
        """Finished stages that wrote `file` into their folder."""
        for stage in self.spec.stages:
            path = self.folders[stage.name].path / file
            if self.statuses[stage.name].finished and path.is_file():
                yield stage, path

    def paths(self, stage: str) -> list[Path]:
        """The parts of a stage."""
        return sorted(self.folders[stage].parts.glob("*.parquet"))


def read_json(path: Path) -> Any:
    """A JSON file of a stage; ValueError says which one is damaged."""
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(
            f"{path} is damaged ({error}): run its stage again with `--force {path.parent.name}`"
        ) from error
