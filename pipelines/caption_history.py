"""Captions that later stages replaced, found in the stages before: a row holds only what stands in it now.

Which stage gave its rows to which is read off the hashes in their records, so no pipelines file is needed, and a stage
that has changed since does not pass for what the rows came from.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from pipelines.caption_changes import only_in
from pipelines.captioners import Captioner, of_stage, read_captioners
from pipelines.records import StageFolder, UnitRecord, token_hash
from shards.index import INDEX_NAME
from shards.manifest import Caption, Sample, samples, scan_parts


@dataclass(frozen=True, kw_only=True)
class Replaced:
    """A caption that is no longer there."""

    caption: Caption
    stage: str  # that took it out
    allowed: str  # what that stage may replace, by its option `replace`; empty where it has none
    by: tuple[str, ...]  # whose captions came there instead


@dataclass(kw_only=True)
class History:
    """What the stages behind a path know of its samples' captions."""

    replaced: dict[str, list[Replaced]] = field(default_factory=dict)  # by key, the latest first
    captioners: list[Captioner] = field(default_factory=list)
    is_known: bool = False  # False where the path is no stage's: what was replaced is not known there


def history(path: Path, shown: Collection[Sample]) -> History:
    """Of the samples `shown`, which `path` (a stage's folder, its parts, one of them, or a shard set) holds."""
    stage = stage_of(path)
    if stage is None:
        return History(captioners=read_captioners(path) if path.is_dir() else [])
    found = History(is_known=True)
    folders = _Folders(stage.path.parent)
    todo = [(stage, {sample.key: sample for sample in shown})]
    seen = {stage.name}
    while todo:
        stage, after = todo.pop(0)
        found.captioners += of_stage(stage)
        for earlier in folders.inputs(stage):
            if earlier.name in seen:
                continue
            seen.add(earlier.name)
            before = _rows(earlier, after)
            allowed = next((str(r.basis["params"].get("replace", "")) for r in folders.records[stage.name]), "")
            for key, sample in before.items():
                for caption, by in _gone(sample, after[key]):
                    gone = Replaced(caption=caption, stage=stage.name, allowed=allowed, by=by)
                    found.replaced.setdefault(key, []).append(gone)
            todo.append((earlier, before))
    for sample in shown:
        found.replaced[sample.key] = _once(found.replaced.get(sample.key, ()), sample)
    return found


def stage_of(path: Path) -> StageFolder | None:
    """The manifest stage whose folder, parts or part `path` is; None where it is none."""
    path = path.resolve()
    folder = next((each for each in (path, *path.parents[:2]) if (each / "units").is_dir()), path)
    inside = path.relative_to(folder).parts[:1]
    is_stage = (folder / "units").is_dir() and not (folder / INDEX_NAME).exists() and inside in ((), ("parts",))
    return StageFolder(folder.parent, folder.name) if is_stage else None


class _Folders:
    """The stages below one root, and which took from which."""

    def __init__(self, root: Path) -> None:
        self.stages = [StageFolder(root, path.parent.name) for path in sorted(root.glob("*/units"))]
        self.records = {stage.name: list(stage.records().values()) for stage in self.stages}

    def inputs(self, stage: StageFolder) -> Iterator[StageFolder]:
        wanted = {token for record in self.records[stage.name] for token in record.basis.get("inputs", ())}
        for other in self.stages:
            if other.name != stage.name and not wanted.isdisjoint(_given(other, self.records[other.name])):
                yield other


def _given(stage: StageFolder, records: Collection[UnitRecord]) -> set[str]:
    """The tokens by which others name what the stage gave: each of its parts, and the whole."""
    contents = [record.content for record in records]
    contents += [content for record in records for _, content, _ in record.parts]
    return {token_hash(content) for content in [*contents, stage.finished().get("content", "")] if content}


def _rows(stage: StageFolder, wanted: Collection[str]) -> dict[str, Sample]:
    parts = sorted(stage.parts.glob("*.parquet"))
    rows = scan_parts(parts).filter(pl.col("key").is_in(list(wanted))).collect()
    return {sample.key: sample for sample in samples(rows)}


def _gone(before: Sample, after: Sample) -> Iterator[tuple[Caption, tuple[str, ...]]]:
    """Captions that went, and whose captions came."""
    came = tuple(dict.fromkeys(caption.by for caption in only_in(after.captions, before.captions)))
    return ((caption, came) for caption in only_in(before.captions, after.captions) if caption.text.strip())


def _once(replaced: Sequence[Replaced], shown: Sample) -> list[Replaced]:
    """Each text once, and none that a later stage put back."""
    here = {(caption.text, caption.by) for caption in shown.captions}
    told = {(each.caption.text, each.caption.by): each for each in reversed(replaced)}
    return [each for name, each in reversed(told.items()) if name not in here]
