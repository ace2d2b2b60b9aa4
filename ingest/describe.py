"""From the cells of rows to the columns of a manifest, column by column, so that millions of rows stay in polars.

Only what needs Python (hashes, lists, attributes) is made there, once for each distinct value. A row that cannot stand
gets the first reason that fits it; its cells are not quoted, since they may hold a name, but for those that a person
has to word (ingest.unknown_cells).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from ingest.cells import REASON
from ingest.columns import AttributeColumn, CaptionColumn
from ingest.label_cells import label_reasons, labels_of, with_lists
from ingest.origin import known_id
from ingest.rights import Rights
from ingest.source_text import CLEANERS
from ingest.tables import REPLACED
from ingest.unknown_cells import unknown_reasons
from shards.attributes import ATTRIBUTES, UNSAID, encode
from shards.manifest import SCHEMA
from shards.phrasing import join_templates
from shards.reasons import Reason

if TYPE_CHECKING:
    from ingest.columns import RowOptions
    from ingest.origin import Origin

LOG = logging.getLogger(__name__)
TRUE, FALSE = ("true", "yes", "1", "1.0"), ("false", "no", "0", "0.0")
DESCRIBED = (
    *("captions", "modality", "specialty", "patient", "study", "source_id", "group", "labels", "label_scope", "source"),
    *("url", "license", "terms", "official_split", "attributes", "template", "split"),
)  # the manifest's columns that are made here; key, media and retrieved come from the media


def describe(
    cells: pl.DataFrame, options: RowOptions, origin: Origin, names: Sequence[Mapping[str, str]], alone: str
) -> pl.DataFrame:
    """`cells` with the columns DESCRIBED and `reason` ("code|detail" against a row that cannot stand, else null).

    `cells` holds the columns of `options.columns()` and REASON; `alone` is the column whose value is a group of its
    own where nothing wider is known; `names` words the entries of each label list.
    """
    rows = with_lists(_vocabulary(cells, options), options, names)
    odd = [_odd(pl.col(name), rows.schema[name]) for name in options.columns()]
    found = [
        pl.col(REASON),
        *(_stated_reason(i, reasons) for i, reasons in enumerate(options.reject.values())),
        _why(pl.any_horizontal(odd or [pl.lit(value=False)]), Reason.BAD_ROW, "a cell is not UTF-8"),
        *unknown_reasons(rows, options),
        _why(pl.col("license").is_null(), Reason.BAD_ROW, "no licence is stated, or none that is an SPDX id"),
        *label_reasons(options),
    ]
    rows = rows.with_columns(pl.coalesce(found).alias("reason"))
    rows = _with_ids(_with_terms(rows, options.stated_rights()), options, origin, alone)
    none = pl.lit(None, dtype=pl.String)
    template = join_templates(options.template) or None
    return rows.with_columns(
        captions=_captions(rows, options),
        labels=labels_of(rows, options),
        label_scope=pl.lit(options.label_scope),
        source=pl.lit(options.source),
        url=pl.lit(options.url, dtype=pl.String),
        official_split=pl.col("official_split").replace(options.named_splits()) if options.official_split else none,
        attributes=attributes_json(rows, options.attribute_columns, options.attributes),
        template=pl.lit(template, dtype=pl.String),
        split=none,
    )


def _odd(cell: pl.Expr, kind: pl.DataType) -> pl.Expr:
    """Whether a cell, or one of gathered cells, holds bytes that were no text."""
    text = cell.list.join("") if kind == pl.List(pl.String) else cell
    return text.str.contains(REPLACED, literal=True).fill_null(value=False)


def _vocabulary(cells: pl.DataFrame, options: RowOptions) -> pl.DataFrame:
    """Modality, specialty and licence of each row, of its own cell or of all rows."""
    rows = cells
    for name, codes in (("modality", options.modality_codes), ("specialty", options.specialty_names)):
        constant = pl.lit(getattr(options, name), dtype=pl.String)
        cell = pl.col(f"{name}_column").replace(dict(codes)) if f"{name}_column" in rows.columns else constant
        rows = rows.with_columns(cell.fill_null(constant).alias(name))
    own = pl.lit(options.rights.license)
    if "license_column" in rows.columns:
        cell = pl.col("license_column").replace(dict(options.license_names))
        own = cell.fill_null(own) if options.blank_license == "rights" else cell
    rows = rows.with_columns(own.alias("license"))
    return rows.with_columns(mapped(rows["license"], _licence_or_none))


def _why(test: pl.Expr, reason: Reason, detail: str) -> pl.Expr:
    return pl.when(test.fill_null(value=True)).then(pl.lit(f"{reason.value}|{detail}"))


def _stated_reason(number: int, reasons: Mapping[str, str]) -> pl.Expr:
    codes = {cell: f"{reason}|" for cell, reason in reasons.items()}
    return pl.col(f"reject {number}").replace_strict(codes, default=None, return_dtype=pl.String)


def _captions(rows: pl.DataFrame, options: RowOptions) -> pl.Expr | pl.Series:
    """The source's texts, each on one line: a cell, or a list of cells where rows were gathered."""
    empty = pl.lit([], dtype=SCHEMA["captions"])
    if options.caption is None:
        return empty
    texts = rows["caption"] if rows["caption"].dtype == pl.List else rows.select(pl.concat_list("caption")).to_series()
    if isinstance(options.caption, CaptionColumn):
        clean = partial(_worded, CLEANERS[options.caption.clean], options.caption)
        flat = mapped(texts.explode(keep_nulls=True, empty_as_null=True), clean)
        counts = texts.list.len().fill_null(1).clip(lower_bound=1)
        place = pl.Series("row", range(rows.height), dtype=pl.UInt32).repeat_by(counts).explode()
        grouped = pl.DataFrame({"row": place, "caption": flat}).group_by("row", maintain_order=True).agg("caption")
        texts = grouped["caption"]
    one = pl.element().str.replace_all(r"\s+", " ").str.strip_chars()
    said = rows.select(texts.alias("said").list.eval(one).list.drop_nulls().list.unique(maintain_order=True))["said"]
    entry = pl.struct(
        text=pl.element(), by=pl.lit("source"), weight=pl.lit(1.0), checks=pl.lit([], dtype=pl.List(pl.String))
    )
    said = said.to_frame().select(pl.col("said").list.eval(pl.element().filter(pl.element() != "")))["said"]
    return said.to_frame().select(pl.col("said").list.eval(entry).cast(SCHEMA["captions"]).fill_null(empty))["said"]


