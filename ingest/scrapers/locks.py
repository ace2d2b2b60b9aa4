"""A lock between all workers of a crawl, threads and processes alike; the kernel lets it go with its process."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from shards.atomic import make_folder

POLL_S = 0.05


@contextmanager
def file_lock(path: Path, check: Callable[[], None]) -> Iterator[None]:
    """Hold the lock named by `path`, a file that is there only meanwhile; calls `check` while another holds it."""
    make_folder(path.parent)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            check()
            time.sleep(POLL_S)
            continue
        except BaseException:
            os.close(descriptor)
            raise
        if os.fstat(descriptor).st_nlink:  # it was not removed by the one who held it
            break
        os.close(descriptor)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)
