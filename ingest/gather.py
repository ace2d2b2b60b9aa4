"""The narrow table of all rows of a manifest: what the global questions are asked over, some 80 bytes a row.

With the decisions over it the peak is 250 bytes a row above that of the libraries (benchmarks/curate.py).

No text is held: identities are keyed numbers, vocabularies are categoricals, and a key is a number that equal keys
share. The few keys that are needed in words (of copies, rejects and held-out samples) are read again from the parts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from ingest.duplicates import SAID_AT_SOURCE
from ingest.identities import SLAB, read_ties
from ingest.licences import refusal
from ingest.splits import NO_SPLIT, official_code, unknown_official
from shards.stage import Context, Part

KeysOf = Callable[[pl.Series], pl.Series]  # numbers of rows -> their keys, in the same order

VOCABULARY = ("modality", "specialty", "license", "source")
# how a canonical JSON object names the attribute `map`; inside a text the quotes would be escaped
IS_MAP = r'[{,]"map":'
MOST_SPLIT_NAMES = 12  # a column with more values is no column of splits, and may hold names


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """The narrow table, numbered in `row`, and the way back to the keys."""

    rows: pl.DataFrame
    keys: KeysOf


def gather(
    parts: Sequence[Part],
    ctx: Context,
    *,
    allow_licenses: Sequence[str],
    require_terms: Mapping[str, str | bool],
    respect_official: bool,
) -> Gathered:
    """The narrow table of the rows of `parts`, in their order.

    The slabs of a volume keep their published splits even where those of others are ignored: what was left out between
    them as a gap has been left out already. ValueError where a published split has a name that nothing explains.
    """
    refused = refusal(allow_licenses, require_terms)
    counts = refused.is_null() if respect_official else refused.is_null() & pl.col("group").str.starts_with(SLAB)
    more = (
        *(pl.col(name).cast(pl.Categorical) for name in VOCABULARY),
        pl.when(counts).then(official_code()).otherwise(NO_SPLIT).alias("official"),
        pl.when(counts).then(unknown_official()).alias("unexplained"),
        pl.col("attributes").str.contains(IS_MAP).alias("derived"),
        SAID_AT_SOURCE.cast(pl.Int8).alias("said"),
        refused.cast(pl.Categorical).alias("refusal"),
    )
    tables: dict[str, list[pl.Series]] = {}
    unexplained: set[tuple[str, str]] = set()
    heights = []
    for number, part in enumerate(parts):
        ctx.check()
        ctx.on_progress(number, len(parts), f"reading {part.id}")
        table = read_ties(part.path, ctx.key, *more)
        unexplained.update(_unexplained(table))
        heights.append(table.height)
        for column in table.drop("unexplained"):
            tables.setdefault(column.name, []).append(column)
    if unexplained:
        raise ValueError(_told(unexplained))
    # column by column, so that never two tables of all rows are held
    columns = [pl.concat(tables.pop(name), rechunk=True) for name in list(tables)]
    rows = pl.DataFrame(columns).with_row_index("row")
    return Gathered(rows=rows, keys=_keys_of([part.path for part in parts], heights))


def _unexplained(table: pl.DataFrame) -> list[tuple[str, str]]:
    """(source, published split) of the rows whose published split has a name that nothing explains."""
    odd = table.filter(pl.col("unexplained").is_not_null()).select(pl.col("source").cast(pl.String), "unexplained")
    return odd.unique().rows()


def _told(unexplained: set[tuple[str, str]]) -> str:
    lines = []
    for source in sorted({source for source, _ in unexplained}):
        names = sorted(name for of, name in unexplained if of == source)
        few = len(names) <= MOST_SPLIT_NAMES
        lines.append(f"{source} has {', '.join(map(repr, names))}" if few else f"{source} has {len(names)} values")
    return (
        f"official_split: {'; '.join(lines)}: which are train, val or test? Say so in the converter, such as "
        "`split_names: {'1': train, '2': val, '3': test}`; or write `official_split: ignore` here to draw all anew"
    )


def _keys_of(paths: Sequence[Path], heights: Sequence[int]) -> KeysOf:
    """Reads the keys of some rows from those parts that hold them."""
    starts = np.cumsum([0, *heights])

    def keys_of(rows: pl.Series) -> pl.Series:
        wanted = rows.to_numpy()
        order = np.argsort(wanted, kind="stable")
        wanted = wanted[order]
        found = [pl.Series("key", [], dtype=pl.String)]
        for path, start, stop in zip(paths, starts[:-1], starts[1:], strict=True):
            here = wanted[slice(*np.searchsorted(wanted, [start, stop]))]
            if here.size:
                found.append(pl.read_parquet(path, columns=["key"])["key"].gather(here - start))
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        return pl.concat(found).gather(back)

    return keys_of
