"""The manifest: the one record that crosses every boundary, its Parquet schema and its per-sample view.

Stages exchange Parquet parts of this schema; pixels stay where they are and a row points at them. `Sample` is the
same row as a frozen dataclass, for code that works on pixels. A part is known by the hash of its rows sorted by key
(shards/columns.py), not by its Parquet bytes, which change with the writer's version.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import polars as pl

from shards import vocabulary as v
from shards.atomic import write_bytes
from shards.columns import column_bytes
from shards.locator import Locator

MANIFEST_VERSION = 2

_TERM: pl.DataType = pl.Struct({"answer": pl.String, "evidence": pl.String})
_MEDIA = pl.Struct(
    {
        "uri": pl.String,
        "kind": pl.String,
        "locator": pl.String,
        "sha256": pl.String,
        "width_px": pl.Int32,
        "height_px": pl.Int32,
        "frames": pl.Int32,
        "fps": pl.Float64,
    }
)
_CAPTION = pl.Struct({"text": pl.String, "by": pl.String, "weight": pl.Float64, "checks": pl.List(pl.String)})
_LABEL = pl.Struct({"name": pl.String, "state": pl.String, "scope": pl.String, "origin": pl.String})

_COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    "key": pl.String,
    "media": _MEDIA,
    "captions": pl.List(_CAPTION),
    "modality": pl.String,
    "specialty": pl.String,
    "patient": pl.String,
    "study": pl.String,
    "source_id": pl.String,
    "group": pl.String,
    "labels": pl.List(_LABEL),
    "label_scope": pl.String,
    "source": pl.String,
    "url": pl.String,
    "retrieved": pl.Datetime("us", "UTC"),
    "license": pl.String,
    "terms": pl.Struct(dict.fromkeys(v.TERM_NAMES, _TERM)),
    "official_split": pl.String,
    "attributes": pl.String,
    "template": pl.String,
    "split": pl.String,
}
SCHEMA = pl.Schema(_COLUMNS)
KEY_PATTERN = r"^[a-z0-9_-]{1,64}$"
CAPTION_BY = r"^(source|template@\S+|vlm:\S+@\S+)$"
REQUIRED = ("key", "media", "modality", "specialty", "group", "label_scope", "source", "license", "terms")
NEVER_NULL = (*REQUIRED, "captions", "labels", "attributes")  # the last three may be empty


@dataclass(frozen=True, kw_only=True, slots=True)
class Media:
    """Where the pixels are. Hash and sizes are None until a stage has opened the media; pack refuses None."""

    uri: str  # fsspec url or absolute path
    kind: str  # one of vocabulary.MEDIA_KINDS
    locator: str = ""  # Locator.text()
    sha256: str | None = None  # of the file's bytes; in a file of many pictures, of the bytes that `locator` names
    width_px: int | None = None
    height_px: int | None = None
    frames: int | None = None  # 1 for an image
    fps: float | None = None  # frames per second; None for an image

    @property
    def view(self) -> Locator:
        """The parsed locator."""
        return Locator.parse(self.locator)


@dataclass(frozen=True, kw_only=True, slots=True)
class Caption:
    """One text. `by` is `source`, `template@<version>` or `vlm:<model>@<prompt version>`."""

    text: str
    by: str
    weight: float = 1.0
    checks: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Label:
    """One statement. What is not stated has no entry; absent is written only where the source says absent."""

    name: str
    state: str  # present, absent or uncertain
    scope: str  # the narrowest unit for which it was true at its source
    origin: str  # expert, text-mined or model


@dataclass(frozen=True, kw_only=True, slots=True)
class Term:
    """One answer of a licence: yes, no or unknown, and where that stands."""

    answer: str = "unknown"
    evidence: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """What the data's owner allows."""

    redistribute: Term = Term()
    commercial: Term = Term()
    derivatives: Term = Term()
    train: Term = Term()
    third_party_processing: Term = Term()
    publish_weights: Term = Term()


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One row of the manifest. Fields are the columns; see DESIGN 2 in docs/decisions/001."""

    key: str
    media: Media
    modality: str
    specialty: str
    group: str  # "<what>:<keyed hash>", what = patient, study, series, article, slab, image
    label_scope: str
    source: str
    license: str  # SPDX id or LicenseRef-<name>
    terms: Terms = field(default_factory=Terms)
    captions: tuple[Caption, ...] = ()
    patient: str | None = None  # keyed hash
    study: str | None = None  # keyed hash
    source_id: str | None = None  # keyed hash of the id in the original collection
    labels: tuple[Label, ...] = ()
    url: str | None = None
    retrieved: datetime | None = None  # the file's mtime or the answer's Date header
    official_split: str | None = None
    attributes: str = "{}"  # canonical JSON object
    template: str | None = None  # how the source's captions are phrased (shards.phrasing), one a line
    split: str | None = None

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Sample:
        """The view of one row as `DataFrame.iter_rows(named=True)` gives it."""
        terms = {name: Term(**answer) for name, answer in row["terms"].items()}
        captions = tuple(Caption(**{**c, "checks": tuple(c["checks"])}) for c in row["captions"])
        labels = tuple(Label(**label) for label in row["labels"])
        nested = {"media": Media(**row["media"]), "captions": captions, "labels": labels, "terms": Terms(**terms)}
        return cls(**{**row, **nested})

    def to_row(self) -> dict[str, Any]:
        """The row as a dict that fits SCHEMA."""
        return cast(dict[str, Any], _plain(self))


def _plain(value: Any) -> Any:
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def frame(samples: Iterable[Sample]) -> pl.DataFrame:
    """Samples as a data frame of SCHEMA, checked by `check`."""
    return check(pl.DataFrame([sample.to_row() for sample in samples], schema=SCHEMA))


def samples(rows: pl.DataFrame) -> Iterator[Sample]:
    """The rows of a manifest one by one."""
    return (Sample.from_row(row) for row in rows.iter_rows(named=True))


def check(rows: pl.DataFrame) -> pl.DataFrame:
    """Return `rows` when they are a sound manifest; else raise ValueError naming the columns and the first bad key."""
    if rows.schema != SCHEMA:
        wrong = [name for name in SCHEMA if rows.schema.get(name) != SCHEMA[name]]
        extra = [name for name in rows.columns if name not in SCHEMA]
        raise ValueError(f"not a manifest of version {MANIFEST_VERSION}: wrong columns {wrong}, unknown {extra}")
    media, terms = pl.col("media").struct, pl.col("terms").struct

    def some(column: str, name: str, known: Sequence[str]) -> pl.Expr:
        """Whether a field of any element of a list column is none of `known`, null included."""
        element = pl.element().struct.field(name)
        return pl.col(column).list.eval(~element.is_in(list(known)).fill_null(value=False)).list.any()

    caption = pl.element().struct
    weight = caption.field("weight")
    unsound_caption = (
        (caption.field("text").fill_null("") == "")
        | ~caption.field("by").str.contains(CAPTION_BY).fill_null(value=False)
        | ~(weight.is_finite() & (weight >= 0)).fill_null(value=False)
    )
    bad = {
        "captions": pl.col("captions").list.eval(unsound_caption).list.any(),
        "key": ~pl.col("key").str.contains(KEY_PATTERN),
        "modality": ~pl.col("modality").is_in(list(v.MODALITIES)),
        "specialty": pl.col("specialty").str.len_chars() == 0,
        "group": ~pl.col("group").str.contains(r"^[a-z]+:."),
        "label_scope": ~pl.col("label_scope").is_in(v.LABEL_SCOPES),
        "license": ~pl.col("license").str.contains(r"^[A-Za-z0-9.+-]+$"),
        "media": ~media.field("kind").is_in(v.MEDIA_KINDS).fill_null(value=False)
        | media.field("uri").is_null()
        | media.field("locator").is_null()
        | media.field("fps").is_nan().fill_null(value=False),  # JSON has no NaN: it would hash as null
        "labels": some("labels", "state", v.LABEL_STATES)
        | some("labels", "scope", v.LABEL_SCOPES)
        | some("labels", "origin", v.LABEL_ORIGINS),
        "terms": pl.any_horizontal(
            ~terms.field(name).struct.field("answer").is_in(v.TERM_ANSWERS).fill_null(value=False)
            | terms.field(name).struct.field("evidence").is_null()
            for name in v.TERM_NAMES
        ),
        "attributes": ~pl.col("attributes").str.contains(r"^\{(?s:.*)\}$"),
        "split": pl.col("split").is_not_null() & ~pl.col("split").is_in(v.SPLITS),
    }
    nulls = {name: pl.col(name).is_null() for name in NEVER_NULL}
    counts = rows.select(
        *(test.fill_null(value=False).sum().alias(f"bad {name}") for name, test in bad.items()),
        *(test.sum().alias(f"null {name}") for name, test in nulls.items()),
        pl.col("key").is_duplicated().sum().alias("duplicated key"),
    ).row(0, named=True)
    found = [f"{count} x {what}" for what, count in counts.items() if count]
    if found:
        broken = [test.fill_null(value=False) for test in bad.values()]
        unsound = pl.any_horizontal(*broken, *nulls.values(), pl.col("key").is_duplicated())
        first = rows.filter(unsound & pl.col("key").str.contains(KEY_PATTERN))["key"].head(1).to_list()
        told = f"; the first is {first[0]}" if first else ""
        raise ValueError(f"manifest rows break the schema: {', '.join(found)}{told}")
    return rows


class _Digest:
    """A write-only file that hashes what it is given."""

    def __init__(self) -> None:
        self.sha256 = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        return len(data)


def content_hash(rows: pl.DataFrame) -> str:
    """SHA-256 over rows sorted by key, or by all columns: a manifest column by column, any other table as NDJSON."""
    digest = _Digest()
    order = ["key"] if "key" in rows.columns else rows.columns
    rows = rows.sort(order, maintain_order=True)
    if rows.schema == SCHEMA:
        digest.write(f"medloom columns of manifest v{MANIFEST_VERSION}\n".encode())
        for values in rows.get_columns():
            for data in column_bytes(values):
                digest.write(data)
    else:  # index.json of every shard set holds this hash of the tables of its members
        digest.write(b"medloom rows v2\n")
        rows.write_ndjson(cast(Any, digest))
    return digest.sha256.hexdigest()


def write_part(rows: pl.DataFrame, path: Path) -> str:
    """Write rows sorted by key as one Parquet part, atomically; returns the content hash."""
    order = ["key"] if "key" in rows.columns else rows.columns
    rows = rows.sort(order, maintain_order=True)
    data = io.BytesIO()  # written by us, so that a full disk is an OSError that says so
    rows.write_parquet(data, compression="zstd", compression_level=1, statistics=False)
    write_bytes(path, data.getbuffer())
    return content_hash(rows)


def read_part(path: str | Path) -> pl.DataFrame:
    """One part of a manifest, checked against SCHEMA."""
    return check(pl.read_parquet(path))


def scan_parts(paths: Sequence[Path]) -> pl.LazyFrame:
    """All parts of a manifest as one lazy table, for global questions."""
    return pl.scan_parquet(list(paths)) if paths else pl.LazyFrame(schema=SCHEMA)
