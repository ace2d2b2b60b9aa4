"""Features as tables of numbers. They are stored in float32, and every statistic of them is float64.

Summing x xT in float32 with a mean far above the spread loses the covariance altogether.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float32]
Floats = NDArray[np.float64]


def checked(features: NDArray[np.floating], what: str = "features", least: int = 2) -> Floats:
    """`features` [n, d] as float64; ValueError where it is no table, has fewer than `least` rows, or is not finite."""
    if features.ndim != 2 or features.shape[1] == 0:
        raise ValueError(f"{what} must be a table [samples, dimensions], not of shape {features.shape}")
    if len(features) < least:
        raise ValueError(f"{what}: {len(features)} samples are too few, at least {least} are needed")
    values = features.astype(np.float64)
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values).all(axis=1)).sum())
        raise ValueError(f"{what}: {bad} of {len(values)} samples hold NaN or infinity; look at their pictures")
    return values
