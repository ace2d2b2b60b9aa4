"""What the autoencoder loses: held-out pictures through it and back, by modality.

No sample of a latent model can be better than this. The mean of the latent distribution is decoded, the result is
rounded to 8 bits as a file would be, and the interval is over groups (patients, volumes), not over pictures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eval.intervals import jackknife_mean
from eval.pictures import PictureSet
from eval.record import Estimate, Fidelity
from eval.ssim import LEAST_MS_SSIM_PX, ms_ssim, psnr, ssim
from training.pixels import unsigned

WHITE = 255.0
BEST_PSNR_DB = 100.0  # what equal pictures count as, so that a mean exists
ALL = "all"


def fidelity(
    pictures: PictureSet,
    strata: Sequence[str],
    groups: Sequence[str],
    family: Any,
    batch: int,
    on_batch: Callable[[int], None] = lambda done: None,
) -> list[Fidelity]:
    """SSIM, PSNR and, for large pictures, MS-SSIM: over all, then for each stratum where there are several."""
    rows: list[tuple[float, float, float]] = []
    for pixels in pictures.batches(batch):
        original = torch.from_numpy(pixels)
        back = reconstructed(family, original)
        a, b = (values.permute(0, 3, 1, 2) for values in (original, back))
        large = min(a.shape[2:]) >= LEAST_MS_SSIM_PX
        scales = ms_ssim(a, b, data_range=WHITE).tolist() if large else [math.nan] * len(a)
        peaks = psnr(a, b, data_range=WHITE).clamp(max=BEST_PSNR_DB).tolist()
        rows += zip(ssim(a, b, data_range=WHITE).tolist(), peaks, scales, strict=True)
        on_batch(len(pixels))
    table = np.array(rows)
    names = sorted(set(strata))
    members = {ALL: np.ones(len(rows), bool)}
    members |= {name: np.array([each == name for each in strata]) for name in names if len(names) > 1}
    return [
        _of(name, table[chosen], [groups[i] for i in np.flatnonzero(chosen).tolist()])
        for name, chosen in members.items()
    ]


@torch.no_grad()
def reconstructed(family: Any, pixels: Tensor) -> Tensor:
    """uint8 [B, H, W, 3] through the family's autoencoder, uint8 again."""
    stored = family.encode_pictures(pixels)
    any_stored: Tensor = next(iter(stored.values()))
    no_noise = torch.zeros(len(pixels), *family.latent_shape, device=any_stored.device)
    return unsigned(family.decode(family.clean_latents(stored, no_noise))).cpu()


def _of(name: str, table: np.ndarray[Any, np.dtype[np.float64]], groups: Sequence[str]) -> Fidelity:
    estimates = []
    for column in range(table.shape[1]):
        found = jackknife_mean(table[:, column].tolist(), groups)
        low, high = (None if math.isnan(limit) else limit for limit in (found.low, found.high))
        estimates.append(Estimate(value=found.value, low=low, high=high, n=len(table)))
    structure, peak, scales = estimates
    return Fidelity(
        stratum=name,
        n=len(table),
        ssim=structure,
        psnr_db=peak,
        ms_ssim=None if math.isnan(scales.value) else scales,
    )