def _worded(clean: Callable[[str], str | None], option: CaptionColumn, cell: str) -> str | None:
    text = None if cell in option.drop else clean(cell)
    return None if text is None else option.wording.format(text)


def attributes_json(
    rows: pl.DataFrame, columns: Mapping[str, str | AttributeColumn], constants: Mapping[str, object]
) -> pl.Expr:
    """The manifest's `attributes`; a cell (column `attribute <name>`) precedes a constant.

    The JSON of each distinct cell is made once; a row's object is their concatenation in the order of the names.
    """
    pieces = []
    for name in sorted({*columns, *constants}):
        constant = _member(name, constants.get(name))
        if name not in columns:
            pieces.append(pl.lit(constant or None, dtype=pl.String))
            continue
        option = columns[name]
        cells = _meant(rows, name, option)
        members = mapped(cells, partial(_cell_member, name, option))
        _remark_unfit(name, option, cells.filter(members.is_null()))
        own = pl.lit(members)
        pieces.append(pl.when(pl.lit(cells.is_null())).then(pl.lit(constant)).otherwise(own) if constant else own)
    joined = pl.concat_str(pieces, separator=",", ignore_nulls=True) if pieces else pl.lit("")
    return pl.concat_str(pl.lit("{"), joined, pl.lit("}"))


