"""Which unit of a crawl holds a url: 12 bytes an answer, so that millions are looked up without a database."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import polars as pl


class Index:
    """Which unit's table holds a url, over all units; 16 bytes an answer, read anew when a unit was packed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.read_of: dict[str, int] = {}  # table -> its mtime
        self.changed = -1
        self.hashes = np.empty(0, dtype=np.uint64)
        self.tables = np.empty(0, dtype=np.uint32)
        self.names: list[str] = []

    def table_of(self, url: str) -> Path | None:
        """The table that holds `url`, if any."""
        self._refresh()
        wanted = _short(url)
        place = int(np.searchsorted(self.hashes, wanted))
        while place < len(self.hashes) and self.hashes[place] == wanted:
            path: Path = self.folder / self.names[int(self.tables[place])]
            if path.exists():
                return path
            place += 1
        return None

    def _refresh(self) -> None:
        changed = self.folder.stat().st_mtime_ns if self.folder.is_dir() else -1
        if changed == self.changed:
            return
        self.changed = changed
        hashes, tables = [self.hashes], [self.tables]
        for path in sorted(self.folder.glob("[!.]*.parquet")):
            time_ns = path.stat().st_mtime_ns
            if self.read_of.get(path.name) == time_ns:
                continue
            self.read_of[path.name] = time_ns
            urls = pl.read_parquet(path, columns=["url"])["url"]
            hashes.append(np.array([_short(url) for url in urls], dtype=np.uint64))
            tables.append(np.full(len(urls), len(self.names), dtype=np.uint32))
            self.names.append(path.name)
        all_hashes, all_tables = np.concatenate(hashes), np.concatenate(tables)
        order = np.argsort(all_hashes, kind="stable")
        self.hashes, self.tables = all_hashes[order], all_tables[order]


def _short(url: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.sha256(url.encode()).digest()[:8], "big"))
