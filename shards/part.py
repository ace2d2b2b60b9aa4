"""A rectangle of a still picture, such as one panel of a figure: `left`, `top`, `width` and `height` of a locator.

Its pixels are those of the picture as it is shown, after the EXIF orientation. A rectangle that does not lie inside
the picture is refused and never cut to fit, and so is one of anything that is no still picture: what showed more than
the locator says would make its caption false. With `level` the four name a tile of a slide instead (shards.slide).
"""

from __future__ import annotations

from shards.intake import Skip
from shards.locator import Locator
from shards.reasons import Reason

Box = tuple[int, int, int, int]  # left, top, right, bottom; the last two are the first outside


def box_of(view: Locator, width_px: int, height_px: int) -> Box:
    """The part of a picture of this size that a locator names, which is all of it where it names none; raises Skip."""
    if not view.is_part:
        return 0, 0, width_px, height_px
    sides = (view.left, view.top, view.width, view.height)
    if not all(isinstance(side, int) for side in sides):
        raise Skip(Reason.BAD_ROW, "a part of a picture needs left, top, width and height in whole pixels")
    left, top, width, height = (side or 0 for side in sides)
    if not (0 <= left < left + width <= width_px and 0 <= top < top + height <= height_px):
        raise Skip(Reason.BAD_ROW, f"no part {width}x{height} at {left}, {top} of {width_px}x{height_px}")
    return left, top, left + width, top + height


def check_no_part(view: Locator, kind: str) -> None:
    """Skip(BAD_ROW) where a locator names a part of something that is no still picture."""
    if view.is_part:
        raise Skip(Reason.BAD_ROW, f"left, top, width and height name a part of a still picture, and this is {kind}")
