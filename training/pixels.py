"""From the media member of a shard to pixels, as every family sees them: RGB, 8 bits, of one known size; and back.

Grey pictures become three equal channels, so one model takes all modalities. A picture that does not decode counts as
damaged, which the loader replaces and limits; one of another size than the recipe's is a mistake in the pipeline and
stops it.
"""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shards.reader import DamagedSample
from shards.stage import UserError

PICTURES = ("jpg", "png")


def decode_picture(members: Mapping[str, bytes], key: str) -> NDArray[np.uint8]:
    """The picture of a sample, uint8 [H, W, 3]; DamagedSample where there is none that decodes."""
    from PIL import Image

    data = next((members[extension] for extension in PICTURES if extension in members), None)
    if data is None:
        raise DamagedSample(f"{key}: none of its members {', '.join(members)} is a picture ({', '.join(PICTURES)})")
    try:
        with Image.open(io.BytesIO(data)) as picture:
            return np.asarray(picture.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DamagedSample(f"{key}: the picture does not decode ({type(error).__name__})") from error


def square_of(pixels: NDArray[np.uint8], image_px: int, key: str) -> NDArray[np.uint8]:
    """`pixels` as they are; UserError where they are not [image_px, image_px, 3]."""
    if pixels.shape != (image_px, image_px, 3):
        height_px, width_px, _ = pixels.shape
        raise UserError(
            f"{key} is {width_px} x {height_px} px and the recipe learns pictures of {image_px} x {image_px}: "
            f"pack with `preset: square-{image_px}`, or take a recipe of that size"
        )
    return pixels


def signed(pixels: Tensor) -> Tensor:
    """uint8 [B, H, W, 3] in 0..255 to float32 [B, 3, H, W] in -1..1."""
    return pixels.permute(0, 3, 1, 2).float() / 127.5 - 1


def unsigned(pictures: Tensor) -> Tensor:
    """[B, 3, H, W] in -1..1 to uint8 [B, H, W, 3], rounded; what is outside is cut off."""
    return ((pictures.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1)
