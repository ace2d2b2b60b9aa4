"""From label cells to the manifest's `labels`: one finding a column, or findings listed in one cell.

Each distinct cell is read once; what a list cannot be read as, or names and no option knows, is a reason against its
rows and never a guess.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from shards.manifest import SCHEMA
from shards.reasons import Reason
from shards.vocabulary import LABEL_STATES

if TYPE_CHECKING:
    from ingest.columns import LabelColumn, LabelList, RowOptions

LONGEST_CELL = 20_000  # characters of a list that is parsed
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_NONE = pl.lit([], dtype=SCHEMA["labels"])
_WHY = "why "  # column: why a list cell cannot be read


def label_reasons(options: RowOptions) -> list[pl.Expr]:
    """What is wrong with the label cells of a row, one expression a column, "code|detail" or null."""
    found = []
    for i, (label, _, words) in enumerate(options.findings()):
        cell = pl.col(f"label {i}")
        unlisted = cell.is_not_null() & ~cell.is_in(list(label.states))
        detail = f"{Reason.BAD_ROW.value}|a value of {words} that `states` does not list"
        found.append(pl.when(unlisted).then(pl.lit(detail)))
    return found + [pl.col(f"{_WHY}{i}") for i in range(len(options.label_lists))]


def with_lists(rows: pl.DataFrame, options: RowOptions, names: Sequence[Mapping[str, str]]) -> pl.DataFrame:
    """`rows` with what each list cell says, `listed <i>`, or why it cannot be read; `names` words its entries."""
    for i, (option, words) in enumerate(zip(options.label_lists, names, strict=True)):
        cells = rows[f"list {i}"].drop_nulls().unique().to_list()
        told = _Told(words, _in_any_case(words), _lower(option.drop), _lower(option.uncertain))
        read = [_read(cell, option, told, option.scope or options.label_scope) for cell in cells]
        table = pl.DataFrame(
            {
                f"list {i}": pl.Series(cells, dtype=pl.String),
                f"listed {i}": _labels([[] if isinstance(found, str) else found for found in read]),
                f"{_WHY}{i}": pl.Series([found if isinstance(found, str) else None for found in read], dtype=pl.String),
            }
        )
        rows = rows.join(table, on=f"list {i}", how="left", maintain_order="left")
    return rows


def labels_of(rows: pl.DataFrame, options: RowOptions) -> pl.Expr:
    """The manifest's `labels`; an unstated finding gives no entry. The cells of each distinct row are read once."""
    columns = [pl.col(f"listed {i}").fill_null(_NONE) for i in range(len(options.label_lists))]
    findings = options.findings()
    if findings:
        coded = [_code(f"label {i}", label) for i, (label, _, _) in enumerate(findings)]
        cells = rows.select(pl.concat_str(coded, separator=" ").alias("cells"))
        distinct = cells["cells"].unique().to_list()
        known = [_words(label, words, options) for label, _, words in findings]
        labels = _labels([_stated(cell.split(" "), known) for cell in distinct])
        table = pl.DataFrame({"cells": pl.Series(distinct, dtype=pl.String), "labels": labels})
        columns.insert(0, pl.lit(cells.join(table, on="cells", how="left", maintain_order="left")["labels"]))
    if not columns:
        return _NONE
    return columns[0] if len(columns) == 1 else pl.concat_list(columns)


def _labels(found: Sequence[Sequence[Mapping[str, str]]]) -> pl.Series:
    """Labels of many rows as one column; polars takes nested Python lists ten times slower than flat ones."""
    of = [row for row, labels in enumerate(found) for _ in labels]
    names = ("name", "state", "scope", "origin")
    flat = {name: [label[name] for labels in found for label in labels] for name in names}
    rows = pl.DataFrame({"row": of, **flat}, schema={"row": pl.UInt32, **dict.fromkeys(names, pl.String)})
    grouped = rows.group_by("row", maintain_order=True).agg(pl.struct(names).alias("labels"))
    every = pl.DataFrame({"row": range(len(found))}, schema={"row": pl.UInt32})
    joined = every.join(grouped, on="row", how="left", maintain_order="left")
    return joined.select(pl.col("labels").fill_null(_NONE))["labels"]


