"""The rows of HuggingFace on a worker: one of each row of a file, or one of all rows that speak of one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

import polars as pl

from ingest.cells import REASON, Cells, offered
from ingest.converters.hf_files import FILE, ROW, ParquetFile, height_of
from ingest.converters.row_worker import RowWorker
from ingest.table_file import Turn
from ingest.tables import check_name
from shards.intake import Intake, Skip
from shards.locator import Locator
from shards.manifest import frame
from shards.reasons import Reason
from shards.stage import Context, Result, Unit

if TYPE_CHECKING:
    from ingest.converters.hf_dataset import HuggingFace

OWN = ("file", "row", "split")  # columns that are not the data set's
DISAGREE = f"{Reason.BAD_ROW.value}|its rows disagree in more than what is gathered"


class Rows:
    """What the rows of a data set say."""

    def __init__(self, stage: HuggingFace, ctx: Context) -> None:
        self.stage = stage
        root = ctx.resolve(stage.path) if stage.path else ""
        self.cells = Cells.of(stage.parts, stage.join, ctx, root)
        self.wanted = stage.columns()
        self.gathered = cache(self._gathered)

    def check(self, columns: Sequence[str], where: str) -> None:
        """ValueError for an option that names a column which is nowhere."""
        names = list(dict.fromkeys((*columns, *OWN)))
        for name in self._named():
            check_name(name, [*names, self.stage.image], where)
        turn = self.stage.gather
        if not isinstance(turn, Turn):  # what a turn makes columns of is known after reading
            empty = self._composed(pl.DataFrame(schema=dict.fromkeys(names, pl.String)))
            self.cells.complete(empty, self.wanted, where)

    def _named(self) -> list[str]:
        """The data set's own columns that `compose` and `gather` name."""
        stage = self.stage
        found = [column for pieces in stage.composed().values() for _, column in pieces if column is not None]
        if isinstance(stage.gather, Turn):
            return [*found, stage.gather.index, stage.gather.names, stage.gather.values]
        return [*found, stage.gather] if stage.gather else found

    def _read(self, file: ParquetFile, start: int, stop: int) -> pl.DataFrame:
        """Some rows with all columns that some option may name."""
        joined = [column for join, _ in self.cells.joins for column in join.on]
        names = [*self.wanted.values(), *self._named(), *self.stage.parts, *joined]
        by_picture = self.stage.image if self.stage.gathered_by == self.stage.image else ""
        return self._composed(file.rows(names, start, stop, by_picture))

    def _composed(self, rows: pl.DataFrame) -> pl.DataFrame:
        for name, pieces in self.stage.composed().items():
            texts = [
                piece for text, column in pieces for piece in (pl.lit(text), *([pl.col(column)] if column else []))
            ]
            rows = rows.with_columns(pl.concat_str(texts).alias(name))
        return rows

    def look(self, file: ParquetFile, start: int, stop: int) -> None:
        """Note which joined tables speak of some rows of a file; no more is read than what they are joined on."""
        made = [column for pieces in self.stage.composed().values() for _, column in pieces if column is not None]
        joined = [column for join, _ in self.cells.joins for column in join.on]
        with suppress(Skip):  # a reject when the unit is processed
            rows = file.rows([*made, *self.stage.parts, *joined], start, stop)
            self.cells.look(self._composed(rows).drop(FILE, ROW))

    def plain(self, file: ParquetFile, start: int, stop: int) -> pl.DataFrame:
        """The cells of some rows of one file."""
        return self._complete(self._read(file, start, stop), self.wanted, file.where).filter(offered(self.stage))

    def _complete(self, rows: pl.DataFrame, wanted: Mapping[str, str], where: str) -> pl.DataFrame:
        """The wanted columns of rows with FILE and ROW."""
        return self.cells.complete(rows.drop(FILE, ROW), wanted, where).with_columns(rows[FILE], rows[ROW])

    def _gathered(self, files: tuple[ParquetFile, ...]) -> pl.DataFrame:
        """The cells of all items, in the order of their first rows; a row that names no item is one of its own."""
        by, turn = self.stage.gathered_by, self.stage.gather
        rows = pl.concat([self._read(file, 0, height_of(file)) for file in files], how="diagonal")
        rows = rows.with_columns(pl.col(by).fill_null(pl.format("{} row {}", FILE, ROW)))
        if isinstance(turn, Turn):
            said = rows.select(by, "split", turn.names, turn.values).drop_nulls(turn.names).unique(maintain_order=True)
            joined = pl.element().str.join("|", ignore_nulls=False)  # a value beside a blank of the same name is none
            wide = said.pivot(on=turn.names, index=[by, "split"], values=turn.values, aggregate_function=joined)
            wide = wide.with_columns(pl.exclude(by, "split").replace("", None))  # what was not asked of an item
            ours = {name: place for name, place in {"file": FILE, "row": ROW}.items() if rows[name].equals(rows[place])}
            items = _one_each(rows.drop(turn.names, turn.values, *ours), (by, "split"), "").with_columns(**ours)
            items = items.join(wide, on=[by, "split"], how="left", nulls_equal=True, maintain_order="left")
            cells = self._complete(items.drop(REASON), self.wanted, "the gathered rows")
            return cells.with_columns(pl.coalesce(REASON, items[REASON])).filter(offered(self.stage))
        cells = self._complete(rows, {**self.wanted, "item": by, "its split": "split"}, "the rows")
        return _one_each(cells, ("item", "its split"), "caption").filter(offered(self.stage))


