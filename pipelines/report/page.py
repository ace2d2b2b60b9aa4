"""`medloom report`: one page from whatever the stages of a pipeline have left, with nothing in it that is fetched.

Sections stand in the order in which a reader asks: what is this and what can it not show, what data, what was dropped,
what was learnt, what came out, how good is it, and how to do it again. What a pipeline does not have is left out. The
page holds no clock value, so the same root gives the same page.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipelines.report import data, drops, gallery, generated, learning, provenance, scores
from pipelines.report.outputs import Outputs, read_json
from pipelines.report.render import render
from pipelines.report.writers import writers
from pipelines.spec import PipelineSpec
from shards.atomic import write_bytes
from shards.stage import Kind

TITLES = {
    "data": "The data",
    "table1": "Table 1",
    "pairs": "Pairs",
    "rejects": "What was left out",
    "shards": "Shards",
    "training": "Training",
    "samples": "Real beside generated",
    "clip": "A short video",
    "scores": "Scores",
    "neighbours": "Nearest training neighbours",
    "pipeline": "How it was made",
}


def write_report(spec: PipelineSpec, out: Path) -> bool:
    """Write the page of a pipeline to `out` atomically; returns False where the page there is up to date."""
    page = report(spec).encode()
    if out.is_file() and out.read_bytes() == page:
        return False
    write_bytes(out, page)
    return True


def report(spec: PipelineSpec) -> str:
    """The page; ValueError where no stage has finished or a file of one is damaged."""
    outputs = Outputs(spec)
    sections = _sections(outputs)
    found = data.counts(outputs.rows)
    trained = bool(outputs.complete(Kind.CHECKPOINT)) and found.pairs > 0
    return render(
        "page.j2",
        pipeline=spec.name,
        title=data.headline(found, trained=trained),
        counts=found,
        rejected=sum(sum(state.rejected.values()) for state in outputs.statuses.values()),
        seconds=learning.duration(sum(state.seconds for state in outputs.statuses.values())),
        limits=[
            *data.of_earlier_runs([state.stage for state in outputs.statuses.values() if state.state == "changed"]),
            *data.limits(outputs.rows, trained=trained, measured=bool(sections["neighbours"])),
        ],
        side_px=gallery.CARD_SIDE_PX,
        synthetic=bool(sections["samples"]),
        titles={name: title for name, title in TITLES.items() if sections[name]},
        sections=sections,
        provenance=provenance.provenance(outputs),
    )


def _data(outputs: Outputs) -> dict[str, Any] | None:
    rows = outputs.rows
    if not rows.height:
        return None
    return {"sources": data.sources(rows), "writers": writers(outputs), "modalities": data.split_table(rows)}


def _sections(outputs: Outputs) -> dict[str, Any]:
    """The content of every section; empty where there is nothing to show."""
    table_one = next((read_json(path) for _, path in outputs.holding("table1.json")), None)
    return {
        "data": _data(outputs),
        "table1": table_one,
        "pairs": gallery.plates(outputs),
        "rejects": drops.drops(outputs),
        "shards": drops.packed(outputs),
        "training": learning.trainings(outputs),
        "samples": generated.grids(outputs),
        "clip": gallery.clip(outputs),
        "scores": scores.scores(outputs),
        "neighbours": scores.neighbours(outputs),
        "pipeline": provenance.pipeline(outputs),
    }
