"""A lock between all workers of a crawl, threads and processes alike; the kernel lets it go with its process."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from shards.atomic import make_folder

POLL_S = 0.05


@contextmanager
def file_lock(path: Path, check: Callable[[], None]) -> Iterator[None]:
    """Hold the lock named by `path`, a file that is there only meanwhile; calls `check` while another holds it."""
    make_folder(path.parent)
    while True:
        with path.open("ab") as handle:
            if _is_ours(handle):
                try:
                    yield
                finally:
                    path.unlink(missing_ok=True)
                return
        check()
        time.sleep(POLL_S)


def _is_ours(handle: BinaryIO) -> bool:
    """Lock the file, unless another holds it, or who held it has removed it since it was opened."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.fstat(handle.fileno()).st_nlink > 0
