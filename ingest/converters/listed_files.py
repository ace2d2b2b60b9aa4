"""Options of converters that work on the files below a folder, and the units of such files.

Every file that `include` lets through is offered once. `path`, `name` (the file's own) and `stem` (without its ending)
are columns, beside the parts of them and the joined tables. A listing holds one folder's names at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

from ingest.columns import RowOptions
from ingest.file_units import check_excluded, folder_units, listed
from ingest.listing import Listed, Lookup, Root, check_expected
from shards.stage import Context, Unit
from shards.units import Sizes

if TYPE_CHECKING:
    from ingest.cells import Cells

FILE_COLUMNS = ("path", "name", "stem")
SEEN_AT_ONCE = 5000  # files for which joined tables are looked up at one time


@dataclass(frozen=True, kw_only=True)
class ListedFiles(RowOptions):
    """What such converters share."""

    ids: ClassVar[tuple[str, ...]] = ()  # columns that are read from the headers of files

    path: str  # folder, or one file
    include: tuple[str, ...]  # patterns on the path; `*` also matches `/`
    exclude: Mapping[str, str] = field(default_factory=dict)  # path -> reason code
    expects: tuple[str, ...] = ()  # paths or patterns below `path` that must be there

    def __post_init__(self) -> None:
        RowOptions.__post_init__(self)
        check_excluded(self.exclude)

    def found(self, ctx: Context) -> tuple[Root, list[str]]:
        """The root, and what the joined tables and those that word labels are known by.

        Raises FileNotFoundError where the root is not laid out as expected.
        """
        from ingest.cells import table_inputs

        root = Root.find(ctx.resolve(self.path))
        check_expected(root, self.expects)
        return root, table_inputs(self, ctx, root.folder)

    def read_with(self, path: str, lookup: Lookup) -> list[str]:
        """What is read with the file at `path`, as it is known before."""
        return []

    def file_units(
        self, ctx: Context, sizes: Sizes, patterns: Sequence[str] = (), extra: Sequence[str] | None = None
    ) -> Iterator[Unit]:
        """Runs of the listing, each known by its files, what is read with them, and the tables.

        `patterns` are more names of files, each of which must fit one, and so must every expression of `parts`: where
        none gives a patient, each file would be a group of its own. With `extra`, columns that must be there beside
        those of the options, a column that is nowhere raises ValueError before any work. A joined table that speaks of
        no file is remarked upon.
        """
        from ingest.cells import Cells

        root, known = self.found(ctx)
        cells = Cells.of(self.parts, self.join, ctx, root.folder)
        if extra is not None and not any(join.turn for join in self.join):  # a long table is read by workers alone
            self._check_columns(cells, extra)
        lookup = Lookup(root)
        unseen: list[Listed] = []
        idle = {column: pattern for column, pattern in self.parts.items() if column in FILE_COLUMNS}
        for unit in folder_units(root, self.source, sizes, self.include, self.exclude, patterns):
            idle = _unfitted(idle, unit) if idle else idle
            beside = [token for file in listed(unit) for token in self.read_with(file.path, lookup)]
            unseen += [file for file in listed(unit) if not file.refused] if cells.is_any_silent else []
            if len(unseen) >= SEEN_AT_ONCE:
                _look(cells, unseen)
                unseen.clear()
            yield replace(unit, inputs=(*unit.inputs, *known, *beside))
        for column, pattern in idle.items():
            raise ValueError(
                f"parts: {pattern!r} fits the {column} of no file below {root.folder}, so its columns would be blank; "
                "correct it or remove it"
            )
        _look(cells, unseen)
        cells.remark_silent()

    def _check_columns(self, cells: Cells, extra: Sequence[str]) -> None:
        import polars as pl

        from ingest.converters.folder_rows import file_rows

        one = file_rows([Listed("name")]).with_columns(pl.lit(None, dtype=pl.String).alias(name) for name in self.ids)
        wanted = {**self.columns(), **{f"extra {name}": name for name in extra}}
        cells.complete(one.clear(), wanted, self.path)


def _look(cells: Cells, files: Sequence[Listed]) -> None:
    from ingest.converters.folder_rows import file_rows

    if files and cells.is_any_silent:
        cells.look(file_rows(files))


def _unfitted(parts: Mapping[str, str], unit: Unit) -> dict[str, str]:
    """Those expressions that fit none of a unit's files."""
    from ingest.converters.folder_rows import file_rows

    rows = file_rows(listed(unit))
    return {column: pattern for column, pattern in parts.items() if not rows[column].str.contains(pattern).any()}
