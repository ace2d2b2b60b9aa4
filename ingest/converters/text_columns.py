"""Columns made of text files, one a row: the reports of MIMIC-CXR lie so, beside the table that names the pictures.

A file of lines `key: value`, such as CAMUS has for each view, gives a column for each key that is asked for.

The constant beginning of a path, up to its last `/` before a column, is the folder that no cell leads out of. Where
there is no such folder, or none of the files, the path is wrong and that is said before any work: a table whose texts
are all blank would look like one that has none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Formatter

import polars as pl

from ingest.cells import Cells, below, escapes
from ingest.columns import TextFiles
from ingest.listing import Listed, Lookup, Root, first_names
from ingest.source_text import keyed, sections
from ingest.tables import cleaned
from shards.reasons import Reason
from shards.stage import Context
from shards.uri import local_path, open_binary

LARGEST_BYTES = 1 << 20
STATES = "states of texts"  # column: what the text files of a row are known by
WHY = "why no text"  # column: "code|detail" against a row whose text cannot be had; null elsewhere
_PATH, _OUT = "path of a text", f"{Reason.PATH_ESCAPES.value}|of a text file"
_NONE = f"{Reason.NO_METADATA.value}|no text file of it"


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
        return cls(text, _folder(where.rstrip("/") or "/", text.column), ((rest, None), *pieces))

    @property
    def names(self) -> list[str]:
        return [name for _, name in self.pieces if name]

    def paths(self) -> pl.Expr:
        parts = [part for literal, name in self.pieces for part in (pl.lit(literal), *([pl.col(name)] if name else []))]
        return pl.concat_str(parts).str.replace_all("\\", "/", literal=True)


class TextColumns:
    """Adds the columns of `texts` to rows."""

    def __init__(self, texts: Sequence[TextFiles], ctx: Context, root: str, *, read: bool = True) -> None:
        """`read`: the files; without it they are looked at, for STATES alone, and their columns are blank.

        Raises FileNotFoundError where a folder of texts is not there.
        """
        self.read = read
        self.places = [_Place.of(text, ctx, root) for text in texts]
        self.lookups = [Lookup(place.root) for place in self.places]
        self.lacking: dict[str, str] = {}  # column of which no file was found so far -> the first path; "" once one was

    def add(self, rows: pl.DataFrame, cells: Cells) -> pl.DataFrame:
        """`rows` with STATES, WHY and the text columns."""
        none = pl.lit(None, dtype=pl.String)
        rows = rows.with_columns(pl.lit("").alias(STATES), none.alias(WHY))
        for place, lookup in zip(self.places, self.lookups, strict=True):
            found = cells.complete(rows, {name: name for name in place.names}, place.text.path)
            paths = found.select(place.paths().alias(_PATH))
            out = paths.select(escapes(_PATH).fill_null(value=False)).to_series()
            inside = paths.select(pl.when(~out).then(_PATH)).to_series()
            files = {path: _found(lookup, path) for path in inside.drop_nulls().unique(maintain_order=True)}
            self._note(place, files)
            tokens = {path: f" {file.token}" for path, file in files.items()}
            texts = {path: self._text(place, file) for path, file in files.items()}
            lone = pl.lit(_NONE if place.text.missing == "reject" else None, dtype=pl.String)
            rows = rows.with_columns(
                _each(inside, {path: text for path, (text, _) in texts.items()}).alias(place.text.column),
                (pl.col(STATES) + _each(inside, tokens).fill_null("")).alias(STATES),
                pl.coalesce(
                    WHY,
                    pl.when(out).then(pl.lit(_OUT)),
                    pl.when(inside.is_null()).then(lone),
                    _each(inside, {path: why for path, (_, why) in texts.items()}),
                ).alias(WHY),
            )
            rows = _with_keys(rows, place.text)
        return rows

    def check_found(self) -> None:
        """FileNotFoundError where none of the files that the rows so far named was there, with the first of them."""
        for place in self.places:
            if path := self.lacking.get(place.text.column):
                raise FileNotFoundError(
                    f"texts: no row has a file of column {place.text.column!r}; the first was looked for at "
                    f"{place.root.uri(path)}, and {place.root.folder} holds {first_names(place.root)}. Correct the "
                    "path, or remove the column"
                )

    def _note(self, place: _Place, files: Mapping[str, Listed]) -> None:
        """Keeps account of whether any file of a column was there."""
        column = place.text.column
        if any(file.refused != Reason.MISSING_FILE for file in files.values()):
            self.lacking[column] = ""
        elif files:
            self.lacking.setdefault(column, next(iter(files)))

    def _text(self, place: _Place, file: Listed) -> tuple[str | None, str | None]:
        """A file's text, and "code|detail" where it cannot be had."""
        if file.refused == Reason.MISSING_FILE:
            return None, _NONE if place.text.missing == "reject" else None
        if file.refused:
            return None, _OUT if file.refused == Reason.PATH_ESCAPES else f"{file.refused}|its text file"
        if file.size_bytes > LARGEST_BYTES:
            return None, f"{Reason.TOO_LARGE.value}|a text file of more than {LARGEST_BYTES} bytes"
        if not self.read:
            return None, None
        try:
            with open_binary(place.root.uri(file.path)) as stream:
                whole = stream.read().decode("utf-8-sig", "replace")
        except OSError as error:
            return None, f"{Reason.UNREADABLE.value}|its text file: {error.strerror or type(error).__name__}"
        if not place.text.sections:
            return whole, None
        by_heading = sections(whole)
        kept = [by_heading[heading.lower()] for heading in place.text.sections if heading.lower() in by_heading]
        return "\n\n".join(kept) or None, None


