"""Copies of training pictures made on purpose, to see how many of them a copy detector finds.

Whoever says "no copies were found" has to say what would have been found. Four kinds: exact; mirrored; cut to the
middle 90 % and enlarged; brighter by a tenth. No published figure parts memorising from other faults reliably (Stein
et al. 2023), so recall on planted copies and the rate of false alarms stand beside every share of flagged pictures.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from eval.pictures import PictureSet
from eval.spaces.space import Pictures

CROP = 0.9
GAIN = 1.1


def exact(picture: Pictures) -> Pictures:
    """The picture itself."""
    return picture


def mirrored(picture: Pictures) -> Pictures:
    """Left and right exchanged."""
    return picture[:, ::-1]


def cropped(picture: Pictures) -> Pictures:
    """The middle 90 %, enlarged to the old size."""
    from eval.resize import resize

    side_px = picture.shape[0]
    inner_px = round(side_px * CROP)
    start = (side_px - inner_px) // 2
    inner = picture[start : start + inner_px, start : start + inner_px]
    enlarged = resize(inner[None], side_px)[0].round().permute(1, 2, 0).numpy()
    return enlarged.astype(np.uint8)


def brighter(picture: Pictures) -> Pictures:
    """All grey levels times 1.1, cut at white."""
    gained: Pictures = np.minimum(np.rint(picture.astype(np.float32) * GAIN), 255).astype(np.uint8)
    return gained


KINDS: dict[str, Callable[[Pictures], Pictures]] = {
    "exact": exact,
    "mirrored": mirrored,
    "cropped": cropped,
    "brighter": brighter,
}


def planted(sources: PictureSet, kind: str) -> PictureSet:
    """Copies of one kind, in the order of their sources."""
    change = KINDS[kind]
    return PictureSet(sources.keys, lambda place: change(sources.load(place)))
