"""Which sample stands at which position: a pure function of (shard sizes, seed, window), found without walking there.

An epoch takes every sample once. Its shards are permuted; each shard's samples are permuted and cut into as many
slices as the window has shards; slice j of the i-th shard goes to step i + j (modulo the number of shards), and
the samples of a step are permuted. So only the window's shards are read at any time, each step drops one and takes one,
and a sample can move as far as the window reaches. (py1e of mosaicml-streaming spreads samples likewise.)
Epochs follow one another without a gap: what is left of one after its last whole batch leads the next.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shards.draws import permutation

Ints = NDArray[np.int64]
KEPT_STEPS = 4


@dataclass(frozen=True, slots=True)
class Step:
    """The samples that one window shuffles: entry k of `shards` and `samples` stands at position `start + k`."""

    number: int
    start: int
    shards: Ints
    samples: Ints


@dataclass(frozen=True, slots=True)
class _Epoch:
    number: int
    shards: Ints  # the permuted shard numbers
    starts: Ints  # [steps + 1] position in the epoch at which each step starts


class Order:
    """The endless order of the samples of `sizes` (samples in each shard), for one seed and window."""

    def __init__(self, sizes: Sequence[int], *, seed: int, window_shards: int) -> None:
        if window_shards < 1 or not sizes or min(sizes) < 1:
            raise ValueError("an order needs shards with at least one sample each and a window of one shard or more")
        self.sizes: Ints = np.asarray(sizes, dtype=np.int64)
        self.seed = seed
        self.window = min(window_shards, len(sizes))
        self.epoch_samples = int(self.sizes.sum())
        self._epoch: _Epoch | None = None
        self._steps: OrderedDict[tuple[int, int], Step] = OrderedDict()

    def locate(self, position: int) -> tuple[int, int]:
        """(shard number, number of the sample in it) at `position` >= 0."""
        step = self.step(position)
        at = position - step.start
        return int(step.shards[at]), int(step.samples[at])

    def step(self, position: int) -> Step:
        """The step that holds `position`."""
        number, inside = divmod(position, self.epoch_samples)
        epoch = self._epoch_of(number)
        turn = int(np.searchsorted(epoch.starts, inside, side="right")) - 1
        step = self._steps.pop((number, turn), None) or self._make(epoch, turn)
        self._steps[number, turn] = step
        if len(self._steps) > KEPT_STEPS:
            self._steps.popitem(last=False)
        return step

    def _bounds(self, sizes: Ints) -> Ints:
        """[shards, window + 1]: where each slice of each shard starts."""
        return sizes[:, None] * np.arange(self.window + 1) // self.window

    def _epoch_of(self, number: int) -> _Epoch:
        if self._epoch is None or self._epoch.number != number:
            shards = permutation(self.seed, "shards", (number, 0), len(self.sizes))
            slices = np.diff(self._bounds(self.sizes[shards]), axis=1)
            per_step = sum(np.roll(slices[:, turn], turn) for turn in range(self.window))
            self._epoch = _Epoch(number, shards, np.concatenate([[0], np.cumsum(per_step)]))
        return self._epoch

    def _make(self, epoch: _Epoch, turn: int) -> Step:
        shards, samples = [], []
        for piece in range(self.window):
            shard = int(epoch.shards[(turn - piece) % len(self.sizes)])
            size = int(self.sizes[shard])
            inside = permutation(self.seed, "samples", (epoch.number, shard), size)
            taken = inside[size * piece // self.window : size * (piece + 1) // self.window]
            shards.append(np.full(len(taken), shard, dtype=np.int64))
            samples.append(taken)
        mixed = permutation(self.seed, "window", (epoch.number, turn), sum(map(len, samples)))
        start = epoch.number * self.epoch_samples + int(epoch.starts[turn])
        number = epoch.number * len(self.sizes) + turn
        return Step(number, start, np.concatenate(shards)[mixed], np.concatenate(samples)[mixed])
