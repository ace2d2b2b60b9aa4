"""A caption sheet: pictures beside all that was said of them and by whom, for people who check a few of many by eye.

At its top stands what cannot be seen in a few: who wrote how many captions on what terms, the remarks that the checks
left, and the items that the stage rejected, by reason. It holds no name of an item and no detail of a reject, since
both may name a person.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.caption_history import History, Replaced, history, stage_of
from pipelines.captioners import Captioner
from pipelines.pictures import Picture
from pipelines.report.gallery import facts, heading, why_not_shown
from pipelines.report.render import render
from pipelines.report.writers import counted, terms
from pipelines.show import Selection, part_paths
from pipelines.specimen import Specimen, label_words
from shards.atomic import write_bytes
from shards.intake import Skip
from shards.manifest import Caption, scan_parts
from shards.media import MediaReader
from shards.reasons import Reason

SIDE_PX = 320
FRAMES = 4  # of a clip
MOST_REMARKS = 25  # different ones that are counted at the top
WRITERS = ("source", "template", "model")  # the columns of a sample


@dataclass(frozen=True, kw_only=True)
class Said:
    """One caption."""

    text: str
    by: str
    weight: str
    remarks: list[tuple[str, str]]  # with what they mean
    terms: str  # of its captioner


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One sample."""

    key: str
    title: str
    pictures: list[tuple[Picture, str, str]]  # with its alternative text, and its place in a clip
    why_not: str  # where there is no picture
    facts: list[tuple[str, str]]
    captions: dict[str, list[Said]]  # by WRITERS
    replaced: list[Replaced]


def write_sheet(selection: Selection, where: Sequence[str], out: Path) -> None:
    """Write the sheet atomically."""
    known = history(selection.path, [specimen.sample for specimen in selection.specimens])
    reader = MediaReader()
    of_manifest = selection.what == "manifest"
    paths = part_paths(selection.path) if of_manifest else []
    page = render(
        "captions.j2",
        title=f"Captions of {selection.path.resolve().name}, a {selection.what}",
        samples=selection.samples,
        matching=selection.matching,
        asked=", ".join(where),
        of_manifest=of_manifest,
        history=known,
        writers=[(*row, terms(row[0], known.captioners)) for row in counted(paths).iter_rows()],
        remarks=_remarks(paths),
        rejects=rejects(selection.path),
        columns=WRITERS,
        entries=[_entry(specimen, reader, known) for specimen in selection.specimens],
    )
    write_bytes(out, page.encode())


def rejects(path: Path) -> dict[str, Any] | None:
    """What the stage of `path` rejected: reasons with their sentences and numbers; None where it is no whole stage."""
    stage = stage_of(path)
    if stage is None or stage.path != path.resolve():
        return None
    records = stage.records().values()
    found: Counter[str] = sum((Counter(record.rejected) for record in records), Counter())
    known = {reason.value: reason.text for reason in Reason}
    rows = [(code, items, known.get(code, "")) for code, items in sorted(found.items(), key=lambda one: (-one[1], one))]
    return {"rows": rows, "offered": sum(record.offered for record in records)}


def _remarks(paths: Sequence[Path]) -> list[tuple[str, int, str]]:
    """Remark, captions that have it, and what it means; the most frequent first."""
    check = pl.col("captions").list.eval(pl.element().struct.field("checks").list.explode().drop_nulls())
    rows = scan_parts(paths).select(check.alias("check")).filter(pl.col("check").list.len() > 0)
    table = rows.explode("check").group_by("check").len().sort(["len", "check"], descending=[True, False])
    return [(text, number, meaning(text)) for text, number in table.head(MOST_REMARKS).collect().iter_rows()]


def _entry(specimen: Specimen, reader: MediaReader, known: History) -> Entry:
    sample = specimen.sample
    title = heading(sample)
    pictures, why_not = [], ""
    try:
        for picture, place in specimen.stills(reader, SIDE_PX, FRAMES):
            pictures.append((picture, ", ".join(filter(None, [title, place, f"sample {sample.key}"])), place))
    except (Skip, FileNotFoundError, ValueError) as error:
        why_not = why_not_shown(error)
    attributes = json.loads(sample.attributes or "{}")
    told = [("modality", sample.modality), *facts(sample)]
    told += [(name.replace("_", " "), str(value)) for name, value in attributes.items()]
    said: dict[str, list[Said]] = {writer: [] for writer in WRITERS}
    spoken = [caption for caption in sample.captions if caption.text.strip()]
    total = sum(caption.weight for caption in spoken)
    for caption in spoken:
        said[_writer(caption.by)].append(_said(caption, total, known.captioners))
    return Entry(
        key=sample.key,
        title=title[:1].upper() + title[1:],
        pictures=pictures,
        why_not=why_not,
        facts=[*told, *(("label", label_words(label)) for label in sample.labels)],
        captions=said,
        replaced=known.replaced.get(sample.key, []),
    )


def _writer(by: str) -> str:
    return "source" if by == "source" else "template" if by.startswith("template@") else "model"


def _said(caption: Caption, total: float, captioners: Sequence[Captioner]) -> Said:
    share = f", {100 * caption.weight / total:.0f} % of the draws" if total > 0 else ""
    return Said(
        text=caption.text,
        by=caption.by,
        weight=f"{caption.weight:g}{share}",
        remarks=[(check, meaning(check)) for check in caption.checks],
        terms=terms(caption.by, captioners)["license"] if _writer(caption.by) == "model" else "",
    )


def meaning(remark: str) -> str:
    """The sentence of the reason that a remark ends with (`try 1: answer_empty`); empty where it ends with none."""
    code = remark.rpartition(": ")[2]
    return next((reason.text for reason in Reason if reason.value == code), "")
