"""Where new captions go in a part: which rows are asked about, and what becomes of a row with and without an answer.

A new caption takes the place of the first that it replaces, with its weight, else it is put first. Rows without any
text, which are nearly all, are filled column by column; only rows that have captions already are handled one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def wanted(replaced: Sequence[str]) -> pl.Expr:
    """Rows without text, and rows with a caption whose `by` starts with one of `replaced`."""
    asked = ~_spoken()
    for start in replaced:
        by = pl.element().struct.field("by")
        asked |= pl.col("captions").list.eval(by.str.starts_with(start)).list.any()
    return asked


def placed(
    rows: pl.DataFrame, answers: pl.DataFrame, *, by: str, replaced: Sequence[str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """`rows` with the captions of `answers` in their places, and (key, reason, detail) of the rows left without text.

    Rows that `answers` does not hold stay as they are.
    """
    joined = rows.join(answers, on="key", how="left", maintain_order="left")
    asked = pl.col("text").is_not_null() | pl.col("reason").is_not_null()
    new = pl.struct(text="text", by=pl.lit(by), weight=pl.lit(1.0), checks="checks")
    none = pl.lit(None, dtype=SCHEMA["captions"])
    joined = joined.with_columns(
        pl.when(asked & ~_spoken()).then(pl.concat_list(new)).otherwise(none).alias("filled"),
        (asked & _spoken()).alias("both"),
    )
    lost = ~_spoken() & pl.col("reason").is_not_null()
    dropped = joined.filter(lost).select("key", "reason", "detail")
    both = joined.filter("both").select("key", "captions", "text", "checks", "reason")
    merged = pl.DataFrame(
        {"key": both["key"], "merged": [_merged(row, by, tuple(replaced)) for row in both.iter_rows(named=True)]},
        schema={"key": pl.String, "merged": SCHEMA["captions"]},
    )
    kept = joined.filter(~lost).join(merged, on="key", how="left", maintain_order="left")
    return kept.with_columns(captions=pl.coalesce("merged", "filled", "captions")).select(SCHEMA.names()), dropped


def _spoken() -> pl.Expr:
    text = pl.element().struct.field("text")
    return pl.col("captions").list.eval(text.str.strip_chars() != "").list.any().fill_null(value=False)


def _merged(row: Mapping[str, Any], by: str, replaced: tuple[str, ...]) -> list[dict[str, Any]]:
    """The captions of a row that has some: with the new one, or with the reason why there is none."""
    said = [caption for caption in row["captions"] if caption["text"].strip()]
    ours = [number for number, caption in enumerate(said) if caption["by"].startswith(replaced)]
    if row["text"] is None:
        why = f"{by}: {row['reason']}"
        return [{**said[i], "checks": [*said[i]["checks"], why]} if i in ours else said[i] for i in range(len(said))]
    weight = said[ours[0]]["weight"] if ours else 1.0
    new = {"text": row["text"], "by": by, "weight": weight, "checks": row["checks"]}
    place = ours[0] if ours else 0
    kept = [caption for number, caption in enumerate(said) if number not in ours]
    return [*kept[:place], new, *kept[place:]]
