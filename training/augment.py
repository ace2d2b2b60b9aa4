"""Pictures for the autoencoder in more places than they were taken: shifted, and turned over, by seeded draws.

An autoencoder describes patches and knows nothing of sides or captions, so a mirrored picture tells it no lie. It is
for small data alone: with 500 pictures the loss on held-out ones stops falling after a few epochs without it. Nothing
that a caption goes with is ever turned over.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from shards.draws import draw


def moved(pixels: Tensor, seed: int, positions: Sequence[int], shift_px: int) -> Tensor:
    """uint8 [B, H, W, 3]: each picture turned over across and down by chance, and shifted by up to `shift_px`.

    What comes in from outside is black. A picture's move depends on (seed, its position) alone.
    """
    if not shift_px:
        return pixels
    height, width = pixels.shape[1:3]
    out = []
    for picture, position in zip(pixels, positions, strict=True):
        chance = draw(seed, position, "vae augmentation")
        across, down = (bool(flip) for flip in chance.integers(2, size=2))
        top, left = (int(at) for at in chance.integers(2 * shift_px + 1, size=2))
        turned = picture.flip([axis for axis, flip in enumerate((down, across)) if flip])
        room = pad(turned, (0, 0, shift_px, shift_px, shift_px, shift_px))
        out.append(room[top : top + height, left : left + width])
    return torch.stack(out)
