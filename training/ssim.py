"""Structural similarity of pictures, differentiable (Wang et al. 2004, eq. 13; Gaussian window, 11 px, sigma 1.5 px).

The one implementation: a loss on reconstructions, 1 - SSIM, and in float64 a figure of the evaluation (`eval.ssim`).
Moments over the window have no Bessel's correction, and only places where the whole window fits count, as in the
authors' code. A variance is the small difference of two large numbers, so bfloat16 has none of it left.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d

WINDOW_PX = 11
SIGMA_PX = 1.5
K1, K2 = 0.01, 0.03


def ssim(a: Tensor, b: Tensor, *, data_range: float) -> Tensor:
    """Mean SSIM [B] of two batches [B, C, H, W], each side at least 11 px; channels count alike."""
    luminance, structure = ssim_maps(a, b, data_range=data_range)
    return (luminance * structure).flatten(1).mean(dim=1)


def ssim_maps(a: Tensor, b: Tensor, *, data_range: float) -> tuple[Tensor, Tensor]:
    """Luminance and contrast-structure, each [B, C, h, w] (eqs. 6, and 9 with 10 joined)."""
    channels = a.shape[1]
    x = torch.arange(WINDOW_PX, dtype=a.dtype, device=a.device) - WINDOW_PX // 2
    line = torch.exp(-(x**2) / (2 * SIGMA_PX**2))
    line = (line / line.sum()).expand(channels, 1, WINDOW_PX)

    def blur(values: Tensor) -> Tensor:
        across = conv2d(values, line[:, :, None, :], groups=channels)
        return conv2d(across, line[:, :, :, None], groups=channels)

    mean_a, mean_b = blur(a), blur(b)
    # autocast turns the convolution alone into bfloat16, whatever its input is
    assert {mean_a.dtype, mean_b.dtype} <= {torch.float32, torch.float64}, "SSIM was computed inside autocast"
    var_a, var_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
    covariance = blur(a * b) - mean_a * mean_b
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return luminance, (2 * covariance + c2) / (var_a + var_b + c2)
