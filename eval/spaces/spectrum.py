"""A space without weights: how much power each spatial frequency has, averaged over directions.

Generators betray themselves here (checkerboards of upsampling, a missing high end) while pictures of another organ
hardly differ, so it complements texture and semantics. Radial profile as in Durall et al. 2020, eq. 3, in decades.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from eval.spaces.space import Pictures, luma
from eval.stats import Features

BANDS = 16  # of equal width from 0 to 0.5 cycles a pixel
LEAST_PX = 2 * BANDS
FLOOR = 1.0  # grey levels squared a frequency; below it is rounding to 8 bits
DECADES = 8.0  # to about 0..1


class Spectrum:
    """log10 of the power in 16 bands, after a Hann window."""

    name = "spectrum"
    dimensions = BANDS
    facts: Mapping[str, str | int] = {"weights": "none", "resize": "none", "dtype": "float32", "version": 1}

    def features(self, pictures: Pictures) -> Features:
        """float32 [N, 16]; ValueError for pictures with a side below 32 px, where a band would be empty."""
        _, height, width, _ = pictures.shape
        if min(height, width) < LEAST_PX:
            raise ValueError(f"pictures of {width} x {height} px are too small for a spectrum of {BANDS} bands")
        window = np.hanning(height)[:, None] * np.hanning(width)[None, :]
        frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
        band = np.minimum(
            (frequency * 2 * BANDS).astype(int), BANDS
        ).ravel()  # corners above 0.5 are the last, left out
        members = np.bincount(band, minlength=BANDS + 1)[:BANDS]
        rows = []
        for grey in luma(pictures).astype(np.float64):
            power = np.abs(np.fft.rfft2((grey - grey.mean()) * window)) ** 2 / (window**2).sum()
            mean = np.bincount(band, weights=power.ravel(), minlength=BANDS + 1)[:BANDS] / members
            rows.append(np.log10(mean + FLOOR) / DECADES)
        return np.stack(rows).astype(np.float32)
