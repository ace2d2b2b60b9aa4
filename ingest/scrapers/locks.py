"""Locks by name between all workers of a crawl, threads and processes alike; the kernel frees those of a dead process.

All names share one file, of which each locks one byte (open file description locks, fcntl(2)): a file of its own for
each url, made and removed, costs more than the other files of an answer together.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from shards.atomic import make_folder

POLL_S = 0.05
_FLOCK = "hhqqi4x"  # struct flock: type, whence, start, length, pid


@contextmanager
def named_lock(path: Path, name: str, check: Callable[[], None]) -> Iterator[None]:
    """Hold the lock `name` of those in the file `path`; calls `check` while another holds it."""
    make_folder(path.parent)
    byte = int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "big")
    wish = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        while not _is_ours(handle, wish):
            check()
            time.sleep(POLL_S)
        yield
    finally:
        os.close(handle)


def _is_ours(handle: int, wish: bytes) -> bool:
    """Lock the byte, unless it is locked through another handle, in this process or in any."""
    try:
        fcntl.fcntl(handle, fcntl.F_OFD_SETLK, wish)
    except BlockingIOError:
        return False
    return True