def _remark_unfit(name: str, option: str | AttributeColumn, unsaid: pl.Series) -> None:
    """Warn of cells among those left unsaid that neither say that nothing is known nor are left out by the options.

    Their number is told as a power of ten, so that units of one stage do not say the same of each other's cells anew.
    """
    values, keep = ({}, True) if isinstance(option, str) else (option.values, option.others == "keep")
    counts = unsaid.drop_nulls().value_counts().iter_rows() if keep else ()
    count = sum(number for cell, number in counts if cell not in values and cell.lower() not in UNSAID)
    if count:
        LOG.warning(
            "attribute %s: %s or more cells of column %r in one unit do not fit it and are left unsaid; it is: %s. "
            "Where they say something, word them by `values`",
            name,
            f"{10 ** (len(str(count)) - 1):,}",
            option if isinstance(option, str) else option.column,
            ", ".join((ATTRIBUTES[name].meaning, *ATTRIBUTES[name].choices)),
        )


def _meant(rows: pl.DataFrame, name: str, option: str | AttributeColumn) -> pl.Series:
    """The cells of an attribute, or the years between two dates."""
    cells = rows[f"attribute {name}"]
    if f"or {name}" in rows.columns:
        cells = rows.select(pl.coalesce(f"attribute {name}", f"or {name}")).to_series()
    if isinstance(option, str) or not option.since:
        return cells
    year = r"(\d{4})"
    then, now = (column.str.extract(year).cast(pl.Int32) for column in (rows[f"since {name}"], cells))
    years = now - then
    return pl.select(pl.when(years >= 2).then(years).cast(pl.String)).to_series()  # 1 may be a day or two years


def _cell_member(name: str, option: str | AttributeColumn, cell: str) -> str | None:
    return _member(name, _value(name, cell, option)) or None


def _value(name: str, cell: str, option: str | AttributeColumn) -> object:
    """What a cell means for an attribute; None where it means nothing."""
    if isinstance(option, str):
        return typed(name, cell)
    if cell in option.values:
        return option.values[cell]
    if option.others == "drop":
        return None
    value = typed(name, cell)
    return value * option.scale if isinstance(value, float) else value


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
            return cell if "_" in cell else float(cell)  # Python alone reads 1_0 as 10
        except ValueError:
            return cell
    return cell


def _with_ids(rows: pl.DataFrame, options: RowOptions, origin: Origin, alone: str) -> pl.DataFrame:
    """Columns patient, study and source_id as keyed hashes (null where there is none), and `group`."""
    ids = [
        _hashed(rows[name], name, origin).alias(name)
        if name in rows.columns
        else pl.lit(None, dtype=pl.String).alias(name)
        for name in ("patient", "study", "source_id")
    ]
    own = pl.lit(None, dtype=pl.String)
    if "group" in rows.columns:
        own = pl.lit(f"{options.group_is}:") + pl.lit(_hashed(rows["group"], options.group_is, origin))
    rows = rows.with_columns(ids).with_columns(
        pl.coalesce(*(pl.lit(f"{name}:") + pl.col(name) for name in ("patient", "study")), own).alias("group")
    )
    lone = rows.select(pl.when(pl.col("group").is_null()).then(alone)).to_series()
    return rows.with_columns(pl.col("group").fill_null(pl.lit("image:") + pl.lit(_hashed(lone, "image", origin))))


def _hashed(cells: pl.Series, kind: str, origin: Origin) -> pl.Series:
    """The keyed hash of each id, null where it names nobody."""
    distinct = cells.drop_nulls().unique()
    known = pl.Series([known_id(cell) for cell in distinct.to_list()], dtype=pl.String)
    hashes = pl.Series(origin.hashed_all(kind, known.drop_nulls().to_list())).cast(pl.String)
    table = pl.DataFrame({"cell": distinct.filter(known.is_not_null()), "hash": hashes})
    return cells.to_frame("cell").join(table, on="cell", how="left", maintain_order="left")["hash"]


def _with_terms(rows: pl.DataFrame, stated: Mapping[str, Rights]) -> pl.DataFrame:
    """Column `terms` beside `license`; answers that the options state hold for their own licence."""
    found = rows["license"].drop_nulls().unique().to_list()
    each = {name: stated.get(name) or Rights(license=name) for name in found}
    terms = [{**asdict(one.manifest_terms())} for one in each.values()]
    table = pl.DataFrame(
        {"license": list(each), "terms": terms}, schema={name: SCHEMA[name] for name in ("license", "terms")}
    )
    return rows.join(table, on="license", how="left", maintain_order="left")


def _licence_or_none(cell: str) -> str | None:
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
