"""Answers that were paid for, kept whatever becomes of the run: SQLite files below the pipeline's root.

Each worker writes one file of its own, a slot that it holds locked, and reads those of all. So there is one writer a
file whatever the number of workers and machines, and the number of files is that of the workers that ever ran at once.
An answer is stored when `put` returns: it outlives the process, not a loss of power, after which a file that is
damaged is set aside and its answers are asked for again. Closing makes them durable.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from shards.atomic import make_folder

LOG = logging.getLogger(__name__)
FOLDER = "answers"
WAIT_S = 30.0  # for a file that another worker is writing to
TABLE = "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT NOT NULL) WITHOUT ROWID"


@contextmanager
def open_store(folder: Path) -> Iterator[AnswerStore]:
    """The store of `folder`, with a slot to write to."""
    make_folder(folder)
    path, lock = _free_slot(folder)
    with closing(lock), closing(AnswerStore(folder, path)) as store:
        yield store


class AnswerStore:
    """Answers by key, as JSON values. For several threads of one process."""

    def __init__(self, folder: Path, path: Path) -> None:
        self.folder = folder
        self.path = path
        self.busy = threading.Lock()
        self.unsure: list[str] = []  # stored since the last `trust`
        self.own = _opened(path)
        self.others: dict[Path, sqlite3.Connection] = {}

    def get(self, key: str) -> Any:
        """The answer, or None where nobody has stored one."""
        with self.busy:
            for connection in (self.own, *self._others()):
                with suppress(sqlite3.Error):  # another worker's file may be damaged; its owner sets it aside
                    found = connection.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
                    if found is not None:
                        return json.loads(found[0])
        return None

    def put(self, key: str, answer: Any) -> None:
        """Store an answer; when this returns it outlives the process."""
        with self.busy:
            self.own.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", (key, json.dumps(answer)))
            self.unsure.append(key)

    def trust(self) -> None:
        """The model was seen to look at pictures: what it said until now stays."""
        with self.busy:
            self.unsure.clear()

    def forget(self) -> None:
        """Drop what was stored since the last `trust`."""
        with self.busy:
            self.own.executemany("DELETE FROM answers WHERE key = ?", [(key,) for key in self.unsure])
            self.unsure.clear()

    def close(self) -> None:
        """Make durable what was stored."""
        with self.busy:
            for connection in (self.own, *self.others.values()):
                connection.close()
            descriptor = os.open(self.path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _others(self) -> Iterator[sqlite3.Connection]:
        for path in sorted(self.folder.glob("*.sqlite")):
            if path == self.path:
                continue
            if path not in self.others:
                self.others[path] = sqlite3.connect(path, timeout=WAIT_S, check_same_thread=False)
            yield self.others[path]


def _free_slot(folder: Path) -> tuple[Path, BinaryIO]:
    """The first slot that no worker holds; the kernel lets it go with the process."""
    for number in range(100_000):
        path = folder / f"{number:05d}.sqlite"
        lock = path.with_suffix(".lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        return path, lock
    raise AssertionError("more workers than slots")


def _opened(path: Path) -> sqlite3.Connection:
    """A slot to write to; one that is damaged is set aside first."""
    try:
        return _checked(path)
    except sqlite3.DatabaseError as error:
        aside = path.with_name(f"{path.name}.damaged")
        LOG.warning("%s is damaged (%s); it is kept as %s and its answers are asked for again", path, error, aside.name)
        path.replace(aside)
        with suppress(FileNotFoundError):
            path.with_name(f"{path.name}-journal").unlink()
        return _checked(path)


def _checked(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=WAIT_S, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA synchronous = OFF")  # the operating system outlives us; `close` makes it durable
        connection.execute("PRAGMA journal_mode = PERSIST")  # one file less to make and remove for each answer
        connection.execute(TABLE)
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
    except sqlite3.Error:
        connection.close()
        raise
    return connection
