"""Means and covariances of features, in float64, built piece by piece.

Features are stored in float32, every statistic is float64: summing x xT in float32 with a mean far above the spread
loses the covariance altogether. Pieces are centred on their own mean and merged by Chan, Golub and LeVeque (1983), so
shards can be described one by one, in any order, on any machine.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

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


@dataclass(frozen=True, eq=False)
class Moments:
    """Sufficient statistics of features: count, mean [d], and scatter [d, d] = sum of (x - mean)(x - mean)T."""

    n: int
    mean: Floats
    scatter: Floats

    @classmethod
    def of(cls, features: NDArray[np.floating]) -> Moments:
        """Of one piece [n, d], n >= 1, in two passes."""
        values = checked(features, least=1)
        mean = values.mean(axis=0)
        centred = values - mean
        return cls(len(values), mean, centred.T @ centred)

    @classmethod
    def of_pieces(cls, pieces: Iterable[NDArray[np.floating]]) -> Moments:
        """Of many pieces, held in memory one at a time; ValueError where there is none."""
        whole: Moments | None = None
        for piece in pieces:
            part = cls.of(piece)
            whole = part if whole is None else whole.merged(part)
        if whole is None:
            raise ValueError("there are no features to describe")
        return whole

    def merged(self, other: Moments) -> Moments:
        """Of both sets together."""
        n = self.n + other.n
        apart = other.mean - self.mean
        mean = self.mean + apart * (other.n / n)
        scatter = self.scatter + other.scatter + np.outer(apart, apart) * (self.n * other.n / n)
        return Moments(n, mean, scatter)

    @property
    def cov(self) -> Floats:
        """Unbiased covariance [d, d]; ValueError below two samples."""
        if self.n < 2:
            raise ValueError("a covariance needs at least 2 samples")
        return self.scatter / (self.n - 1)
