"""A bounded folder of remote shards, shared by any number of processes of one machine.

A file is named by the SHA-256 of its content, so nothing in it can be stale, and it gets that name only when its bytes
have that hash. Before a download the shards unused for longest make room. Locks are flock(2) on files, so those of a
dead process are gone with it; what it was downloading is swept. A mapped shard may be evicted: POSIX keeps its bytes
until it is unmapped. Nothing waits beyond the deadline: locks are polled, and remote reads are done on other threads.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

from shards import uri
from shards.atomic import TMP_PREFIX
from shards.background import Ahead, within
from shards.intake import NEVER_SKIPPED

T = TypeVar("T")
LOG = logging.getLogger(__name__)
PIECE_BYTES = 4 << 20
TRIES = 3
FETCHERS = 2  # threads that fetch ahead
POLL_S = 0.02  # between two looks at a lock
CLEANING_S = 5.0  # for the lock under which a failed download is removed


class ShardCache:
    """Local copies of remote shards, `max_bytes` of them at most. Picklable and safe to fork."""

    def __init__(self, folder: str | Path, max_bytes: int, *, deadline_s: float = 600.0) -> None:
        self.folder = Path(folder)
        self.max_bytes = max_bytes
        self.deadline_s = deadline_s  # for one shard, all tries together
        self.folder.mkdir(parents=True, exist_ok=True)
        self._ahead: Ahead | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_ahead": None}

    def check_room(self, needed_bytes: int) -> None:
        """ValueError where the cache is smaller than what is open at one time."""
        if needed_bytes > self.max_bytes:
            raise ValueError(
                f"a cache of {self.max_bytes} bytes is too small: the window needs {needed_bytes}; "
                "raise the cache's size or lower window_shards"
            )

    def open(self, url: str, *, sha256: str, size_bytes: int) -> BinaryIO:
        """The shard as an open local file, fetched where it is not here yet.

        Raises OSError when three tries gave no file of this hash, or the deadline passed.
        """
        found = self._present(sha256)
        if found is not None:
            return found
        deadline = time.monotonic() + self.deadline_s
        with self._lock(f"lock-{sha256[:2]}", deadline):  # of those who want the same shard, one fetches it
            return self._present(sha256) or self._fetch(url, sha256, size_bytes, deadline)

    def ahead(self, url: str, *, sha256: str, size_bytes: int) -> None:
        """Begin to fetch a shard in the background. If that fails, `open` tries again and says why."""
        if self._ahead is None or self._ahead.owner != os.getpid():
            self._ahead = Ahead(FETCHERS)
        if not (self.folder / sha256).exists():
            self._ahead.calls.put(lambda: self.open(url, sha256=sha256, size_bytes=size_bytes).close())

    def _present(self, sha256: str) -> BinaryIO | None:
        try:
            handle = (self.folder / sha256).open("rb")
        except FileNotFoundError:
            return None
        os.utime(handle.fileno())  # last use, for eviction
        return handle

    @contextmanager
    def _lock(self, name: str, deadline: float) -> Iterator[None]:
        with (self.folder / name).open("ab") as handle:
            while not _is_ours(handle):
                if time.monotonic() > deadline:
                    raise OSError(f"another process holds {self.folder / name}; not done in {self.deadline_s} s")
                time.sleep(POLL_S)
            yield

    def _fetch(self, url: str, sha256: str, size_bytes: int, deadline: float) -> BinaryIO:
        temporary = self.folder / f"{TMP_PREFIX}{secrets.token_hex(4)}-{sha256[:16]}"
        handle = self._reserve(temporary, size_bytes, deadline)
        try:
            self._retried(url, deadline, lambda: self._download(url, handle, sha256, size_bytes, deadline))
            os.fsync(handle.fileno())
            with self._lock("lock-room", deadline):  # names change only while nobody counts
                temporary.rename(self.folder / sha256)
        except BaseException:
            with suppress(OSError), self._lock("lock-room", time.monotonic() + CLEANING_S):
                temporary.unlink(missing_ok=True)
            handle.close()  # where it could not be removed, the next one who needs room finds it unlocked
            raise
        fcntl.flock(handle, fcntl.LOCK_UN)
        handle.seek(0)
        return handle

    def retried(self, url: str, read: Callable[[], T]) -> T:
        """`read()`, up to three times and until the deadline; OSError that names `url` when none succeeded."""
        deadline = time.monotonic() + self.deadline_s
        return self._retried(url, deadline, lambda: within(deadline, read))

    def _retried(self, url: str, deadline: float, read: Callable[[], T]) -> T:
        for attempt in range(1, TRIES + 1):
            try:
                return read()
            except NEVER_SKIPPED:
                raise
            except Exception as error:
                # fsspec's back ends raise errors of their own; all of them are tried again, then named
                if attempt == TRIES or time.monotonic() > deadline:
                    raise OSError(f"{url} could not be fetched in {attempt} tries: {error}") from error
                LOG.warning("%s: try %d failed: %s", url, attempt, error)
                time.sleep(0.2 * attempt)
        raise AssertionError(url)

    def _download(self, url: str, handle: BinaryIO, sha256: str, size_bytes: int, deadline: float) -> None:
        handle.seek(0)
        digest, got = hashlib.sha256(), 0
        for piece in self._pieces(url, deadline):
            got += len(piece)
            if got > size_bytes:
                raise OSError("more bytes than recorded")
            digest.update(piece)
            handle.write(piece)
        handle.flush()
        if got != size_bytes or digest.hexdigest() != sha256:
            raise OSError(
                f"{got} bytes with SHA-256 {digest.hexdigest()[:12]}, recorded are {size_bytes}, {sha256[:12]}"
            )

    def _pieces(self, url: str, deadline: float) -> Iterator[bytes]:
        """The bytes of a remote file. Each read is waited for until the deadline and not a moment longer."""
        try:
            source = within(deadline, lambda: uri.open_binary(url))
            while piece := within(deadline, lambda: source.read(PIECE_BYTES)):
                yield piece
            within(deadline, source.close)
        except TimeoutError as error:
            if time.monotonic() < deadline:  # the store's own
                raise
            raise OSError(f"not done in {self.deadline_s} s") from error

    def _reserve(self, temporary: Path, size_bytes: int, deadline: float) -> BinaryIO:
        """A locked temporary file of the full size, for which other shards have made room."""
        while True:
            with self._lock("lock-room", deadline):
                if self._make_room(size_bytes):
                    handle = cast("BinaryIO", temporary.open("w+b"))
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    handle.truncate(size_bytes)  # counts against the bound from now on
                    return handle
            if size_bytes > self.max_bytes or time.monotonic() > deadline:
                raise OSError(f"no room for {size_bytes} bytes in {self.folder} (bound {self.max_bytes}): raise it")
            time.sleep(0.05)  # other downloads fill the cache: wait until one of them may be evicted

    def _make_room(self, size_bytes: int) -> bool:
        used, evictable = size_bytes, []
        for path in self.folder.iterdir():
            if path.name.startswith(TMP_PREFIX) and self._abandoned(path):
                path.unlink(missing_ok=True)
            elif not path.name.startswith("lock-"):
                status = path.stat()
                used += status.st_size
                if not path.name.startswith(TMP_PREFIX):
                    evictable.append((status.st_mtime_ns, status.st_size, path))
        for _, freed, path in sorted(evictable):
            if used <= self.max_bytes:
                break
            path.unlink(missing_ok=True)
            used -= freed
        return used <= self.max_bytes

    @staticmethod
    def _abandoned(temporary: Path) -> bool:
        with temporary.open("rb") as handle:
            return _is_ours(handle)


def _is_ours(handle: BinaryIO) -> bool:
    """Take the lock on an open file unless somebody else has it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
