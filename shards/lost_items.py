"""Items that a stage rejected because of the state of a file outside of the house, and whether that state still holds.

A unit is known by the rows that it takes, and no row changes when a file comes back. So the plan looks at the files of
these items, and of no others: one whose file is still missing, or still another than its row says, stands as it is.
Where a row's hash is not that of one file (a picture in an archive, frames of a folder, a record of several files),
what it names is looked at as a reader would.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from shards.frame_listing import KIND as FRAMES
from shards.index import DamagedTableError, read_table
from shards.intake import Skip
from shards.locator import Locator
from shards.reasons import Reason
from shards.sniff import ECG
from shards.stage import Context
from shards.uri import local_path

if TYPE_CHECKING:
    from shards.media import MediaReader

OF_THE_FILE = (Reason.MISSING_FILE.value, Reason.MEDIA_CHANGED.value)
OF_SEVERAL_FILES = (FRAMES, ECG)  # kinds whose hash may be over more than one file


class LostItems:
    """The rejects of a stage's units whose reason lies in a file."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.by_unit = dict(_rejected(ctx.out / "rejects"))
        self.keys = pl.Series(sorted(set().union(*self.by_unit.values())), dtype=pl.String)
        self._seen: set[str] = set()
        self._gone: set[str] = set()

    def look(self, rows: pl.DataFrame) -> None:
        """Look at the files of those of these manifest rows that were lost; of a key that comes twice, at the first."""
        if self.keys.is_empty():
            return
        lost = rows.filter(pl.col("key").is_in(self.keys.implode()))
        media = pl.col("media").struct
        fields = (media.field(name) for name in ("uri", "kind", "locator", "sha256"))
        for key, uri, kind, locator, sha256 in lost.select("key", *fields).iter_rows():
            if key not in self._seen:
                self._seen.add(key)
                if self._is_gone(uri, kind, locator, sha256):
                    self._gone.add(key)

    def settled(self, unit: str) -> int:
        """How many of the unit's lost items would be lost again."""
        return len(self.by_unit.get(unit, frozenset()) & self._gone)

    @cached_property
    def _reader(self) -> MediaReader:
        from shards.media import MediaReader

        return MediaReader()

    def _is_gone(self, uri: str, kind: str, locator: str, sha256: str | None) -> bool:
        """Whether a file is missing or another than `sha256`; a remote one is not asked, so it is tried again."""
        try:
            path = local_path(uri)
            if path is None:
                return False
            if path.exists() and (kind in OF_SEVERAL_FILES or Locator.parse(locator).in_container):
                return self._reader.facts(uri, locator).sha256 != sha256
            return self.ctx.file_hash(str(path)) != sha256
        except (FileNotFoundError, NotADirectoryError):
            return True
        except Skip as skip:
            return skip.reason is not Reason.UNREADABLE
        except (OSError, ImportError):
            return False  # the unit itself will say what is wrong


def _rejected(folder: Path) -> Iterator[tuple[str, frozenset[str]]]:
    for path in folder.glob("*.parquet"):
        try:
            rejects = read_table(path, ["item", "reason"])
        except DamagedTableError:  # the unit is tried again, which writes them anew
            continue
        found = rejects.filter(pl.col("reason").is_in(OF_THE_FILE))["item"]
        if found.len():
            yield path.stem, frozenset(found)
