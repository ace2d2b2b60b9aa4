"""Files that are complete or absent: temporary name in the same folder, fsync, rename, fsync of the folder.

A process that dies leaves at most a file whose name starts with `.tmp-`; `sweep` removes those. The order is
the one of `rename(2)` durability: data before name, name before anything that refers to it.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

TMP_PREFIX = ".tmp-"


def fsync_folder(folder: Path) -> None:
    """Make renames inside `folder` durable."""
    _fsync(folder, os.O_RDONLY | os.O_DIRECTORY)


def _fsync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each durable in the one that holds it."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        fsync_folder(folder.parent)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success it is fsynced and renamed to `path`, else removed."""
    make_folder(path.parent)
    temporary = path.with_name(f"{TMP_PREFIX}{secrets.token_hex(4)}-{path.name}")
    try:
        yield temporary
        _fsync(temporary, os.O_RDWR)
        temporary.replace(path)
        fsync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Open `path` for writing bytes; it appears under its name only when the block ends without an error."""
    with atomic_path(path) as temporary, temporary.open("wb") as handle:
        yield handle


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Write `data` to `path` atomically."""
    with atomic_file(path) as handle:
        handle.write(data)


def json_bytes(value: Any) -> bytes:
    """Readable JSON with sorted keys, as `write_json` writes it."""
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def write_json(path: Path, value: Any) -> None:
    """Write readable JSON with sorted keys atomically."""
    write_bytes(path, json_bytes(value))


def sweep(folder: Path) -> int:
    """Remove temporary files that dead processes left anywhere below `folder`; returns how many."""
    stale = [path for path in folder.rglob(f"{TMP_PREFIX}*") if path.is_file()]
    for path in stale:
        path.unlink(missing_ok=True)
    return len(stale)
