"""SHA-256 of the single files that stages name (tables, weights), read once and kept by path, size and mtime."""

from __future__ import annotations

import json
from pathlib import Path

from shards.atomic import write_json
from shards.canonical import sha256_file


class FileHashes:
    """A cache in `<root>/file_hashes.json`; `fresh` reads every file again."""

    def __init__(self, root: Path, *, fresh: bool = False) -> None:
        self.path = root / "file_hashes.json"
        self.known: dict[str, list[int | str]] = {}
        self.changed = False
        if not fresh and self.path.is_file():
            try:
                self.known = json.loads(self.path.read_text())
            except ValueError:
                self.known = {}

    def sha256(self, path: str) -> str:
        """The hash of a local file; FileNotFoundError where there is none."""
        stat = Path(path).stat()
        entry = self.known.get(path)
        if entry and entry[:2] == [stat.st_size, stat.st_mtime_ns]:
            return str(entry[2])
        digest = sha256_file(Path(path))
        self.known[path] = [stat.st_size, stat.st_mtime_ns, digest]
        self.changed = True
        return digest

    def save(self) -> None:
        """Write the cache when something was added."""
        if self.changed:
            write_json(self.path, self.known)
            self.changed = False
