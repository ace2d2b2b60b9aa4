"""Where a sample comes from: from its shard back through every stage to the file, or where it was dropped and why.

Read from what the stages left (parts, records, rejects, index), so it holds for the data as they are and needs neither
the source nor a model. What a stage did to a sample is the difference between its row and the row before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.caption_changes import changes
from pipelines.captioners import of_stage
from pipelines.explain_source import source_of
from pipelines.records import StageFolder, UnitRecord
from pipelines.source_yaml import SpecError
from pipelines.spec import PipelineSpec, StageSpec, load, pipeline_names
from pipelines.specimen import of_members
from shards.index import INDEX_NAME, read_index
from shards.manifest import SCHEMA, Sample, samples
from shards.reader import ShardReader
from shards.reasons import Reason
from shards.stage import Kind

MAX_REJECTS = 20
MAX_KEYS = 5  # of several that are meant, those that are named
UNCHANGED = "passed on as it was"
GIVE = (
    "a key as `medloom show` lists it, the start of one, the name of a source file, or a part of the name of a "
    "rejected item"
)


@dataclass(frozen=True, kw_only=True)
class Link:
    """One stage that the sample went through."""

    pipeline: str
    stage: str
    use: str
    kind: str
    unit: str
    fingerprint: str  # of the unit; what it covers stands in its record
    part: str  # path of the Parquet part that holds the sample
    did: tuple[str, ...]
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """An item that a stage dropped."""

    pipeline: str
    stage: str
    unit: str
    item: str
    reason: str
    sentence: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """All that is known of one key, or of the items that a text names."""

    asked: str
    links: tuple[Link, ...]  # from the shard back to the source
    rejections: tuple[Rejection, ...]
    rejected: int  # items that the text names; of these the first stand in `rejections`
    unread: dict[str, str]  # pipelines of the file that could not be read, and why


def explain(file: Path, asked: str, pipeline: str | None = None) -> Explanation:
    """Search one pipeline of `file`, or all; ValueError where no stage has heard of `asked`, or of several such."""
    specs: list[PipelineSpec] = []
    unread: dict[str, str] = {}
    for name in [pipeline] if pipeline else pipeline_names(file):
        try:
            specs.append(load(file, name))
        except SpecError as error:
            if pipeline:
                raise
            unread[name] = str(error)
    asked = asked.strip().removesuffix("…")
    if not asked:
        raise ValueError(f"nothing is asked for: give {GIVE}")
    links, rejections, rejected = _search(specs, asked)
    if not links and not rejections:
        key = _meant(specs, asked)
        if key is None:
            raise ValueError(f"no sample and no reject of {pipeline or file} is named `{asked}`: give {GIVE}")
        asked = key
        links, rejections, rejected = _search(specs, asked)
    return Explanation(
        asked=asked, links=tuple(links), rejections=tuple(rejections[:MAX_REJECTS]), rejected=rejected, unread=unread
    )


def _search(specs: Sequence[PipelineSpec], asked: str) -> tuple[list[Link], list[Rejection], int]:
    """What the stages know of a key, or of the rejected items that a text names, and how many those are."""
    links: list[Link] = []
    rejections: list[Rejection] = []
    rejected = 0
    for spec in specs:
        links += _links(spec, asked)
        found, count = _rejections(spec, asked)
        rejections += found
        rejected += count
    return links, rejections, rejected


def _meant(specs: Sequence[PipelineSpec], asked: str) -> str | None:
    """The one key that begins so or whose source file is called so; ValueError where there are several."""
    uri = pl.col("media").struct.field("uri")
    named = pl.col("key").str.starts_with(asked) | uri.str.ends_with(f"/{asked}")
    keys: set[str] = set()
    for spec in specs:
        for stage in spec.stages:
            for part in sorted((spec.root / stage.name / "parts").glob("*.parquet")):
                table = pl.scan_parquet(part)
                if table.collect_schema().keys() == SCHEMA.keys():
                    keys.update(table.filter(named).select("key").collect()["key"])
    if len(keys) > 1:
        some = ", ".join(sorted(keys)[:MAX_KEYS]) + (", ..." if len(keys) > MAX_KEYS else "")
        raise ValueError(f"`{asked}` is the file or the start of the key of {len(keys):,} samples: give one of {some}")
    return next(iter(keys), None)


def _links(spec: PipelineSpec, key: str) -> list[Link]:
    found: list[Link] = []
    rows: dict[str, Sample] = {}  # by stage
    for stage in spec.stages:
        folder = StageFolder(spec.root, stage.name)
        if (folder.path / INDEX_NAME).is_file():
            found += _packed(spec, stage, folder, key)
        elif stage.contract.gives is Kind.MANIFEST:
            for part, row in _rows(folder, key):
                before = next((rows[name] for name in stage.inputs if name in rows), None)
                sample = rows[stage.name] = next(samples(row))
                did, facts = source_of(stage, sample) if before is None else (_changed(before, sample), {})
                speakers = [each for each in of_stage(folder) if each.by in {c.by for c in sample.captions}]
                did += [captioner.words() for captioner in speakers]
                facts |= {"captioners": [asdict(captioner) for captioner in speakers]} if speakers else {}
                found.append(_link(spec, stage, folder, part, did, facts))
    return found[::-1]


def _rows(folder: StageFolder, key: str) -> Iterator[tuple[Path, pl.DataFrame]]:
    for part in sorted(folder.parts.glob("*.parquet")):
        table = pl.scan_parquet(part)
        if "key" in table.collect_schema():
            row = table.filter(pl.col("key") == key).collect()
            if row.height:
                yield part, row


def _link(
    spec: PipelineSpec, stage: StageSpec, folder: StageFolder, part: Path, did: Sequence[str], facts: dict[str, Any]
) -> Link:
    record = _record_of(folder, part.stem)
    return Link(
        pipeline=spec.name,
        stage=stage.name,
        use=stage.use,
        kind=stage.contract.gives.value,
        unit=record.unit if record else part.stem,
        fingerprint=record.fingerprint if record else "",
        part=str(part),
        did=tuple(did),
        facts=facts,
    )


def _record_of(folder: StageFolder, part: str) -> UnitRecord | None:
    """The unit that wrote a part; a job writes several."""
    records = folder.records()
    return records.get(part) or next((r for r in records.values() if part in {name for name, _, _ in r.parts}), None)


def _packed(spec: PipelineSpec, stage: StageSpec, folder: StageFolder, key: str) -> Iterator[Link]:
    """The shards of one stage that hold the key."""
    shard_set = read_index(folder.path)
    for number, shard in enumerate(shard_set.shards):
        members = shard_set.members(shard).filter(pl.col("key") == key)
        if not members.height:
            continue
        opened = ShardReader(shard_set, shard_set.shards).opened(number)
        at = next(n for n, (name, _) in enumerate(opened.samples) if name == key)
        specimen = of_members(*opened.read(at, check=True))
        did = [f"in {shard_set.path(shard.path)} (split {shard.split}, sha256 {shard.sha256})"]
        did += [
            f"{row['member']}: {row['size_bytes']:,} bytes at {row['offset']:,}, sha256 {row['sha256']}"
            for row in members.iter_rows(named=True)
        ]
        did += [f"pixels: {step}" for step in specimen.steps]
        facts = {
            "shard": shard.path,
            "split": shard.split,
            "sha256": shard.sha256,
            "members": members.drop("key").to_dicts(),
            "steps": list(specimen.steps),
        }
        yield _link(spec, stage, folder, folder.path / shard.index, did, facts)


def _changed(before: Sample, after: Sample) -> list[str]:
    """What a later stage did to the row."""
    did = changes(before.captions, after.captions)
    for name in SCHEMA.names():
        old, new = getattr(before, name), getattr(after, name)
        if old == new or name == "captions":
            continue
        if name == "media":
            parts = [part for part in type(new).__dataclass_fields__ if getattr(old, part) != getattr(new, part)]
            did += [f"media {part}: {getattr(new, part)}" for part in parts]
        elif name in ("labels", "terms"):
            did.append(f"{name} changed")
        else:
            did.append(f"{name}: {new}" if old in (None, "", "{}") else f"{name}: {old} -> {new}")
    return did or [UNCHANGED]


def _rejections(spec: PipelineSpec, text: str) -> tuple[list[Rejection], int]:
    """The first rejects whose item is `text`, or where there is none, whose item holds it; and how many there are."""
    paths = [path for stage in spec.stages for path in sorted((spec.root / stage.name / "rejects").glob("*.parquet"))]
    if not paths:
        return [], 0
    table = pl.concat([pl.scan_parquet(path) for path in paths])
    rows = table.filter(pl.col("item") == text).collect()
    count = rows.height
    if not count:
        found = table.filter(pl.col("item").str.contains(text, literal=True))
        rows, count = found.head(MAX_REJECTS).collect(), found.select(pl.len()).collect().item()
    known = {reason.value: reason.text for reason in Reason}
    told = [
        Rejection(pipeline=spec.name, sentence=known.get(row["reason"], ""), **row)
        for row in rows.head(MAX_REJECTS).iter_rows(named=True)
    ]
    return told, count


def text(explanation: Explanation) -> str:
    """The chain for a terminal: the shard first, the source last."""
    lines = [explanation.asked]
    for link in explanation.links:
        lines += ["", f"{link.stage} ({link.use}) gives {link.kind}"]
        lines.append(f"  unit {link.unit}, fingerprint {link.fingerprint[:16] or 'unknown'}, part {link.part}")
        lines += [f"  {line}" for line in link.did]
    for reject in explanation.rejections:
        lines += ["", f"{reject.stage} rejected {reject.item}", f"  {reject.reason}: {reject.sentence}"]
        lines += [f"  {reject.detail}"] if reject.detail else []
        lines.append(f"  unit {reject.unit} of pipeline {reject.pipeline}")
    more = explanation.rejected - len(explanation.rejections)
    lines += [f"\nand {more:,} more items: give more of the name"] if more else []
    lines += [f"\npipeline {name} was not read: {why}" for name, why in explanation.unread.items()]
    return "\n".join(lines) + "\n"
