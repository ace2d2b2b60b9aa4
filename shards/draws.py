"""Random draws that depend on (seed, what, position) alone, so that a resumed run draws the same numbers.

Counter-based: Philox-4x64-10 (Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011). The key comes from
the seed and the name of the draw, the counter from the position, so no draw has a state that could be lost and the
millionth costs as much as the first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


@lru_cache(maxsize=256)
def _key(seed: int, what: str) -> tuple[int, int]:
    digest = hashlib.sha256(f"medloom draw\0{seed}\0{what}".encode()).digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:16], "little")


def _philox(seed: int, what: str, place: tuple[int, int, int]) -> np.random.Philox:
    # the lowest of the four counter words is left to count the numbers of this draw
    counter = np.array([0, *place], dtype=np.uint64)
    return np.random.Philox(key=np.array(_key(seed, what), dtype=np.uint64), counter=counter)


def draw(seed: int, position: int, what: str) -> np.random.Generator:
    """Generator for one use (`what`: "caption", "dropout", ...) at one position of the sample order."""
    return np.random.Generator(_philox(seed, what, (position, 0, 0)))


def permutation(seed: int, what: str, place: tuple[int, int], count: int) -> NDArray[np.int64]:
    """A permutation of range(count) for `place`; made of raw words, which no numpy version may change."""
    words = _philox(seed, what, (*place, 1)).random_raw(count)
    return np.argsort(words, kind="stable")


def pick(weights: Sequence[float], seed: int, position: int, what: str = "caption") -> int:
    """Index drawn by weight for the sample at `position`; all weights zero or only one entry: the first.

    Raises ValueError where there is nothing to choose from or a weight is negative.
    """
    if not weights or min(weights) < 0:
        raise ValueError(f"cannot choose by the weights {list(weights)}: give one or more, none below zero")
    total = float(sum(weights))
    if total == 0 or len(weights) == 1:
        return 0
    word = int(_philox(seed, what, (position, 0, 0)).random_raw(1)[0])
    target = (word >> 11) * 2.0**-53 * total  # 53 bits: uniform in [0, total)
    for index, weight in enumerate(weights):
        target -= weight
        if target < 0:
            return index
    return max(index for index, weight in enumerate(weights) if weight > 0)  # rounding at the upper end
