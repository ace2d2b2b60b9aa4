"""Tiles of whole-slide images: a fixed grid at one scale, kept where there is tissue.

Tissue is what is coloured: the saturation (HSV) of the slide's smallest level above Otsu's threshold (N. Otsu, IEEE
Trans. SMC 9, 1979), which is held between 5 and 10 %. A tile's share of tissue is the column `tissue_share`;
below `least_tissue` it is a reject `blank`, so that every place of the grid is accounted for. Tiles that would leave
the slide are no places of the grid. Tiles of one slide are one group, or of one patient where that column is given: two
neighbours share their cells. Only the pyramid is read, never the thumbnail, label or macro picture that lie beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from ingest.columns import row_contract
from ingest.converters.file_pieces import FilePieces
from ingest.statements import Scope
from shards.stage import Context, Contract

if TYPE_CHECKING:
    from ingest.converters.file_pieces import PieceWorker

SLIDES = ("*.svs", "*.tif", "*.tiff", "*.SVS", "*.TIF", "*.TIFF")
TILE_COLUMNS = ("tissue_share", "microns_per_px", "magnification", "left_px", "top_px")


@dataclass(frozen=True, kw_only=True)
class SlideTiles(FilePieces):
    """Makes a manifest of the tiles of slides below a folder."""

    contract: ClassVar[Contract] = row_contract(version=1)

    include: tuple[str, ...] = SLIDES
    tile_px: int = 512
    microns_per_px: float | None = None  # of a tile: 0.5 is what is called 20x; read from the nearest finer level
    level: int | None = None  # instead: of the pyramid, 0 the largest
    least_tissue: float = 0.5  # share of a tile
    group: str | None = "path"
    group_is: Literal["series", "lesion", "article", "video", "slide"] = "slide"
    label_scope: Scope = "series"  # what is said of a slide is no fact of each of its tiles
    unit_files: int = 1

    def __post_init__(self) -> None:
        FilePieces.__post_init__(self)
        if (self.microns_per_px is None) == (self.level is None):
            raise ValueError("set either `microns_per_px` or `level`, so that all tiles have one scale")
        if self.microns_per_px is not None and not 0.02 <= self.microns_per_px <= 100:
            raise ValueError(f"microns_per_px is {self.microns_per_px}; 0.25 is 40x, 0.5 is 20x, 1 is 10x")
        if not 16 <= self.tile_px <= 8192:
            raise ValueError(f"tile_px must be 16 to 8192, not {self.tile_px}")
        if not 0 <= self.least_tissue <= 1:
            raise ValueError(f"least_tissue is a share, 0 to 1, not {self.least_tissue}")

    @contextmanager
    def open(self, ctx: Context) -> Iterator[PieceWorker]:
        """A worker that keeps the tables and the opened slide."""
        from ingest.converters.file_pieces import PieceWorker
        from ingest.converters.slide_rows import SlideCutter

        cutter = SlideCutter(self, ctx)
        yield PieceWorker(self, ctx, "slide", cutter.pieces)
