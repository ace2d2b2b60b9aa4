"""How alike two pictures of one scene are: PSNR, SSIM (Wang et al. 2004) and MS-SSIM (Wang et al. 2003), in float64.

The formula is `training.ssim`'s. `data_range` has no default: guessing it from the data makes figures of two pictures
incomparable.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

import training.ssim
from training.ssim import WINDOW_PX, ssim_maps

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, section 3.2
LEAST_MS_SSIM_PX = WINDOW_PX * 2 ** (len(SCALE_WEIGHTS) - 1)  # halved four times, rounded down, the window still fits


def psnr(a: Tensor, b: Tensor, *, data_range: float) -> Tensor:
    """Peak signal-to-noise ratio [B] in dB of two batches [B, C, H, W]; infinite where they are equal."""
    x, y = _pair(a, b, 1, data_range)
    error = ((x - y) ** 2).flatten(1).mean(dim=1)
    return 10 * torch.log10(data_range**2 / error)


def ssim(a: Tensor, b: Tensor, *, data_range: float) -> Tensor:
    """Mean SSIM [B] of two batches [B, C, H, W] with sides of at least 11 px; channels count alike."""
    return training.ssim.ssim(*_pair(a, b, WINDOW_PX, data_range), data_range=data_range)


def ms_ssim(a: Tensor, b: Tensor, *, data_range: float) -> Tensor:
    """MS-SSIM [B] over five scales; ValueError for sides below LEAST_MS_SSIM_PX."""
    x, y = _pair(a, b, LEAST_MS_SSIM_PX, data_range)
    whole = x.new_ones(x.shape[:2])
    for scale, weight in enumerate(SCALE_WEIGHTS):
        luminance, structure = ssim_maps(x, y, data_range=data_range)
        last = scale == len(SCALE_WEIGHTS) - 1
        factor = (luminance * structure if last else structure).mean(dim=(2, 3))
        whole = whole * factor.clamp(min=0) ** weight
        x, y = avg_pool2d(x, 2), avg_pool2d(y, 2)
    return whole.mean(dim=1)


def _pair(a: Tensor, b: Tensor, least_px: int, data_range: float) -> tuple[Tensor, Tensor]:
    if a.shape != b.shape or a.ndim != 4:
        raise ValueError(
            f"pictures must be two batches [B, C, H, W] of one shape, not {list(a.shape)}, {list(b.shape)}"
        )
    if min(a.shape[2:]) < least_px:
        raise ValueError(f"pictures of {a.shape[3]} x {a.shape[2]} px are too small: sides of {least_px} px are needed")
    if not (math.isfinite(data_range) and data_range > 0):
        raise ValueError(f"data_range is {data_range}: give the range of the values, 255 for 8 bits")
    return a.double(), b.double()
