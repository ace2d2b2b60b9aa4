"""Fréchet distance between Gaussians fitted to two sets of features (Dowson and Landau 1982; Heusel et al. 2017).

FD = |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2). With A, B the centred samples over sqrt(n - 1), S1 = AT A and
S2 = BT B, the last trace is the sum of the singular values of A BT. That is exact for rank-deficient covariances (the
usual medical case, fewer samples than dimensions), never complex, symmetric, and for identical sets zero to rounding; a
matrix square root of S1 S2 is none of these. The value still has a bias of about 1/n that depends on the feature space,
so only values at one n compare, and `frechet_infinity` extrapolates (Chong and Forsyth 2020, section 3).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from eval.stats import Floats, checked

SMALLEST_SUBSAMPLE = 50  # below it the curve over 1/n is no line
LEAST_FOR_INFINITY = 2 * SMALLEST_SUBSAMPLE


class FewerSamplesThanDimensions(UserWarning):
    """A covariance does not have full rank, so the distance is biased upwards by much."""


def frechet_distance(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Distance between two sets of features [n, d] and [m, d].

    Raises ValueError below two samples, for NaN, and where dimensions differ; warns where n or m is below d.
    """
    first, second = _pair(a, b)
    if min(len(first), len(second)) < first.shape[1]:
        warnings.warn(few(min(len(first), len(second)), first.shape[1]), FewerSamplesThanDimensions, stacklevel=2)
    return _distance(first, second)


def few(n: int, d: int) -> str:
    """What a reader of a distance at n below d has to know."""
    return (
        f"{n} samples in {d} dimensions: the Fréchet distance is well above its limit for many samples; read "
        "it beside floor and ceiling, which are at the same n, and look at KID"
    )


@dataclass(frozen=True)
class Infinity:
    """The line FD(n) = value + slope / n through distances of subsamples."""

    value: float
    slope: float
    sizes: tuple[int, ...]
    distances: tuple[float, ...]  # mean over the draws of each size


def frechet_infinity(
    a: NDArray[np.floating], b: NDArray[np.floating], *, seed: int, points: int = 10, draws: int = 2
) -> Infinity:
    """Distance extrapolated to infinitely many samples, from subsamples of both sets without replacement.

    Raises ValueError below LEAST_FOR_INFINITY samples: the line would rest on too short a range.
    """
    first, second = _pair(a, b)
    n = min(len(first), len(second))
    if n < LEAST_FOR_INFINITY:
        raise ValueError(f"{n} samples are too few to extrapolate from: {LEAST_FOR_INFINITY} are needed")
    draw = np.random.default_rng(seed)
    # evenly spaced in 1/n, where the line is fitted; a longer range than n/2 to n bends it while n < d
    sizes = np.unique(np.round(1 / np.linspace(1 / max(SMALLEST_SUBSAMPLE, n // 2), 1 / n, points)).astype(int))
    distances = []
    for size in sizes:
        some = [
            _distance(
                first[draw.choice(len(first), size, replace=False)],
                second[draw.choice(len(second), size, replace=False)],
            )
            for _ in range(draws)
        ]
        distances.append(float(np.mean(some)))
    slope, value = np.polyfit(1 / sizes, distances, 1)
    return Infinity(float(value), float(slope), tuple(sizes.tolist()), tuple(distances))


def _pair(a: NDArray[np.floating], b: NDArray[np.floating]) -> tuple[Floats, Floats]:
    first, second = checked(a, "the first set"), checked(b, "the second set")
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"features of {first.shape[1]} and of {second.shape[1]} dimensions have no distance")
    return first, second


def _distance(first: Floats, second: Floats) -> float:
    apart = first.mean(axis=0) - second.mean(axis=0)
    one, two = _factor(first), _factor(second)
    cross = np.linalg.svd(one @ two.T, compute_uv=False).sum()
    return float(apart @ apart + (one**2).sum() + (two**2).sum() - 2 * cross)


def _factor(values: Floats) -> Floats:
    """A matrix F of at most d rows with FT F = covariance."""
    centred = (values - values.mean(axis=0)) / np.sqrt(len(values) - 1)
    return cast(Floats, np.linalg.qr(centred, mode="r")) if len(centred) > centred.shape[1] else centred
