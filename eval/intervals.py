"""How sure a figure is: half-samples, the grouped jackknife, and Wilson's interval. There is no bootstrap on purpose.

A bootstrap draws with replacement; the duplicates lower the rank of a covariance and push a Fréchet distance up, so
that its interval holds neither the estimate nor the truth. Half of the samples drawn without replacement have the right
spread instead: a mean of m of n has the variance s^2/m (1 - m/n), which for m = n/2 is s^2/n, that of the whole
(delete-d jackknife, Shao and Wu 1989, with d = n/2).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from eval.stats import Floats


@dataclass(frozen=True)
class Interval:
    """An estimate between its limits."""

    value: float
    low: float
    high: float


def half_samples(n: int, draws: int, draw: np.random.Generator) -> Iterator[NDArray[np.intp]]:
    """`draws` times the places of n // 2 of n samples, without replacement."""
    for _ in range(draws):
        yield draw.permutation(n)[: n // 2]


def half_sample_interval(
    statistic: Callable[[Floats, Floats], float],
    a: Floats,
    b: Floats,
    *,
    seed: int,
    draws: int = 40,
    level: float = 0.95,
) -> Interval:
    """Interval of `statistic(a, b)` for sampling noise at this n; a bias of the statistic at this n is not in it.

    The spread over half-samples is put around the value of the whole: half-samples have a larger bias of their own.
    Raises ValueError below 8 samples a side.
    """
    if min(len(a), len(b)) < 8:
        raise ValueError(f"{min(len(a), len(b))} samples are too few for an interval: 8 a side are needed")
    draw = np.random.default_rng(seed)
    pairs = zip(half_samples(len(a), draws, draw), half_samples(len(b), draws, draw), strict=True)
    values = np.array([statistic(a[i], b[j]) for i, j in pairs])
    value = statistic(a, b)
    low, high = np.quantile(values - values.mean(), [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, value + float(low), value + float(high))


def jackknife_mean(values: Sequence[float], groups: Sequence[Hashable], *, level: float = 0.95) -> Interval:
    """Mean of `values` with an interval over groups (patients, volumes): leave one group out (Quenouille, Tukey).

    With fewer than two groups there is no such interval, and the limits are NaN. ValueError without values.
    """
    if not len(values) or len(values) != len(groups):
        raise ValueError(f"{len(values)} values and {len(groups)} groups: one group for each value is needed")
    all_values = np.asarray(values, dtype=np.float64)
    mean = float(all_values.mean())
    names = sorted(set(groups), key=str)
    if len(names) < 2:
        return Interval(mean, math.nan, math.nan)
    members = np.array([names.index(group) for group in groups])
    left_out = np.array([all_values[members != number].mean() for number in range(len(names))])
    error = math.sqrt((len(names) - 1) / len(names) * float(((left_out - left_out.mean()) ** 2).sum()))
    reach = NormalDist().inv_cdf((1 + level) / 2) * error
    return Interval(mean, mean - reach, mean + reach)


def wilson(successes: int, n: int, *, level: float = 0.95) -> Interval:
    """Share of successes with Wilson's (1927) score interval, right also near 0 and 1; ValueError for n < 1."""
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes} of {n}: a share needs at least one trial")
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = successes / n
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return Interval(share, max(0.0, middle - reach), min(1.0, middle + reach))
