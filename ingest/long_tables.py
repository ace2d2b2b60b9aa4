"""Long tables made wide: each cell of one column becomes a column, which holds the cells of another.

Such a table has millions of lines (six for each of the 752,807 slices of RSNA's haemorrhage set) and a unit asks for a
few hundred of its items. So the table is read in a stream, of which three columns are held, the names as numbers, and
only what is asked for is turned: a fifth of the memory that the whole wide table takes on its way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from ingest.table_file import Turn


@dataclass(frozen=True)
class LongTable:
    """The three columns of a long table that its turning reads."""

    turn: Turn
    rows: pl.DataFrame  # index and values as texts, names as categories; index and name are never null
    new: tuple[str, ...]  # the columns that turning makes, in the order of their first lines

    @classmethod
    def of(cls, rows: pl.LazyFrame, turn: Turn) -> LongTable:
        """Of cleaned rows; polars' ComputeError where they cannot be parsed.

        ValueError where a new column would have the name of the index.
        """
        names = pl.col(turn.names).cast(pl.Categorical)
        three = rows.select(turn.index, names, turn.values).drop_nulls([turn.index, turn.names])
        # all columns are parsed, since a row with more fields than the header passes where only some are
        whole = pl.QueryOptFlags(projection_pushdown=False)
        found = three.collect(engine="streaming", optimizations=whole)
        new = tuple(found[turn.names].unique(maintain_order=True).cast(pl.String))
        if turn.index in new:
            raise ValueError(
                f"turn: a cell of {turn.names} is {turn.index!r}, the name of the column that says what a row is "
                "about; rename that column"
            )
        return cls(turn, found, new)

    @property
    def columns(self) -> list[str]:
        """Those of the wide table."""
        return [self.turn.index, *self.new]

    def wide(self, items: pl.Series | None = None) -> pl.DataFrame:
        """The wide table of some items, or of all; several values of one name are joined by `|`."""
        turn = self.turn
        rows = self.rows if items is None else self.rows.filter(pl.col(turn.index).is_in(items.implode()))
        turned = rows.unique(maintain_order=True).pivot(
            on=turn.names,
            index=turn.index,
            values=turn.values,
            aggregate_function=pl.element().str.join("|"),
        )
        nothing = [pl.lit(None, dtype=pl.String).alias(name) for name in self.new if name not in turned.columns]
        return turned.with_columns(nothing).select(self.columns).with_columns(pl.all().replace("", None))
