"""How sure a figure is: half-samples, the grouped jackknife, and Wilson's interval. There is no bootstrap on purpose.

What counts is how many independent things were looked at: slices of one patient are one, and so are the pictures that
several seeds drew for one prompt. So every interval is told the group of each picture.

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

LEAST_GROUPS = 8  # a side, for the interval of a distance
Groups = Sequence[Hashable]


@dataclass(frozen=True)
class Interval:
    """An estimate between its limits."""

    value: float
    low: float
    high: float


def half_samples(groups: Groups, draws: int, draw: np.random.Generator) -> Iterator[NDArray[np.intp]]:
    """`draws` times the places of half of the samples without replacement: whole groups, the last of them cut."""
    codes = _codes(groups)
    for _ in range(draws):
        turn = draw.permutation(codes.max() + 1)[codes]
        yield np.lexsort((draw.permutation(len(codes)), turn))[: len(codes) // 2]


def half_sample_interval(
    statistic: Callable[[Floats, Floats], float],
    a: Floats,
    b: Floats,
    *,
    groups: tuple[Groups, Groups],
    seed: int,
    draws: int = 40,
    level: float = 0.95,
) -> Interval:
    """Interval of `statistic(a, b)` for sampling noise at this n; a bias of the statistic at this n is not in it.

    The spread over half-samples is put around the value of the whole: half-samples have a larger bias of their own.
    Raises ValueError below LEAST_GROUPS groups a side.
    """
    fewest = min(len(set(side)) for side in groups)
    if fewest < LEAST_GROUPS:
        raise ValueError(f"{fewest} groups are too few for an interval: {LEAST_GROUPS} a side are needed")
    draw = np.random.default_rng(seed)
    pairs = zip(*(half_samples(side, draws, draw) for side in groups), strict=True)
    values = np.array([statistic(a[i], b[j]) for i, j in pairs])
    value = statistic(a, b)
    low, high = np.quantile(values - values.mean(), [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, value + float(low), value + float(high))


def jackknife_mean(values: Sequence[float], groups: Groups, *, level: float = 0.95) -> Interval:
    """Mean of `values` with an interval over groups (patients, volumes): leave one group out (Quenouille, Tukey).

    With fewer than two groups there is no such interval, and the limits are NaN. ValueError without values.
    """
    if not len(values) or len(values) != len(groups):
        raise ValueError(f"{len(values)} values and {len(groups)} groups: one group for each value is needed")
    all_values = np.asarray(values, dtype=np.float64)
    mean = float(all_values.mean())
    error = _error_of_mean(all_values, _codes(groups))
    reach = NormalDist().inv_cdf((1 + level) / 2) * error
    return Interval(mean, mean - reach, mean + reach)


def grouped_share(hits: Sequence[bool] | NDArray[np.bool_], groups: Groups, *, level: float = 0.95) -> Interval:
    """Share of hits with Wilson's interval at the number of independent pictures that they are worth.

    That is the n at which independent ones would spread as the groups do (Korn and Graubard 1998), at most all of them;
    where all are hits, or none, the groups do not spread, and each counts once. With fewer than two groups there is no
    interval, and the limits are NaN. ValueError without values.
    """
    values = np.asarray(hits, dtype=np.float64)
    if not len(values) or len(values) != len(groups):
        raise ValueError(f"{len(values)} values and {len(groups)} groups: one group for each value is needed")
    share, codes = float(values.mean()), _codes(groups)
    error = _error_of_mean(values, codes)
    if math.isnan(error):
        return Interval(share, math.nan, math.nan)
    worth = float(codes.max() + 1)
    if 0 < share < 1:
        worth = min(len(values), share * (1 - share) / error**2) if error > 0 else len(values)
    found = wilson(share * worth, worth, level=level)
    return Interval(share, found.low, found.high)


def wilson(successes: float, n: float, *, level: float = 0.95) -> Interval:
    """Share of successes with Wilson's (1927) score interval, right also near 0 and 1; ValueError for n of 0."""
    if n <= 0 or not 0 <= successes <= n:
        raise ValueError(f"{successes} of {n}: a share needs at least one trial")
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = successes / n
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return Interval(share, max(0.0, middle - reach), min(1.0, middle + reach))


def _codes(groups: Groups) -> NDArray[np.intp]:
    """The number of each value's group, from 0 on."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(group, len(numbers)) for group in groups], dtype=np.intp)


def _error_of_mean(values: Floats, codes: NDArray[np.intp]) -> float:
    """Standard error of the mean by leaving out one group at a time; NaN with fewer than two."""
    count = int(codes.max()) + 1
    if count < 2:
        return math.nan
    sums, sizes = np.bincount(codes, values), np.bincount(codes)
    left_out = (values.sum() - sums) / (len(values) - sizes)
    return math.sqrt((count - 1) / count * float(((left_out - left_out.mean()) ** 2).sum()))
