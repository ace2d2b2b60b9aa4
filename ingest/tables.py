"""Tables of texts: CSV, TSV, TXT (plain or gzip), XLSX, JSON, JSONL and Parquet, read by ranges, every cell as text.

Types are never guessed, since a patient id with leading zeros is no number. Polars skips to a range of a CSV or Parquet
file without parsing what lies before it, so a table of millions of rows is read in units at the cost of one reading; a
table that is turned (ingest.long_tables), and the formats that have no ranges, are held. Bytes that are not UTF-8
become U+FFFD, so that such a cell costs its row and not the table. Lists inside Parquet and JSON become JSON texts.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice, product
from typing import TYPE_CHECKING, TypeVar

from ingest.table_file import BLANK, TableFile
from shards import uri

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from ingest.long_tables import LongTable

Rows = TypeVar("Rows", "pl.DataFrame", "pl.LazyFrame")

SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
ROW = "row of the table"  # column: its number from 1, as a person counts the rows below the header
PARQUET, HELD = ".parquet", (".xlsx", ".json", ".jsonl")
ENDINGS = (*SEPARATORS, *(f"{end}.gz" for end in SEPARATORS), PARQUET, *HELD)
MOST_LISTED, SHOWN = 2000, 12  # names of a folder that are read, and told, where a table is missing
REPLACED = "\ufffd"
_BLANK = ["".join(letters) for word in BLANK for letters in product(*zip(word.lower(), word.upper(), strict=True))]


@dataclass
class Table:
    """One table on disk or at an fsspec url; a remote one is fetched once and held."""

    where: str
    file: TableFile = field(default_factory=lambda: TableFile(table=""))  # how it is written; its own name is `where`
    _source: Path | bytes | None = field(default=None, init=False)
    _held: pl.DataFrame | None = field(default=None, init=False)
    _long: LongTable | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        check_table(self.where, self.file.separator)

    @property
    def source(self) -> Path | bytes:
        """What polars reads; FileNotFoundError where there is no such file."""
        if self._source is None:
            local = uri.local_path(self.where)
            if local is None:
                with uri.open_binary(self.where) as handle:
                    self._source = handle.read()
            elif not local.is_file():
                raise missing(local)
            else:
                self._source = local
        return self._source

    def scan(self) -> pl.LazyFrame:
        """The whole table, lazily, all columns text, with its parts; not yet turned."""
        rows = self._raw()
        for column, pattern in self.file.parts.items():
            rows = rows.with_columns(extracted(column, pattern))
        return rows

    def _raw(self) -> pl.LazyFrame:
        import polars as pl

        name = self.where.lower()
        if name.endswith(PARQUET):
            return as_texts(pl.scan_parquet(self.source))
        if name.endswith(HELD):
            from ingest.held_tables import read_held

            data = self.source if isinstance(self.source, bytes) else self.source.read_bytes()
            return read_held(data, name.rpartition(".")[2], self.where).lazy()
        plain = name.removesuffix(".gz")
        separator = self.file.separator or next(sign for end, sign in SEPARATORS.items() if plain.endswith(end))
        header = list(self.file.header) or None
        return pl.scan_csv(
            self.source,
            separator=separator,
            quote_char='"' if self.file.quoted else None,
            infer_schema=False,
            encoding="utf8-lossy",
            has_header=header is None,
            new_columns=header,
        )

    @property
    def is_held(self) -> bool:
        """Whether ranges are cut from memory."""
        return self.file.turn is not None or self.where.lower().endswith(HELD)

    def held(self) -> pl.DataFrame:
        """The whole table, read once, turned where it is to be; blank cells are null, others stripped."""
        if self._held is None:
            long = self._lines()
            self._held = cleaned(self._collect(self.scan())) if long is None else long.wide()
        return self._held

    def _lines(self) -> LongTable | None:
        """The lines of a table that is turned, read once."""
        import polars as pl

        turn = self.file.turn
        if turn is not None and self._long is None:
            from ingest.long_tables import LongTable

            self.check_columns([turn.index, turn.names, turn.values])
            try:
                self._long = LongTable.of(cleaned(self.scan()), turn)
            except (pl.exceptions.ComputeError, pl.exceptions.SchemaError) as error:
                raise self._broken(error) from None
        return self._long

    def matching(self, keys: pl.DataFrame) -> pl.DataFrame:
        """The rows of the whole table in which the columns of `keys` hold what one of its rows holds.

        Raises ValueError where the table has no such column.
        """
        long = self._lines()
        columns = self.held().columns if long is None else long.columns
        for name in keys.columns:
            check_name(name, columns, self.where)
        is_item = long is not None and long.turn.index in keys.columns
        rows = long.wide(keys[long.turn.index]) if long is not None and is_item else self.held()
        return rows.join(keys, on=keys.columns, how="semi", maintain_order="left")

    def columns(self) -> list[str]:
        """The names in the header and those of parts, before turning; ValueError where there is none."""
        import polars as pl

        try:
            return self.scan().collect_schema().names()
        except pl.exceptions.NoDataError:
            raise ValueError(f"table: {self.where} is empty; it needs a header and rows") from None
        except pl.exceptions.SchemaError as error:
            raise self._broken(error) from None
        except pl.exceptions.ColumnNotFoundError:
            found = self._raw().collect_schema().names()
            lacking = next(column for column in self.file.parts if column not in found)
            raise ValueError(f"parts: {self.where} has no column {lacking!r}; it has {', '.join(found)}") from None

    def check_columns(self, wanted: Iterable[str]) -> None:
        """ValueError that says what was expected and what was found, unless each wanted column is there once."""
        found = self.columns()
        for name in sorted(set(wanted)):
            check_name(name, found, self.where)

    def height(self) -> int:
        """Number of rows, at least one; ValueError where the table is not sound to its last cell.

        The last column is parsed as a whole: ranges are found by counting quotation marks, which goes wrong without a
        word where a mark stands inside an unquoted cell, and the parser's own count of rows shows it.
        """
        import polars as pl

        if self.is_held:
            rows = self.held().height
        else:
            try:
                counts = self.scan().select(pl.len().alias("rows"), pl.last().null_count().alias("blank"))
                rows = int(counts.collect(engine="streaming")["rows"].item())
            except (pl.exceptions.ComputeError, pl.exceptions.SchemaError) as error:
                raise self._broken(error) from None
        if not rows:
            raise ValueError(f"table: {self.where} has a header and no rows")
        return rows

    def rows(self, start: int, stop: int) -> pl.DataFrame:
        """Some rows with ROW; blank cells are null, others stripped.

        Raises ValueError where a row has more
        fields than the header, or a quoted cell has no end.
        """
        if self.is_held:
            rows = self.held().slice(start, stop - start)
        else:  # all columns, since a row with more fields than the header passes where only some are parsed
            rows = cleaned(self._collect(self.scan().slice(start, stop - start)))
        return rows.drop(ROW, strict=False).with_row_index(ROW, start + 1)

    def _collect(self, rows: pl.LazyFrame) -> pl.DataFrame:
        import polars as pl

        try:
            return rows.collect()
        except (pl.exceptions.ComputeError, pl.exceptions.SchemaError) as error:
            raise self._broken(error) from None

    def _broken(self, error: Exception) -> ValueError:
        if "new_columns" in str(error):
            names = ", ".join(self.file.header)
            return ValueError(f"header: {self.where} has not as many columns as {names}; name each of them, in order")
        more = "more fields" in str(error)  # the parser's own words may quote a cell, so they are not passed on
        why = "a row has more fields than the header" if more else "quotation marks that do not pair"
        return ValueError(
            f"table: {self.where} cannot be read: {why}; put cells that hold the separator in quotes and double the "
            "quotation marks inside them, or set `quoted: false` where marks mean nothing"
        )


def extracted(column: str, pattern: str) -> list[pl.Expr]:
    """The named groups of a pattern as columns; null where it does not fit."""
    import polars as pl

    groups = pl.col(column).str.extract_groups(pattern).struct
    return [groups.field(name).alias(name) for name in re.compile(pattern).groupindex]


def missing(table: Path) -> FileNotFoundError:
    """The error for a table that is not there, with what stands in its place: tables, or else all that is."""
    near = sorted(path.name for path in islice(table.parent.iterdir(), MOST_LISTED)) if table.parent.is_dir() else []
    found = [name for name in near if name.lower().endswith(ENDINGS)] or near
    there = f"; its folder holds {', '.join(found[:SHOWN])}{' ...' if len(found) > SHOWN else ''}" if found else ""
    return FileNotFoundError(f"table: there is no file {table}; check the path{there}")


def check_name(name: str, found: Iterable[str], where: str) -> None:
    """ValueError with the nearest name unless a column is among `found` once."""
    found = list(found)
    if name not in found:
        near = difflib.get_close_matches(name, found, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"table: {where} has no column {name!r}; {hint}it has {', '.join(found)}")
    if f"{name}_duplicated_0" in found:
        raise ValueError(f"table: {where} has the column {name!r} twice; rename one of them")


def check_table(where: str, separator: str = "") -> None:
    """ValueError where the ending of a table's name is none that is read here and no separator is given."""
    if not separator and not where.lower().endswith(ENDINGS):
        raise ValueError(
            f"table {where!r} must end in {', '.join(ENDINGS)}; convert it to one of them, or give its `separator`"
        )


def as_texts(table: pl.LazyFrame) -> pl.LazyFrame:
    """All columns as text: lists as JSON, structs and bytes left out."""
    import polars as pl

    texts = []
    for name, kind in table.collect_schema().items():
        if isinstance(kind, pl.List) and not kind.inner.is_nested() and kind.inner != pl.Binary:
            entry = pl.element().cast(pl.String).str.replace_all(r"([\\\"])", r"\$1")
            joined = pl.col(name).list.eval(entry).list.join('","')
            texts.append(pl.when(pl.col(name).list.len() > 0).then(pl.format('["{}"]', joined)).alias(name))
        elif not kind.is_nested() and kind != pl.Binary:
            texts.append(pl.col(name).cast(pl.String))
    return table.select(texts)


def cleaned(rows: Rows) -> Rows:
    """Texts without the blanks around them; null where a cell says nothing."""
    import polars as pl

    stripped = rows.with_columns(pl.all().str.strip_chars())
    blank = pl.all().is_in(_BLANK)
    return stripped.with_columns(pl.when(~blank).then(pl.all()).name.keep())
