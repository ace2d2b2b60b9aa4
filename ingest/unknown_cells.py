"""What a row is told whose modality or specialty is none of the vocabulary.

Cells are not quoted in rejects, since they may hold a name. These are, cut: who has to word a cell must see it.
"""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING

import polars as pl

from shards.reasons import Reason
from shards.vocabulary import MODALITIES, SPECIALTIES

if TYPE_CHECKING:
    from ingest.columns import RowOptions

QUOTED_CHARACTERS = 40


def unknown_reasons(rows: pl.DataFrame, options: RowOptions) -> list[pl.Expr]:
    """Of columns `modality` and `specialty`, in this order, "code|detail" where a row's is unknown, else null."""
    return [
        _unknown(rows["modality"], MODALITIES, Reason.UNKNOWN_MODALITY, options.modality_column, "modality_codes"),
        _unknown(rows["specialty"], SPECIALTIES, Reason.UNKNOWN_SPECIALTY, options.specialty_column, "specialty_names"),
    ]


def quoted(cell: str) -> str:
    """A cell as a detail shows it."""
    return repr(cell[:QUOTED_CHARACTERS]) + (" ..." if len(cell) > QUOTED_CHARACTERS else "")


def _unknown(cells: pl.Series, known: Container[str], reason: Reason, column: str | None, option: str) -> pl.Expr:
    blank = f"nothing in column {column!r}" if column else "none is stated"
    odd = cells.drop_nulls().unique().to_list()
    details = {cell: f"{reason.value}|{quoted(cell)}: name it in `{option}`" for cell in odd if cell not in known}
    quotes = pl.col(cells.name).replace_strict(details, default=None, return_dtype=pl.String)
    return pl.when(pl.col(cells.name).is_null()).then(pl.lit(f"{reason.value}|{blank}")).otherwise(quotes)
