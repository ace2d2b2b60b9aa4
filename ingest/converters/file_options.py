"""Options of converters that open files and cut them into many rows: volumes, and DICOM objects.

What is known of a file comes from patterns on its path (`facts`), from parts of its path, and from tables that join on
them, with the same meaning of columns as for tables (ingest.columns); what none of them says, the header may.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

from ingest.columns import RowOptions
from ingest.file_units import check_excluded, folder_units
from ingest.listing import Listed, Root, check_expected
from ingest.statements import FileFacts, Scope
from ingest.table_file import JoinTable, check_parts
from shards.stage import Context, Unit
from shards.units import Sizes

if TYPE_CHECKING:
    from ingest.cells import Cells

NARROW = ("image", "frames", "slice")  # scopes of one picture, which nothing that is said of a whole stack can have


@dataclass(frozen=True, kw_only=True)
class FileOptions(RowOptions):
    """What such converters share. `path`, `name` (the file's own) and `stem` (without its ending) are columns, too."""

    ids: ClassVar[tuple[str, ...]] = ()  # columns that are read from the headers of files

    path: str  # folder, or one file
    exclude: Mapping[str, str] = field(default_factory=dict)  # path -> reason code
    facts: tuple[FileFacts, ...] = ()  # by file pattern; they precede all else
    parts: Mapping[str, str] = field(default_factory=dict)  # column -> expression whose (?P<named>groups) are columns
    join: tuple[JoinTable, ...] = ()
    expects: tuple[str, ...] = ()  # paths or patterns below `path` that must be there
    label_scope: Scope = "series"

    def __post_init__(self) -> None:
        RowOptions.__post_init__(self)
        check_excluded(self.exclude)
        check_parts(self.parts)

    def scopes(self) -> Iterator[tuple[str, str]]:
        """(words, scope) of everything that may be said of a file."""
        for entry in self.facts:
            yield from ((f"the label {label.name!r}", label.scope) for label in entry.labels)
        for label, _, words in self.findings():
            yield f"the label {words!r}", label.scope or self.label_scope
        for listed in self.label_lists:
            yield f"the labels of {listed.column!r}", listed.scope or self.label_scope
        if self.caption is not None:
            yield "the caption", self.label_scope

    def file_units(
        self,
        ctx: Context,
        sizes: Sizes,
        include: Sequence[str],
        patterns: Sequence[str] = (),
        extra: Sequence[str] = (),
    ) -> Iterator[Unit]:
        """Runs of files; the joined tables and those that word labels count for each.

        `patterns` are more names of files, each of which must fit one; `extra` are more columns that must be there.
        """
        from ingest.cells import Cells, names_inputs

        root = Root.find(ctx.resolve(self.path))
        check_expected(root, self.expects)
        cells = Cells.of(self.parts, self.join, ctx, root.folder)
        known = [*cells.inputs(ctx), *names_inputs(self, ctx, root.folder)]
        if not any(join.turn for join in self.join):  # a long table is read by the workers alone
            self._check_columns(cells, extra)
        named = [*(entry.files for entry in self.facts), *patterns]
        for unit in folder_units(root, self.source, sizes, include, self.exclude, named):
            yield replace(unit, inputs=(*unit.inputs, *known))

    def _check_columns(self, cells: Cells, extra: Sequence[str]) -> None:
        """ValueError for a column that is nowhere, before any work."""
        import polars as pl

        from ingest.converters.folder_rows import file_rows

        one = file_rows([Listed("name")]).with_columns(pl.lit(None, dtype=pl.String).alias(name) for name in self.ids)
        cells.complete(one, {**self.columns(), **{f"extra {name}": name for name in extra}}, self.path)
