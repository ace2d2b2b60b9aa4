"""Tables of texts: CSV, TSV (plain or gzip) and Parquet, read by ranges of rows, every cell as text.

Types are never guessed, since a patient id with leading zeros is no number. Polars skips to a range without parsing
what lies before it, so a table of millions of rows is read in units at the cost of one reading. Bytes that are not
UTF-8 become U+FFFD, so that such a cell costs its row and not the table.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shards import uri

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

SEPARATORS = {".csv": ",", ".tsv": "\t", ".csv.gz": ",", ".tsv.gz": "\t"}
PARQUET = ".parquet"
BLANK = ("", "nan", "none", "null", "na", "n/a", "<na>")  # in lower case; what programs write for no value
REPLACED = "\ufffd"


@dataclass
class Table:
    """One table on disk or at an fsspec url; a remote one is fetched once and held."""

    where: str
    quoted: bool = True  # false: quotation marks mean nothing
    _source: Path | bytes | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        check_table(self.where)

    @property
    def source(self) -> Path | bytes:
        """What polars reads; FileNotFoundError where there is no such file."""
        if self._source is None:
            local = uri.local_path(self.where)
            if local is None:
                with uri.open_binary(self.where) as handle:
                    self._source = handle.read()
            elif not local.is_file():
                raise FileNotFoundError(f"table: there is no file {self.where}; check the path")
            else:
                self._source = local
        return self._source

    def scan(self) -> pl.LazyFrame:
        """The whole table, lazily, all columns text."""
        import polars as pl

        if self.where.lower().endswith(PARQUET):
            table = pl.scan_parquet(self.source)
            nested = [name for name, kind in table.collect_schema().items() if kind.is_nested()]
            return table.drop(nested).cast(pl.String)
        separator = next(sign for end, sign in SEPARATORS.items() if self.where.lower().endswith(end))
        quote = '"' if self.quoted else None
        return pl.scan_csv(
            self.source, separator=separator, quote_char=quote, infer_schema=False, encoding="utf8-lossy"
        )

    def columns(self) -> list[str]:
        """The names in the header; ValueError where there is none."""
        import polars as pl

        try:
            return self.scan().collect_schema().names()
        except pl.exceptions.NoDataError:
            raise ValueError(f"table: {self.where} is empty; it needs a header and rows") from None

    def check_columns(self, wanted: Iterable[str]) -> None:
        """ValueError that says what was expected and what was found, unless each wanted column is there once."""
        found = self.columns()
        for name in sorted(set(wanted)):
            if name not in found:
                near = difflib.get_close_matches(name, found, n=1)
                hint = f"did you mean {near[0]!r}? " if near else ""
                raise ValueError(f"table: {self.where} has no column {name!r}; {hint}it has {', '.join(found)}")
            if f"{name}_duplicated_0" in found:
                raise ValueError(f"table: {self.where} has the column {name!r} twice; rename one of them")

    def height(self) -> int:
        """Number of rows, at least one; ValueError where the table is not sound to its last cell.

        The last column is parsed as a whole: ranges are found by counting quotation marks, which goes wrong without a
        word where a mark stands inside an unquoted cell, and the parser's own count of rows shows it.
        """
        import polars as pl

        try:
            counts = self.scan().select(pl.len().alias("rows"), pl.last().null_count().alias("blank"))
            rows = int(counts.collect(engine="streaming")["rows"].item())
        except pl.exceptions.ComputeError as error:
            raise self._broken(error) from None
        if not rows:
            raise ValueError(f"table: {self.where} has a header and no rows")
        return rows

    def rows(self, columns: dict[str, str], start: int, stop: int) -> pl.DataFrame:
        """Some rows with the columns {new name: name in the table}; blank cells are null, others stripped.

        `row` counts from 1, as a person counts the rows below the header. Raises ValueError where a row has more
        fields than the header, or a quoted cell has no end.
        """
        import polars as pl

        wanted = [pl.col(name).str.strip_chars().alias(new) for new, name in columns.items()]
        try:  # all columns, since a row with more fields than the header passes where only some are parsed
            rows = self.scan().slice(start, stop - start).collect().select(*wanted)
        except pl.exceptions.ComputeError as error:
            raise self._broken(error) from None
        blank = pl.all().str.to_lowercase().is_in(BLANK)
        return rows.with_columns(pl.when(~blank).then(pl.all())).with_row_index("row", start + 1)

    def _broken(self, error: Exception) -> ValueError:
        more = "more fields" in str(error)  # the parser's own words may quote a cell, so they are not passed on
        why = "a row has more fields than the header" if more else "quotation marks that do not pair"
        return ValueError(
            f"table: {self.where} cannot be read: {why}; put cells that hold the separator in quotes and double the "
            "quotation marks inside them, or set `quoted: false` where marks mean nothing"
        )


def check_table(where: str) -> None:
    """ValueError where the ending of a table's name is none that is read here."""
    if not where.lower().endswith((*SEPARATORS, PARQUET)):
        raise ValueError(f"table {where!r} must end in {', '.join(SEPARATORS)} or {PARQUET}; convert it to one of them")
