"""The rows of one table as its converter offers them: their paths below the root, and their cells."""

from __future__ import annotations

import hashlib
import re
from functools import cached_property
from string import Formatter
from typing import TYPE_CHECKING

import polars as pl

from ingest.cells import REASON, Cells, below, escapes, offered, signals_beside
from ingest.columns import DisplayColumns
from ingest.converters.row_worker import RowWorker
from ingest.converters.text_columns import STATES, WHY, TextColumns
from ingest.listing import Lookup, Root, first_names
from ingest.tables import REPLACED, ROW, Table
from shards.locator import Locator
from shards.reasons import Reason
from shards.stage import Context, Result, Unit

if TYPE_CHECKING:
    from ingest.converters.table_images import TableImages


DISPLAY = ("display first", "display second", "display bits")


class Rows:
    """The rows of one table as a converter offers them."""

    def __init__(self, stage: TableImages, ctx: Context, *, planning: bool = False) -> None:
        """`planning`: text files are looked at and not read, unless they say which rows there are."""
        self.stage = stage
        self.root = ctx.resolve(stage.path)
        self.table = Table(below(ctx, self.root, stage.file.table), stage.file)
        self.cells = Cells.of(stage.parts, stage.join, ctx, self.root)
        self.wanted = {"image": stage.image, **stage.columns()}
        named = [name for _, name, _, _ in Formatter().parse(stage.image_format) if name]
        self.wanted |= {f"path {name}": name for name in named}
        if stage.display is not None:
            self.wanted |= dict(zip(DISPLAY, stage.display.columns, strict=False))
        joined = [column for join in stage.join for column in join.on]
        of_texts = [name for text in stage.texts for _, name, _, _ in Formatter().parse(text.path) if name]
        deciding = {stage.image, *named, *stage.only, *stage.parts, *joined, *of_texts}
        read = not planning or any(not deciding.isdisjoint(text.columns) for text in stage.texts)
        self.texts = TextColumns(stage.texts, ctx, self.root, read=read)
        self.is_any_there = False  # of the files that were looked at
        self.first_looked = ""

    def height(self) -> int:
        """Number of rows, or of files where rows are gathered; ValueError for a table without rows or columns."""
        stage = self.stage
        if not (stage.file.turn or stage.join or stage.parts or stage.texts):
            self.table.check_columns(self.wanted.values())
        height = self.table.height()
        self._completed(0, 1)  # a column that is nowhere is said before any work
        self._check_parts()
        self._check_only()
        return self._gathered.height if self.stage.gather else height

    def _check_parts(self) -> None:
        """ValueError where an expression over a column of the table fits no row: its columns would all be blank."""
        scanned = {} if self.table.is_held else dict(self.stage.parts)
        there = self.table.columns() if scanned else []
        tests = [pl.col(name).str.contains(form).any().alias(name) for name, form in scanned.items() if name in there]
        fits = self.table.scan().select(tests).collect(engine="streaming").row(0, named=True) if tests else {}
        for column, fitting in fits.items():
            if not fitting:
                raise ValueError(
                    f"parts: {scanned[column]!r} fits no cell of the column {column} of {self.table.where}, so its "
                    "columns would be blank; correct it or remove it"
                )

    def _check_only(self) -> None:
        """ValueError where no row of the table has what `only` asks of one of its columns: nothing would be offered."""
        made = {name for pattern in self.stage.parts.values() for name in re.compile(pattern).groupindex}
        made |= {name for text in self.stage.texts for name in text.columns}
        there = set() if self.table.is_held else set(self.table.columns()) - made
        asked = {column: kept for column, kept in self.stage.only.items() if column in there}
        tests = [pl.col(column).str.strip_chars().is_in(kept).any().alias(column) for column, kept in asked.items()]
        fits = self.table.scan().select(tests).collect(engine="streaming").row(0, named=True) if tests else {}
        for column, fitting in fits.items():
            if not fitting:
                raise ValueError(
                    f"only: no row of {self.table.where} has {', '.join(map(repr, asked[column]))} in the column "
                    f"{column}, so nothing would be offered; correct it or remove it"
                )

    def read(self, start: int, stop: int) -> pl.DataFrame:
        """Some rows with `row`, `path`, REASON, STATES and the columns of the stage's options."""
        if self.stage.gather:
            return self._gathered.slice(start, stop - start)
        return self._completed(start, stop)

    def _completed(self, start: int, stop: int) -> pl.DataFrame:
        raw = self.texts.add(self.table.rows(start, stop), self.cells)
        cells = self.cells.complete(raw, self.wanted, self.table.where)
        cells = cells.with_columns(raw[ROW].alias("row"), raw[STATES])
        cells = cells.with_columns(pl.coalesce(REASON, raw[WHY]).alias(REASON))
        cells = cells.filter(offered(self.stage))
        cells = cells.with_columns(path_below(self.stage.image_format))
        return cells if self.stage.display is None else displayed(cells, self.stage.display)

    @cached_property
    def _gathered(self) -> pl.DataFrame:
        """All rows of a file as one: the texts as a list; a reason where anything else differs."""
        rows = self._completed(0, self.table.height())
        others = [name for name in rows.columns if name not in ("row", "path", "caption", STATES, REASON)]
        differ = pl.any_horizontal(pl.col(*others).n_unique() > 1)
        lone = pl.when(pl.col("path").is_null()).then("row").alias("lone")
        grouped = rows.group_by("path", lone, maintain_order=True).agg(
            pl.col("row", *others).first(),
            pl.col("caption"),
            pl.col(STATES).str.join(" "),
            pl.col(REASON).drop_nulls().first(),
            differ.alias("differ"),
        )
        why = pl.when("differ").then(pl.lit(f"{Reason.BAD_ROW.value}|its rows disagree in more than the caption"))
        return grouped.with_columns(pl.coalesce(REASON, why).alias(REASON)).drop("lone", "differ")

    def state(self, start: int, stop: int, lookup: Lookup | None) -> str:
        """One hash over the sizes and times of the files that some rows name; without `lookup`, of texts alone."""
        digest = hashlib.sha256()
        rows = self.read(start, stop)
        for path in [] if lookup is None else rows.filter(~escapes())["path"].unique(maintain_order=True):
            assert lookup is not None
            found = lookup(path)
            if found.refused != Reason.MISSING_FILE:
                self.is_any_there = True
            self.first_looked = self.first_looked or path
            tokens = [found.token, *signals_beside(self.stage.kind, path, lookup)]
            digest.update("".join(f"{token}\n" for token in tokens).encode())
        for states in rows[STATES].unique(maintain_order=True):
            digest.update(f"{states}\n".encode())
        return digest.hexdigest()

    def check_found(self, root: Root) -> None:
        """FileNotFoundError where none of the files that `state` looked at is there, and for texts likewise."""
        if self.first_looked and not self.is_any_there:
            raise FileNotFoundError(
                f"image: none of the files that {self.table.where} names is there; the first was looked for at "
                f"{root.uri(self.first_looked)}, and {root.folder} holds {first_names(root)}. Correct `path` or "
                "`image_format`, or mount the disk"
            )
        self.texts.check_found()


