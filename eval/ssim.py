"""How alike two pictures of one scene are: PSNR, SSIM (Wang et al. 2004) and MS-SSIM (Wang et al. 2003), in float64.

Gaussian window of 11 px and 1.5 px width, moments over the window without Bessel's correction, and only places where
the whole window fits, as in the authors' code. `data_range` has no default: guessing it from the data makes figures of
two pictures incomparable.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d

WINDOW_PX = 11
SIGMA_PX = 1.5
K1, K2 = 0.01, 0.03
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, section 3.2
LEAST_MS_SSIM_PX = (WINDOW_PX - 1) * 2 ** (len(SCALE_WEIGHTS) - 1) + 1


def psnr(a: Tensor, b: Tensor, *, data_range: float) -> Tensor:
    """Peak signal-to-noise ratio [B] in dB of two batches [B, C, H, W]; infinite where they are equal."""
    x, y = _pair(a, b, 1)
    error = ((x - y) ** 2).flatten(1).mean(dim=1)
    return 10 * torch.log10(data_range**2 / error)


def ssim(a: Tensor, b: Tensor, *, data_range: float) -> Tensor:
    """Mean SSIM [B] of two batches [B, C, H, W] with sides of at least 11 px; channels count alike."""
    luminance, structure = _terms(*_pair(a, b, WINDOW_PX), data_range)
    return (luminance * structure).flatten(1).mean(dim=1)


def ms_ssim(a: Tensor, b: Tensor, *, data_range: float) -> Tensor:
    """MS-SSIM [B] over five scales; ValueError for sides below LEAST_MS_SSIM_PX."""
    x, y = _pair(a, b, LEAST_MS_SSIM_PX)
    whole = x.new_ones(x.shape[:2])
    for scale, weight in enumerate(SCALE_WEIGHTS):
        luminance, structure = _terms(x, y, data_range)
        last = scale == len(SCALE_WEIGHTS) - 1
        factor = (luminance * structure if last else structure).mean(dim=(2, 3))
        whole = whole * factor.clamp(min=0) ** weight
        x, y = avg_pool2d(x, 2), avg_pool2d(y, 2)
    return whole.mean(dim=1)


def _pair(a: Tensor, b: Tensor, least_px: int) -> tuple[Tensor, Tensor]:
    if a.shape != b.shape or a.ndim != 4:
        raise ValueError(
            f"pictures must be two batches [B, C, H, W] of one shape, not {list(a.shape)}, {list(b.shape)}"
        )
    if min(a.shape[2:]) < least_px:
        raise ValueError(f"pictures of {a.shape[3]} x {a.shape[2]} px are too small: sides of {least_px} px are needed")
    return a.double(), b.double()


def _terms(x: Tensor, y: Tensor, data_range: float) -> tuple[Tensor, Tensor]:
    """Luminance and contrast-structure, each [B, C, h, w] (eqs. 6, and 9 with 10 joined)."""
    if not (math.isfinite(data_range) and data_range > 0):
        raise ValueError(f"data_range is {data_range}: give the range of the values, 255 for 8 bits")
    place = torch.arange(WINDOW_PX, dtype=x.dtype, device=x.device) - WINDOW_PX // 2
    line = torch.exp(-(place**2) / (2 * SIGMA_PX**2))
    line = (line / line.sum()).expand(x.shape[1], 1, WINDOW_PX)

    def blur(values: Tensor) -> Tensor:
        across = conv2d(values, line[:, :, None, :], groups=x.shape[1])
        return conv2d(across, line[:, :, :, None], groups=x.shape[1])

    mean_x, mean_y = blur(x), blur(y)
    var_x, var_y = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2
    covariance = blur(x * y) - mean_x * mean_y
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return luminance, (2 * covariance + c2) / (var_x + var_y + c2)
