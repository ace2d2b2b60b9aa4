"""Which key lies in which shard: an append-only plan, so that data which grow or shrink touch few shards.

A known key keeps its shard. A removed one leaves its shard smaller. New keys fill new shards in the order of
(SHA-256 of the group, key): the slices of one volume lie together, while groups of one source are spread. What a shard
was *offered* counts, not what it took, so a sample that was rejected does not wander. A committed shard is never
overwritten: its next revision gets another name and becomes visible with the index.
"""

from __future__ import annotations

import hashlib
import io
import mmap
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from shards.index import DamagedTableError, ShardSet, read_table
from shards.stage import Unit
from shards.tar_scan import scan

UNIT = re.compile(r"(?P<split>[a-z]+)-(?P<name>[a-z0-9_]+)-(?P<number>\d{6})(?:\.r(?P<revision>\d+))?")
NAME = re.compile(r"[a-z0-9_]{1,32}")
NO_SPLIT = "none"  # keys without a split are offered in units of their own, where all are rejected
PLACES = pl.Schema({"key": pl.String, "split": pl.String, "number": pl.Int64, "unit": pl.String})


@dataclass(frozen=True, slots=True)
class Place:
    """One revision of one planned shard."""

    split: str
    name: str
    number: int
    revision: int = 0

    @property
    def unit(self) -> str:
        """Unit id: `<split>-<name>-000000`, from the second revision on with `.r1`, `.r2`, ..."""
        return f"{self.split}-{self.file}"

    @property
    def file(self) -> str:
        """Name of the tar without its folder and extension."""
        return f"{self.name}-{self.number:06d}" + (f".r{self.revision}" if self.revision else "")

    @property
    def tar(self) -> str:
        """Path of the tar below the stage's folder."""
        return f"{self.split}/{self.file}.tar"

    @classmethod
    def parse(cls, unit: str) -> Place | None:
        """The place of a unit id; None where the id is not of this form."""
        found = UNIT.fullmatch(unit)
        if found is None:
            return None
        return cls(found["split"], found["name"], int(found["number"]), int(found["revision"] or 0))


def committed(previous: ShardSet | None, name: str) -> dict[tuple[str, int], Place]:
    """The visible revision of each shard of a set called `name`, by (split, number)."""
    places = [Place.parse(unit) for unit in previous.units] if previous is not None else []
    return {(place.split, place.number): place for place in places if place is not None and place.name == name}


def offered(folder: Path, units: Iterable[str]) -> pl.DataFrame:
    """Keys that committed units were offered, of schema PLACES: taken (their parts) or rejected (their rejects).

    Where a part is damaged or gone, its keys are those of the tar, so that they keep their shard.
    """
    frames = [pl.DataFrame(schema=PLACES)]
    for unit in units:
        place = Place.parse(unit)
        assert place is not None, unit
        taken = _column(folder / "parts" / f"{unit}.parquet", "key")
        if taken is None:
            taken = _keys_in(folder / place.tar)
        for keys in (taken, _column(folder / "rejects" / f"{unit}.parquet", "item")):
            if keys is not None:
                fields = {"split": place.split, "number": place.number, "unit": unit}
                frames.append(pl.DataFrame({"key": keys, **fields}, schema=PLACES))
    return pl.concat(frames).unique("key", keep="first", maintain_order=True)


def _column(path: Path, name: str) -> pl.Series | None:
    try:
        return read_table(path, [name]).to_series().unique()
    except (OSError, DamagedTableError):
        return None


def _keys_in(tar: Path) -> pl.Series:
    """Keys of the members of a tar up to its first fault; none where there is no such file."""
    keys: dict[str, None] = {}
    with suppress(OSError, ValueError), tar.open("rb") as handle:
        data = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)
        for member in scan(data):
            keys[member.key_and_extension()[0]] = None
    return pl.Series("key", list(keys), dtype=pl.String)


def assign(rows: pl.DataFrame, known: pl.DataFrame, shard_samples: int) -> pl.DataFrame:
    """A shard for every key: columns key, split and number, sorted by split, number, key.

    `rows` has the columns key (unique), split and group, `known` is of schema PLACES. A key whose split changed is new.
    """
    groups = rows.select(pl.col("group").unique())
    digests = pl.Series([hashlib.sha256(group.encode()).hexdigest() for group in groups["group"]], dtype=pl.String)
    ordered = (
        rows.select("key", "split", "group")
        .join(
            groups.with_columns(digest=digests),
            on="group",
            how="left",
            maintain_order="left",
        )
        .join(known.drop("unit"), on=["key", "split"], how="left", maintain_order="left")
        .sort("split", "digest", "key")
    )
    first = known.group_by("split").agg(first=pl.col("number").max() + 1)
    fresh = (
        ordered.filter(pl.col("number").is_null())
        .join(first, on="split", how="left", maintain_order="left")
        .with_columns(number=pl.int_range(pl.len()).over("split") // shard_samples + pl.col("first").fill_null(0))
    )
    placed = pl.concat([frame.select("key", "split", "number") for frame in (ordered.drop_nulls("number"), fresh)])
    return placed.sort("split", "number", "key")


def revise(
    place: Place, visible: Place | None, unit: Callable[[Place], Unit], is_fresh: Callable[[Unit], bool]
) -> Unit:
    """The unit of a planned shard: the visible revision while nothing changed, else the next one."""
    if visible is None:
        return unit(place)
    same = unit(visible)
    if is_fresh(same):
        return same
    return replace(unit(Place(place.split, place.name, place.number, visible.revision + 1)), replaces=same.id)


def row_hashes(rows: pl.DataFrame) -> list[str]:
    """SHA-256 of each manifest row as NDJSON, without what never reaches a shard (`media.uri` and `retrieved`)."""
    kept = rows.drop("retrieved").with_columns(
        pl.col("media").struct.with_fields(uri=pl.lit(None, dtype=pl.String)).alias("media")
    )
    lines = io.BytesIO()
    kept.write_ndjson(lines)
    return [hashlib.sha256(line).hexdigest() for line in lines.getvalue().splitlines()]
