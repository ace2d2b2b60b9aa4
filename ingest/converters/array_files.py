"""Arrays that hold many pictures: .npy, .npz and HDF5 files, with what is known of each row beside them.

One item is one row of an array (or one slice of it, where a row is a volume). `pictures` says by name which arrays hold
pictures; their rows' values lie in other arrays of the same file, in a sister file, or in a table in the same order.
All become columns, named as the options name them; `path`, `name`, `stem`, `array`, `row` (from 0) and `item` (all of
the last three) are columns, too. Headers are read to list the rows, and no picture is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from string import Formatter
from typing import TYPE_CHECKING, ClassVar, Literal

from ingest.columns import row_contract
from ingest.converters.listed_files import FILE_COLUMNS, ListedFiles
from ingest.table_file import TableFile
from ingest.tables import check_table
from shards.stage import Context, Contract, Unit

if TYPE_CHECKING:
    from ingest.converters.array_rows import ArrayWorker

ROW_COLUMNS = (*FILE_COLUMNS, "array", "row", "item")


@dataclass(frozen=True, kw_only=True)
class RowArray:
    """An array with one value, or some, for each row of the pictures."""

    array: str  # its name; {groups} of `pictures`, `parts` and the file's {name} and {stem} are filled in
    file: str = ""  # a sister file below `path`, filled in likewise; default: the file of the pictures
    names: tuple[str, ...] = ()  # columns of several values; default: `<column>_0`, `<column>_1` ...


@dataclass(frozen=True, kw_only=True)
class ArrayFiles(ListedFiles):
    """Makes a manifest of the rows of arrays."""

    contract: ClassVar[Contract] = row_contract(version=2)

    include: tuple[str, ...] = ("*.npz", "*.npy", "*.h5", "*.hdf5")
    pictures: str = (
        ""  # expression on the whole name of an array; its (?P<named>groups) are columns. A .npy has no name
    )
    row_arrays: Mapping[str, str | RowArray] = field(default_factory=dict)  # column -> array of the rows' values
    row_table: str | TableFile = ""  # with one row a picture, in the same order; filled in as `RowArray.array`
    file_attributes: tuple[str, ...] = ()  # attributes of an HDF5 file, the same for all of its rows
    volumes: Literal["stack", "slices"] = "stack"  # a row of several slices is one item, or each of them is
    display_range: tuple[float, float] | None = None  # black and white of all pictures
    by_percentiles: bool = False  # integers, too, show the 0.5 and 99.5 percentiles of their array, as floats do
    probe: bool = False  # read every row for its hash and sizes
    unit_rows: int = 10_000

    def __post_init__(self) -> None:
        ListedFiles.__post_init__(self)
        self.check_given()
        if self.unit_rows < 1:
            raise ValueError(f"unit_rows must be at least 1, not {self.unit_rows}")
        if self.display_range is not None and not self.display_range[0] < self.display_range[1]:
            raise ValueError(f"display_range must rise from black to white, not {list(self.display_range)}")
        if self.volumes == "slices" and not self.groups_slices:
            raise ValueError(
                "volumes: the slices of one volume must lie in one split; write `group: item`, or name the `patient`"
            )
        try:
            groups = re.compile(self.pictures).groupindex
        except re.error as error:
            raise ValueError(f"pictures: {self.pictures!r} is no regular expression: {error}") from error
        known = {
            *ROW_COLUMNS,
            *groups,
            *(name for part in self.file_parts.values() for name in re.compile(part).groupindex),
        }
        texts = [text for column in self.sisters.values() for text in (column.array, column.file)]
        for text in (*texts, self.table.table):
            for _, named, _, _ in Formatter().parse(text):
                if named is not None and named not in known:
                    raise ValueError(f"{text!r}: there is no {{{named}}}; there are {', '.join(sorted(known))}")
        if self.row_table:
            check_table(self.table.table, self.table.separator)

    @property
    def groups_slices(self) -> bool:
        """Whether rows say to whom they belong, so that the slices of one volume are not parted."""
        return any((self.patient, self.study, self.group))

    @property
    def sisters(self) -> dict[str, RowArray]:
        """`row_arrays`, each written out."""
        return {name: RowArray(array=one) if isinstance(one, str) else one for name, one in self.row_arrays.items()}

    @property
    def table(self) -> TableFile:
        """`row_table`, written out; its name is empty where there is none."""
        return TableFile(table=self.row_table) if isinstance(self.row_table, str) else self.row_table

    @property
    def file_parts(self) -> dict[str, str]:
        """The `parts` of the file's own path, whose groups may be filled in."""
        return {column: pattern for column, pattern in self.parts.items() if column in FILE_COLUMNS}

    def units(self, ctx: Context) -> Iterator[Unit]:
        """Ranges of rows of one array; what lies beside it counts too."""
        from ingest.converters.array_rows import array_units

        return array_units(self, ctx)

    @contextmanager
    def open(self, ctx: Context) -> Iterator[ArrayWorker]:
        """A worker that keeps the files and tables open."""
        from ingest.converters.array_rows import ArrayWorker

        yield ArrayWorker(self, ctx)
