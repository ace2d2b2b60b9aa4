"""Kernel distances: unbiased MMD^2, of which KID (Binkowski et al. 2018) and CMMD (Jayasumana et al. 2024) are forms.

The U-statistic of Gretton et al. 2012, eq. 3, has no bias at any n, which is why small strata show it alone; it may
be slightly negative. CMMD was published with the biased V-statistic; here it is the unbiased one, and says so. How
surprising a value is comes from a permutation test, how uncertain from half-samples (`eval.intervals`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.intervals import Groups, half_samples
from eval.stats import Floats, checked

CMMD_SIGMA = 10.0
CMMD_SCALE = 1000.0
WHOLE_AT_MOST = 2048  # samples a side for which the whole kernel matrix is made

Kernel = Callable[[Floats, Floats], Floats]


@dataclass(frozen=True)
class KernelDistance:
    """An estimate and its standard error."""

    value: float
    error: float


def polynomial(x: Floats, y: Floats) -> Floats:
    """KID's kernel (x.y / d + 1)^3 of [n, d] and [m, d]."""
    cubed: Floats = (x @ y.T / x.shape[1] + 1) ** 3
    return cubed


def gaussian(sigma: float) -> Kernel:
    """exp(-|x - y|^2 / (2 sigma^2))."""

    def kernel(x: Floats, y: Floats) -> Floats:
        squares = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1)[None, :] - 2 * x @ y.T
        values: Floats = np.exp(-np.clip(squares, 0, None) / (2 * sigma**2))
        return values

    return kernel


def mmd2(a: NDArray[np.floating], b: NDArray[np.floating], kernel: Kernel = polynomial) -> float:
    """Unbiased squared maximum mean discrepancy of two sets [n, d] and [m, d], n and m at least 2."""
    x, y = checked(a, "the first set"), checked(b, "the second set")
    return _of_sums(kernel(x, x), kernel(y, y), kernel(x, y))


def kid(
    a: NDArray[np.floating],
    b: NDArray[np.floating],
    *,
    seed: int,
    groups: tuple[Groups, Groups] | None = None,
    draws: int = 50,
) -> KernelDistance:
    """KID: of the whole sets where they are small, else the mean over subsets of WHOLE_AT_MOST without replacement.

    `groups` says which rows depend on each other, for the error; without it none do.
    """
    return _estimate(a, b, polynomial, groups, seed, draws)


def cmmd(
    a: NDArray[np.floating],
    b: NDArray[np.floating],
    *,
    seed: int,
    groups: tuple[Groups, Groups] | None = None,
    draws: int = 50,
) -> KernelDistance:
    """CMMD of CLIP image embeddings: unit length, Gaussian kernel of width 10, times 1000, unbiased."""
    x, y = (values / np.linalg.norm(values, axis=1, keepdims=True) for values in (checked(a), checked(b)))
    found = _estimate(x, y, gaussian(CMMD_SIGMA), groups, seed, draws)
    return KernelDistance(CMMD_SCALE * found.value, CMMD_SCALE * found.error)


def permutation_p(
    a: NDArray[np.floating],
    b: NDArray[np.floating],
    *,
    seed: int,
    permutations: int = 199,
    kernel: Kernel = polynomial,
) -> float:
    """Probability of an MMD^2 at least as large if both sets came from one distribution, by permuting who is whose.

    Exact in level for exchangeable samples (Phipson and Smyth 2010, eq. 2); slices of one volume are not.
    """
    x, y = checked(a, "the first set"), checked(b, "the second set")
    pooled = np.concatenate([x, y])
    matrix = kernel(pooled, pooled)
    draw = np.random.default_rng(seed)
    first = np.zeros((permutations + 1, len(pooled)))
    first[0, : len(x)] = 1
    for row in first[1:]:
        row[draw.permutation(len(pooled))[: len(x)]] = 1
    second = 1 - first
    diagonal = np.diag(matrix)
    within_first = ((first @ matrix) * first).sum(axis=1) - first @ diagonal
    within_second = ((second @ matrix) * second).sum(axis=1) - second @ diagonal
    between = ((first @ matrix) * second).sum(axis=1)
    n, m = len(x), len(y)
    values = within_first / (n * (n - 1)) + within_second / (m * (m - 1)) - 2 * between / (n * m)
    return float((values >= values[0] - 1e-12 * abs(values[0])).sum() / (permutations + 1))


def _of_sums(xx: Floats, yy: Floats, xy: Floats) -> float:
    n, m = xy.shape
    own = (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1))
    return float(own - 2 * xy.mean())


def _estimate(
    a: NDArray[np.floating],
    b: NDArray[np.floating],
    kernel: Kernel,
    groups: tuple[Groups, Groups] | None,
    seed: int,
    draws: int,
) -> KernelDistance:
    x, y = checked(a, "the first set"), checked(b, "the second set")
    draw = np.random.default_rng(seed)
    if max(len(x), len(y)) > WHOLE_AT_MOST:
        size = min(WHOLE_AT_MOST, len(x), len(y))
        some = [
            mmd2(x[draw.choice(len(x), size, replace=False)], y[draw.choice(len(y), size, replace=False)], kernel)
            for _ in range(draws)
        ]
        return KernelDistance(float(np.mean(some)), float(np.std(some, ddof=1)))
    xx, yy, xy = kernel(x, x), kernel(y, y), kernel(x, y)
    halves = []
    groups = groups or (range(len(x)), range(len(y)))
    if min(len(set(side)) for side in groups) >= 4:
        for i, j in zip(*(half_samples(side, draws, draw) for side in groups), strict=True):
            halves.append(_of_sums(xx[np.ix_(i, i)], yy[np.ix_(j, j)], xy[np.ix_(i, j)]))
    return KernelDistance(_of_sums(xx, yy, xy), float(np.std(halves, ddof=1)) if halves else float("nan"))
