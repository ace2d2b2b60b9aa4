"""Labels of a video by frame: tables with a line for each frame or each k-th, and JSON files keyed by frame.

A line speaks of its own frame and of no other: between the lines of a table nothing is stated. What lines say of a
range of frames is what all of them agree on; where they differ, nothing is said of the range.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ingest.held_tables import TwiceError, once_each
from ingest.table_file import TableFile
from ingest.tables import Table, check_name
from shards.intake import Skip
from shards.reasons import Reason
from shards.uri import open_binary

if TYPE_CHECKING:
    import polars as pl

LARGEST_JSON_BYTES = 1 << 28
FRAME = "\0frame"  # column of `lines`; no table has a column of this name


@dataclass(frozen=True, kw_only=True)
class FrameTable(TableFile):
    """A table of one video, with a line a frame; its path may hold {stem}, {name} and parts in braces."""

    frame: str = "Frame"  # column with the number of the frame, counted from 0


@dataclass(frozen=True, kw_only=True)
class FrameJson:
    """A JSON file of one video whose object `frames` holds, by the frame's number, a list of vectors or objects."""

    file: str  # its path may hold {stem}, {name} and parts in braces
    frames: str = "annotations"
    columns: Mapping[str, int | str]  # column -> place in each vector, or key of each object
    names: Mapping[str, str] = field(default_factory=dict)  # column -> key (a.b) of the object that words its numbers


def lines(tables: Sequence[tuple[FrameTable, str]], found: tuple[FrameJson, str] | None) -> pl.DataFrame:
    """FRAME and the columns of all tables, one row a frame that any of them speaks of, in order.

    Tables are given with where they lie. Raises ValueError or FileNotFoundError where one is not as it should be.
    """
    import polars as pl

    frames = [_table(Table(where, option), option) for option, where in tables]
    if found is not None:
        frames.append(_json(*found))
    whole = frames[0]
    for other in frames[1:]:
        new = [name for name in other.columns if name == FRAME or name not in whole.columns]
        whole = whole.join(other.select(new), on=FRAME, how="full", coalesce=True)
    return whole.sort(FRAME, maintain_order=True).with_columns(pl.col(FRAME).set_sorted())


def _table(table: Table, option: FrameTable) -> pl.DataFrame:
    import polars as pl

    rows = table.held()
    check_name(option.frame, rows.columns, table.where)
    whole = pl.col(option.frame).str.replace(r"\.0+$", "")
    rows = rows.filter(~pl.all_horizontal(pl.all().is_null()))  # of a blank line
    rows = rows.with_columns(whole.cast(pl.Int64, strict=False).alias(FRAME))
    if rows.select((pl.col(FRAME).is_null() | (pl.col(FRAME) < 0)).any()).item():
        raise Skip(Reason.BAD_ROW, "a line of its table of frames names no frame")
    if not rows.height or rows[FRAME].is_duplicated().any():
        raise Skip(Reason.BAD_ROW, "its table of frames is empty or speaks twice of a frame")
    return rows.drop(option.frame)


def _json(option: FrameJson, where: str) -> pl.DataFrame:
    import polars as pl

    with open_binary(where) as stream:
        data = stream.read(LARGEST_JSON_BYTES + 1)
    if len(data) > LARGEST_JSON_BYTES:
        raise Skip(Reason.TOO_LARGE, "its labels by frame")
    try:
        whole = json.loads(data, object_pairs_hook=once_each)
        by_frame = {int(number): entries for number, entries in whole[option.frames].items()}
        if len(by_frame) < len(whole[option.frames]):
            raise TwiceError
    except TwiceError:
        raise Skip(Reason.BAD_ROW, "its JSON has a key, or speaks of a frame, twice") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Skip(Reason.BAD_ROW, f"its JSON holds no `{option.frames}` by frame") from None
    words = {column: _words(whole, key) for column, key in option.names.items()}
    table: dict[str, list[Any]] = {FRAME: sorted(by_frame)}
    for column, place in option.columns.items():
        table[column] = [_cell(by_frame[number], place, words.get(column)) for number in table[FRAME]]
    return pl.DataFrame(table, schema={FRAME: pl.Int64, **dict.fromkeys(option.columns, pl.String)})


def _words(whole: Any, key: str) -> Mapping[str, str]:
    for part in key.split("."):
        whole = whole.get(part) if isinstance(whole, dict) else None
    if not isinstance(whole, dict):
        raise Skip(Reason.BAD_ROW, f"its JSON holds no `{key}`")
    return {str(number): str(name) for number, name in whole.items()}


def _cell(entries: Any, place: int | str, words: Mapping[str, str] | None) -> str | None:
    """What the entries of a frame say in one place, each once, joined by `|`; null (-1) says nothing."""
    said = []
    for entry in entries if isinstance(entries, list) else []:
        try:
            value = entry[place]
        except (IndexError, KeyError, TypeError):
            raise Skip(Reason.BAD_ROW, f"its JSON has an entry without {place!r}") from None
        if value in (-1, None, ""):
            continue
        text = str(value) if words is None else words.get(str(value))
        if text is None:
            raise Skip(Reason.BAD_ROW, f"its JSON does not word the number {value!r}")
        said.append(text)
    return "|".join(dict.fromkeys(said)) or None


def runs(table: pl.DataFrame, constant: Sequence[str]) -> Iterator[tuple[int, int]]:
    """(first frame, one past the last) of each run of lines that agree in `constant`.

    Runs are of the lines that state all of `constant`; a gap larger than the usual distance of lines ends a run. A run
    ends at its last line: where between that line and the next a change lies is not known.
    """
    import polars as pl

    stated = table.drop_nulls(list(constant))
    if not stated.height:
        return
    numbers = stated[FRAME].to_list()
    step = min((b - a for a, b in pairwise(numbers)), default=1)
    values = stated.select(pl.struct(constant).rle_id()).to_series().to_list() if constant else [0] * len(numbers)
    first = numbers[0]
    for i, number in enumerate(numbers):
        last = i + 1 == len(numbers)
        if last or values[i + 1] != values[i] or numbers[i + 1] - number > step:
            yield first, number + 1
            if not last:
                first = numbers[i + 1]


def agreed(table: pl.DataFrame, start: int, stop: int, columns: Sequence[str]) -> dict[str, str | None]:
    """What all lines of frames `start` to `stop - 1` that state a column agree on; None where they do not."""
    import polars as pl

    inside = table.filter(pl.col(FRAME).is_between(start, stop - 1))
    found: dict[str, str | None] = {}
    for name in columns:
        cells = inside[name].drop_nulls()
        found[name] = cells[0] if cells.len() and cells.n_unique() == 1 else None
    return found
