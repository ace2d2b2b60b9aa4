"""Reading samples out of shards by number: one mapped file a shard, no tar parsing, every member checked.

The Parquet index of a shard gives byte ranges, so a sample is a few slices of mapped memory; each slice is compared
with its SHA-256 before anyone sees it. A shard that is remote comes through `shards.cache`.
"""

from __future__ import annotations

import hashlib
import mmap
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shards import uri
from shards.cache import ShardCache
from shards.index import Shard, ShardSet, read_index


class DamagedSample(ValueError):
    """The bytes of one sample are not what the index recorded, or do not decode."""


@dataclass(frozen=True, slots=True)
class RawSample:
    """One sample as it lies in its shard. `members` maps the extension (jpg, txt, json, ...) to bytes."""

    position: int  # in the order of samples; every draw for this sample is seeded by it
    key: str
    members: dict[str, bytes]


class OpenShard:
    """One mapped shard and where its samples lie."""

    def __init__(self, data: mmap.mmap, name: str, rows: Sequence[tuple[str, str, int, int, str]]) -> None:
        self.data = data
        self.name = name
        self.samples: list[tuple[str, list[tuple[str, int, int, str]]]] = []
        for key, member, offset, size_bytes, sha256 in rows:
            if not self.samples or self.samples[-1][0] != key:
                self.samples.append((key, []))
            self.samples[-1][1].append((member[len(key) + 1 :], offset, size_bytes, sha256))

    def read(self, number: int, *, check: bool) -> tuple[str, dict[str, bytes]]:
        """Key and members of one sample; DamagedSample where the bytes are not the recorded ones."""
        key, places = self.samples[number]
        members = {}
        for extension, offset, size_bytes, sha256 in places:
            members[extension] = self.data[offset : offset + size_bytes]
            if check and hashlib.sha256(members[extension]).hexdigest() != sha256:
                raise DamagedSample(f"{key}.{extension} in {self.name}: the bytes are not the recorded ones")
        return key, members


class ShardReader:
    """Random access to the samples of some shards. Keeps `open_shards` of them mapped; picklable, and safe to fork."""

    def __init__(
        self,
        shard_set: ShardSet,
        shards: Sequence[Shard],
        *,
        cache: ShardCache | None = None,
        check: bool = True,
        open_shards: int = 16,
    ) -> None:
        if cache is None and uri.local_path(shard_set.folder) is None:
            raise ValueError(f"{shard_set.folder} is remote: give a ShardCache on a local disk")
        self.shard_set = shard_set
        self.shards = tuple(shards)
        self.cache = cache
        self.check = check
        self.open_shards = open_shards
        self.samples_read = 0
        self._open: OrderedDict[int, OpenShard] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": OrderedDict()}

    def read(self, shard: int, number: int) -> tuple[str, dict[str, bytes]]:
        """Key and members of the sample with this number in the shard with this number.

        Raises DamagedSample for one bad sample, OSError where the whole shard is missing or has another size.
        """
        self.samples_read += 1
        return self.opened(shard).read(number, check=self.check)

    def ahead(self, number: int) -> None:
        """Begin to fetch a remote shard that will be read soon."""
        shard = self.shards[number]
        if self.cache is not None and number not in self._open:
            self.cache.ahead(self.shard_set.path(shard.path), sha256=shard.sha256, size_bytes=shard.bytes)

    def opened(self, number: int) -> OpenShard:
        """The mapped shard; the one unused for longest is let go."""
        found = self._open.pop(number, None) or self._map(self.shards[number])
        self._open[number] = found
        if len(self._open) > self.open_shards:
            self._open.popitem(last=False)
        return found

    def _rows(self, shard: Shard) -> Sequence[tuple[str, str, int, int, str]]:
        if self.cache is None:
            return self.shard_set.members(shard).rows()
        return self.cache.retried(self.shard_set.path(shard.index), lambda: self.shard_set.members(shard).rows())

    def _map(self, shard: Shard) -> OpenShard:
        place = self.shard_set.path(shard.path)
        if self.cache is not None:
            handle = self.cache.open(place, sha256=shard.sha256, size_bytes=shard.bytes)
        else:
            handle = uri.open_binary(place)
        with handle:
            data = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)
        if len(data) != shard.bytes:
            raise OSError(
                f"{place} has {len(data)} bytes and the index says {shard.bytes}: run `medloom verify`, then pack again"
            )
        opened = OpenShard(data, shard.path, self._rows(shard))
        if len(opened.samples) != shard.samples:
            raise OSError(
                f"{shard.index} lists {len(opened.samples)} samples and index.json {shard.samples}: pack again"
            )
        return opened


def read_split(shards: ShardSet | str | Path, split: str, *, cache: ShardCache | None = None) -> Iterator[RawSample]:
    """All samples of one split once, in the order of the shards; a damaged one raises DamagedSample."""
    shard_set = shards if isinstance(shards, ShardSet) else read_index(shards)
    reader = ShardReader(shard_set, shard_set.of(split), cache=cache, open_shards=1)
    position = 0
    for number, shard in enumerate(reader.shards):
        for sample in range(shard.samples):
            key, members = reader.read(number, sample)
            yield RawSample(position, key, members)
            position += 1
