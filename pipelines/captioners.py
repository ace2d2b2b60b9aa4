"""Whose words captions are and on what terms, read off the records of the stages that made them.

A stage that captions names its captioner in its identity (`captioner`, the `by` of its captions) and states the terms
of a model in its options (`rights`, of the stage or of its `engine`). Both are part of every unit's record, so a row
needs no more than `by`, and terms that are corrected rewrite no caption. What leaves a root is a shard set: beside its
`index.json` stand the models that were asked for captions on the way to it, also where none of their words was kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipelines.lineage import lineage
from pipelines.records import StageFolder
from pipelines.spec import PipelineSpec
from shards.atomic import json_bytes, write_json
from shards.index import INDEX_NAME
from shards.stage import Kind

CAPTIONERS_NAME = "captioners.json"  # beside the index of a shard set


@dataclass(frozen=True, kw_only=True, order=True)
class Captioner:
    """A model that wrote captions."""

    by: str  # as in the captions
    license: str  # of the model: SPDX id or LicenseRef-<name>
    evidence: str
    model: str  # its name in `by`, which holds no folder: the option may be the path of one
    revision: str  # or the hash of the model's files
    prompt: str  # its version

    def words(self) -> str:
        """All of it in one line."""
        revision = f" at {self.revision}" if self.revision else ""
        prompt = f", prompt {self.prompt}" if self.prompt else ""
        evidence = f" ({self.evidence})" if self.evidence else ""
        return f"captioner {self.by}: model {self.model}{revision}{prompt}, licence {self.license}{evidence}"


def of_stage(folder: StageFolder) -> list[Captioner]:
    """The models whose terms the records of a stage state; one, unless its options changed between its units."""
    found = {captioner_of(record.basis) for record in folder.records().values()}
    return sorted(captioner for captioner in found if captioner is not None)


def of_pipeline(spec: PipelineSpec) -> dict[str, list[Captioner]]:
    """By stage, for those that give rows and can name a captioner."""
    able = [
        stage for stage in spec.stages if stage.contract.gives is Kind.MANIFEST and hasattr(stage.stage, "identity")
    ]
    return {stage.name: of_stage(StageFolder(spec.root, stage.name)) for stage in able}


def captioner_of(basis: Mapping[str, Any]) -> Captioner | None:
    """The model whose terms the basis of a unit states, if it does."""
    options, identity = basis.get("params", {}), basis.get("identity", {})
    engine = options.get("engine", options)
    rights = engine.get("rights") if isinstance(engine, Mapping) else None
    if not isinstance(rights, Mapping) or not rights.get("license") or not identity.get("captioner"):
        return None
    by = str(identity["captioner"])
    return Captioner(
        by=by,
        license=str(rights["license"]),
        evidence=str(rights.get("evidence") or ""),
        model=by.removeprefix("vlm:").rpartition("@")[0] or by,
        revision=str(engine.get("revision") or identity.get("model") or ""),
        prompt=str(identity.get("prompt") or ""),
    )


def write_captioners(spec: PipelineSpec) -> None:
    """Write the models that were asked on the way to each shard set beside its index; no file where there are none."""
    speakers = of_pipeline(spec)
    for stage in spec.stages:
        folder = StageFolder(spec.root, stage.name)
        if not (INDEX_NAME in stage.contract.commits and folder.finished(stage.contract.commits)):
            continue
        path = folder.path / CAPTIONERS_NAME
        spoke = {each for name in lineage(spec, [stage.name]) for each in speakers.get(name, [])}
        told = [asdict(captioner) for captioner in sorted(spoke)]
        if not told:
            path.unlink(missing_ok=True)
        elif not (path.is_file() and path.read_bytes() == json_bytes(told)):
            write_json(path, told)


def read_captioners(shards: Path) -> list[Captioner]:
    """What was written beside the index of a shard set; ValueError where it is damaged."""
    path = shards / CAPTIONERS_NAME
    if not path.is_file():
        return []
    try:
        return [Captioner(**captioner) for captioner in json.loads(path.read_bytes())]
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}): `medloom run` writes it again") from error
