"""NIfTI files that hold pictures over time and no volume: each is a clip, or a still where it has one frame.

CAMUS publishes its ultrasound so. Frames are shown as ITK writes them (shards.cine) and never turned; the header is
asked for no orientation. What is said of a file is true of all of it, so its labels have the scope series or wider.
`frames`, their number, is a column beside those of the path, of texts and of joined tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ingest.columns import STATED_FPS, row_contract
from ingest.converters.file_pieces import FilePieces, Piece
from ingest.listing import Root
from ingest.statements import Scope
from shards.locator import TIME, Locator
from shards.stage import Context, Contract

if TYPE_CHECKING:
    from ingest.converters.file_pieces import PieceWorker
    from shards.media import MediaReader


@dataclass(frozen=True, kw_only=True)
class NiftiClips(FilePieces):
    """Makes a manifest of the NIfTI files below a folder, each of which is one clip or still."""

    contract: ClassVar[Contract] = row_contract(version=1)

    include: tuple[str, ...] = ("*.nii", "*.nii.gz")
    group: str | None = "path"
    label_scope: Scope = "series"
    probe: bool = True  # every file is opened anyway
    fps_column: str | None = None  # frames per second; the header's own, of time on the fourth axis, precede it

    def __post_init__(self) -> None:
        FilePieces.__post_init__(self)
        if not self.probe:
            raise ValueError("probe: every file is opened, since nothing else tells a clip from a still; remove it")

    def columns(self) -> dict[str, str]:
        """With the rate of the clips."""
        rate = {} if self.fps_column is None else {STATED_FPS: self.fps_column}
        return {**FilePieces.columns(self), **rate}

    @contextmanager
    def open(self, ctx: Context) -> Iterator[PieceWorker]:
        """A worker that keeps the tables and the opened file."""
        from ingest.converters.file_pieces import PieceWorker

        root = Root.find(ctx.resolve(self.path))

        def pieces(path: str, reader: MediaReader) -> list[Piece]:
            whole = Locator(axis=TIME)
            facts = reader.facts(root.uri(path), whole.text())
            return [Piece(locator=whole, cells={"frames": str(facts.frames)})]

        yield PieceWorker(self, ctx, "nifti", pieces)
