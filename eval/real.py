"""Real samples out of shards: what their records say, read without their pixels, and their pixels when asked for.

Samples are ordered by the hash of their key, so the first n of any split are a fixed random choice: every figure of an
evaluation is at one n, and more samples extend a choice instead of replacing it.
"""

from __future__ import annotations

import hashlib
import heapq
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from eval.filters import COLUMNS, Where, matches
from eval.pictures import PictureSet
from eval.spaces.space import Pictures
from shards.index import ShardSet
from shards.reader import DamagedSample, OpenShard, ShardReader
from training.pixels import PICTURES, decode_picture

TEXTS = ("json", "txt")


@dataclass(frozen=True)
class RealSample:
    """One sample; `facts` holds the columns of `eval.filters` and its attributes as texts."""

    key: str
    caption: str
    split: str
    facts: dict[str, str]
    place: tuple[int, int, int]  # shard set, shard, number in it


@dataclass(frozen=True)
class Chosen:
    """The real samples of an evaluation."""

    held_out: list[RealSample]  # their captions are the prompts
    every_held_out: list[RealSample]  # whatever is looked at, for the autoencoder
    train: list[RealSample]
    others: list[RealSample]  # of other subjects
    training: Training  # what `train` was chosen from


@dataclass(frozen=True)
class Training:
    """The training split as a whole, before anything was cut off."""

    samples: list[RealSample]  # the chosen ones: those that match first, up to the limit
    total: int
    matching: int
    groups: tuple[frozenset[str], ...]  # all of them, by shard set


class RealData:
    """The samples of one or several shard sets."""

    def __init__(self, sets: Sequence[ShardSet], side_px: int) -> None:
        """Raises ValueError for sets of clips or latents: `side_px` is the side of the model's pictures."""
        for shard_set in sets:
            if shard_set.media not in PICTURES:
                raise ValueError(
                    f"{shard_set.folder} holds {shard_set.media}; still pictures are compared here: pack with "
                    "`media: png` or `jpg`"
                )
        self.sets = tuple(sets)
        self.side_px = side_px
        self.readers = [ShardReader(shard_set, shard_set.shards) for shard_set in sets]

    def choose(self, *, splits: Sequence[str], where: Where, limit: int) -> list[RealSample]:
        """The first `limit` samples of these splits that match, in the order of the hash of their keys.

        Raises ValueError for a key that two shard sets share.
        """
        found = (sample for sample in self._all(splits) if matches(sample.facts, where))
        return _once(heapq.nsmallest(limit, found, key=_order))

    def training(self, *, where: Where, limit: int) -> Training:
        """At most `limit` training samples, in the order of the hash of their keys: all that match, then others.

        Raises ValueError for a key that two shard sets share.
        """
        groups: list[set[str]] = [set() for _ in self.sets]
        counts = {True: 0, False: 0}

        def ranked() -> Iterator[tuple[bool, bytes, RealSample]]:
            for sample in self._all(("train",)):
                like = matches(sample.facts, where)
                counts[like] += 1
                groups[sample.place[0]].add(sample.facts["group"])
                yield not like, _order(sample), sample

        chosen = [sample for _, _, sample in heapq.nsmallest(limit, ranked(), key=lambda each: each[:2])]
        samples = _once(sorted(chosen, key=_order))
        return Training(samples, sum(counts.values()), counts[True], tuple(map(frozenset, groups)))

    def pictures(self, samples: Sequence[RealSample]) -> PictureSet:
        """Their pictures, decoded when they are looked at."""
        chosen = list(samples)
        return PictureSet(tuple(sample.key for sample in chosen), lambda number: self._picture(chosen[number]))

    def _picture(self, sample: RealSample) -> Pictures:
        shard_set, shard, number = sample.place
        try:
            key, members = self.readers[shard_set].read(shard, number)
            pixels = decode_picture(members, key)
        except DamagedSample as damage:
            folder = self.sets[shard_set].folder
            raise ValueError(f"{damage}: run `medloom verify {folder}`, then pack again") from damage
        if pixels.shape[:2] != (self.side_px, self.side_px):
            raise ValueError(
                f"{key} is {pixels.shape[1]} x {pixels.shape[0]} px and the model draws {self.side_px} x "
                f"{self.side_px}: give the shards that it was trained on, or pack with `preset: square-{self.side_px}`"
            )
        return pixels

    def _all(self, splits: Sequence[str]) -> Iterator[RealSample]:
        for at, reader in enumerate(self.readers):
            for number, shard in enumerate(reader.shards):
                if shard.split not in splits:
                    continue
                opened = reader.opened(number)
                for place in range(len(opened.samples)):
                    key, texts = _texts(opened, place)
                    yield _sample(key, texts, shard.split, (at, number, place))


def _order(sample: RealSample) -> bytes:
    return hashlib.sha256(sample.key.encode()).digest()


def _once(samples: list[RealSample]) -> list[RealSample]:
    """`samples` in their order, where equal keys are neighbours."""
    for one, two in pairwise(samples):
        if one.key == two.key:
            raise ValueError(f"{one.key} is in two of the inputs: give each shard set once")
    return samples


def _texts(shard: OpenShard, number: int) -> tuple[str, dict[str, bytes]]:
    key, places = shard.samples[number]
    return key, {
        extension: shard.data[offset : offset + size_bytes]
        for extension, offset, size_bytes, _ in places
        if extension in TEXTS
    }


def _sample(key: str, texts: dict[str, bytes], split: str, place: tuple[int, int, int]) -> RealSample:
    try:
        record = json.loads(texts.get("json", b"{}"))
        attributes = json.loads(record.get("attributes") or "{}")
    except (ValueError, AttributeError, TypeError):
        record, attributes = {}, {}  # of another program; only its caption is known
    facts = {name: str(value) for name, value in attributes.items()}
    facts |= {name: str(record.get(name, "")) for name in COLUMNS}
    return RealSample(key, texts.get("txt", b"").decode(errors="replace").strip(), split, facts, place)
