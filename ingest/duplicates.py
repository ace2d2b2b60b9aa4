"""Exact copies: the same bytes at the same place and view of a file, under one key or under several.

One of them is kept by a rule that no order of files and no number of workers changes: most said at its source first
(a caption, then labels), then the smallest key. Captions and labels of the copies are not merged: the other copy has
its own licence and its own labellers, and a row must be able to say whose words it carries. The groups of all copies
are joined all the same, so a copy dropped here still keeps its patient on one side of the split.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ingest.identities import NONE

if TYPE_CHECKING:
    from ingest.gather import KeysOf

SAID_AT_SOURCE = 2 * pl.col("captions").list.eval(pl.element().struct.field("by") == "source").list.any().fill_null(
    value=False
).cast(pl.Int8) + (pl.col("labels").list.len() > 0).fill_null(value=False).cast(pl.Int8)


def repeated_keys(rows: pl.DataFrame, keys: KeysOf) -> pl.DataFrame:
    """Rows (columns `row`, `detail`) whose key another row has that comes first: more said, then the earlier row."""
    again = _named(rows.filter(_shared(rows["key"])).select("row", "said"), keys)
    again = again.sort("key", "said", "row", descending=[False, True, False])
    return again.filter(~pl.col("key").is_first_distinct()).select("row", detail=pl.lit(""))


def copies(rows: pl.DataFrame, keys: KeysOf) -> pl.DataFrame:
    """Rows whose picture another row keeps (columns `row` and `detail`, which names the key of that row)."""
    again = rows.filter((pl.col("copy") != NONE) & _shared(rows["copy"])).select("row", "copy", "said")
    again = _named(again, keys).sort("copy", "said", "key", descending=[False, True, False])
    named = again.with_columns(pl.col("key").first().over("copy").alias("kept"))
    return named.filter(pl.col("key") != pl.col("kept")).select("row", detail=pl.format("copy of {}", "kept"))


def _shared(numbers: pl.Series) -> pl.Series:
    """Whether another row has the same number; sorted, since a hash table of all rows takes ten times their size."""
    ordered = np.sort(numbers.to_numpy())
    again = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    return numbers.is_in(pl.Series(again, dtype=numbers.dtype).implode())


def _named(rows: pl.DataFrame, keys: KeysOf) -> pl.DataFrame:
    """The rows with their `key` in words."""
    return rows.with_columns(keys(rows["row"]).alias("key"))
