"""From the cells of a table to the rows of a manifest, column by column, so that millions of rows stay in polars.

Only hashes are made in Python, once for each distinct value. A row that cannot stand gets the first reason that fits
it; cells are never quoted in a reject, since they may hold a name.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from ingest.rights import Rights
from ingest.tables import REPLACED
from shards.attributes import ATTRIBUTES, encode
from shards.manifest import SCHEMA
from shards.reasons import Reason
from shards.vocabulary import LABEL_STATES, MODALITIES, SPECIALTIES

if TYPE_CHECKING:
    from ingest.origin import Origin

_NOT_UTF8 = Reason.BAD_ROW, "a cell is not UTF-8"
TRUE, FALSE = ("true", "yes", "1", "1.0"), ("false", "no", "0", "0.0")


def path_below(before: str, after: str) -> pl.Expr:
    """Column `image` as a path below the root with `/`: one way to write each path, whoever wrote the table."""
    path = pl.concat_str(pl.lit(before), pl.col("image"), pl.lit(after)).str.replace_all("\\", "/", literal=True)
    return path.str.replace_all(r"(/|^)(\./)+", "$1").str.replace_all("([^:/]|^)//+", "$1/").alias("path")


def escapes() -> pl.Expr:
    """Whether column `path` is absolute, a Windows drive, a url, or goes up."""
    return pl.col("path").str.contains(r"^/|^[A-Za-z]:|://|(^|/)\.\.(/|$)|\x00")


def reasons(texts: Sequence[str], labels: Sequence[tuple[str, str, Sequence[str]]]) -> pl.Expr:
    """The first reason against a row, as "code|detail"; null where there is none.

    `texts` are the columns with cells of the table, `labels` the column, name and listed values of each label.
    """
    found = [
        _why(pl.any_horizontal(pl.col(*texts).str.contains(REPLACED, literal=True).fill_null(value=False)), _NOT_UTF8),
        _why(pl.col("image").is_null(), (Reason.BAD_ROW, "no image")),
        _why(escapes(), (Reason.PATH_ESCAPES, "")),
        _why(~pl.col("path").is_first_distinct(), (Reason.DUPLICATE_KEY, "the image of an earlier row")),
        _why(~pl.col("modality").is_in(list(MODALITIES)), (Reason.UNKNOWN_MODALITY, "")),
        _why(~pl.col("specialty").is_in(SPECIALTIES), (Reason.UNKNOWN_SPECIALTY, "")),
        _why(pl.col("license").is_null(), (Reason.BAD_ROW, "the licence is no SPDX id")),
    ]
    for column, name, values in labels:
        unlisted = pl.col(column).is_not_null() & ~pl.col(column).is_in(values)
        found.append(_why(unlisted, (Reason.BAD_ROW, f"a value of {name} that `states` does not list")))
    return pl.coalesce(found).alias("reason")


def _why(test: pl.Expr, why: tuple[Reason, str]) -> pl.Expr:
    return pl.when(test.fill_null(value=True)).then(pl.lit(f"{why[0].value}|{why[1]}"))


def item() -> pl.Expr:
    """What a reject names: the path, or the row where there is none."""
    row = pl.format("row {}", "row")
    return pl.when(pl.col("path").is_null()).then(row).otherwise(pl.col("path"))


def labels_list(labels: Sequence[tuple[str, str, Mapping[str, str], str]], scope: str) -> pl.Expr:
    """The manifest's `labels`, of the column, name, states and origin of each; `unstated` gives no entry."""
    found = []
    for column, name, states, origin in labels:
        told = {value: state for value, state in states.items() if state in LABEL_STATES}
        state = pl.col(column).replace_strict(told, default=None, return_dtype=pl.String)
        fields = pl.struct(name=pl.lit(name), state=state, scope=pl.lit(scope), origin=pl.lit(origin))
        found.append(pl.when(state.is_not_null()).then(fields))
    return pl.concat_list(found).list.drop_nulls() if found else pl.lit([], dtype=SCHEMA["labels"])


def captions_list(caption: pl.Expr) -> pl.Expr:
    """The manifest's `captions`: the source's text on one line, or nothing."""
    text = caption.str.replace_all(r"\s+", " ")
    one = pl.struct(text=text, by=pl.lit("source"), weight=pl.lit(1.0), checks=pl.lit([], dtype=pl.List(pl.String)))
    return pl.when(text.is_not_null()).then(pl.concat_list(one)).otherwise(pl.lit([], dtype=SCHEMA["captions"]))


