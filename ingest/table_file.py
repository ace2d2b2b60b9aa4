"""How a table of a data set is written, and how tables are put together: options that name columns and nothing else.

A table may have no header, another separator, many rows an item (a long table, which is turned), or ids inside its
cells (parts). A joined table adds its columns to the rows that share an id with it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

BLANK = ("", "nan", "none", "null", "na", "n/a", "<na>")  # in lower case; what programs write for no value


@dataclass(frozen=True, kw_only=True)
class Turn:
    """A long table as a wide one: each cell of `names` becomes a column, holding the cells of `values`."""

    index: str  # column: what one row of the result is about
    names: str  # column whose cells name the new columns
    values: str  # column with their cells; several of one name are joined by `|`


@dataclass(frozen=True, kw_only=True)
class TableFile:
    """One table: .csv, .tsv, .txt (each also .gz), .xlsx, .json, .jsonl or .parquet."""

    table: str
    separator: str = ""  # default: by the ending of the name
    header: tuple[str, ...] = ()  # names of the columns where the file has none
    quoted: bool = True  # false: quotation marks mean nothing
    parts: Mapping[str, str] = field(default_factory=dict)  # column -> expression whose (?P<named>groups) are columns
    turn: Turn | None = None

    def __post_init__(self) -> None:
        check_parts(self.parts)
        if len(self.separator) > 1:
            raise ValueError(f"separator {self.separator!r} must be one character")


@dataclass(frozen=True, kw_only=True)
class JoinTable(TableFile):
    """A table whose columns are added to the rows that it names."""

    on: Mapping[str, str]  # column of the rows -> column of this table
    adds: Mapping[str, str] = field(default_factory=dict)  # constant columns of the rows that it names
    missing: Literal["keep", "reject"] = "keep"  # rows that it does not name
    optional: bool = False  # the set may come without this file; a row is then as if it named nothing
    fills: bool = False  # its cells also fill blank ones of columns that are there: a table of the same form

    def __post_init__(self) -> None:
        TableFile.__post_init__(self)
        if not self.on:
            raise ValueError("on is empty: write {column of the rows: column of this table}")
        if self.optional and (self.missing == "reject" or self.turn):
            raise ValueError(f"optional: {self.table} is needed by `missing: reject` or `turn`; remove one of them")


def check_parts(parts: Mapping[str, str]) -> None:
    """ValueError where an expression of `parts` does not compile, here and where it will be used, or names no group."""
    for column, pattern in parts.items():
        try:
            groups = re.compile(pattern).groupindex
        except re.error as error:
            raise ValueError(f"parts: {pattern!r} of {column} is no regular expression: {error}") from error
        if not groups:
            raise ValueError(f"parts: {pattern!r} of {column} has no (?P<name>group); name what it finds")
        _check_extraction(column, pattern)


def _check_extraction(column: str, pattern: str) -> None:
    """ValueError where polars, whose expressions look neither ahead nor behind nor back, refuses one."""
    import polars as pl

    try:
        pl.Series([""]).str.extract_groups(pattern)
    except pl.exceptions.ComputeError:
        raise ValueError(
            f"parts: {pattern!r} of {column} cannot be used: write it without (?=, (?!, (?<= and (?<! and without "
            "references to its own groups, which the expressions of polars do not know"
        ) from None
