"""A table with one row an image: CSV, TSV (gzip or not) or Parquet, with the files below one root.

Options name the table's columns; what is the same for all rows is a constant. A unit is a range of rows, and its work
is column expressions of polars, so millions of rows stay cheap. Files are looked at only where `check_files` (the
default) or `probe` asks: without both, a path is still held inside the root by its own text, and a later ProbeMedia
finds what is missing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ingest.listing import Listed, Lookup, Root
from ingest.origin import Origin, check_source
from ingest.rights import Rights
from ingest.statements import LabelOrigin, Scope, Value, check_attributes, check_modality, check_specialty
from ingest.tables import Table, check_table
from shards.attributes import encode
from shards.intake import Intake, Skip
from shards.reasons import Reason
from shards.stage import Context, Contract, Kind, Reject, Result, Unit
from shards.units import token

if TYPE_CHECKING:
    import polars as pl

    from shards.media import MediaReader


@dataclass(frozen=True, kw_only=True)
class LabelColumn:
    """One labelled finding: which cell says what. A blank cell says nothing; a cell that is not listed is an error."""

    column: str
    name: str = ""  # as a caption would word it; the column's name where it is empty
    states: Mapping[str, Literal["present", "absent", "uncertain", "unstated"]]
    origin: LabelOrigin = "expert"

    @property
    def words(self) -> str:
        """The label's name."""
        return self.name or self.column


@dataclass(frozen=True, kw_only=True)
class TableImages:
    """Makes a manifest of a table and the images that it names."""

    contract: ClassVar[Contract] = Contract(
        gives=Kind.MANIFEST, adds=("media", "captions", "labels", "attributes", "group", "license", "terms"), version=1
    )

    source: str  # plain name; each sample's key starts with it
    table: str  # .csv, .tsv, .csv.gz, .tsv.gz or .parquet
    root: str  # folder that the images' paths start at
    rights: Rights
    image: str  # column with the path
    image_format: str = "{}"  # the path around the cell: "images/{}.png"
    caption: str | None = None  # column
    patient: str | None = None  # column
    study: str | None = None  # column
    source_id: str | None = None  # column with the id in the original collection
    official_split: str | None = None  # column
    license_column: str | None = None  # where rows differ; a blank cell means the licence of `rights`
    modality: str | None = None
    modality_column: str | None = None
    modality_codes: Mapping[str, str] = field(default_factory=dict)  # cell -> code; a cell that is a code needs none
    specialty: str | None = None
    specialty_column: str | None = None
    specialty_names: Mapping[str, str] = field(default_factory=dict)  # cell -> name in the vocabulary
    labels: tuple[LabelColumn, ...] = ()
    label_scope: Scope = "image"  # of captions and labels
    attributes: Mapping[str, Value] = field(default_factory=dict)  # the same for all rows
    attribute_columns: Mapping[str, str] = field(default_factory=dict)  # attribute -> column; precedes the constant
    url: str | None = None
    collection: str = ""  # the original collection where this is a derived one
    kind: Literal["image", "video", "dicom", "nifti"] = "image"
    quoted: bool = True  # false: quotation marks in the table mean nothing
    check_files: bool = True
    probe: bool = False  # open every file for its hash and sizes
    unit_rows: int = 100_000

    def __post_init__(self) -> None:
        check_source(self.source)
        check_table(self.table)
        check_modality(self.modality)
        check_specialty(self.specialty)
        check_attributes(self.attributes)
        encode(dict.fromkeys(self.attribute_columns, None))
        for codes, check in ((self.modality_codes, check_modality), (self.specialty_names, check_specialty)):
            for value in codes.values():
                check(value)
        for name in ("modality", "specialty"):
            if getattr(self, name) is None and getattr(self, f"{name}_column") is None:
                raise ValueError(f"{name} is not given: set `{name}` for all rows, or `{name}_column`")
        if self.image_format.count("{}") != 1:
            raise ValueError(f"image_format {self.image_format!r} must hold {{}} once, where the cell stands")
        if self.unit_rows < 1:
            raise ValueError(f"unit_rows must be at least 1, not {self.unit_rows}")

    def columns(self) -> dict[str, str]:
        """All columns that are read: {name inside: name in the table}."""
        own = ("image", "caption", "patient", "study", "source_id", "official_split", "license_column")
        found = {name: getattr(self, name) for name in (*own, "modality_column", "specialty_column")}
        found |= {f"label {i}": label.column for i, label in enumerate(self.labels)}
        found |= {f"attribute {name}": column for name, column in self.attribute_columns.items()}
        return {name: column for name, column in found.items() if column is not None}

    def units(self, ctx: Context) -> Iterator[Unit]:
        """Ranges of rows. With `check_files` the state of their files counts too, so a mended file is read again."""
        where = ctx.resolve(self.table)
        table = Table(where, self.quoted)
        root = Root.find(ctx.resolve(self.root))
        table.check_columns(self.columns().values())
        height = table.height()
        content = _content(where, ctx)
        lookup = Lookup(root) if self.check_files else None
        name = hashlib.sha256(self.table.encode()).hexdigest()[:8]
        for start in range(0, height, self.unit_rows):
            stop = min(start + self.unit_rows, height)
            files = [self._files(table, start, stop, lookup)] if lookup is not None else []
            yield Unit(
                id=f"{self.source}-{name}-{start:09d}",
                payload={"start": start, "stop": stop},
                inputs=(content, f"rows {start} to {stop}", *files),
                size_bytes=stop - start,
                items=stop - start,
            )

    def _files(self, table: Table, start: int, stop: int, lookup: Lookup) -> str:
        """One hash over the sizes and times of the files that some rows name."""
        from ingest.converters.table_rows import escapes, path_below

        rows = table.rows({"image": self.image}, start, stop).select(path_below(*self.image_format.split("{}")))
        digest = hashlib.sha256()
        for path in rows.filter(~escapes())["path"].unique(maintain_order=True):
            digest.update(f"{lookup(path).token}\n".encode())
        return digest.hexdigest()

    @contextmanager
    def open(self, ctx: Context) -> Iterator[TableWorker]:
        """A worker that keeps the table and the media reader."""
        yield TableWorker(self, ctx)


