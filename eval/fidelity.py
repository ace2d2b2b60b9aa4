"""What the autoencoder loses: held-out pictures through it and back, by modality.

No sample of a latent model can be better than this. The mean of the latent distribution is decoded, the result is
rounded to 8 bits as a file would be, and the interval is over groups (patients, volumes), not over pictures. A likeness
says little by itself, for dark pictures with black borders are all alike: beside it stand that of a real picture which
matches the held-out one, and what an autoencoder gives back that has learnt nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eval.intervals import jackknife_mean
from eval.pictures import PictureSet
from eval.record import Estimate, Fidelity, Likeness
from eval.ssim import LEAST_MS_SSIM_PX, ms_ssim, psnr, ssim
from eval.stats import Floats
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
    *,
    untrained: Any = None,
    neighbours: PictureSet | None = None,
) -> list[Fidelity]:
    """SSIM, PSNR and, for large pictures, MS-SSIM: over all, then for each stratum where there are several.

    `untrained` is the family around an autoencoder that has learnt nothing, `neighbours` are real pictures in the order
    of `pictures`.
    """
    tables: dict[str, list[Floats]] = {"autoencoder": [], "untrained": [], "neighbour": []}
    others = neighbours.batches(batch) if neighbours else None
    for pixels in pictures.batches(batch):
        original = torch.from_numpy(pixels)
        tables["autoencoder"].append(likeness(original, reconstructed(family, original)))
        if untrained is not None:
            tables["untrained"].append(likeness(original, reconstructed(untrained, original)))
        if others is not None:
            tables["neighbour"].append(likeness(original, torch.from_numpy(next(others))))
        on_batch(len(pixels))
    whole = {name: np.concatenate(parts) for name, parts in tables.items() if parts}
    found = []
    for name, places in _members(strata):
        rows = {what: _likeness(table, places, groups) for what, table in whole.items()}
        ours = rows["autoencoder"]
        found.append(
            Fidelity(
                stratum=name,
                n=len(places),
                ssim=ours.ssim,
                psnr_db=ours.psnr_db,
                ms_ssim=ours.ms_ssim,
                untrained=rows.get("untrained"),
                neighbour=rows.get("neighbour"),
            )
        )
    return found


def likeness(one: Tensor, two: Tensor) -> Floats:
    """SSIM, PSNR in dB, and MS-SSIM or NaN, [B, 3], of two batches uint8 [B, H, W, 3]."""
    a, b = (values.permute(0, 3, 1, 2) for values in (one, two))
    structure = ssim(a, b, data_range=WHITE)
    large = min(a.shape[2:]) >= LEAST_MS_SSIM_PX
    scales = ms_ssim(a, b, data_range=WHITE) if large else torch.full_like(structure, math.nan)
    peaks = psnr(a, b, data_range=WHITE).clamp(max=BEST_PSNR_DB)
    table: Floats = torch.stack([structure, peaks, scales], dim=1).numpy()
    return table


@torch.no_grad()
def reconstructed(family: Any, pixels: Tensor) -> Tensor:
    """uint8 [B, H, W, 3] through the family's autoencoder, uint8 again."""
    stored = family.encode_pictures(pixels)
    any_stored: Tensor = next(iter(stored.values()))
    no_noise = torch.zeros(len(pixels), *family.latent_shape, device=any_stored.device)
    return unsigned(family.decode(family.clean_latents(stored, no_noise))).cpu()


def _members(strata: Sequence[str]) -> Iterator[tuple[str, list[int]]]:
    yield ALL, list(range(len(strata)))
    names = sorted(set(strata))
    for name in names if len(names) > 1 else ():
        yield name, [place for place, each in enumerate(strata) if each == name]


def _likeness(table: Floats, places: Sequence[int], groups: Sequence[str]) -> Likeness:
    """The columns of `likeness` as estimates."""
    structure, peak, scales = (
        _estimate(table[places, column], [groups[place] for place in places]) for column in range(3)
    )
    return Likeness(ssim=structure, psnr_db=peak, ms_ssim=None if math.isnan(scales.value) else scales)


def _estimate(values: Floats, groups: Sequence[str]) -> Estimate:
    mean = jackknife_mean(values.tolist(), groups)
    low, high = (None if math.isnan(limit) else limit for limit in (mean.low, mean.high))
    return Estimate(value=mean.value, low=low, high=high, n=len(values))