def attributes_json(rows: pl.DataFrame, columns: Mapping[str, str], constants: Mapping[str, object]) -> pl.Expr:
    """The manifest's `attributes`: `columns` maps an attribute to its column of `rows`; a cell precedes a constant.

    The JSON of each distinct cell is made once; a row's object is their concatenation in the order of the names.
    """
    pieces = []
    for name in sorted({*columns, *constants}):
        constant = _member(name, constants.get(name))
        if name not in columns:
            pieces.append(pl.lit(constant or None, dtype=pl.String))
            continue
        cells = rows[columns[name]].drop_nulls().unique()
        members = {cell: member for cell in cells if (member := _member(name, typed(name, cell)))}
        cell_text = pl.col(columns[name]).replace_strict(members, default=None, return_dtype=pl.String)
        pieces.append(cell_text.fill_null(constant) if constant else cell_text)
    joined = pl.concat_str(pieces, separator=",", ignore_nulls=True) if pieces else pl.lit("")
    return pl.concat_str(pl.lit("{"), joined, pl.lit("}"))


def _member(name: str, value: object) -> str:
    """`"name":value` as canonical JSON, or nothing where the value does not fit the attribute."""
    return encode({name: value})[1:-1]


def typed(name: str, cell: str) -> object:
    """A cell in the form that an attribute expects: numbers and flags are written as text in a table."""
    form = ATTRIBUTES[name].form
    if form == "flag":
        return True if cell.lower() in TRUE else False if cell.lower() in FALSE else None
    if form in ("number", "age"):
        try:
            return float(cell)
        except ValueError:
            return cell
    return cell


def with_hashes(rows: pl.DataFrame, origin: Origin) -> pl.DataFrame:
    """Columns patient, study and source_id as keyed hashes (null where the table has none), `group` and `key`."""
    ids = [
        mapped(rows[name], partial(origin.hashed, name)).alias(name)
        if name in rows.columns
        else pl.lit(None, dtype=pl.String).alias(name)
        for name in ("patient", "study", "source_id")
    ]
    rows = rows.with_columns(ids).with_columns(
        pl.coalesce(*(pl.lit(f"{name}:") + pl.col(name) for name in ("patient", "study"))).alias("group")
    )
    alone = mapped(
        rows.select(pl.when(pl.col("group").is_null()).then("path")).to_series(), partial(origin.group, "image")
    )
    return rows.with_columns(pl.col("group").fill_null(alone), sample_keys(origin.source, rows["path"]))


def with_licence(rows: pl.DataFrame, rights: Rights) -> pl.DataFrame:
    """Column `terms` beside `license`; the stated answers of `rights` hold for its own licence."""
    found = rows["license"].unique().to_list()
    each = {name: rights if name == rights.license else Rights(license=name) for name in found}
    terms = [{**asdict(one.manifest_terms())} for one in each.values()]
    table = pl.DataFrame(
        {"license": list(each), "terms": terms}, schema={name: SCHEMA[name] for name in ("license", "terms")}
    )
    return rows.join(table, on="license", how="left", maintain_order="left")


def licence_or_none(cell: str) -> str | None:
    """The cell where it is a licence id, else None."""
    try:
        return Rights(license=cell).license
    except ValueError:
        return None


def mapped(cells: pl.Series, function: Callable[[str], str | None]) -> pl.Series:
    """A function of each distinct cell; null stays null."""
    distinct = cells.drop_nulls().unique()
    table = {cell: function(cell) for cell in distinct}
    return cells.replace_strict(table, default=None, return_dtype=pl.String)


def sample_keys(source: str, paths: pl.Series) -> pl.Series:
    """`shards.canonical.sample_key` of each path without a locator, with the common beginning hashed once."""
    start = hashlib.sha256(f"{source}\0".encode())
    digests = []
    for path in paths:
        digest = start.copy()
        digest.update(f"{path}\0".encode())
        digests.append(digest.digest()[:20])
    letters = base64.b32encode(b"".join(digests)).decode().lower()  # 20 bytes are 32 letters, so all go in one call
    keys = [f"{source}-{letters[at : at + 26]}" for at in range(0, len(letters), 32)]
    return pl.Series("key", keys, dtype=pl.String)
