"""Columns made of text files, one a row: the reports of MIMIC-CXR lie so, beside the table that names the pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from string import Formatter

import polars as pl

from ingest.cells import Cells, below
from ingest.columns import TextFiles
from ingest.listing import Lookup, Root
from ingest.source_text import sections
from shards.stage import Context
from shards.uri import open_binary

LARGEST_BYTES = 1 << 20


class TextColumns:
    """Adds the columns of `texts` to rows; remembers which files it looked at."""

    def __init__(self, texts: Sequence[TextFiles], ctx: Context, root: str) -> None:
        self.texts = texts
        self.where = [below(ctx, root, text.path) for text in texts]
        self._seen: dict[str, str] = {}  # path -> its state

    def add(self, rows: pl.DataFrame, cells: Cells) -> pl.DataFrame:
        """`rows` with the text columns; a file that is missing or too large gives a blank cell."""
        for text, where in zip(self.texts, self.where, strict=True):
            names = {name: name for _, name, _, _ in Formatter().parse(where) if name}
            found = cells.complete(rows, names, text.path)
            pieces: list[pl.Expr] = []
            for literal, name, _, _ in Formatter().parse(where):
                pieces += [pl.lit(literal), *([pl.col(name)] if name else [])]
            paths = found.select(pl.concat_str(pieces)).to_series()
            known = {path: self._read(path, text) for path in paths.drop_nulls().unique()}
            column = paths.replace_strict(known, default=None, return_dtype=pl.String).alias(text.column)
            rows = rows.with_columns(column)
        return rows

    def state(self) -> str:
        """One hash over the sizes and times of all files that were looked at, present or not."""
        lines = "".join(f"{path} {state}\n" for path, state in sorted(self._seen.items()))
        self._seen.clear()
        return hashlib.sha256(lines.encode()).hexdigest()

    def _read(self, path: str, text: TextFiles) -> str | None:
        folder, _, name = path.rpartition("/")
        try:
            listed = Lookup(Root(folder))(name)
        except OSError:
            return None
        self._seen[path] = listed.token
        if listed.refused or listed.size_bytes > LARGEST_BYTES:
            return None
        with open_binary(path) as stream:
            whole = stream.read().decode("utf-8", "replace")
        if not text.sections:
            return whole
        by_heading = sections(whole)
        kept = [by_heading[heading.lower()] for heading in text.sections if heading.lower() in by_heading]
        return "\n\n".join(kept) or None
