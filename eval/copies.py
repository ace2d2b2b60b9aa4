"""Copies of training pictures made on purpose, to see how many of them a copy detector finds.

Whoever says "no copies were found" has to say what would have been found. Kinds: exact, which any detector finds that
works at all; mirrored; cut to the middle 90 % and enlarged; brighter and darker by a tenth; and passed through the
autoencoder, which is the best copy that a latent model can draw. No published figure parts memorising from other faults
reliably (Stein et al. 2023), so recall on planted copies and the rate of false alarms stand beside every share of
flagged pictures.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from eval.fidelity import reconstructed
from eval.pictures import PictureSet
from eval.spaces.space import Pictures

CROP = 0.9
BRIGHTER, DARKER = 1.1, 0.9


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
    return _times(picture, BRIGHTER)


def darker(picture: Pictures) -> Pictures:
    """All grey levels times 0.9."""
    return _times(picture, DARKER)


def _times(picture: Pictures, gain: float) -> Pictures:
    gained: Pictures = np.minimum(np.rint(picture.astype(np.float32) * gain), 255).astype(np.uint8)
    return gained


KINDS: dict[str, Callable[[Pictures], Pictures]] = {
    "exact": exact,
    "mirrored": mirrored,
    "cropped": cropped,
    "brighter": brighter,
    "darker": darker,
}


RECONSTRUCTED = "reconstructed"  # one kind more, see `through`


def through(sources: PictureSet, family: Any) -> PictureSet:
    """The sources as the family's autoencoder gives them back."""

    def load(place: int) -> Pictures:
        back: Pictures = reconstructed(family, torch.from_numpy(np.array(sources.load(place))[None]))[0].numpy()
        return back

    return PictureSet(sources.keys, load)


def planted(sources: PictureSet, kind: str) -> PictureSet:
    """Copies of one kind, in the order of their sources."""
    change = KINDS[kind]
    return PictureSet(sources.keys, lambda place: change(sources.load(place)))
