"""Columns made of text files, one a row: the reports of MIMIC-CXR lie so, beside the table that names the pictures.

The constant beginning of a path, up to its last `/` before a column, is the folder that no cell leads out of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from string import Formatter

import polars as pl

from ingest.cells import Cells, below, escapes
from ingest.columns import TextFiles
from ingest.listing import Listed, Lookup, Root
from ingest.source_text import sections
from shards.reasons import Reason
from shards.stage import Context
from shards.uri import open_binary

LARGEST_BYTES = 1 << 20
STATES = "states of texts"  # column: what the text files of a row are known by
WHY = "why no text"  # column: "code|detail" where a path leads out of its folder; null elsewhere
_PATH, _OUT = "path of a text", f"{Reason.PATH_ESCAPES.value}|of a text file"


@dataclass(frozen=True)
class _Place:
    """Where the files of one column lie."""

    text: TextFiles
    root: Root
    pieces: tuple[tuple[str, str | None], ...]  # of the path below the root: (text, column after it)

    @classmethod
    def of(cls, text: TextFiles, ctx: Context, folder: str) -> _Place:
        pieces = [(literal, name) for literal, name, _, _ in Formatter().parse(text.path)]
        constant = ""
        while pieces and pieces[0][1] is None:
            constant += pieces.pop(0)[0]
        if pieces:
            constant, pieces[0] = constant + pieces[0][0], ("", pieces[0][1])
        start, slash, rest = constant.rpartition("/")
        where = below(ctx, folder, start + slash)
        return cls(text, Root(where.rstrip("/") or "/"), ((rest, None), *pieces))

    @property
    def names(self) -> list[str]:
        return [name for _, name in self.pieces if name]

    def paths(self) -> pl.Expr:
        parts = [part for literal, name in self.pieces for part in (pl.lit(literal), *([pl.col(name)] if name else []))]
        return pl.concat_str(parts).str.replace_all("\\", "/", literal=True)


class TextColumns:
    """Adds the columns of `texts` to rows."""

    def __init__(self, texts: Sequence[TextFiles], ctx: Context, root: str, *, read: bool = True) -> None:
        """`read`: the files; without it they are looked at, for STATES alone, and their columns are blank."""
        self.read = read
        self.places = [_Place.of(text, ctx, root) for text in texts]
        self.lookups = [Lookup(place.root) for place in self.places]

    def add(self, rows: pl.DataFrame, cells: Cells) -> pl.DataFrame:
        """`rows` with STATES, WHY and the text columns; a file that is missing or too large gives a blank cell."""
        none = pl.lit(None, dtype=pl.String)
        rows = rows.with_columns(pl.lit("").alias(STATES), none.alias(WHY))
        for place, lookup in zip(self.places, self.lookups, strict=True):
            found = cells.complete(rows, {name: name for name in place.names}, place.text.path)
            paths = found.select(place.paths().alias(_PATH))
            out = paths.select(escapes(_PATH).fill_null(value=False)).to_series()
            inside = paths.select(pl.when(~out).then(_PATH)).to_series()
            files = {path: _found(lookup, path) for path in inside.drop_nulls().unique()}
            tokens = {path: f" {file.token}" for path, file in files.items()}
            refused = {path: _OUT for path, file in files.items() if file.refused == Reason.PATH_ESCAPES}
            texts = {path: self._text(place, file) if self.read else None for path, file in files.items()}
            rows = rows.with_columns(
                _each(inside, texts).alias(place.text.column),
                (pl.col(STATES) + _each(inside, tokens).fill_null("")).alias(STATES),
                pl.coalesce(WHY, pl.when(out).then(pl.lit(_OUT)), _each(inside, refused)).alias(WHY),
            )
        return rows

    def _text(self, place: _Place, file: Listed) -> str | None:
        if file.refused or file.size_bytes > LARGEST_BYTES:
            return None
        with open_binary(place.root.uri(file.path)) as stream:
            whole = stream.read().decode("utf-8", "replace")
        if not place.text.sections:
            return whole
        by_heading = sections(whole)
        kept = [by_heading[heading.lower()] for heading in place.text.sections if heading.lower() in by_heading]
        return "\n\n".join(kept) or None


def _each(paths: pl.Series, known: dict[str, str | None] | dict[str, str]) -> pl.Series:
    return paths.replace_strict(known, default=None, return_dtype=pl.String)


def _found(lookup: Lookup, path: str) -> Listed:
    try:
        return lookup(path)
    except OSError as error:  # a name that is too long
        return Listed(path, refused=Reason.UNREADABLE, detail=error.strerror or "")
