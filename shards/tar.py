"""Deterministic tars: the same members give the same bytes, whoever writes them and when.

POSIX ustar (IEEE 1003.1-1988) with mode 0644, mtime 0, owner 0 and no names, so that every header is a function of
(name, size) and a reader can tell a damaged header from a whole one. Keys are sorted and unique, the members of a key
lie side by side: what WebDataset readers rely on. The archive ends with two zero blocks and nothing after them.
"""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import polars as pl

from shards.atomic import atomic_file
from shards.index import MEMBERS
from shards.stage import OutputFile

BLOCK_BYTES = 512
END = bytes(2 * BLOCK_BYTES)
KEY = re.compile(r"[a-z0-9_-]{1,64}")
EXTENSION = re.compile(r"[a-z0-9_.]{1,32}")


def header(name: str, size_bytes: int) -> bytes:
    """The 512 header bytes of one regular file, size up to 8 GiB."""
    info = tarfile.TarInfo(name)
    info.size = size_bytes
    info.mode = 0o644
    return info.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")


def padding(size_bytes: int) -> bytes:
    """Zero bytes that fill the last block of a member."""
    return bytes(-size_bytes % BLOCK_BYTES)


def write_shard(
    path: Path, members: Iterable[tuple[str, Mapping[str, bytes]]], *, folder: Path
) -> tuple[OutputFile, pl.DataFrame]:
    """Write `(key, {extension: bytes})` in ascending order of keys as one tar, atomically and with little memory.

    Returns the file (its path relative to `folder`) and its index of schema MEMBERS. Members keep the order of the
    mapping. Raises ValueError for a key or an extension outside the alphabet and for keys that do not ascend.
    """
    whole = hashlib.sha256()
    rows: list[tuple[str, str, int, int, str]] = []
    position = 0
    last = ""
    with atomic_file(path) as handle:

        def put(data: bytes) -> None:
            nonlocal position
            handle.write(data)
            whole.update(data)
            position += len(data)

        for key, parts in members:
            if not KEY.fullmatch(key) or key <= last:
                raise ValueError(f"key {key!r} after {last!r}: keys match {KEY.pattern}, ascend and are unique")
            last = key
            for extension, data in parts.items():
                if not EXTENSION.fullmatch(extension):
                    raise ValueError(f"extension {extension!r} must match {EXTENSION.pattern}")
                name = f"{key}.{extension}"
                put(header(name, len(data)))
                rows.append((key, name, position, len(data), hashlib.sha256(data).hexdigest()))
                put(data)
                put(padding(len(data)))
        put(END)
    output = OutputFile(path=path.relative_to(folder).as_posix(), size_bytes=position, sha256=whole.hexdigest())
    return output, pl.DataFrame(rows, schema=MEMBERS, orient="row")