def _code(column: str, label: LabelColumn) -> pl.Expr:
    """The place of a cell among the states of its finding, as text; empty where it is none of them."""
    places = [str(place) for place in range(len(label.states))]
    return pl.col(column).replace_strict(list(label.states), places, default="", return_dtype=pl.String).fill_null("")


def _words(label: LabelColumn, words: str, options: RowOptions) -> dict[str, dict[str, str]]:
    """What each cell of one finding states, by the cell's code."""
    fixed = {"name": words, "scope": label.scope or options.label_scope, "origin": label.origin}
    states = enumerate(label.states.values())
    return {str(place): {**fixed, "state": state} for place, state in states if state in LABEL_STATES}


def _stated(cells: Sequence[str], known: Sequence[Mapping[str, dict[str, str]]]) -> list[dict[str, str]]:
    """The labels that one row's cells, as codes, state."""
    return [words[cell] for words, cell in zip(known, cells, strict=True) if cell in words]


@dataclass(frozen=True)
class _Told:
    """What a recipe says of the entries of a list; capitals count only where they part two names."""

    names: Mapping[str, str]
    in_any_case: Mapping[str, str]
    dropped: frozenset[str]  # in lower case, as are
    uncertain: frozenset[str]

    def words(self, entry: str) -> str | None:
        return self.names.get(entry, self.in_any_case.get(entry.lower()))


def _lower(entries: Sequence[str]) -> frozenset[str]:
    return frozenset(entry.lower() for entry in entries)


def _in_any_case(names: Mapping[str, str]) -> dict[str, str]:
    """Names by their keys in lower case, without keys that would then have two names."""
    found: dict[str, set[str]] = {}
    for entry, words in names.items():
        found.setdefault(entry.lower(), set()).add(words)
    return {entry: words.pop() for entry, words in found.items() if len(words) == 1}


def _read(cell: str, option: LabelList, told: _Told, scope: str) -> list[dict[str, str]] | str:
    """The labels that a cell lists, or "code|detail"."""
    entries = None if _CONTROL.search(cell) else _entries(cell, option)
    if entries is None:
        return f"{Reason.BAD_ROW.value}|a list in {option.column} that cannot be read"
    found: dict[str, dict[str, str]] = {}
    for entry, possible in ((entry.strip(), possible) for entry, possible in entries):
        if not entry or entry.lower() in told.dropped:
            continue
        words = told.words(entry)
        if words is None and option.others == "reject":
            return f"{Reason.BAD_ROW.value}|an entry of {option.column} that `names` does not list"
        if words is None and option.others == "drop":
            continue
        words = entry if words is None else words
        state = "uncertain" if possible or entry.lower() in told.uncertain else "present"
        if words and (words not in found or state == "present"):  # the surer of two entries of the same words
            found[words] = {"name": words, "state": state, "scope": scope, "origin": option.origin}
    return list(found.values())


def _entries(cell: str, option: LabelList) -> list[tuple[str, bool]] | None:
    """The entries of a cell, and whether each is but a possibility by its likelihood; None where unreadable."""
    if option.form == "text":
        signs = "|".join(map(re.escape, option.separators))
        return [(entry, False) for entry in (re.split(signs, cell) if signs else [cell])]
    if len(cell) > LONGEST_CELL:
        return None
    try:
        value = ast.literal_eval(cell) if option.form == "python" else json.loads(cell)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    if option.uncertain_below is not None:
        if not isinstance(value, dict) or not all(map(_is_likelihood, value.values())):
            return None
        return [(str(entry), 0 < likelihood < option.uncertain_below) for entry, likelihood in value.items()]
    return [(str(entry), False) for entry in value] if isinstance(value, list | tuple | set | dict) else None


def _is_likelihood(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