def _folder(where: str, column: str) -> Root:
    """The folder of a column's texts; FileNotFoundError that says what is there instead."""
    try:
        root = Root.find(where)
    except FileNotFoundError:
        root = None
    if root is not None and not root.only:
        return root
    local = local_path(where)
    above = next((folder for folder in local.parents if folder.is_dir()), None) if local is not None else None
    found = f"; {above} holds {first_names(Root(str(above)))}" if above is not None else ""
    raise FileNotFoundError(
        f"texts: the files of column {column!r} lie below {where}, and there is no such folder{found}. Correct their "
        "path, or mount the disk"
    )


def _with_keys(rows: pl.DataFrame, text: TextFiles) -> pl.DataFrame:
    """`rows` with a column for each key, and WHY against a text that says two things of one or lacks one it needs."""
    if not text.keys:
        return rows
    known = {cell: keyed(cell, text.keys) for cell in rows[text.column].drop_nulls().unique()}
    why = {cell: _key_reason(found, text) for cell, found in known.items()}
    values = [
        _each(rows[text.column], {cell: (found or {}).get(key) for cell, found in known.items()}).alias(key)
        for key in text.keys
    ]
    rows = rows.with_columns(cleaned(pl.DataFrame(values)))
    return rows.with_columns(pl.coalesce(WHY, _each(rows[text.column], why)).alias(WHY))


def _key_reason(found: Mapping[str, str] | None, text: TextFiles) -> str | None:
    if found is None:
        return f"{Reason.BAD_ROW.value}|its text file gives a key two values"
    lacking = [key for key in text.keys if key not in found]
    if lacking and text.missing == "reject":
        return f"{Reason.NO_METADATA.value}|its text file has no {', '.join(lacking)}"
    return None


def _each(paths: pl.Series, known: dict[str, str | None] | dict[str, str]) -> pl.Series:
    return paths.replace_strict(known, default=None, return_dtype=pl.String)


def _found(lookup: Lookup, path: str) -> Listed:
    try:
        return lookup(path)
    except OSError as error:  # a name that is too long
        return Listed(path, refused=Reason.UNREADABLE, detail=error.strerror or "")
