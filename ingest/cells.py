"""The cells that a converter reads of each row: of its table, of the parts of its path, and of joined tables."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ingest.listing import Lookup, Root
from ingest.table_file import JoinTable
from ingest.tables import Table, check_name, extracted, missing
from shards.stage import Context
from shards.units import token

if TYPE_CHECKING:
    import polars as pl

    from ingest.columns import LabelList, RowOptions

LOG = logging.getLogger(__name__)
REASON = "reason so far"  # column: "code|detail" of rows that a joined table rejects; null elsewhere


@dataclass
class Cells:
    """What completes rows: parts of their columns, and tables held for joining."""

    parts: Mapping[str, str]
    joins: Sequence[tuple[JoinTable, Table]]
    optional: Sequence[str] = ()  # columns that are blank where the optional table that has them is absent
    _spoke: dict[int, bool] = field(default_factory=dict, init=False)  # place in `joins` -> of any row so far

    @classmethod
    def of(cls, parts: Mapping[str, str], joins: Sequence[JoinTable], ctx: Context, root: str = "") -> Cells:
        """With the joined tables found below `root`, or where they say themselves; optional ones may be absent."""
        tables = [(join, Table(below(ctx, root, join.table), join)) for join in joins]
        there = [(join, table) for join, table in tables if not join.optional or _is_there(table.where)]
        names = [name for join, _ in tables if join.optional for name in (*join.header, *join.adds)]
        theirs = [name for join, _ in tables for name in join.on.values()]
        return cls(parts, there, [name for name in dict.fromkeys(names) if name not in theirs])

    def inputs(self, ctx: Context) -> list[str]:
        """What the joined tables are known by; ValueError or FileNotFoundError where one is not as it should be."""
        for join, table in self.joins:
            table.check_columns([] if join.turn else join.on.values())
        return [content(table.where, ctx) for _, table in self.joins]

    def complete(self, rows: pl.DataFrame, wanted: Mapping[str, str], what: str) -> pl.DataFrame:
        """REASON and the columns {new: name}, looked up in `rows`, their parts and the joined tables.

        `what` names the rows in the ValueError for a column that is nowhere. Keeps the order of rows.
        """
        import polars as pl

        found = rows.with_columns(pl.lit(None, dtype=pl.String).alias(REASON))
        for column, pattern in self.parts.items():
            check_name(column, found.columns, what)
            found = found.with_columns(extracted(column, pattern))
        for number, (join, _) in enumerate(self.joins):
            for column in join.on:
                check_name(column, found.columns, what)
            found = self._joined(found, number)
        none = [pl.lit(None, dtype=pl.String).alias(name) for name in self.optional if name not in found.columns]
        found = found.with_columns(none)
        for name in wanted.values():
            check_name(name, [column for column in found.columns if column != REASON], what)
        looked_up = [pl.col(name).alias(new) for new, name in wanted.items()]
        return found.select(REASON, *looked_up)

    def look(self, rows: pl.DataFrame) -> None:
        """Note which joined tables speak of some rows, of those tables that are joined on columns which are there.

        Long tables are left out: turning them is a worker's task.
        """
        import polars as pl

        found = rows.with_columns(pl.lit(None, dtype=pl.String).alias(REASON))
        for column, pattern in self.parts.items():
            found = found.with_columns(extracted(column, pattern)) if column in found.columns else found
        for number, (join, _) in enumerate(self.joins):
            if join.turn is None and set(join.on) <= set(found.columns):
                found = self._joined(found, number)

    @property
    def is_any_silent(self) -> bool:
        """Whether one of the joined tables has spoken of no row so far."""
        return not all(self._spoke.get(number, False) for number in range(len(self.joins)))

    @property
    def is_worth_a_look(self) -> bool:
        """Whether `look` may find that one speaks which has spoken of no row so far."""
        return any(join.turn is None and not self._spoke.get(n, False) for n, (join, _) in enumerate(self.joins))

    def remark_silent(self) -> None:
        """Warn of each joined table that spoke of none of the rows so far; to be called after the last one.

        No error: of a set that was downloaded in part, the lists of the other parts speak of nothing.
        """
        for number, (join, table) in enumerate(self.joins):
            if self._spoke.get(number) is False:
                LOG.warning(
                    "join: no row of %s speaks of anything that is read here, by %s. Where its part of the set was "
                    "left out, this is as it should be; else compare how both write it, and make it alike by `parts`",
                    _name(table),
                    ", ".join(f"{own} = {name}" for own, name in join.on.items()),
                )

    def _joined(self, rows: pl.DataFrame, number: int) -> pl.DataFrame:
        found = _joined(rows, *self.joins[number])
        if rows.height:
            self._spoke[number] = self._spoke.get(number, False) or bool(found["twice"].is_not_null().any())
        return found.drop("twice")


def _joined(rows: pl.DataFrame, join: JoinTable, table: Table) -> pl.DataFrame:
    """`rows` with the columns of a table that they lack, and `twice`: null where it does not speak of the row."""
    import polars as pl

    theirs = list(join.on.values())
    right = table.matching(rows.select(pl.col(own).alias(name) for own, name in join.on.items()).unique())
    new = [name for name in right.columns if name not in rows.columns and name not in theirs]
    again = [name for name in right.columns if name in rows.columns and name not in (*theirs, *join.on)]
    fills = {f"filling {name}": name for name in again} if join.fills else {}
    right = right.select(*theirs, *new, **fills).drop_nulls(theirs).unique(maintain_order=True)
    right = right.with_columns(pl.struct(theirs).is_duplicated().alias("twice"))
    right = right.unique(theirs, keep="first", maintain_order=True).rename(dict(zip(theirs, join.on, strict=True)))
    found = rows.join(right, on=list(join.on), how="left", maintain_order="left")
    twice = pl.when(pl.col("twice")).then(pl.lit(f"bad_row|{_name(table)} says two things of it"))
    missing = pl.when(pl.col("twice").is_null()).then(pl.lit(f"no_metadata|{_name(table)} has no row of it"))
    why = [pl.col(REASON), twice, *([missing] if join.missing == "reject" else [])]
    found = found.with_columns(pl.coalesce(why).alias(REASON))
    found = found.with_columns(pl.coalesce(name, filling).alias(name) for filling, name in fills.items()).drop(*fills)
    for name, value in join.adds.items():
        one = pl.when(pl.col("twice").is_not_null()).then(pl.lit(value))
        if name not in found.columns:
            found = found.with_columns(one.alias(name))
            continue
        differ = (one != pl.col(name)).fill_null(value=False)  # as for a patient of two lists of a split
        both = pl.when(differ).then(pl.lit(f"bad_row|{_name(table)} and another table say two things of it: {name}"))
        found = found.with_columns(pl.coalesce(REASON, both).alias(REASON), pl.coalesce(name, one).alias(name))
    return found


def _name(table: Table) -> str:
    return table.where.rpartition("/")[2]


def below(ctx: Context, root: str, where: str) -> str:
    """Where a table of a data set lies: below the root of the data set, unless its path stands for itself."""
    if not root or "://" in where or where.startswith(("/", "./", "../", "~")):
        return ctx.resolve(where)
    return f"{root.rstrip('/')}/{where}"


def _is_there(where: str) -> bool:
    try:
        Root.find(where)
    except FileNotFoundError:
        return False
    return True


def table_inputs(options: RowOptions, ctx: Context, root: str) -> list[str]:
    """What the joined tables and those that word labels are known by; raises as `Cells.inputs` does."""
    joined = Cells.of(options.parts, options.join, ctx, root).inputs(ctx)
    return [*joined, *names_inputs(options, ctx, root)]


def offered(options: RowOptions) -> pl.Expr:
    """Whether `only` lets a row through, by its columns `only 0`, `only 1` and so on; a blank cell does not."""
    import polars as pl

    if not options.only:
        return pl.lit(value=True)
    tests = [pl.col(f"only {i}").is_in(kept) for i, kept in enumerate(options.only.values())]
    return pl.all_horizontal(tests).fill_null(value=False)


def names_inputs(options: RowOptions, ctx: Context, root: str) -> list[str]:
    """What the tables that word the entries of label lists are known by."""
    tables = [listed for listed in options.label_lists if listed.names_table is not None]
    for listed in tables:
        words_of(listed, ctx, root)  # a table that cannot be used is said before any work
    return [content(below(ctx, root, listed.names_table.table), ctx) for listed in tables if listed.names_table]


def words_of(listed: LabelList, ctx: Context, root: str) -> dict[str, str]:
    """Entry -> words: of the data set's own table, and of `names`, which precede it.

    Raises ValueError where the table lacks a column, or words a code in two ways that `names` does not decide.
    """
    option = listed.names_table
    if option is None:
        return dict(listed.names)
    table = Table(below(ctx, root, option.table))
    table.check_columns([option.code, option.name])
    rows = table.held().select(option.code, option.name).drop_nulls().unique(maintain_order=True)
    open_rows = rows.filter(~rows[option.code].is_in(list(listed.names)))
    twice = open_rows.filter(open_rows[option.code].is_duplicated())
    if twice.height:
        raise ValueError(
            f"names_table: {table.where} words {twice[option.code][0]!r} in two ways, and nothing says which of them "
            "is meant; word it by `names`, or correct the table"
        )
    return {**dict(rows.iter_rows()), **listed.names}


def signals_beside(kind: str, path: str, lookup: Lookup) -> list[str]:
    """What the usual signal file beside a WFDB header is known by; nothing for other files."""
    return [lookup(f"{path.removesuffix('.hea')}.dat").token] if kind == "ecg" and path.endswith(".hea") else []


def escapes(column: str = "path") -> pl.Expr:
    """Whether a path is absolute, a Windows drive, a url, or goes up."""
    import polars as pl

    return pl.col(column).str.contains(r"^/|^[A-Za-z]:|://|(^|/)\.\.(/|$)|\x00")


def content(where: str, ctx: Context) -> str:
    """What a table is known by: its hash, or what a remote store says of it."""
    from shards.uri import local_path

    local = local_path(where)
    if local is not None:
        if not local.is_file():
            raise missing(local)
        return ctx.file_hash(str(local))
    entry = next(Root.find(where).files())
    return token(where, entry.size_bytes, entry.mtime_ns or entry.etag)
