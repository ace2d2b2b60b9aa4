"""From the raw signal of an MR scanner to a magnitude picture, as fastMRI makes its reference pictures.

Centred inverse FFT of each coil, root sum of squares over the coils, crop to the reconstructed field of view around
the centre (Zbontar et al., fastMRI, arXiv:1811.08839, section 4; `fftc.py` and `transforms.py` of its repository).
Sampled lines that are missing stay zero, so undersampled k-space gives an aliased picture. Which way is up is as
stored: k-space does not say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Crop:
    """The reconstructed field of view, in pixels, and what says so."""

    height_px: int
    width_px: int
    source: str

    def size_px(self, height_px: int, width_px: int) -> tuple[int, int]:
        """Of a picture of that size when cropped; a square of its width where it is narrower, as in fastMRI."""
        if width_px < self.width_px:
            return min(width_px, height_px), width_px
        return min(self.height_px, height_px), self.width_px


def magnitude(values: npt.NDArray[Any], crop: Crop | None) -> tuple[npt.NDArray[np.floating[Any]], str]:
    """k-space [T, coils, H, W] as magnitude [T, h, w] in its precision, and the step in words."""
    count, coils, height, width = values.shape
    h, w = (height, width) if crop is None else crop.size_px(height, width)
    top, left = (height - h) // 2, (width - w) // 2
    squares = np.zeros((count, h, w), values.real.dtype)
    with np.errstate(over="ignore", invalid="ignore"):  # what is too large, or no number, is shown as such
        for t in range(count):
            for coil in range(coils):  # one at a time: memory holds one coil, however many there are
                picture = centred_ifft(values[t, coil])[top : top + h, left : left + w]
                squares[t] += picture.real**2 + picture.imag**2
    step = f"k-space to magnitude: centred inverse FFT, root sum of squares of {coils} coils"
    if crop is not None:
        step += f", centre {w}x{h} by {crop.source}"
    return np.sqrt(squares), f"{step}; sides as stored"


def centred_ifft(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Inverse 2-D FFT [H, W] with the origin of both spaces in the middle, orthonormal."""
    return np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(values), norm="ortho"))
