"""Options of converters that open files and cut them into many rows: volumes, and DICOM objects.

What is known of a file comes from patterns on its path (`facts`), from parts of its path, and from tables that join on
them, with the same meaning of columns as for tables (ingest.columns); what none of them says, the header may.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ingest.converters.listed_files import ListedFiles
from ingest.statements import FileFacts, Scope
from shards.stage import Context, Unit
from shards.units import Sizes

NARROW = ("image", "frames", "slice")  # scopes of one picture, which nothing that is said of a whole stack can have


@dataclass(frozen=True, kw_only=True)
class FileOptions(ListedFiles):
    """What such converters share."""

    facts: tuple[FileFacts, ...] = ()  # by file pattern; they precede all else
    label_scope: Scope = "series"

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
        self, ctx: Context, sizes: Sizes, patterns: Sequence[str] = (), extra: Sequence[str] | None = ()
    ) -> Iterator[Unit]:
        """As that of all listed files, where the patterns of `facts` must fit a file each, too."""
        return ListedFiles.file_units(self, ctx, sizes, [*(entry.files for entry in self.facts), *patterns], extra)
