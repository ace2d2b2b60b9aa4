"""Samples of a manifest (a stage's folder, a folder of parts, one part) or of a shard set (its folder, one tar).

A few of many are spread over all of them by the hash of their key: the first of a sorted manifest would all come from
one source, and a random draw would show others each time. Another seed gives others.
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipelines.specimen import Specimen, of_members, values
from shards.index import INDEX_NAME, read_index
from shards.manifest import SCHEMA, read_part, samples, scan_parts
from shards.reader import OpenShard, ShardReader
from shards.tar_scan import scan

Where = Sequence[tuple[str, str]]  # (column, value or start of a value and `*`), all of which must hold
LOOKS_AT = (
    f"a stage's folder, a Parquet part, a folder of shards with {INDEX_NAME}, or a tar. Stock tars get their index by "
    "`medloom index`"
)


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What was asked for."""

    path: Path
    what: str  # "manifest" or "shard set"
    samples: int  # in all
    matching: int  # of them
    specimens: tuple[Specimen, ...]
    held: Mapping[str, Sequence[str]]  # column of the conditions -> the values that samples have there, sorted


def parse_where(texts: Iterable[str]) -> Where:
    """`column=value` texts; ValueError for anything else."""
    pairs = [text.partition("=") for text in texts]
    for column, equals, _ in pairs:
        if not column or not equals:
            raise ValueError(f"--where {column}: write it as `column=value`, such as `modality=CT`")
    return [(column, value) for column, _, value in pairs]


class Filter:
    """The conditions, and what the samples that were asked hold in their columns."""

    def __init__(self, where: Where) -> None:
        self.where = where
        self._held: dict[str, set[str]] = {column: set() for column, _ in where}

    def fits(self, specimen: Specimen) -> bool:
        """Whether all conditions hold."""
        facts = specimen.facts()
        found = {column: values(facts, column) for column in self._held}
        for column, held in found.items():
            self._held[column].update(held)
        return all(any(_is(value, one) for one in found[column]) for column, value in self.where)

    @property
    def held(self) -> dict[str, list[str]]:
        """Values by column, those of all samples, without the empty one."""
        return {column: sorted(held - {""}) for column, held in self._held.items()}


def _is(wanted: str, value: str) -> bool:
    return value == wanted or (wanted.endswith("*") and value != "" and value.startswith(wanted[:-1]))


def select(path: Path, number: int, where: Where = (), seed: int = 0) -> Selection:
    """At most `number` samples of `path` that match; ValueError or FileNotFoundError says what could be given."""
    if not path.exists():
        raise FileNotFoundError(f"there is no file and no folder {path}: give {LOOKS_AT}")
    if path.suffix == ".tar" or (path / INDEX_NAME).is_file():
        return _of_shards(path, number, where, seed)
    return _of_manifest(path, number, where, seed)


def spread(keys: Iterable[str], seed: int = 0) -> list[str]:
    """Keys in an order that has nothing to do with their names, and is always the same for a seed."""
    salt = f"{seed} " if seed else ""
    return sorted(keys, key=lambda key: hashlib.sha256(f"{salt}{key}".encode()).digest())


def part_paths(path: Path) -> list[Path]:
    """The Parquet parts that `path` names; raises FileNotFoundError where there are none."""
    if path.is_file():
        return [path]
    folder = path / "parts" if (path / "parts").is_dir() else path
    found = sorted(folder.glob("*.parquet"))
    if not found:
        raise FileNotFoundError(f"{path} holds no samples: give {LOOKS_AT}")
    return found


def _of_manifest(path: Path, number: int, where: Where, seed: int) -> Selection:
    places: dict[str, Path] = {}
    total = 0
    wanted = Filter(where)
    for part in part_paths(path):
        if not _is_part(part):
            raise ValueError(f"{part} is not a part of a manifest: give {LOOKS_AT}")
        if where:
            rows = [Specimen(sample=sample) for sample in samples(read_part(part))]
            total += len(rows)
            places.update((row.sample.key, part) for row in rows if wanted.fits(row))
        else:
            keys = pl.read_parquet(part, columns=["key"])["key"].to_list()
            total += len(keys)
            places.update(dict.fromkeys(keys, part))
    chosen = spread(places, seed)[:number]
    table = scan_parts(sorted({places[key] for key in chosen})).filter(pl.col("key").is_in(chosen)).sort("key")
    specimens = tuple(Specimen(sample=sample) for sample in samples(table.collect()))
    return Selection(
        path=path, what="manifest", samples=total, matching=len(places), specimens=specimens, held=wanted.held
    )


def _is_part(path: Path) -> bool:
    try:
        return pl.read_parquet_schema(path).keys() == SCHEMA.keys()
    except pl.exceptions.PolarsError:
        return False


def _of_shards(path: Path, number: int, where: Where, seed: int) -> Selection:
    places: dict[str, tuple[int, int]] = {}  # key -> shard, sample in the shard
    total = 0
    wanted = Filter(where)
    shards = [_open_tar(path)] if path.is_file() else list(_open_set(path))
    for at, shard in enumerate(shards):
        total += len(shard.samples)
        for n, (key, _) in enumerate(shard.samples):
            if not where or wanted.fits(of_members(key, _texts(shard, n))):
                places[key] = (at, n)
    specimens = []
    for key in sorted(spread(places, seed)[:number]):
        at, n = places[key]
        specimens.append(of_members(*shards[at].read(n, check=path.is_dir())))
    return Selection(
        path=path,
        what="shard set",
        samples=total,
        matching=len(places),
        specimens=tuple(specimens),
        held=wanted.held,
    )


def _open_set(folder: Path) -> Iterator[OpenShard]:
    shard_set = read_index(folder)
    reader = ShardReader(shard_set, shard_set.shards)
    return (reader.opened(number) for number in range(len(shard_set.shards)))


def _open_tar(path: Path) -> OpenShard:
    with path.open("rb") as handle:
        data = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)
    rows = []
    for member in scan(data):
        key, _ = member.key_and_extension()
        rows.append((key, member.name, member.offset, member.size_bytes, ""))
    return OpenShard(data, path.name, rows)


def _texts(shard: OpenShard, number: int) -> dict[str, bytes]:
    """The record and the caption of a sample, without its pixels."""
    return {
        extension: shard.data[offset : offset + size_bytes]
        for extension, offset, size_bytes, _ in shard.samples[number][1]
        if extension in ("json", "txt", "caption")
    }
