"""`index.json`: the one file that says which shards a data set has. A shard that it does not list does not exist.

A data set changes by one atomic rename, of this file. It carries the hash of its own content, so that a damaged index
is never believed, and for each shard its size, its SHA-256 and the hash of its Parquet index (one row a member: key,
member name, byte offset, size, SHA-256). The layout of the tars is that of WebDataset.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, cast

import polars as pl

from shards import uri
from shards.atomic import write_json
from shards.canonical import sha256_of

INDEX_NAME = "index.json"
INDEX_FORMAT = "medloom shards"
INDEX_VERSION = 1
AGAIN = "run the stage that made it with `--force`, or `medloom index` for tars from elsewhere"
MEMBERS = pl.Schema(
    {"key": pl.String, "member": pl.String, "offset": pl.Int64, "size_bytes": pl.Int64, "sha256": pl.String}
)


class DamagedIndexError(ValueError):
    """`index.json` is not what was written."""


class DamagedTableError(ValueError):
    """A Parquet file is not what was written."""


def read_table(source: Path | IO[bytes], columns: Sequence[str] | None = None) -> pl.DataFrame:
    """A Parquet table. Raises DamagedTableError where it cannot be read whole, OSError where it is not there."""
    try:
        return pl.read_parquet(source, columns=list(columns) if columns else None)
    except pl.exceptions.PolarsError as error:
        raise DamagedTableError(str(error).splitlines()[0]) from error
    except BaseException as error:  # polars panics on some damage, and its panic is no Exception
        if type(error).__name__ != "PanicException":
            raise
        raise DamagedTableError("the Parquet file is damaged") from None


@dataclass(frozen=True, kw_only=True, slots=True)
class Shard:
    """One tar of a shard set. Paths are relative to the set's folder."""

    path: str
    split: str
    samples: int
    bytes: int
    sha256: str
    index: str  # Parquet file with one row a member
    rows: str  # manifest.content_hash of those rows


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardSet:
    """What `index.json` holds, and where it lies. One shard set has one media extension."""

    folder: str  # local path or fsspec url
    name: str
    media: str  # extension of the media member: jpg, png, mp4, safetensors
    shards: tuple[Shard, ...]  # by split, then by number
    preset: str = ""  # of shards.presets; empty where another program made the media
    steps: tuple[str, ...] = ()  # the geometry of the preset in words
    encoding: Mapping[str, Any] = field(default_factory=dict)  # all that decides the bytes of a media member
    repack: str = ""  # names the plan of keys to shards
    units: tuple[str, ...] = ()  # ids of all units, also of those that gave no sample: their keys keep their shard

    @property
    def splits(self) -> dict[str, int]:
        """Samples in each split."""
        counts: dict[str, int] = {}
        for shard in self.shards:
            counts[shard.split] = counts.get(shard.split, 0) + shard.samples
        return counts

    def of(self, split: str) -> tuple[Shard, ...]:
        """The shards of one split; ValueError where the set has none."""
        found = tuple(shard for shard in self.shards if shard.split == split)
        if not found:
            raise ValueError(f"{self.folder} has no split {split!r}: choose one of {', '.join(self.splits) or 'none'}")
        return found

    def path(self, relative: str) -> str:
        """Path or url of a file of this set."""
        return uri.join(self.folder, relative)

    def members(self, shard: Shard) -> pl.DataFrame:
        """The Parquet index of one shard in the order of the tar, of schema MEMBERS; ValueError where it is not one."""
        with uri.open_binary(self.path(shard.index)) as handle:
            data = handle.read()
        try:
            rows = read_table(io.BytesIO(data))
        except DamagedTableError as error:
            raise DamagedTableError(f"{self.path(shard.index)} is damaged: {AGAIN}") from error
        if rows.schema != MEMBERS:
            raise ValueError(f"{self.path(shard.index)} is not a shard index: it has the columns {rows.columns}")
        return rows.sort("offset")

    def content(self) -> str:
        """Hash of what the samples are: two sets that differ only in the revision numbers of their files agree."""
        shards = [[shard.split, shard.samples, shard.sha256] for shard in self.shards]
        return sha256_of([INDEX_VERSION, self.media, self.preset, dict(self.encoding), shards])

    def document(self) -> dict[str, Any]:
        """What is written as `index.json`."""
        fields = {key: value for key, value in asdict(self).items() if key != "folder"}
        body = json.loads(
            json.dumps({"format": INDEX_FORMAT, "version": INDEX_VERSION, "splits": self.splits, **fields})
        )
        return {**body, "sha256": sha256_of(body)}


def write_index(shards: ShardSet) -> str:
    """Make the shard set visible: write its `index.json` atomically; returns `content()`."""
    write_json(Path(shards.folder) / INDEX_NAME, shards.document())
    return shards.content()


def read_index(folder: str | Path) -> ShardSet:
    """The shard set in `folder` (path or fsspec url).

    Raises FileNotFoundError where there is no index, ValueError where it is damaged or of a later version.
    """
    where = str(folder).rstrip("/")
    path = uri.join(where, INDEX_NAME)
    try:
        with uri.open_binary(path) as handle:
            document = json.loads(handle.read())
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{path} is missing: run the pack stage, or `medloom index {where}` for tars from elsewhere"
        ) from None
    except ValueError as error:  # bad UTF-8 or bad JSON
        raise DamagedIndexError(f"{path} is damaged: {AGAIN}") from error
    if not isinstance(document, dict) or document.get("format") != INDEX_FORMAT:
        raise ValueError(f"{path} is not an index of shards: `medloom index {where}` makes one")
    if document.get("version") != INDEX_VERSION:
        raise ValueError(
            f"{path} has version {document.get('version')} and this medloom reads version {INDEX_VERSION}: "
            "use the medloom that wrote it, or a later one"
        )
    body = {key: value for key, value in document.items() if key != "sha256"}
    if sha256_of(body) != document.get("sha256"):
        raise DamagedIndexError(f"{path} is damaged (its hash does not fit): {AGAIN}")
    fields = {key: value for key, value in body.items() if key not in ("format", "version", "splits")}
    fields["shards"] = tuple(Shard(**shard) for shard in fields["shards"])
    fields["steps"], fields["units"] = tuple(fields["steps"]), tuple(fields["units"])
    return ShardSet(folder=where, **cast("dict[str, Any]", fields))
