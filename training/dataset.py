"""The torch view of the streaming loader: decoded batches, made ahead of time by threads, in the global order.

Decoding releases the interpreter, so threads suffice and nothing is pickled. Each thread has a loader of its own, and
since the order is a function of the position alone, their number changes nothing but the speed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from itertools import cycle
from typing import Generic, Protocol, TypeVar

from shards.index import ShardSet
from shards.loader import StreamLoader
from shards.reader import RawSample
from training.settings import LoopSettings
from training.task import B, B_co
from training.world import World

S = TypeVar("S")
STEPS_AHEAD = 3
HELD_OUT_SEED = 0  # of the order of `val`: two runs of other seeds are looked at on the same samples


class Reader(Protocol[S, B_co]):
    """Makes samples of what lies in a shard, and batches of samples."""

    def read(self, sample: RawSample, seed: int | None) -> S: ...
    def collate(self, samples: Sequence[S]) -> B_co: ...


class ShardData(Generic[S, B]):
    """This rank's batches of a shard set: split `train` to learn from, split `val` to look at.

    Raises ValueError where the batch cannot be shared by `world` ranks and `accumulate` micro-batches, or the set has
    fewer samples than one batch.
    """

    def __init__(
        self,
        shards: ShardSet,
        reader: Reader[S, B],
        settings: LoopSettings,
        world: World,
        *,
        accumulate: int,
        workers: int,
    ) -> None:
        if settings.batch % (world.size * accumulate):
            raise ValueError(
                f"batch: {settings.batch} cannot be cut into equal parts for {world.size} processes with accumulate "
                f"{accumulate}; use a multiple of {world.size * accumulate}"
            )
        self.shards = shards
        self.reader = reader
        self.settings = settings
        self.world = world
        self.micro_batches = accumulate
        damaged: set[tuple[int, int]] = set()  # of all threads together
        self.loaders = [self._loader("train", settings.seed, settings.batch, damaged) for _ in range(max(1, workers))]

    @property
    def samples(self) -> int:
        """Samples to learn from."""
        return self.shards.splits["train"]

    def _loader(self, split: str, seed: int, batch: int, damaged: set[tuple[int, int]] | None = None) -> StreamLoader:
        rank, world = self.world.rank, self.world.size
        return StreamLoader(self.shards, split, seed, batch, rank=rank, world=world, damaged=damaged)

    def batches(self, samples_seen: int) -> Generator[Sequence[B], None, None]:
        """The micro-batches of each step from `samples_seen` on; decoding runs `STEPS_AHEAD` steps ahead."""
        with ExitStack() as stack:
            threads = [stack.enter_context(ThreadPoolExecutor(1)) for _ in self.loaders]
            for thread in threads:  # runs before the pools wait for what they still have in hand
                stack.callback(thread.shutdown, wait=False, cancel_futures=True)
            ahead: deque[list[Future[S]]] = deque()
            read = partial(self.reader.read, seed=self.settings.seed)
            while True:
                while len(ahead) <= STEPS_AHEAD:
                    places = self.loaders[0].positions(samples_seen)
                    samples_seen += self.settings.batch
                    turns = zip(places, cycle(zip(threads, self.loaders, strict=True)), strict=False)
                    ahead.append([thread.submit(loader.decoded, place, read) for place, (thread, loader) in turns])
                samples = [future.result() for future in ahead.popleft()]
                size = len(samples) // self.micro_batches
                yield [self.reader.collate(samples[at : at + size]) for at in range(0, len(samples), size)]

    def held_out(self) -> list[B]:
        """The first samples of split `val` in an order that no setting changes, each with its first caption.

        They come in batches of a micro-batch.
        """
        count = (
            min(self.settings.held_out_samples, self.shards.splits.get("val", 0)) // self.world.size * self.world.size
        )
        if not count:
            return []
        loader = self._loader("val", HELD_OUT_SEED, count)
        samples = [loader.decoded(place, partial(self.reader.read, seed=None)) for place in loader.positions(0)]
        size = self.settings.batch // (self.world.size * self.micro_batches)
        return [self.reader.collate(samples[at : at + size]) for at in range(0, len(samples), size)]

    def first(self, count: int) -> Generator[B, None, None]:
        """The first `count` samples of the training order of all ranks, in batches of a micro-batch."""
        size = self.settings.batch // (self.world.size * self.micro_batches)
        read = partial(self.reader.read, seed=self.settings.seed)
        for start in range(0, count, size):
            places = range(start, min(start + size, count))
            yield self.reader.collate([self.loaders[0].decoded(place, read) for place in places])