def _content(where: str, ctx: Context) -> str:
    """What the table is known by: its hash, or what a remote store says of it."""
    from shards.uri import local_path

    local = local_path(where)
    if local is not None:
        return ctx.file_hash(str(local))
    entry = next(Root.find(where).files())
    return token(where, entry.size_bytes, entry.mtime_ns or entry.etag)


class TableWorker:
    """Reads ranges of one table."""

    def __init__(self, stage: TableImages, ctx: Context) -> None:
        self.stage = stage
        self.ctx = ctx
        self.table = Table(ctx.resolve(stage.table), stage.quoted)
        self.root = Root.find(ctx.resolve(stage.root))
        self.origin = Origin(
            ctx=ctx, source=stage.source, collection=stage.collection or stage.source, rights=stage.rights
        )
        self._reader: MediaReader | None = None

    def process(self, unit: Unit) -> Result:
        """The rows of a unit as a part of the manifest, and what is wrong with the others."""
        import polars as pl

        from ingest.converters.table_rows import item

        stage = self.stage
        cells = self._cells(unit.payload["start"], unit.payload["stop"])
        bad = cells.filter(pl.col("reason").is_not_null()).select(item().alias("item"), "reason")
        rejects = [_reject(name, reason) for name, reason in bad.iter_rows()]
        good = cells.filter(pl.col("reason").is_null())
        facts: list[dict[str, Any]] = []
        if stage.check_files or stage.probe:
            intake = Intake(self.ctx)
            lookup = Lookup(self.root)
            taken = [intake.take(path, self._media, lookup, path) for path in good["path"]]
            rejects += intake.rejects
            facts = intake.rows
            good = good.filter(pl.Series(taken, dtype=pl.Boolean))
        rows = self._rows(good, facts)
        return Result(rows=rows, rejects=rejects, offered=cells.height, accepted=rows.height)

    def _cells(self, start: int, stop: int) -> pl.DataFrame:
        """The cells of some rows; path, modality, specialty and licence made of them; the reason against each row."""
        import polars as pl

        from ingest.converters.table_rows import licence_or_none, mapped, path_below, reasons

        stage = self.stage
        columns = stage.columns()
        rows = self.table.rows(columns, start, stop).with_columns(path_below(*stage.image_format.split("{}")))
        for name, codes in (("modality", stage.modality_codes), ("specialty", stage.specialty_names)):
            constant = pl.lit(getattr(stage, name), dtype=pl.String)
            cell = pl.col(f"{name}_column").replace(dict(codes)) if f"{name}_column" in columns else constant
            rows = rows.with_columns(cell.fill_null(constant).alias(name))
        stated = pl.col("license_column") if "license_column" in columns else pl.lit(None, dtype=pl.String)
        rows = rows.with_columns(stated.fill_null(stage.rights.license).alias("license"))
        rows = rows.with_columns(mapped(rows["license"], licence_or_none))
        labels = [(f"label {i}", label.words, list(label.states)) for i, label in enumerate(stage.labels)]
        return rows.with_columns(reasons(list(columns), labels))

    def _media(self, lookup: Lookup, path: str) -> list[dict[str, Any]]:
        """Time, and with `probe` the hash and sizes, of one file."""
        found: Listed = lookup(path)
        if found.refused:
            raise Skip(Reason.of(found.refused), found.detail)
        row = {"retrieved": found.modified}
        if not self.stage.probe:
            return [row]
        if self._reader is None:
            from shards.media import MediaReader

            self._reader = MediaReader()
        facts = self._reader.facts(self.root.uri(path))
        return [
            {
                **row,
                "kind": facts.kind,
                "sha256": facts.sha256,
                "width_px": facts.width_px,
                "height_px": facts.height_px,
                "frames": facts.frames,
                "fps": facts.fps,
            }
        ]

    def _rows(self, cells: pl.DataFrame, facts: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
        """The manifest's rows of cells that stand; `facts` has one entry a row, or none at all."""
        import polars as pl

        from ingest.converters import table_rows
        from shards.manifest import SCHEMA, check

        stage = self.stage
        media_type = SCHEMA["media"]
        assert isinstance(media_type, pl.Struct)
        of_file = {name: kind for name, kind in media_type.to_schema().items() if name not in ("uri", "locator")}
        of_file["retrieved"] = SCHEMA["retrieved"]
        known = pl.DataFrame(list(facts) or [{}] * cells.height, schema=of_file)
        rows = table_rows.with_licence(table_rows.with_hashes(cells, self.origin), stage.rights)
        rows = pl.concat([rows, known], how="horizontal").with_columns(
            uri=pl.lit(self.root.uri("").rstrip("/") + "/") + pl.col("path"),
            kind=pl.col("kind").fill_null(stage.kind),
            locator=pl.lit(""),
        )
        columns = {name: f"attribute {name}" for name in stage.attribute_columns}
        labels = [(f"label {i}", one.words, one.states, one.origin) for i, one in enumerate(stage.labels)]
        none = pl.lit(None, dtype=pl.String)
        made = rows.with_columns(
            media=pl.struct(*media_type.to_schema()),
            captions=table_rows.captions_list(pl.col("caption") if stage.caption else none),
            labels=table_rows.labels_list(labels, stage.label_scope),
            label_scope=pl.lit(stage.label_scope),
            source=pl.lit(stage.source),
            url=pl.lit(stage.url, dtype=pl.String),
            official_split=pl.col("official_split") if stage.official_split else none,
            attributes=table_rows.attributes_json(rows, columns, stage.attributes),
            split=none,
        )
        return check(made.select(SCHEMA.names()).cast(SCHEMA))


def _reject(item: str, reason: str) -> Reject:
    code, _, detail = reason.partition("|")
    return Reject(item=item, reason=code, detail=detail)
