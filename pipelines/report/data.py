"""The data in numbers, and the limits that they set: what a reader must know before looking at any score.

The limits are derived from the rows and not from the name of a pipeline: a group says itself what the unit of
splitting was (`patient:...`, `slab:...`, `image:...`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from shards.vocabulary import MODALITIES, SPLITS

FEWEST_GROUPS = 3  # with fewer, a modality has nothing to hold out


@dataclass(frozen=True, kw_only=True)
class Counts:
    """The first numbers of the page."""

    pairs: int
    stills: int
    clips: int
    modalities: int
    specialties: int
    sources: int
    groups: int
    splits: dict[str, int]


def counts(rows: pl.DataFrame) -> Counts:
    """Of the data set."""
    clips = int((rows["frames"] > 1).sum())
    by_split = dict(rows.group_by("split").len().iter_rows())
    return Counts(
        pairs=rows.height,
        stills=rows.height - clips,
        clips=clips,
        modalities=rows["modality"].n_unique(),
        specialties=rows["specialty"].n_unique(),
        sources=rows["source"].n_unique(),
        groups=rows["group"].n_unique(),
        splits={split: by_split[split] for split in SPLITS if split in by_split},
    )


def sources(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """One row a source and licence: pairs, clips, modalities, groups by what they are, captions by who wrote them."""
    found = []
    for (source, licence), part in rows.group_by("source", "license", maintain_order=True):
        found.append(
            {
                "source": source,
                "license": licence,
                "pairs": part.height,
                "clips": int((part["frames"] > 1).sum()),
                "modalities": ", ".join(MODALITIES[code].name for code in part["modality"].unique().sort()),
                "groups": _counts(group.partition(":")[0] for group in part["group"].unique()),
                "captions": _counts(by or "nobody" for by in part["by"]),
            }
        )
    return sorted(found, key=lambda row: (-row["pairs"], row["source"]))


def _counts(words: Iterable[str]) -> str:
    """ "12 slab, 1 patient", the most frequent first."""
    counted = sorted(Counter(words).items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count:,} {word}" for word, count in counted)


def split_table(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """Pairs of each modality by split, largest first."""
    table = rows.group_by("modality", "split").len()
    counted = {(modality, split): count for modality, split, count in table.iter_rows()}
    found = [
        {
            "modality": modality,
            "name": MODALITIES[modality].name,
            "pairs": sum(count for (m, _), count in counted.items() if m == modality),
            "groups": rows.filter(pl.col("modality") == modality)["group"].n_unique(),
            "splits": {split: counted.get((modality, split), 0) for split in SPLITS},
        }
        for modality in rows["modality"].unique()
    ]
    return sorted(found, key=lambda row: (-row["pairs"], row["modality"]))


def of_earlier_runs(stages: Sequence[str]) -> list[str]:
    """What a reader has to know where stages were finished over other inputs or options than the file has now."""
    if not stages:
        return []
    names = ", ".join(stages)
    return [
        f"Of an earlier run: what is shown of {names} was made from other inputs or options than this pipeline has "
        "now, and may not fit the rest of the page. Run the pipeline, and write the page again."
    ]


def limits(rows: pl.DataFrame, *, trained: bool, measured: bool) -> list[str]:
    """What the scores and pictures of this page can not show.

    `trained`: a model was trained on these rows; `measured`: the page holds the distances to training pictures.
    """
    found = []
    slabs = rows.filter(pl.col("volume").is_not_null())
    if slabs.height:
        bodies, volumes = _bodies(slabs), slabs["volume"].n_unique()
        of = "one single anatomy" if bodies == 1 else f"{bodies} anatomies"
        of += f", in {volumes} volumes" if volumes > bodies else ""
        found.append(
            f"{slabs.height:,} of {rows.height:,} pairs are slices of {of}. No split by patient exists for them; slabs "
            "of neighbouring slices are held out, with a gap on both sides. Scores within one volume show fit and not "
            "generalisation to other people."
        )
        if trained:
            of = "one anatomy" if bodies == 1 else "so few anatomies"
            close = "; the figures on nearest neighbours below show how close" if measured else ""
            found.append(
                f"A model trained on {of} memorises it: what it draws lies close to training slices{close}. This page "
                "shows that the machinery works, not that a model has learnt anatomy."
            )
    alone = rows.filter(pl.col("group").str.starts_with("image:")).height
    if alone:
        found.append(
            f"For {_counted(alone, 'pair')} no patient or study is known: each picture is a group of its own, so that "
            "two pictures of one person could lie in two splits."
        )
    few = [row for row in split_table(rows) if row["groups"] < FEWEST_GROUPS and not _held_out(row)]
    if few:
        found.append(
            f"Train only, since fewer than {FEWEST_GROUPS} groups leave nothing to hold out: "
            f"{', '.join(row['name'] for row in few)}."
        )
    return found


def _bodies(slabs: pl.DataFrame) -> int:
    """How many anatomies the slabs are of: volumes that share a slab lie on one grid and show one body."""
    bodies: list[tuple[set[str], set[str]]] = []  # volumes, groups
    for volume, groups in slabs.group_by("volume", maintain_order=True).agg(pl.col("group").unique()).iter_rows():
        joined = [body for body in bodies if not body[1].isdisjoint(groups)]
        bodies = [body for body in bodies if body not in joined]
        bodies.append(
            (
                {volume}.union(*(volumes for volumes, _ in joined)),
                set(groups).union(*(others for _, others in joined)),
            )
        )
    return len(bodies)


def _held_out(row: dict[str, Any]) -> int:
    return sum(count for split, count in row["splits"].items() if split != "train")


def headline(found: Counts, *, trained: bool) -> str:
    """The title of the page."""
    kinds = [_counted(found.stills, "picture")] if found.stills else []
    kinds += [_counted(found.clips, "clip")] if found.clips else []
    whole = " and ".join(kinds) or "No pairs"
    return f"{whole} with captions, and a model trained on them" if trained else f"{whole} with captions"


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' if number != 1 else ''}"
