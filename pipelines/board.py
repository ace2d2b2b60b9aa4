"""What a worker is doing, for the one who waits: item in work, progress, and the wish to stop.

Small files in a folder of the stage's carry it between processes that share the root; a worker that dies leaves the
name of the item it died on. The serial runner keeps the same facts in memory, and the item in work in a file too.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

NOTE_EVERY_S = 0.2
LONG_BYTES = 1024  # a note up to here is whole or not there


@dataclass
class Note:
    """What is known of one unit in work."""

    item: str = ""
    since: float = 0.0  # time.time() when the item was begun
    done: int = 0
    total: int = 0
    what: str = ""


class Board(Protocol):
    """Where workers leave notes."""

    def mark(self, unit: str, item: str) -> None: ...
    def progress(self, unit: str, done: int, total: int, what: str) -> None: ...
    def cancelled(self) -> bool: ...


Listener = Callable[[str, Note], None]


class MemoryBoard:
    """Notes of a worker in this process. The item in work is also left in a file, for the run after a death."""

    def __init__(self, files: FileBoard, listener: Listener | None = None) -> None:
        """`listener` is told of progress, since nobody else can look while this process works."""
        self.notes: dict[str, Note] = {}
        self.files = files
        self.listener = listener

    def _note(self, unit: str) -> Note:
        return self.notes.setdefault(unit, Note())

    def mark(self, unit: str, item: str) -> None:
        note = self._note(unit)
        note.item, note.since = item, time.time()
        self.files.mark(unit, item)

    def progress(self, unit: str, done: int, total: int, what: str) -> None:
        note = self._note(unit)
        note.done, note.total, note.what = done, total, what
        if self.listener is not None:
            self.listener(unit, note)

    def cancelled(self) -> bool:
        return False

    def read(self, unit: str) -> Note:
        """The note of a unit, empty where there is none."""
        return self.notes.get(unit, Note())

    def close(self) -> None:
        """Remove the notes that were left in files."""
        self.files.close()


class FileBoard:
    """Notes of workers in other processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cancel_file = folder / "cancel"
        self.written = 0.0
        self.seen_cancel = 0.0

    def open(self) -> None:
        """Make the folder empty."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)

    def mark(self, unit: str, item: str) -> None:
        self._write(unit, ".item", json.dumps({"item": item, "since": time.time()}))

    def progress(self, unit: str, done: int, total: int, what: str) -> None:
        now = time.monotonic()
        if (total and done >= total) or now - self.written > NOTE_EVERY_S:
            self.written = now
            self._write(unit, ".done", json.dumps({"done": done, "total": total, "what": what}))

    def cancelled(self) -> bool:
        now = time.monotonic()
        if now - self.seen_cancel < NOTE_EVERY_S:
            return False
        self.seen_cancel = now
        return self.cancel_file.exists()

    def cancel(self) -> None:
        """Ask all workers to stop at their next item."""
        if self.folder.is_dir():
            self.cancel_file.touch()

    def read(self, unit: str) -> Note:
        """The note of a unit; half-written notes count as none."""
        note = Note()
        for suffix in (".item", ".done"):
            try:
                text = (self.folder / f"{unit}{suffix}").read_text()
                note.__dict__.update(json.JSONDecoder().raw_decode(text)[0])
            except (OSError, ValueError):
                continue
        return note

    def close(self) -> None:
        """Remove all notes."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write(self, unit: str, suffix: str, text: str) -> None:
        """Write over the note before, whose end is no part of it then: to replace a file costs fifty times as much.

        A long note could be half-written when its process dies, so that one does replace the file. Not fsynced: a note
        matters when the process dies, not when the machine does. Closed, so that others see it on a network disk.
        """
        path, data = f"{self.folder}/{unit}{suffix}", text.encode()
        is_long = len(data) > LONG_BYTES
        target = f"{path}.{os.getpid()}" if is_long else path
        note = os.open(target, os.O_WRONLY | os.O_CREAT, 0o666)
        try:
            os.pwrite(note, data, 0)
        finally:
            os.close(note)
        if is_long:
            os.replace(target, path)  # noqa: PTH105  # in the path of every item
