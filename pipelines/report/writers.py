"""Who wrote the captions, how many and on what terms: the rows of the report's table of licences for words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipelines.captioners import Captioner, of_pipeline
from pipelines.report.outputs import Outputs
from shards.manifest import scan_parts

OF_SOURCE = "that of its pair"
OF_TEMPLATE = "none of its own: worded by medloom from metadata and labels"
NOT_STATED = "not stated"


@dataclass(frozen=True, kw_only=True)
class Writer:
    """One `by`."""

    by: str
    captions: int
    drawn: float  # share of the samples that training takes with its caption, by the weights
    license: str  # or why there is none
    evidence: str
    model: str  # with its revision; empty where no model speaks


def writers(outputs: Outputs) -> list[Writer]:
    """One row a `by`, most captions first."""
    captioners = [captioner for found in of_pipeline(outputs.spec).values() for captioner in found]
    paths = [path for name in outputs.manifest_stages for path in outputs.paths(name)]
    return [
        Writer(by=by, captions=captions, drawn=drawn, **terms(by, captioners))
        for by, captions, drawn in counted(paths).iter_rows()
    ]


def terms(by: str, captioners: Sequence[Captioner]) -> dict[str, str]:
    """License, evidence and model of a `by`."""
    ours = sorted({captioner for captioner in captioners if captioner.by == by})
    if ours:
        return {
            "license": "; ".join(dict.fromkeys(each.license for each in ours)),
            "evidence": "; ".join(dict.fromkeys(each.evidence for each in ours if each.evidence)),
            "model": "; ".join(dict.fromkeys(" at ".join(filter(None, [e.model, e.revision])) for e in ours)),
        }
    known = OF_SOURCE if by == "source" else OF_TEMPLATE if by.startswith("template@") else NOT_STATED
    return {"license": known, "evidence": "", "model": ""}


def counted(paths: Sequence[Path]) -> pl.DataFrame:
    """by, captions and drawn, as `Writer` has them, of the parts of a manifest; most captions first."""
    text, one = pl.element().struct.field("text"), pl.col("captions").struct
    heard = pl.element().filter(text.str.strip_chars() != "").struct
    slim = pl.col("captions").list.eval(pl.struct(by=heard.field("by"), weight=heard.field("weight")))
    rows = scan_parts(paths).select("key", slim.alias("captions")).unique("key", keep="first", maintain_order=True)
    said = rows.filter(pl.col("captions").list.len() > 0).explode("captions").collect()
    total = one.field("weight").sum().over("key")
    first = pl.int_range(pl.len()).over("key") == 0  # where all weights are 0 the first is taken
    share = pl.when(total > 0).then(one.field("weight") / total).otherwise(first)
    found = said.select(by=one.field("by"), share=share).group_by("by", maintain_order=True)
    spoken = max(1, said["key"].n_unique())
    table = found.agg(captions=pl.len(), drawn=pl.col("share").sum() / spoken)
    return table.sort(["captions", "by"], descending=[True, False])
