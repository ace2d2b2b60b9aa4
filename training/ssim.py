"""Structural similarity as a differentiable number for each picture (Wang et al. 2004, eq. 13, 11 x 11 Gaussian).

Used as a loss on reconstructions, 1 - SSIM; the evaluation floor measures SSIM on its own, in float64.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d

WINDOW_PX = 11
SIGMA_PX = 1.5
K1, K2 = 0.01, 0.03


def ssim(a: Tensor, b: Tensor, *, data_range: float) -> Tensor:
    """Mean SSIM [B] of two batches [B, C, H, W], each side at least 11 px, over places where the window fits."""
    channels = a.shape[1]
    x = torch.arange(WINDOW_PX, dtype=a.dtype, device=a.device) - WINDOW_PX // 2
    line = torch.exp(-(x**2) / (2 * SIGMA_PX**2))
    line = (line / line.sum()).expand(channels, 1, WINDOW_PX)

    def blur(values: Tensor) -> Tensor:
        across = conv2d(values, line[:, :, None, :], groups=channels)
        return conv2d(across, line[:, :, :, None], groups=channels)

    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
    covariance = blur(a * b) - mean_a * mean_b
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    structure = (2 * covariance + c2) / (var_a + var_b + c2)
    return (luminance * structure).flatten(1).mean(dim=1)
