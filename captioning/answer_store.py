"""Answers that were paid for, kept whatever becomes of the run: SQLite files below the pipeline's root.

Each worker writes one file of its own, a slot that it holds locked, and reads those of all. So there is one writer a
file whatever the number of workers and machines, and the number of files is that of the workers that ever ran at once.
An answer is stored when `put` returns: it outlives the process, not a loss of power, after which a file that is
damaged is set aside and its answers are asked for again. Closing makes them durable.

What a model said since it was last seen to look at pictures is noted in the slot as well, so that it can be forgotten
when the model is caught after a restart.
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
from shards.stage import UserError

LOG = logging.getLogger(__name__)
FOLDER = "answers"
WAIT_S = 30.0  # for a file that another worker is writing to
TABLES = (
    "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS unsure (number INTEGER PRIMARY KEY, key TEXT NOT NULL, speaker TEXT NOT NULL)",
)
FORGET = "DELETE FROM answers WHERE key IN (SELECT key FROM unsure WHERE speaker = ?)"


@contextmanager
def open_store(folder: Path) -> Iterator[AnswerStore]:
    """The store of `folder`, with a slot to write to."""
    make_folder(folder)
    path, lock = _free_slot(folder)
    with closing(lock), closing(AnswerStore(folder, path)) as store:
        yield store


class AnswerStore:
    """Answers by key, as JSON values. For several threads of one process.

    `speaker` says which model is asked: only its own answers are trusted or forgotten with it.
    """

    def __init__(self, folder: Path, path: Path) -> None:
        self.folder = folder
        self.path = path
        self.busy = threading.Lock()
        self.speaker = ""
        self.own = _opened(path)
        self.stored: int
        (self.stored,) = self.own.execute("SELECT coalesce(max(number), 0) FROM unsure").fetchone()
        self.others: dict[Path, sqlite3.Connection] = {}

    def get(self, key: str) -> Any:
        """The answer, or None where nobody has stored one."""
        with self.busy:
            for connection in (self.own, *self._others()):
                with suppress(sqlite3.Error, ValueError):  # a damaged file; its owner sets it aside
                    found = connection.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
                    if found is not None:
                        return json.loads(found[0])
        return None

    def put(self, key: str, answer: Any) -> None:
        """Store an answer; when this returns it outlives the process. Raises UserError where there is no room."""
        with self.busy, _told(self.path), self.own:
            self.own.execute("BEGIN IMMEDIATE")
            self.own.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", (key, json.dumps(answer)))
            self.own.execute("INSERT INTO unsure VALUES (?, ?, ?)", (self.stored + 1, key, self.speaker))
            self.stored += 1

    def mark(self) -> int:
        """All that was stored until now, for `trust`."""
        with self.busy:
            return self.stored

    def trust(self, mark: int) -> None:
        """The model was seen to look at pictures after `mark`: what it said until then stays."""
        with self.busy, _told(self.path):
            self.own.execute("DELETE FROM unsure WHERE speaker = ? AND number <= ?", (self.speaker, mark))

    def forget(self) -> None:
        """Drop what the model said and nobody trusts yet, in earlier runs as well."""
        with self.busy, _told(self.path), self.own:
            self.own.execute("BEGIN IMMEDIATE")
            self.own.execute(FORGET, (self.speaker,))
            self.own.execute("DELETE FROM unsure WHERE speaker = ?", (self.speaker,))

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


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what the user can mend into UserError; the answers in the file are sound."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_ERROR:  # a form of file that SQLite does not know: damage
            raise
        raise UserError(
            f"{path}: {error}: answers of the model cannot be kept. Make room or allow writing there, end what else "
            "has the file open, and run again"
        ) from error


def _opened(path: Path) -> sqlite3.Connection:
    """A slot to write to; one that is damaged is set aside first."""
    try:
        with _told(path):
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
        for table in TABLES:
            connection.execute(table)
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
    except sqlite3.Error:
        connection.close()
        raise
    return connection
