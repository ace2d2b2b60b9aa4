"""Pictures in the cells of a Parquet file: bytes, or the struct of bytes and path that Hugging Face's library writes.

A row lies in a row group, and that is what is read and kept: rows in order cost each group one reading. A cell that
names a file and holds no bytes is refused, since nothing is opened that a data file asks for.
"""

from __future__ import annotations

import itertools
from typing import Any, BinaryIO

from shards.foreign import foreign
from shards.intake import Skip
from shards.limits import Limits
from shards.reasons import Reason

_BATCH_ROWS = 16  # a page's values may be one value repeated, so few are made at once


class ParquetCells:
    """The columns of one file whose cells are bytes."""

    def __init__(self, stream: BinaryIO, limits: Limits) -> None:
        self._file = open_parquet(stream)
        self._limits = limits
        counts = [self._file.metadata.row_group(i).num_rows for i in range(self._file.metadata.num_row_groups)]
        self._starts = list(itertools.accumulate(counts, initial=0))
        self._held: tuple[str, int, list[bytes | None]] | None = None

    @property
    def size_bytes(self) -> int:
        """What the largest row group claims, up to the limit on what is held."""
        groups = range(self._file.metadata.num_row_groups)
        claimed = max((self._file.metadata.row_group(i).total_byte_size for i in groups), default=0)
        return min(claimed, self._limits.max_total_bytes)

    def member(self, column: str, row: int) -> bytes:
        """The bytes in one cell; raises Skip."""
        if not 0 <= row < self._starts[-1]:
            raise Skip(Reason.BAD_ROW, f"no row {row} of {self._starts[-1]}")
        group = next(i for i, stop in enumerate(self._starts[1:]) if row < stop)
        if self._held is None or self._held[:2] != (column, group):
            self._held = None
            self._held = column, group, self._group(column, group)
        found: bytes | None = self._held[2][row - self._starts[group]]
        if found is None:
            raise Skip(Reason.NO_PIXELS, "the cell holds no bytes")
        return found

    def _group(self, column: str, group: int) -> list[bytes | None]:
        leaf = picture_leaf(self._file.schema_arrow, column)
        if leaf is None:
            raise Skip(Reason.NO_PIXELS, f"{column} is no column of bytes")
        found: list[bytes | None] = []
        held_bytes = 0
        with foreign():
            for batch in self._file.iter_batches(_BATCH_ROWS, row_groups=[group], columns=[leaf]):
                cells = batch.column(0)
                cells = cells.field("bytes") if leaf != column else cells
                found += cells.to_pylist()
                held_bytes += cells.nbytes
                self._limits.check_total(held_bytes)
        if len(found) != self._starts[group + 1] - self._starts[group]:
            raise Skip(Reason.TRUNCATED, "a row group with fewer rows than it says")
        return found


def open_parquet(stream: BinaryIO) -> Any:
    """A pyarrow.parquet.ParquetFile that reads by ranges; raises Skip."""
    try:
        import pyarrow.parquet as pq
    except ImportError as error:
        raise ImportError("pictures in Parquet files need pyarrow: pip install 'medloom[data]'") from error
    with foreign():
        return pq.ParquetFile(stream, pre_buffer=False)


def picture_leaf(schema: Any, column: str) -> str | None:
    """The path of the bytes of a column of an Arrow schema; None where it has none."""
    import pyarrow as pa

    if column not in schema.names:
        return None
    kind = schema.field(column).type
    if pa.types.is_struct(kind):
        found = [field.type for field in kind if field.name == "bytes"]
        return f"{column}.bytes" if found and _is_bytes(found[0]) else None
    return column if _is_bytes(kind) else None


def _is_bytes(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))
