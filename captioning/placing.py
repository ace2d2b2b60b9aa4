"""Where new captions go in a part: which rows are asked about, and what becomes of a row with and without an answer.

A new caption takes the place of the first that it replaces, with its weight; beside others it is put last, and a row
that has one by the same engine is not asked about; else it is put first. Rows without any text, which are nearly all,
are filled column by column; only rows that have captions already are handled one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from shards.manifest import SCHEMA

ANSWERS: dict[str, pl.DataType | type[pl.DataType]] = {  # what an engine says of the rows that it was asked about
    "key": pl.String,
    "text": pl.String,  # null where it has none
    "checks": pl.List(pl.String),
    "reason": pl.String,  # a code of shards.reasons.Reason where there is no text
    "detail": pl.String,
}


def answer_frame(answers: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Answers as a table of ANSWERS."""
    return pl.DataFrame(answers, schema=ANSWERS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Whose captions come, and what they may do to those that are there."""

    by: str
    replaced: tuple[str, ...] = ()  # starts of `by` of the captions that are replaced
    beside: bool = False  # the caption stands beside those of others
    weight: float = 1.0  # of a caption that replaces none


def wanted(place: Place) -> pl.Expr:
    """Rows that the engine is asked about: without text, with a caption to be replaced, or all but its own."""
    by = pl.element().struct.field("by")
    if place.beside:
        return ~_any((by == place.by) & _says())
    asked = ~_spoken()
    for start in place.replaced:
        asked |= _any(by.str.starts_with(start))
    return asked


def placed(
    rows: pl.DataFrame, answers: pl.DataFrame, place: Place, *, spare: pl.DataFrame | None = None, spare_by: str = ""
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """`rows` with the captions of `answers` in their places, and (key, reason, detail) of the rows left without text.

    A row without text to which there is no answer gets that of `spare` by `spare_by`, with the reason in its checks.
    Rows that `answers` does not hold stay as they are.
    """
    joined = rows.join(answers, on="key", how="left", maintain_order="left")
    asked = pl.col("text").is_not_null() | pl.col("reason").is_not_null()
    new = pl.struct(text="text", by=pl.lit(place.by), weight=pl.lit(place.weight), checks="checks")
    none = pl.lit(None, dtype=SCHEMA["captions"])
    lost = ~_spoken() & pl.col("reason").is_not_null()
    filled = pl.when(asked & ~_spoken()).then(pl.concat_list(new)).otherwise(none)
    if spare is not None:
        texts = spare.select("key", pl.col("text").alias("spare"))
        joined = joined.join(texts, on="key", how="left", maintain_order="left")
        why = pl.concat_list(pl.concat_str(pl.lit(f"{place.by}: "), "reason"))
        stands_in = pl.struct(text="spare", by=pl.lit(spare_by), weight=pl.lit(place.weight), checks=why)
        spoken_for = lost & pl.col("spare").is_not_null()
        filled = pl.when(spoken_for).then(pl.concat_list(stands_in)).otherwise(filled)
        lost &= pl.col("spare").is_null()
    joined = joined.with_columns(filled.alias("filled"), (asked & _spoken()).alias("both"), lost.alias("lost"))
    dropped = joined.filter("lost").select("key", "reason", "detail")
    both = joined.filter("both").select("key", "captions", "text", "checks", "reason")
    merged = pl.DataFrame(
        {"key": both["key"], "merged": [_merged(row, place) for row in both.iter_rows(named=True)]},
        schema={"key": pl.String, "merged": SCHEMA["captions"]},
    )
    kept = joined.filter(~pl.col("lost")).join(merged, on="key", how="left", maintain_order="left")
    return kept.with_columns(captions=pl.coalesce("merged", "filled", "captions")).select(SCHEMA.names()), dropped


def _spoken() -> pl.Expr:
    return _any(_says())


def _says() -> pl.Expr:
    return pl.element().struct.field("text").str.strip_chars() != ""


def _any(caption: pl.Expr) -> pl.Expr:
    return pl.col("captions").list.eval(caption).list.any().fill_null(value=False)


def _merged(row: Mapping[str, Any], place: Place) -> list[dict[str, Any]]:
    """The captions of a row that has some: with the new one, or with the reason why there is none."""
    said = [caption for caption in row["captions"] if caption["text"].strip()]
    ours = [number for number, caption in enumerate(said) if caption["by"].startswith(place.replaced)]
    if row["text"] is None:
        why = f"{place.by}: {row['reason']}"
        told = ours or [0]
        return [{**said[i], "checks": [*said[i]["checks"], why]} if i in told else said[i] for i in range(len(said))]
    weight = said[ours[0]]["weight"] if ours else place.weight
    new = {"text": row["text"], "by": place.by, "weight": weight, "checks": row["checks"]}
    if place.beside:
        return [*said, new]
    at = ours[0] if ours else 0
    kept = [caption for number, caption in enumerate(said) if number not in ours]
    return [*kept[:at], new, *kept[at:]]
