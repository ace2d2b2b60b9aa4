"""MediSyn's Table 1 for a curated manifest: pairs by specialty and by modality, images and clips apart.

The paper's table (arXiv 2405.09806, Table 1) has nine names of modalities; ours are finer, so both stand in the
summary, and what the paper has no row for is counted by itself. The paper counts pictures, so maps that were computed
from scans (attribute `map`, such as the probability of grey matter) are a column of their own and in no other number
but `pairs`. Beside it: groups, splits, the held-out set with what it falls short of, licences, and which modalities are
for training only since they come from too few groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from ingest.held_out import train_only
from ingest.quota import HeldOut
from ingest.splits import NO_SPLIT
from shards.vocabulary import MEDISYN_MODALITIES, MODALITIES, SPLITS

NOT_IN_PAPER = "not in the paper's table"
MAPS = "maps computed from scans"
_PICTURE = ~pl.col("derived")
COUNTS = (
    pl.len().alias("pairs"),  # images, clips and maps
    (_PICTURE & ~pl.col("clip")).sum().alias("images"),
    (_PICTURE & pl.col("clip")).sum().alias("clips"),
    pl.col("derived").sum().alias("maps"),
    pl.col("component").filter(_PICTURE).n_unique().alias("groups"),  # of images and clips, as are the splits
    *((_PICTURE & (pl.col("split") == code)).sum().alias(name) for code, name in enumerate(SPLITS)),
    (pl.col("held_out") & ~pl.col("clip")).sum().alias("held_out_images"),
    (pl.col("held_out") & pl.col("clip")).sum().alias("held_out_clips"),
)


def summarise(pairs: pl.DataFrame, quota: HeldOut, rejects: Mapping[str, int]) -> dict[str, Any]:
    """The summary as JSON values.

    `pairs` has the columns component, specialty, modality, license, source, clip, derived, split and official (codes),
    held_out.
    """
    official = pairs.filter(pl.col("official") != NO_SPLIT)
    return {
        "total": pairs.select(COUNTS).row(0, named=True),
        "by_specialty": [_with_shortfall(row, quota) for row in _by(pairs, "specialty")],
        "by_modality": [{**row, "name": MODALITIES[row["modality"]].name} for row in _by(pairs, "modality")],
        "by_medisyn_modality": _by_paper(pairs),
        "by_licence": _by(pairs, "license"),
        "by_source": _by(pairs, "source"),
        "train_only": {"modalities": _never_held(pairs, "modality"), "specialties": _never_held(pairs, "specialty")},
        "held_out_quota": {"images": quota.images, "clips": quota.clips},
        "official_split": {
            "pairs": official.height,
            "moved": official.filter(pl.col("official") != pl.col("split")).height,
        },
        "rejects": dict(sorted(rejects.items())),
    }


def _never_held(pairs: pl.DataFrame, column: str) -> list[str]:
    """Values with too few groups for a draw, of which no published split put any elsewhere."""
    elsewhere = set(pairs.filter(pl.col("split") != SPLITS.index("train"))[column].to_list())
    return [value for value in train_only(pairs, column) if value not in elsewhere]


def _by(pairs: pl.DataFrame, column: str) -> list[dict[str, Any]]:
    return list(
        pairs.group_by(column).agg(COUNTS).sort("pairs", column, descending=[True, False]).iter_rows(named=True)
    )


def _with_shortfall(row: dict[str, Any], quota: HeldOut) -> dict[str, Any]:
    """How many pairs the held-out set lacks; 0 where the specialty has none of that kind at all."""
    wanted = {"images": quota.images, "clips": quota.clips}
    lacks = {f"lacks_{kind}": wanted[kind] - row[f"held_out_{kind}"] if row[kind] else 0 for kind in wanted}
    return {**row, **lacks}


def _by_paper(pairs: pl.DataFrame) -> list[dict[str, Any]]:
    names = {code: modality.medisyn or NOT_IN_PAPER for code, modality in MODALITIES.items()}
    paper = pl.col("modality").cast(pl.String).replace_strict(names, return_dtype=pl.String).cast(pl.Categorical)
    found = {row["modality"]: row for row in _by(pairs.with_columns(paper.alias("modality")), "modality")}
    empty = dict.fromkeys((expression.meta.output_name() for expression in COUNTS), 0)
    return [found.get(name, {"modality": name, **empty}) for name in (*MEDISYN_MODALITIES, NOT_IN_PAPER)]


def shortfalls(summary: Mapping[str, Any]) -> list[str]:
    """One line for each specialty and kind whose held-out set is not full, and one for all that is only trained on."""
    few = summary["train_only"]
    lines = [
        f"{row['specialty']}: held out {row[f'held_out_{kind}']} of the {summary['held_out_quota'][kind]} {kind} that "
        "are wanted (whole groups move, at most a tenth of them)"
        for row in summary["by_specialty"]
        for kind in ("images", "clips")
        if row[f"lacks_{kind}"] and row["specialty"] not in few["specialties"]
    ]
    if few["modalities"] or few["specialties"]:
        names = ", ".join([*few["modalities"], *few["specialties"]])
        lines.append(f"for training only, since they come from fewer than three groups: {names}")
    return lines


def markdown(summary: Mapping[str, Any]) -> str:
    """The summary as a page of tables."""
    total = summary["total"]
    moved = summary["official_split"]["moved"]
    kinds = ("images", "clips", *(["maps"] if total["maps"] else []))
    parts = [
        "# Table 1",
        f"{total['images']:,} images and {total['clips']:,} clips, from {total['groups']:,} groups, "
        "none of them in two splits.",
        "## By specialty",
        _table(
            summary["by_specialty"],
            ("specialty", *kinds, "groups", *SPLITS, "held_out_images", "held_out_clips"),
        ),
        "## By modality, in the names of the MediSyn paper",
        _table(summary["by_medisyn_modality"], ("modality", *kinds)),
        *_about_maps(summary),
        "## By modality",
        _table(summary["by_modality"], ("modality", "name", *kinds, "groups", *SPLITS)),
        "## By licence",
        _table(summary["by_licence"], ("license", *kinds)),
        "## By source",
        _table(summary["by_source"], ("source", *kinds, "groups", *SPLITS)),
    ]
    if lines := shortfalls(summary):
        parts += ["## What the held-out set lacks", "\n".join(f"- {line}" for line in lines)]
    if summary["official_split"]["pairs"]:
        text = f"{summary['official_split']['pairs']:,} pairs came with a published split"
        parts.append(f"{text}; {moved:,} of them lie in another one here." if moved else f"{text}, all of them kept.")
    if summary["rejects"]:
        rows = [{"reason": reason, "rows": count} for reason, count in summary["rejects"].items()]
        parts += ["## Left out", _table(rows, ("reason", "rows"))]
    return "\n\n".join(parts) + "\n"


def _about_maps(summary: Mapping[str, Any]) -> list[str]:
    """What is counted in a column of its own; nothing where there are no maps."""
    if not summary["total"]["maps"]:
        return []
    of = ", ".join(f"{row['maps']:,} {row['modality']}" for row in summary["by_modality"] if row["maps"])
    return [
        f"{summary['total']['maps']:,} pairs ({of}) are {MAPS}: a column of their own, counted neither as images nor "
        "in groups and splits, and never in the held-out set."
    ]


def _table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> str:
    lines = ["| " + " | ".join(column.replace("_", " ") for column in columns) + " |"]
    lines.append("|" + "|".join("---" for _ in columns) + "|")
    lines += ["| " + " | ".join(_cell(row[column]) for column in columns) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
