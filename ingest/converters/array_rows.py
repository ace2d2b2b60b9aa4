"""The rows of ArrayFiles: which there are by the headers, and what is known of each.

A file that cannot be read, or whose sister does not fit it, is one reject; a row that cannot stand is one of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ingest.cells import Cells, below, content, offered
from ingest.converters.row_worker import RowWorker
from ingest.listing import Listed, Lookup, Root
from ingest.tables import Table, cleaned
from shards.arrays import ArrayFile, Layout, Values, collection_range, layout
from shards.intake import Intake, Skip
from shards.locator import Locator
from shards.manifest import frame
from shards.media import MediaReader
from shards.reasons import Reason
from shards.stage import Context, Result, Unit
from shards.units import unit_id

if TYPE_CHECKING:
    from ingest.converters.array_files import ArrayFiles, RowArray

ELSEWHERE = re.compile(r"^[/~]|://|(^|/)\.\.(/|$)")
MOST_VALUES = 256  # of one row in an array of columns


@dataclass(frozen=True)
class Pictures:
    """One array of pictures in one file, with the words that fill in the names of what lies beside it."""

    path: str
    array: str
    axes: Layout
    is_kspace: bool
    known: Mapping[str, str]


class Files:
    """The files of the stage and what lies beside them."""

    def __init__(self, stage: ArrayFiles, ctx: Context, reader: MediaReader) -> None:
        self.stage, self.ctx, self.reader = stage, ctx, reader
        self.root = Root.find(ctx.resolve(stage.path))
        self.lookup = Lookup(self.root)
        self.table = cache(self._table)

    def arrays(self, path: str) -> ArrayFile:
        """The arrays of a file below the root; raises Skip."""
        found = self.lookup(path)
        if found.refused:
            raise Skip(Reason.of(found.refused), found.detail)
        return self.reader.arrays(self.root.uri(path))

    def pictures(self, path: str) -> list[Pictures]:
        """The arrays of a file that hold pictures; Skip where there is none, or one that is no picture."""
        file = self.arrays(path)
        found = []
        for name in file.names():
            fits = re.fullmatch(self.stage.pictures, name)
            if fits is not None:
                known = {**self._parts(path), "array": name, **fits.groupdict(default="")}
                stored = file.stored(name)
                axes = layout(stored, self.reader.limits)
                found.append(Pictures(path, name, axes, stored.dtype.kind == "c", known))
        if not found:
            raise Skip(Reason.NO_PIXELS, f"no array fits `pictures`; it has {', '.join(file.names())[:200]}")
        return found

    def _parts(self, path: str) -> dict[str, str]:
        name = path.rpartition("/")[2]
        known = {"path": path, "name": name, "stem": re.sub(r"\.[^.]*$", "", name)}
        for column, pattern in self.stage.file_parts.items():
            if (fits := re.search(pattern, known[column])) is not None:
                known |= fits.groupdict(default="")
        return known

    def sister(self, one: Pictures, column: RowArray) -> tuple[str, str]:
        """(path, name) of an array of the rows' values; Skip where its file's name cannot be filled in."""
        return _filled(column.file or "{path}", one.known), _filled(column.array, one.known)

    def table_of(self, one: Pictures) -> Table | None:
        """The table with a row for each picture."""
        where = _filled(self.stage.table.table, one.known)
        return self.table(where) if where else None

    def _table(self, where: str) -> Table:
        return Table(below(self.ctx, self.root.folder, where), self.stage.table)

    def beside(self, one: Pictures) -> list[str]:
        """What the sister files and the table are known by; Skip where one lacks a row or is not there."""
        tokens = []
        rows = one.axes.rows or 1
        for name, column in self.stage.sisters.items():
            path, array = self.sister(one, column)
            stored = self.arrays(path).stored(array)
            if stored.shape[0] != rows:
                raise Skip(Reason.BAD_ROW, f"{name} has {stored.shape[0]} rows, the pictures have {rows}")
            values = stored.row_bytes // stored.dtype.itemsize
            if values > MOST_VALUES or stored.dtype.kind not in "biufSU":
                raise Skip(Reason.BAD_ROW, f"{name} is not at most {MOST_VALUES} numbers or texts a row")
            if column.names and len(column.names) != values:
                raise ValueError(f"row_arrays: {name} has {values} values a row and {len(column.names)} names")
            tokens.append(self.lookup(path).token)
        table = self.table_of(one)
        if table is not None:
            try:
                height = table.height()
            except FileNotFoundError:
                raise Skip(Reason.MISSING_FILE, "the table beside it") from None
            if height != rows:
                raise Skip(Reason.BAD_ROW, f"its table has {height} rows, the pictures have {rows}")
            tokens.append(content(table.where, self.ctx))
        return tokens

    def known(self, one: Pictures, start: int, stop: int) -> pl.DataFrame:
        """All columns of some rows but those of joined tables; raises Skip."""
        stage = self.stage
        numbers = [str(row) for row in range(start, stop)]
        item = " ".join(filter(None, (one.path, one.array)))
        texts = {name: pl.lit(value or None, dtype=pl.String) for name, value in one.known.items()}
        rows = pl.DataFrame({"row": numbers}).with_columns(**texts, item=pl.lit(f"{item} ") + pl.col("row"))
        if stage.file_attributes:
            attributes = self.arrays(one.path).attributes(stage.file_attributes)
            said = {name: [attributes.get(name)] for name in stage.file_attributes}
            one_row = cleaned(pl.DataFrame(said, schema=dict.fromkeys(said, pl.String))).row(0, named=True)
            rows = rows.with_columns(**{name: pl.lit(value, dtype=pl.String) for name, value in one_row.items()})
        for name, column in stage.sisters.items():
            path, array = self.sister(one, column)
            values = self.arrays(path).rows(array, start, stop)
            rows = rows.with_columns(cleaned(pl.DataFrame(_texts(values, name, column.names))))
        table = self.table_of(one)
        if table is not None:
            beside = table.rows(start, stop)
            rows = pl.concat([rows, beside.select(pl.exclude(*rows.columns))], how="horizontal")
        return rows


def _filled(text: str, known: Mapping[str, str]) -> str:
    """The text with what the names of file and array say; Skip where they lack it, or would lead elsewhere by it."""
    try:
        filled = text.format_map(known)
    except KeyError as error:
        raise Skip(Reason.BAD_ROW, f"the path does not say {error}, which names what lies beside it") from None
    if ELSEWHERE.search(filled) and not ELSEWHERE.search(text):
        raise Skip(Reason.PATH_ESCAPES, "a name in it leads out of the folder")
    return filled


def array_units(stage: ArrayFiles, ctx: Context) -> Iterator[Unit]:
    """Ranges of rows of each array of each file; a file that cannot be listed is a unit of one reject.

    A joined table that speaks of no row is remarked upon.
    """
    _, known = stage.found(ctx)
    files = Files(stage, ctx, MediaReader())
    cells = Cells.of(stage.parts, stage.join, ctx, files.root.folder)
    left = dict(stage.exclude)
    empty = True
    for file in files.root.files(stage.include):
        empty = False
        yield from _file_units(files, cells, file, left.pop(file.path, ""), known)
    if empty:
        raise ValueError(f"path: no file below {files.root.folder} matches include: {list(stage.include)}")
    if left:
        raise ValueError(
            f"exclude: no file {sorted(left)} below {files.root.folder}; correct the name or remove the line"
        )
    cells.remark_silent()


def _file_units(files: Files, cells: Cells, file: Listed, excluded: str, joined: list[str]) -> Iterator[Unit]:
    stage = files.stage
    try:
        if excluded or file.refused:
            raise Skip(Reason.of(excluded or file.refused), file.detail)
        ranges = [(one, files.beside(one)) for one in files.pictures(file.path)]
    except Skip as skip:
        why = {"refused": skip.reason.value, "detail": skip.detail}
        inputs = (file.token, *why.values())
        yield Unit(id=unit_id(stage.source, file.path), payload={"path": file.path, **why}, inputs=inputs, items=1)
        return
    for one, beside in ranges:
        if one.is_kspace and not stage.groups_slices:
            raise ValueError("group: slices of k-space are of one patient; write `group: path`, or name the `patient`")
        rows = one.axes.rows or 1
        each_bytes = one.axes.frames * one.axes.height_px * one.axes.width_px
        for start in range(0, rows, stage.unit_rows):
            stop = min(start + stage.unit_rows, rows)
            if cells.is_worth_a_look:
                with suppress(Skip):  # a reject when the unit is processed
                    cells.look(files.known(one, start, stop))
            yield Unit(
                id=unit_id(stage.source, f"{file.path}\0{one.array}\0{start}"),
                payload={"path": file.path, "array": one.array, "start": start, "stop": stop},
                inputs=(file.token, *beside, *joined, f"{one.array} {start} to {stop}"),
                size_bytes=(stop - start) * each_bytes,
                items=(stop - start) * (one.axes.frames if stage.volumes == "slices" else 1),
            )


class ArrayWorker:
    """Turns ranges of rows into a part of the manifest."""

    def __init__(self, stage: ArrayFiles, ctx: Context) -> None:
        self.stage, self.ctx = stage, ctx
        self.reader = MediaReader()
        self.files = Files(stage, ctx, self.reader)
        self.cells = Cells.of(stage.parts, stage.join, ctx, self.files.root.folder)
        self.range = cache(self._range)
        self.workers = {
            kind: RowWorker(stage, ctx, stage.path, kind=kind, probe=stage.probe) for kind in ("array", "kspace")
        }

    def process(self, unit: Unit) -> Result:
        """The rows of a unit, and what is wrong with the others."""
        intake = Intake(self.ctx)
        found = intake.enter(unit.payload["path"], self._read, unit.payload)
        if found is None:
            return intake.result(frame)
        one, rows, places = found
        return self.workers["kspace" if one.is_kspace else "array"].result(self._cells(one, rows, places))

    def _read(self, payload: Mapping[str, Any]) -> tuple[Pictures, pl.DataFrame, list[pl.Series]]:
        """A range of rows: all columns beside the pictures, and the places of the pictures; raises Skip."""
        if "refused" in payload:
            raise Skip(Reason.of(payload["refused"]), payload["detail"])
        one = next((one for one in self.files.pictures(payload["path"]) if one.array == payload["array"]), None)
        start, stop = payload["start"], payload["stop"]
        if one is None or stop > (one.axes.rows or 1):
            raise Skip(Reason.MEDIA_CHANGED, "its array is no longer what was listed")
        rows = self.files.known(one, start, stop)
        return one, rows, self._places(one, rows["item"], start)

    def _cells(self, one: Pictures, rows: pl.DataFrame, places: list[pl.Series]) -> pl.DataFrame:
        stage = self.stage
        cells = self.cells.complete(rows, stage.columns(), stage.path)
        cells = cells.with_columns(pl.lit(one.path).alias("path"), *places).explode("name", "locator")
        return cells.filter(offered(stage))

    def _places(self, one: Pictures, items: pl.Series, start: int) -> list[pl.Series]:
        """`name` and `locator`, a list for each row: its own, or those of its slices."""
        low, high = self.range(one.path, one.array) if self._needs_range(one) else (None, None)
        whole = Locator(array=one.array or None, low=low, high=high)
        cut = self.stage.volumes == "slices" and one.axes.frames > 1
        slices = range(one.axes.frames) if cut else None
        views = [whole] if slices is None else [replace(whole, frame_start=at, frame_stop=at + 1) for at in slices]
        rows = range(start, start + len(items))
        columns = [[view.text()] if one.axes.rows is None else view.row_texts(rows) for view in views]
        names = [[item] if slices is None else [f"{item} slice {at}" for at in slices] for item in items]
        return [pl.Series("name", names), pl.Series("locator", [list(each) for each in zip(*columns, strict=True)])]

    def _needs_range(self, one: Pictures) -> bool:
        stored = self.files.arrays(one.path).stored(one.array)
        if self.stage.display_range is not None:
            return True
        return stored.dtype.kind in "fc" or (self.stage.by_percentiles and stored.dtype.kind in "iu")

    def _range(self, path: str, array: str) -> tuple[float, float]:
        return self.stage.display_range or collection_range(self.files.arrays(path), array, self.reader.limits)


def _texts(values: Values, name: str, names: tuple[str, ...]) -> list[pl.Series]:
    """The columns of an array of values [N] or [N, ...], as a table would write them."""
    flat = values.reshape(len(values), -1)
    count = flat.shape[1]
    columns = names or ((name,) if count == 1 else tuple(f"{name}_{i}" for i in range(count)))
    return [pl.Series(column, _column(flat[:, i]), dtype=pl.String) for i, column in enumerate(columns)]


def _column(values: Values) -> list[str | None]:
    if values.dtype.kind == "S":
        return [value.decode("utf-8", "replace") for value in values.tolist()]
    if values.dtype.kind == "f":
        return [str(value) if np.isfinite(value) else None for value in values.tolist()]
    return [str(value) for value in values.tolist()]
