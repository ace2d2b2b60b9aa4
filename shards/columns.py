"""A table as bytes to be hashed, column by column: the same rows give the same bytes, however they are stored.

What is known of a column's form (how many values, which are null, how long each text and list is) comes before its
values, so two tables of one schema never give the same bytes. A text that every row has comes once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    import numpy.typing as npt

AT_ONCE = 2**30  # bytes of texts that are held in one piece


def column_bytes(values: pl.Series) -> Iterator[bytes]:
    """The bytes of one column and, of nested ones, of what it holds; numbers are little-endian."""
    nulls = values.null_count()
    yield f"{values.name}\0{len(values)}\0{nulls}\0".encode()
    if 0 < nulls < len(values):
        yield _raw(values.is_null().to_numpy())
    values = values.drop_nulls() if nulls else values
    if values.is_empty():
        return
    kind = values.dtype
    if isinstance(kind, pl.List):
        yield _raw(values.list.len().cast(pl.UInt32).to_numpy())
        yield from column_bytes(values.explode(empty_as_null=False).alias(""))
    elif isinstance(kind, pl.Struct):
        for field in values.struct.unnest().get_columns():
            yield from column_bytes(field)
    elif kind == pl.String:
        same = bool((values == values[0]).all())
        yield b"of all\0" if same else b"of each\0"
        yield from _texts(values.head(1) if same else values)
    else:
        yield _raw(values.to_physical().to_numpy())


def _texts(values: pl.Series) -> Iterator[bytes]:
    """The length of each text, and the texts one after another."""
    lengths = values.str.len_bytes().cast(pl.UInt32).to_numpy()
    yield _raw(lengths)
    step = max(1, AT_ONCE // max(1, int(lengths.max())))
    for start in range(0, len(values), step):
        joined: bytes = values.slice(start, step).str.join().cast(pl.Binary).item()
        yield joined


def _raw(numbers: npt.NDArray[Any]) -> bytes:
    return numbers.astype(numbers.dtype.newbyteorder("<"), copy=False).tobytes()
