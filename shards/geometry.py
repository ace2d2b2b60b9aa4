"""Geometry on uint8 frames: resize, fit, pad, crop, choose frames. Each step also says in words what it did.

Frames are [T, H, W] grey or [T, H, W, 3] RGB; grey stays grey. Nothing here flips, rotates or transposes. Rules that
another program would have to guess: new sizes are rounded half up; where an odd number of pixels is padded or cropped,
the odd one is at the right or the bottom; shrinking averages areas (shards.shrink), enlarging is bicubic.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
from numpy.typing import NDArray

from shards.shrink import shrink

Pixels = NDArray[np.uint8]  # [T, H, W] or [T, H, W, 3], 0 black to 255 white
WIDEST = 16
SQUARE_WITHIN = 1e-3  # spacings closer than this are square: less than one pixel in 1,000


def size(pixels: Pixels) -> tuple[int, int]:
    """(width, height) in pixels."""
    return pixels.shape[2], pixels.shape[1]


def half_up(numerator: int, denominator: int) -> int:
    """Rounded quotient of positive integers, halves up, at least 1."""
    return max(1, (2 * numerator + denominator) // (2 * denominator))


def resize(pixels: Pixels, width_px: int, height_px: int) -> Pixels:
    """Frames of exactly this size; axes that shrink are averaged first, axes that grow interpolated after."""
    import cv2

    width, height = size(pixels)
    if (width_px, height_px) == (width, height):
        return pixels
    smaller = (min(width, width_px), min(height, height_px))
    out = np.empty((pixels.shape[0], height_px, width_px, *pixels.shape[3:]), dtype=np.uint8)
    for index, frame in enumerate(pixels):
        shrunk = shrink(frame, *smaller) if smaller != (width, height) else frame
        grows = smaller != (width_px, height_px)
        out[index] = cv2.resize(shrunk, (width_px, height_px), interpolation=cv2.INTER_CUBIC) if grows else shrunk
    return out


def isotropic_size(
    width_px: int, height_px: int, spacing_mm: tuple[float, float] | None
) -> tuple[int, int, tuple[str, ...]]:
    """(width, height, step) once pixels are square: the axis with the wider spacing grows, so that nothing is lost.

    `spacing_mm` is (between rows, between columns), as DICOM's Pixel Spacing (0028,0030). Pixels are counted, not yet
    resampled: the caller resamples once, to its final size.
    """
    if spacing_mm is None:
        return width_px, height_px, ()
    rows_mm, columns_mm = spacing_mm
    if not (0 < rows_mm < math.inf and 0 < columns_mm < math.inf):
        return width_px, height_px, (f"spacing {rows_mm:g} x {columns_mm:g} mm is no spacing: pixels taken as square",)
    ratio = rows_mm / columns_mm
    if abs(ratio - 1) < SQUARE_WITHIN:
        return width_px, height_px, ()
    new = (width_px, round(height_px * ratio)) if ratio > 1 else (round(width_px / ratio), height_px)
    step = f"square pixels from {rows_mm:g} mm rows and {columns_mm:g} mm columns: "
    return *new, (f"{step}{width_px}x{height_px} to {new[0]}x{new[1]}",)


def fit(
    pixels: Pixels, width_px: int, height_px: int, spacing_mm: tuple[float, float] | None
) -> tuple[Pixels, tuple[str, ...]]:
    """Scale with its aspect to the largest size that fits into width x height; smaller pictures grow."""
    width, height, square = isotropic_size(*size(pixels), spacing_mm)
    if width * height_px >= height * width_px:  # the width decides
        new = (width_px, min(height_px, half_up(height * width_px, width)))
    else:
        new = (min(width_px, half_up(width * height_px, height)), height_px)
    words = f"fit into {width_px}x{height_px}: {width}x{height} to {new[0]}x{new[1]}"
    return resize(pixels, *new), (*square, words)


def scale_to_height(
    pixels: Pixels, height_px: int, spacing_mm: tuple[float, float] | None
) -> tuple[Pixels, tuple[str, ...]]:
    """Scale with its aspect to this height; of a strip wider than WIDEST heights, only the centre."""
    width, height, square = isotropic_size(*size(pixels), spacing_mm)
    cut: tuple[str, ...] = ()
    if width > WIDEST * height:  # else one line of 65,535 pixels would grow to gigabytes
        pixels, cut = crop(pixels, max(1, pixels.shape[2] * WIDEST * height // width), pixels.shape[1])
        width, height, _ = isotropic_size(*size(pixels), spacing_mm)
    new = (half_up(width * height_px, height), height_px)
    return resize(pixels, *new), (*cut, *square, f"height to {height_px}: {width}x{height} to {new[0]}x{new[1]}")


def pad(pixels: Pixels, width_px: int, height_px: int) -> tuple[Pixels, tuple[str, ...]]:
    """Black borders up to width x height, the picture in the centre."""
    width, height = size(pixels)
    left, top = (width_px - width) // 2, (height_px - height) // 2
    if left < 0 or top < 0:
        raise ValueError(f"{width}x{height} is larger than {width_px}x{height_px}: crop it")
    right, bottom = width_px - width - left, height_px - height - top
    if not (left or top or right or bottom):
        return pixels, ()
    border = ((0, 0), (top, bottom), (left, right), (0, 0))[: pixels.ndim]
    words = f"pad black: left {left}, top {top}, right {right}, bottom {bottom}"
    return np.pad(pixels, border), (words,)


def crop(pixels: Pixels, width_px: int, height_px: int) -> tuple[Pixels, tuple[str, ...]]:
    """The centre of width x height."""
    width, height = size(pixels)
    left, top = (width - width_px) // 2, (height - height_px) // 2
    if left < 0 or top < 0:
        raise ValueError(f"{width}x{height} is smaller than {width_px}x{height_px}: pad it")
    right, bottom = width - width_px - left, height - height_px - top
    if not (left or top or right or bottom):
        return pixels, ()
    words = f"crop: left {left}, top {top}, right {right}, bottom {bottom}"
    return pixels[:, top : top + height_px, left : left + width_px], (words,)


def first_frame(frames: int, wanted: int, seed: int, key: str) -> int:
    """Where `wanted` consecutive frames of `frames` start: drawn from (seed, key) alone, 0 where there are fewer."""
    if frames <= wanted:
        return 0
    digest = hashlib.sha256(f"medloom clip\0{seed}\0{key}".encode()).digest()
    return int.from_bytes(digest, "big") % (frames - wanted + 1)


def append_black(pixels: Pixels, frames: int) -> tuple[Pixels, tuple[str, ...]]:
    """Black frames at the end up to `frames`."""
    missing = frames - pixels.shape[0]
    if missing <= 0:
        return pixels, ()
    return np.pad(pixels, ((0, missing), *((0, 0),) * (pixels.ndim - 1))), (f"append {missing} black frames",)
