"""The places of a slide's grid, and how much tissue each shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ingest.converters.file_pieces import Piece
from ingest.listing import Root
from shards.foreign import media_stream
from shards.intake import Skip
from shards.locator import Locator
from shards.reasons import Reason
from shards.slide import Picture, Slide, overview
from shards.stage import Context

if TYPE_CHECKING:
    from ingest.converters.slide_tiles import SlideTiles
    from shards.media import MediaReader

SCALE_WITHIN = 1.05  # a level may be coarser by this than what is asked for
MOST_PLACES = 1_000_000
_THRESHOLDS = (13, 25)  # of 255: 5 to 10 %. Below lies the noise of glass; above, Otsu parts dark from pale tissue
_LEAST_VALUE = 20  # of 255: what scanners write where they did not look is black
_MOST_THUMBNAIL_PX = 2048


@dataclass(frozen=True, slots=True)
class Scale:
    """Where the tiles of one slide are read."""

    level: int
    side_px: float  # of level 0
    microns_per_px: float | None  # of what is read


def scale_of(slide: Slide, stage: SlideTiles) -> Scale:
    """The level and the side of a tile; raises Skip where the slide does not allow the scale that is asked for."""
    mpp = slide.microns_per_px
    if stage.level is not None:
        if stage.level >= len(slide.levels):
            raise Skip(Reason.UNSUPPORTED_PIXELS, f"level {stage.level} of {len(slide.levels)}")
        reduction = slide.downsample(stage.level)
        return Scale(stage.level, stage.tile_px * reduction, None if mpp is None else mpp * reduction)
    if mpp is None:
        raise Skip(Reason.NO_METADATA, "the header does not say how large a pixel is: set `level` instead")
    assert stage.microns_per_px is not None
    scales = [mpp * slide.downsample(level) for level in range(len(slide.levels))]
    fine = [level for level, scale in enumerate(scales) if scale <= stage.microns_per_px * SCALE_WITHIN]
    if not fine:
        raise Skip(Reason.UNSUPPORTED_PIXELS, f"scanned at {mpp:.3g} microns a pixel, coarser than is asked for")
    return Scale(fine[-1], stage.tile_px * stage.microns_per_px / mpp, scales[fine[-1]])


def tissue_mask(picture: Picture) -> npt.NDArray[np.bool_]:
    """Where a picture [H, W, 3] shows tissue: more saturated than Otsu's threshold within limits, and not black."""
    import cv2

    saturation, value = cv2.split(cv2.cvtColor(picture, cv2.COLOR_RGB2HSV))[1:]
    lit: npt.NDArray[np.bool_] = value >= _LEAST_VALUE
    if not lit.any():
        return lit
    threshold, _ = cv2.threshold(saturation[lit], 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    mask: npt.NDArray[np.bool_] = lit & (saturation > min(max(threshold, _THRESHOLDS[0]), _THRESHOLDS[1]))
    return mask


class Shares:
    """Share of tissue in boxes of level 0."""

    def __init__(self, picture: Picture, reduction: float) -> None:
        self.reduction = reduction
        mask = tissue_mask(picture)
        self.sums = np.pad(mask.cumsum(axis=0, dtype=np.int64).cumsum(axis=1), ((1, 0), (1, 0)))

    def share(self, left: int, top: int, side: int) -> float:
        """Of the pixels of the mask that the box touches."""
        height, width = int(self.sums.shape[0]) - 1, int(self.sums.shape[1]) - 1
        x0, y0 = min(int(left / self.reduction), width - 1), min(int(top / self.reduction), height - 1)
        x1 = min(max(x0 + 1, round((left + side) / self.reduction)), width)
        y1 = min(max(y0 + 1, round((top + side) / self.reduction)), height)
        sums = self.sums
        inside = int(sums[y1, x1] - sums[y0, x1] - sums[y1, x0] + sums[y0, x0])
        return inside / float((x1 - x0) * (y1 - y0))


class SlideCutter:
    """Cuts slides into the tiles of the stage's grid."""

    def __init__(self, stage: SlideTiles, ctx: Context) -> None:
        self.stage = stage
        self.root = Root.find(ctx.resolve(stage.path))

    def pieces(self, path: str, reader: MediaReader) -> list[Piece]:
        """All places of the grid, those without tissue refused; raises Skip where the slide cannot be read."""
        uri = self.root.uri(path)
        slide = reader.recording(uri, Locator(level=0)).slide()
        scale = scale_of(slide, self.stage)
        with media_stream(uri) as stream:
            picture, reduction = overview(stream, slide, reader.limits)
        shares = Shares(_small(picture), reduction * picture.shape[1] / _small(picture).shape[1])
        whole = slide.levels[0]
        columns, rows = int(whole.width_px / scale.side_px), int(whole.height_px / scale.side_px)
        if columns * rows < 1:
            raise Skip(Reason.UNSUPPORTED_PIXELS, f"{whole.width_px}x{whole.height_px} pixels hold no whole tile")
        if columns * rows > MOST_PLACES:
            raise Skip(Reason.TOO_LARGE, f"{columns * rows} tiles, at most {MOST_PLACES}")
        return [self._piece(slide, scale, shares, column, row) for row in range(rows) for column in range(columns)]

    def _piece(self, slide: Slide, scale: Scale, shares: Shares, column: int, row: int) -> Piece:
        left, top, side = round(column * scale.side_px), round(row * scale.side_px), round(scale.side_px)
        whole = slide.levels[0]
        left, top = min(left, whole.width_px - side), min(top, whole.height_px - side)  # rounding of the last one
        share = shares.share(left, top, side)
        power = slide.magnification
        cells = {
            "tissue_share": f"{share:.3f}",
            "microns_per_px": None if scale.microns_per_px is None else f"{scale.microns_per_px:.4g}",
            "magnification": None if power is None else f"{power / slide.downsample(scale.level):g}",
            "left_px": str(left),
            "top_px": str(top),
        }
        little = share < self.stage.least_tissue
        return Piece(
            locator=Locator(level=scale.level, left=left, top=top, width=side, height=side),
            words=f"{left},{top}",
            cells=cells,
            refused=f"{Reason.BLANK.value}|tissue in {share:.3f} of the tile" if little else "",
        )


def _small(picture: Picture) -> Picture:
    """A thumbnail whose longer side is at most _MOST_THUMBNAIL_PX."""
    import cv2

    longest = max(picture.shape[:2])
    if longest <= _MOST_THUMBNAIL_PX:
        return picture
    size = tuple(max(1, side * _MOST_THUMBNAIL_PX // longest) for side in (picture.shape[1], picture.shape[0]))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
