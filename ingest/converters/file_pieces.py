"""Files of which each gives several samples, or whose headers give columns: what such converters share.

Every file that `include` lets through is opened once. What it gives are pieces: a locator each, and columns beside
those of the path (`path`, `name`, `stem`, its parts), of texts and of joined tables. A file that does not open is one
reject; a piece that cannot stand is one of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from string import Formatter
from typing import TYPE_CHECKING

from ingest.columns import TextFiles
from ingest.converters.listed_files import ListedFiles
from ingest.file_units import listed
from ingest.listing import Listed, Lookup, Root
from shards.canonical import sha256_of
from shards.locator import Locator
from shards.reasons import Reason
from shards.stage import Context, Result, Unit
from shards.units import Sizes

if TYPE_CHECKING:
    import polars as pl

    from shards.media import MediaReader


@dataclass(frozen=True, kw_only=True)
class FilePieces(ListedFiles):
    """Options of converters that cut files into pieces."""

    texts: tuple[TextFiles, ...] = ()
    probe: bool = False  # hash and sizes of every piece; a later ProbeMedia does the same
    unit_files: int = 64

    def __post_init__(self) -> None:
        ListedFiles.__post_init__(self)
        self.check_given()
        if self.unit_files < 1:
            raise ValueError(f"unit_files must be at least 1, not {self.unit_files}")

    def beside(self, path: str) -> str:
        """The file that is read with the one at `path`; empty for none."""
        return ""

    def read_with(self, path: str, lookup: Lookup) -> list[str]:
        """What the file beside is known by."""
        name = self.beside(path)
        return [lookup(name).token] if name else []

    def units(self, ctx: Context) -> Iterator[Unit]:
        """Runs of the listing."""
        units = self.file_units(ctx, Sizes(target=self.unit_files))
        return self._with_texts(units, ctx) if self.texts else units

    def _with_texts(self, units: Iterator[Unit], ctx: Context) -> Iterator[Unit]:
        """Units that are known by the text files of their rows, too."""
        from ingest.cells import Cells
        from ingest.converters.folder_rows import file_rows
        from ingest.converters.text_columns import STATES, TextColumns

        root = Root.find(ctx.resolve(self.path))
        named = [name for text in self.texts for _, name, _, _ in Formatter().parse(text.path) if name]
        deciding = {*named, *self.parts, *(column for join in self.join for column in join.on)}
        read = any(not deciding.isdisjoint(text.columns) for text in self.texts)
        texts = TextColumns(self.texts, ctx, root.folder, read=read)
        cells = Cells.of(self.parts, self.join, ctx, root.folder)
        for unit in units:
            states = texts.add(file_rows(listed(unit)), cells)[STATES].to_list()
            yield replace(unit, inputs=(*unit.inputs, sha256_of(states)))
        texts.check_found()


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """One sample of a file."""

    locator: Locator = field(default_factory=Locator)
    words: str = ""  # behind the path: what a reject calls it
    cells: Mapping[str, str | None] = field(default_factory=dict)  # the same columns for all pieces of a stage
    refused: str = ""  # "code|detail"


Cut = Callable[[str, "MediaReader"], Sequence[Piece]]  # of (path below the root, reader); may raise Skip


class PieceWorker:
    """Turns runs of files into the rows of their pieces."""

    def __init__(self, stage: FilePieces, ctx: Context, kind: str, cut: Cut) -> None:
        from ingest.cells import Cells
        from ingest.converters.row_worker import RowWorker
        from ingest.converters.text_columns import TextColumns

        self.stage, self.ctx, self.cut = stage, ctx, cut
        self.rows = RowWorker(stage, ctx, stage.path, kind=kind, probe=stage.probe)
        self.cells = Cells.of(stage.parts, stage.join, ctx, self.rows.root.folder)
        self.texts = TextColumns(stage.texts, ctx, self.rows.root.folder)

    def process(self, unit: Unit) -> Result:
        """The rows of all pieces of a unit's files, and what is wrong with the others."""
        from shards.intake import Intake

        intake = Intake(self.ctx)
        found: list[tuple[Listed, Piece]] = []
        for file in listed(unit):
            if file.refused:
                intake.offered += 1
                intake.reject(file.path, Reason.of(file.refused), file.detail)
                continue
            pieces = intake.enter(file.path, self.cut, file.path, self.rows.reader())
            found += [(file, piece) for piece in pieces or ()]
        if not found:
            from shards.manifest import frame

            return intake.result(frame)
        result = self.rows.result(self._cells(found))
        rejects = [*intake.rejects, *result.rejects]
        return replace(result, rejects=rejects, offered=result.offered + intake.offered)

    def _cells(self, found: Sequence[tuple[Listed, Piece]]) -> pl.DataFrame:
        import polars as pl

        from ingest.cells import REASON, offered
        from ingest.converters.folder_rows import file_rows
        from ingest.converters.text_columns import WHY

        stage = self.stage
        own = pl.DataFrame(
            [dict(piece.cells) for _, piece in found], schema=dict.fromkeys(found[0][1].cells, pl.String)
        )
        files = file_rows([file for file, _ in found]).drop("refused")
        files = self.texts.add(files.hstack(own.get_columns()), self.cells)
        cells = self.cells.complete(files, stage.columns(), stage.path)
        why = pl.Series([piece.refused or None for _, piece in found], dtype=pl.String)
        cells = cells.with_columns(
            files["path"],
            pl.Series("name", [f"{file.path} {piece.words}".strip() for file, piece in found]),
            pl.Series("locator", [piece.locator.text() for _, piece in found]),
            pl.coalesce(pl.lit(why), REASON, pl.lit(files[WHY])).alias(REASON),
        )
        return cells.filter(offered(stage))
