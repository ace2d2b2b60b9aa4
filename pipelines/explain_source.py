"""What stands at the end of the chain of `medloom explain`: the row as its source made it, and what that source keeps.

A row has no room for all that was seen where it came from. A stage that keeps more says so by its method `provenance`.
"""

from __future__ import annotations

import json
from typing import Any

from pipelines.caption_changes import changes
from pipelines.failure import asked
from pipelines.spec import StageSpec
from pipelines.specimen import view_words
from shards.manifest import Sample


def source_of(stage: StageSpec, sample: Sample) -> tuple[list[str], dict[str, Any]]:
    """What the stage that made the sample says of it: where from, whose, and under which terms."""
    media = sample.media
    view = view_words(sample)
    did = [f"from {media.uri}" + (f": {view}" if view else "")]
    size = f"{media.width_px} x {media.height_px} px" + (f", {media.frames} frames" if (media.frames or 1) > 1 else "")
    did += [f"{media.kind}, {size}" if media.width_px else f"{media.kind}, not opened yet"]
    did += [f"sha256 of the file {media.sha256}"] if media.sha256 else []
    did += [f"url {sample.url}"] if sample.url else []
    did += [f"retrieved {sample.retrieved:%Y-%m-%d %H:%M:%S} UTC"] if sample.retrieved else []
    did += [f"collection {sample.source}" + (f", id there {sample.source_id} (keyed hash)" if sample.source_id else "")]
    did += [f"group {sample.group}"]
    did += [f"{what} {value} (keyed hash)" for what in ("patient", "study") if (value := getattr(sample, what))]
    did += [f"{sample.modality}, {sample.specialty}, labels hold for the {sample.label_scope}"]
    did += [f"label {label.name}: {label.state} ({label.scope}, {label.origin})" for label in sample.labels]
    did += changes((), sample.captions)
    did += [f"official split {sample.official_split}"] if sample.official_split else []
    did += [f"licence {sample.license}"]
    terms = {name: getattr(sample.terms, name) for name in type(sample.terms).__dataclass_fields__}
    did += [
        f"{name.replace('_', ' ')}: {term.answer}" + (f" ({term.evidence})" if term.evidence else "")
        for name, term in terms.items()
    ]
    row = sample.to_row()
    facts = {**row, "retrieved": str(sample.retrieved or ""), "attributes": json.loads(sample.attributes or "{}")}
    provenance = getattr(stage.stage, "provenance", None)
    if not callable(provenance):
        return did, facts
    with asked(stage.where, stage.name, "provenance", plainly=False):
        kept: dict[str, str] = dict(provenance(sample))
    return did + [f"{what} {value}" for what, value in kept.items()], {**facts, "provenance": kept}
