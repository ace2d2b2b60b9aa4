"""A table with one row an item: images, videos, volumes or recordings, with the files below one root.

Options name the table's columns; what is the same for all rows is a constant. A unit is a range of rows, and its work
is column expressions of polars, so millions of rows stay cheap. Files are looked at only where `check_files` (the
default) or `probe` asks: without both, a path is still held inside the root by its own text, and a later ProbeMedia
finds what is missing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

from ingest.burned_in import check_evidence
from ingest.cells import content, names_inputs
from ingest.columns import DisplayColumns, RowOptions, TextFiles, row_contract
from ingest.listing import Lookup, Root, check_expected
from ingest.table_file import TableFile
from ingest.tables import check_table
from shards.stage import Context, Contract, Unit

if TYPE_CHECKING:
    from ingest.converters.table_rows import TableWorker


@dataclass(frozen=True, kw_only=True)
class TableImages(RowOptions):
    """Makes a manifest of a table and the files that it names."""

    contract: ClassVar[Contract] = row_contract(version=5)

    path: str  # folder that the files' paths start at
    table: str | TableFile  # below `path`; a path that starts with / or ./ or a url stands for itself
    image: str  # column with the path
    image_format: str = "{}"  # the path around the cell: "images/{}.png"; other columns by name: "{folder}/{}.png"
    texts: tuple[TextFiles, ...] = ()
    display: DisplayColumns | None = None  # of pictures with more than 8 bits; a row without a range is an error
    gather: bool = False  # rows of one file are one item: their captions are all kept, their other cells must agree
    kind: Literal["image", "video", "dicom", "nifti", "ecg", "audio"] = "image"
    expects: tuple[str, ...] = ()  # paths or patterns below `path` that must be there
    burned_in_text_checked: Mapping[str, str] = field(default_factory=dict)  # pattern -> what a person saw (dicom)
    check_files: bool = True  # of DICOM files always, since their headers are read
    probe: bool = False  # open every file for its hash and sizes
    unit_rows: int = 100_000

    def __post_init__(self) -> None:
        RowOptions.__post_init__(self)
        check_evidence(self.burned_in_text_checked)
        check_table(self.file.table, self.file.separator)
        self.check_given()
        if self.image_format.count("{}") != 1:
            raise ValueError(f"image_format {self.image_format!r} must hold {{}} once, where the cell stands")
        if self.unit_rows < 1:
            raise ValueError(f"unit_rows must be at least 1, not {self.unit_rows}")
        if self.gather and self.caption is None:
            raise ValueError("gather keeps the captions of all rows of a file; set `caption`, or remove `gather`")

    @property
    def file(self) -> TableFile:
        """The table with how it is written."""
        return TableFile(table=self.table) if isinstance(self.table, str) else self.table

    def units(self, ctx: Context) -> Iterator[Unit]:
        """Ranges of rows. Their text files count, and with `check_files` all, so that a mended file is read again.

        A joined table that speaks of no row is remarked upon.
        """
        from ingest.converters.table_rows import Rows

        root = Root.find(ctx.resolve(self.path))
        check_expected(root, self.expects)
        rows = Rows(self, ctx, planning=True)
        height = rows.height()
        known = [content(rows.table.where, ctx), *rows.cells.inputs(ctx), *names_inputs(self, ctx, rows.root)]
        lookup = Lookup(root) if self.check_files or self.kind == "dicom" else None
        name = hashlib.sha256(self.file.table.encode()).hexdigest()[:8]
        for start in range(0, height, self.unit_rows):
            stop = min(start + self.unit_rows, height)
            files = [rows.state(start, stop, lookup)] if lookup is not None or self.texts else []
            if not files and rows.cells.is_any_silent:
                rows.read(start, stop)
            yield Unit(
                id=f"{self.source}-{name}-{start:09d}",
                payload={"start": start, "stop": stop},
                inputs=(*known, f"rows {start} to {stop}", *files),
                size_bytes=stop - start,
                items=stop - start,
            )
        rows.check_found(root)
        rows.cells.remark_silent()

    @contextmanager
    def open(self, ctx: Context) -> Iterator[TableWorker]:
        """A worker that keeps the tables and the media reader."""
        from ingest.converters.table_rows import TableWorker

        yield TableWorker(self, ctx)