def _one_each(rows: pl.DataFrame, by: Sequence[str], kept: str) -> pl.DataFrame:
    """Rows of one item as one: `kept` as a list, the place of the first row, a reason where anything else differs."""
    others = [name for name in rows.columns if name not in (*by, FILE, ROW, kept, REASON)]
    so_far = pl.col(REASON).drop_nulls().first() if REASON in rows.columns else pl.lit(None, pl.String).alias(REASON)
    differ = pl.any_horizontal([pl.col(name).n_unique() > 1 for name in others] or [pl.lit(value=False)])
    lists = [pl.col(kept)] if kept in rows.columns else []
    grouped = rows.group_by(by, maintain_order=True).agg(
        pl.col(FILE, ROW, *others).first(), *lists, so_far, differ.alias("differ")
    )
    why = pl.when("differ").then(pl.lit(DISAGREE))
    return grouped.with_columns(pl.coalesce(REASON, why).alias(REASON)).drop("differ")


class HuggingFaceWorker:
    """Turns ranges of rows into a part of the manifest."""

    def __init__(self, stage: HuggingFace, ctx: Context) -> None:
        self.stage, self.ctx = stage, ctx
        self.rows = Rows(stage, ctx)
        self.worker = cache(self._worker)

    def _worker(self, root: str) -> RowWorker:
        return RowWorker(self.stage, self.ctx, root, kind="image", probe=self.stage.probe)

    def process(self, unit: Unit) -> Result:
        """The rows of a unit, and what is wrong with the others."""
        files = tuple(ParquetFile(*file) for file in unit.payload["files"])
        intake = Intake(self.ctx)
        found = intake.enter(files[0].path, self._cells, files, unit.payload)
        return intake.result(frame) if found is None else self.worker(files[0].root).result(self._placed(found))

    def _cells(self, files: tuple[ParquetFile, ...], payload: Mapping[str, Any]) -> pl.DataFrame:
        if "refused" in payload:
            raise Skip(Reason.of(payload["refused"]), payload["detail"])
        start, stop = payload["start"], payload["stop"]
        if self.stage.gathered_by:
            return self.rows.gathered(files).slice(start, stop - start)
        return self.rows.plain(files[0], start, stop)

    def _placed(self, cells: pl.DataFrame) -> pl.DataFrame:
        """With `path`, `locator` and `name` of each row."""
        locators = Locator(array=self.stage.image).row_texts(cells[ROW].cast(pl.Int64))
        return cells.with_columns(
            path=pl.col(FILE),
            locator=pl.Series(locators, dtype=pl.String),
            name=pl.format("{} row {}", FILE, ROW),
        )
