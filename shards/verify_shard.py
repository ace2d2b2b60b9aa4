"""All that can be said of one shard from its bytes and its index: where they differ, down to the member.

Headers of our own tars are functions of (name, size), so they are compared byte for byte; those of others are read and
their checksums compared. A fault is named by its sample where it lies in one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from mmap import mmap
from typing import Any

import polars as pl

from shards.codecs import ENCODERS, measured
from shards.index import Shard, ShardSet
from shards.record import wrong_types
from shards.tar import BLOCK_BYTES, END, header, padding
from shards.tar_scan import TarError, scan

IDENTITIES = ("group", "patient", "study", "source_id", "media_sha256")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `where` is a shard, or a shard and a key."""

    code: str
    where: str
    detail: str = ""

    def text(self) -> str:
        """The problem in one line."""
        return f"{self.code}: {self.where}" + (f": {self.detail}" if self.detail else "")


@dataclass(slots=True)
class Checked:
    """What was found in one shard."""

    problems: list[Problem] = field(default_factory=list)
    samples: list[tuple[str, ...]] = field(default_factory=list)  # rows with leakage.COLUMNS
    members: int = 0
    decoded: int = 0
    forms: set[tuple[str, ...]] = field(default_factory=set)  # keys and types of the .json members


@dataclass(frozen=True, slots=True)
class ShardCheck:
    """How the shards of one set are checked."""

    ours: bool  # written by write_shard
    packed: bool  # written by the pack stage: media, txt and the record of shards.record
    media: str
    decode: bool

    @classmethod
    def of(cls, shards: ShardSet, *, decode: bool) -> ShardCheck:
        """The checks that a shard set calls for."""
        packed = bool(shards.preset) and shards.media in ENCODERS
        return cls(ours=bool(shards.encoding), packed=packed, media=shards.media, decode=decode)

    def __call__(self, data: bytes | mmap, shard: Shard, rows: pl.DataFrame) -> Checked:
        """Compare the bytes of a tar with its entry in `index.json` and with its own index (sorted by offset)."""
        found = Checked()
        problems = found.problems
        if len(data) != shard.bytes:
            problems.append(Problem("wrong_size", shard.path, f"{len(data)} bytes, recorded are {shard.bytes}"))
        if rows["key"].n_unique() != shard.samples:
            problems.append(
                Problem("wrong_count", shard.path, f"{shard.samples} samples in index.json and not in rows")
            )
        if self.ours and not rows["key"].is_sorted():
            problems.append(Problem("key_order", shard.path, "its keys do not ascend"))
        whole = hashlib.sha256(data).hexdigest() == shard.sha256
        if not whole:
            problems.append(Problem("wrong_hash", shard.path, "the file is not the one that was written"))
        problems += self._archive(data, shard, rows, whole)
        for key, sample in rows.group_by("key", maintain_order=True):
            self._sample(data, shard, str(key[0]), sample, found)
        return found

    def _archive(self, data: bytes | mmap, shard: Shard, rows: pl.DataFrame, whole: bool) -> Iterator[Problem]:
        if self.ours and not whole:
            end = 0
            for key, member, offset, size, _ in rows.iter_rows():
                if data[offset - BLOCK_BYTES : offset] != header(member, size):
                    yield Problem("bad_header", f"{shard.path} {key}", f"of {member}")
                filling = padding(size)
                end = offset + size + len(filling)
                if data[offset + size : end] != filling:
                    yield Problem("bad_padding", f"{shard.path} {key}", f"after {member}")
            if data[end:] != END:
                yield Problem("bad_end", shard.path, f"byte {end} on is not the end marker alone")
            return
        try:
            inside = [(member.name, member.offset, member.size_bytes) for member in scan(data)]
        except TarError as fault:
            yield Problem("bad_archive", shard.path, str(fault))
            return
        if inside != rows.select("member", "offset", "size_bytes").rows():
            yield Problem("index_differs", shard.path, f"{shard.index} lists other members than the tar holds")

    def _sample(self, data: bytes | mmap, shard: Shard, key: str, rows: pl.DataFrame, found: Checked) -> None:
        where = f"{shard.path} {key}"
        parts: dict[str, bytes] = {}
        picture = ""
        sound = True
        for _, member, offset, size, sha256 in rows.iter_rows():
            found.members += 1
            extension = member[len(key) + 1 :]
            content = data[offset : offset + size]
            picture = sha256 if extension == self.media else picture
            if hashlib.sha256(content).hexdigest() != sha256:
                sound = False
                what = "cut off" if len(content) < size else "not the recorded bytes"
                found.problems.append(Problem("bad_member", where, f"{member}: {what}"))
            parts[extension] = content
        identities = dict.fromkeys(IDENTITIES, "")
        if sound:
            record = self._texts(where, key, shard.split, parts, found)
            identities.update({name: str(record.get(name) or "") for name in IDENTITIES})
            self._media(where, parts, record, found)
        found.samples.append((key, shard.split, *identities.values(), picture))

    def _texts(self, where: str, key: str, split: str, parts: dict[str, bytes], found: Checked) -> dict[str, Any]:
        """Check text and record; returns the record, empty where there is none."""
        if self.packed and list(parts) != [self.media, "txt", "json"]:
            found.problems.append(Problem("wrong_members", where, f"has {', '.join(parts)}"))
        if "txt" in parts and not parts["txt"].strip():
            found.problems.append(Problem("empty_text", where))
        if "json" not in parts:
            return {}
        try:
            record = json.loads(parts["json"])
        except ValueError:
            record = None
        if not isinstance(record, dict):
            found.problems.append(Problem("bad_json", where, "the record is not a JSON object"))
            return {}
        found.forms.add(tuple(f"{name}: {type(value).__name__}" for name, value in sorted(record.items())))
        if self.packed:
            wrong = [*wrong_types(record)]
            wrong += [
                f"{name}: {record[name]!r}, in the shard {value!r}"
                for name, value in (("key", key), ("split", split))
                if name in record and record[name] != value
            ]
            if wrong:
                found.problems.append(Problem("wrong_record", where, "; ".join(wrong)))
            elif parts.get("txt", b"").strip() and record["captions"][0]["text"].encode() != parts["txt"]:
                found.problems.append(Problem("text_differs", where, "the text is not the record's first caption"))
        return record

    def _media(self, where: str, parts: dict[str, bytes], record: dict[str, Any], found: Checked) -> None:
        if not self.decode or self.media not in ENCODERS or self.media not in parts:
            return
        try:
            frames, height, width = measured(parts[self.media], self.media)
        except ValueError as error:
            found.problems.append(Problem("does_not_decode", where, str(error)))
            return
        found.decoded += 1
        stated = tuple(record.get(name) for name in ("frames", "height_px", "width_px"))
        if self.packed and record and stated != (frames, height, width):
            found.problems.append(Problem("wrong_media", where, f"is {frames}x{height}x{width}, recorded is {stated}"))
