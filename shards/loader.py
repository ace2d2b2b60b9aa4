"""The streaming loader: batches of raw samples in an order that is a pure function of (seed, position).

Rank r of n takes the positions r, r + n, ... of each global batch, so neither the number of ranks nor the number of
loader processes changes which samples make up a batch, and the whole state is one integer: samples seen. Starting at
any state reads nothing that came before it. A damaged sample is replaced by the next sound one of the same epoch,
so all ranks take the same number of steps; that it happened is logged, and too many of them stop the run: different
samples are counted and held against the size of the split, so that epochs and resumed runs add nothing of their own.
Loaders that share the work of one rank share their count too (`damaged`); each rank has one of its own, since it comes
to every sample in the course of epochs and nothing has to be agreed on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from shards.cache import ShardCache
from shards.index import ShardSet, read_index
from shards.order import Order
from shards.reader import DamagedSample, RawSample, ShardReader
from shards.stage import UserError

T = TypeVar("T")
LOG = logging.getLogger(__name__)
FREE_DAMAGED = 8  # so many of a split are replaced, however small it is


class StreamLoader:
    """Endless batches of one split: `for batch in loader`, `state` after each; or any position by `take`."""

    def __init__(
        self,
        shards: ShardSet | str | Path,
        split: str,
        seed: int,
        global_batch: int,
        *,
        rank: int = 0,
        world: int = 1,
        window_shards: int = 8,
        start_samples: int = 0,
        cache: ShardCache | None = None,
        check: bool = True,
        max_damaged_share: float = 0.001,
        damaged: set[tuple[int, int]] | None = None,
    ) -> None:
        """`global_batch` is the batch of all ranks together. Raises ValueError before anything is read.

        `damaged` is that of another loader of the same split, for the two of them.
        """
        shard_set = shards if isinstance(shards, ShardSet) else read_index(shards)
        chosen = shard_set.of(split)
        samples = sum(shard.samples for shard in chosen)
        if not 0 <= rank < world:
            raise ValueError(f"rank {rank} is not one of {world} ranks")
        if global_batch < 1 or global_batch % world:
            raise ValueError(f"a global batch of {global_batch} cannot be shared by {world} ranks: use a multiple")
        if samples < global_batch:
            raise ValueError(
                f"split {split!r} of {shard_set.folder} has {samples} samples, fewer than one global batch of "
                f"{global_batch}: use a smaller batch or more data"
            )
        if start_samples < 0:
            raise ValueError(f"start_samples is {start_samples}: it counts the samples seen, from 0")
        self.split = split
        self.seed = seed
        self.global_batch = global_batch
        self.rank = rank
        self.world = world
        self.state = start_samples  # samples seen by all ranks together
        self.max_damaged_share = max_damaged_share
        self.order = Order([shard.samples for shard in chosen], seed=seed, window_shards=window_shards)
        held = self.order.window + 2  # the window, the shard it takes next, and one for a replacement
        self.reader = ShardReader(shard_set, chosen, cache=cache, check=check, open_shards=held)
        if cache is not None:
            cache.check_room(sum(sorted((shard.bytes for shard in chosen), reverse=True)[:held]))
        self.damaged: set[tuple[int, int]] = set() if damaged is None else damaged  # shard and number
        self._fetched_step = -1

    @property
    def epoch_samples(self) -> int:
        """Samples in the split: positions p and p + epoch_samples lie in neighbouring epochs."""
        return self.order.epoch_samples

    def __iter__(self) -> Iterator[list[RawSample]]:
        while True:
            batch = [self.take(position) for position in self.positions(self.state)]
            self.state += self.global_batch
            yield batch

    def positions(self, state: int) -> range:
        """Positions of this rank in the global batch that starts at `state`."""
        return range(state + self.rank, state + self.global_batch, self.world)

    def take(self, position: int) -> RawSample:
        """The sample at `position`, or its replacement, which keeps the position it was asked for."""
        return self.decoded(position, lambda sample: sample)

    def decoded(self, position: int, decode: Callable[[RawSample], T]) -> T:
        """`decode` of the sample at `position`; one for which it raises DamagedSample is replaced too."""
        first = position - position % self.epoch_samples
        if self.reader.cache is not None:
            self._fetch_ahead(position)
        for ahead in range(self.epoch_samples):
            candidate = first + (position - first + ahead) % self.epoch_samples
            shard, number = self.order.locate(candidate)
            try:
                key, members = self.reader.read(shard, number)
                return decode(RawSample(position, key, members))
            except DamagedSample as damage:
                self._count(position, shard, number, damage)
        raise UserError(
            f"no sound sample is left in split {self.split!r}: run `medloom verify {self.reader.shard_set.folder}`"
        )

    def _fetch_ahead(self, position: int) -> None:
        step = self.order.step(position)
        if step.number != self._fetched_step:
            self._fetched_step = step.number
            for shard in sorted(set(self.order.step(step.start + len(step.shards)).shards.tolist())):
                self.reader.ahead(shard)

    def _count(self, position: int, shard: int, number: int, damage: DamagedSample) -> None:
        self.damaged.add((shard, number))
        LOG.warning("position %d: %s; the next sound sample takes its place", position, damage)
        if len(self.damaged) > FREE_DAMAGED + self.max_damaged_share * self.epoch_samples:
            raise UserError(
                f"{len(self.damaged)} of {self.epoch_samples} samples are damaged (last: {damage}): run `medloom "
                f"verify {self.reader.shard_set.folder}` and pack again what it names"
            ) from damage