def displayed(cells: pl.DataFrame, option: DisplayColumns) -> pl.DataFrame:
    """`cells` with the range of display as `locator`, and a reason against rows that give none."""
    numbers = [pl.col(name).cast(pl.Float64, strict=False) for name in DISPLAY if name in cells.columns]
    ranges = cells.select(pl.struct(numbers).alias("ends"))
    texts = {}
    for ends in ranges["ends"].unique():
        ends_there = option.ends(*ends.values())
        texts[tuple(ends.values())] = ends_there and Locator(low=ends_there[0], high=ends_there[1]).text()
    found = pl.Series([texts[tuple(ends.values())] for ends in ranges["ends"]], dtype=pl.String)
    why = pl.when(pl.lit(found).is_null()).then(pl.lit(f"{Reason.BAD_ROW.value}|no range of display"))
    return cells.with_columns(pl.lit(found.fill_null("")).alias("locator"), pl.coalesce(REASON, why).alias(REASON))


def path_below(image_format: str) -> pl.Expr:
    """Column `path` below the root, of column `image`: one way to write each path, whoever wrote the table."""
    pieces: list[pl.Expr] = []
    for text, name, _, _ in Formatter().parse(image_format):
        pieces.append(pl.lit(text))
        if name is not None:
            pieces.append(pl.col(f"path {name}" if name else "image"))
    path = pl.concat_str(pieces).str.replace_all("\\", "/", literal=True)
    return path.str.replace_all(r"(/|^)(\./)+", "$1").str.replace_all("([^:/]|^)//+", "$1/").alias("path")


def path_reasons() -> pl.Expr:
    """Column `reason`, with what is wrong with the path of a row that has no reason yet."""
    tests = (
        (pl.col("image").is_null() | pl.col("path").is_null(), "bad_row|no image"),
        (pl.col("path").str.contains(REPLACED, literal=True), "bad_row|a cell is not UTF-8"),
        (escapes(), "path_escapes|"),
    )
    found = [pl.when(test.fill_null(value=False)).then(pl.lit(why)) for test, why in tests]
    return pl.coalesce(REASON, *found).alias(REASON)


class TableWorker:
    """Reads ranges of one table."""

    def __init__(self, stage: TableImages, ctx: Context) -> None:
        self.rows = Rows(stage, ctx)
        self.worker = RowWorker(
            stage,
            ctx,
            stage.path,
            kind=stage.kind,
            look=stage.check_files,
            probe=stage.probe,
            text_checked=stage.burned_in_text_checked,
        )

    def process(self, unit: Unit) -> Result:
        """The rows of a unit as a part of the manifest, and what is wrong with the others."""
        cells = self.rows.read(unit.payload["start"], unit.payload["stop"])
        return self.worker.result(cells.with_columns(path_reasons()))
