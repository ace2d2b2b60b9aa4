"""Nearest neighbours by blocks of rows, so that memory does not grow with the product of two sets.

Squared distances come from |x|^2 + |y|^2 - 2 x.y in float64 after the mean of the searched set is taken off: without
that, rounding would hide the distance of a near copy behind the common mean of all features.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.stats import Floats, checked

BLOCK_ENTRIES = 8_000_000  # float64, 64 MB


@dataclass(frozen=True, eq=False)
class Nearest:
    """For each row of a set its nearest row in another, and how far that is."""

    place: NDArray[np.intp]
    distance: Floats


def distance_blocks(a: NDArray[np.floating], b: NDArray[np.floating]) -> Iterator[tuple[slice, Floats]]:
    """Euclidean distances of rows `a[slice]` to all of `b`, block by block."""
    x, y = checked(a, "the first set", 1), checked(b, "the second set", 1)
    centre = y.mean(axis=0)
    x, y = x - centre, y - centre
    squares = (y**2).sum(axis=1)
    rows = max(1, BLOCK_ENTRIES // len(y))
    for start in range(0, len(x), rows):
        part = x[start : start + rows]
        squared = (part**2).sum(axis=1)[:, None] + squares[None, :] - 2 * part @ y.T
        yield slice(start, start + len(part)), np.sqrt(np.clip(squared, 0, None))


def nearest(a: NDArray[np.floating], b: NDArray[np.floating]) -> Nearest:
    """The nearest row of `b` for each row of `a`."""
    place = np.empty(len(a), np.intp)
    for rows, distances in distance_blocks(a, b):
        place[rows] = distances.argmin(axis=1)
    # again from the difference itself: exact zero for an exact copy
    apart = a.astype(np.float64) - b[place].astype(np.float64)
    return Nearest(place, np.sqrt((apart**2).sum(axis=1)))


def nearest_other(a: NDArray[np.floating]) -> Nearest:
    """The nearest other row of the same set, at least two rows."""
    checked(a, "the set", 2)
    place = np.empty(len(a), np.intp)
    for rows, distances in distance_blocks(a, a):
        own = np.arange(rows.start, rows.stop)
        distances[np.arange(len(own)), own] = np.inf
        place[rows] = distances.argmin(axis=1)
    apart = a.astype(np.float64) - a[place].astype(np.float64)
    return Nearest(place, np.sqrt((apart**2).sum(axis=1)))


def radius(a: NDArray[np.floating], k: int) -> Floats:
    """Distance of each row to its k-th nearest other row; ValueError unless there are more than k rows."""
    if not 1 <= k < len(a):
        raise ValueError(f"the {k}th of {len(a) - 1} neighbours does not exist: use a smaller k or more samples")
    found = np.empty(len(a))
    for rows, distances in distance_blocks(a, a):
        own = np.arange(rows.start, rows.stop)
        distances[np.arange(len(own)), own] = np.inf
        found[rows] = np.partition(distances, k - 1, axis=1)[:, k - 1]
    return found
