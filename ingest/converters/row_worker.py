"""What converters of rows share on a worker: from cells with paths to a part of the manifest and its rejects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import polars as pl

from ingest.blank_files import check_shows
from ingest.burned_in import check_text
from ingest.cells import words_of
from ingest.columns import STATED_FPS, RowOptions
from ingest.describe import describe
from ingest.duplicates import SAID_AT_SOURCE
from ingest.listing import A_FOLDER, Listed, Lookup, Root
from ingest.origin import Origin
from shards.canonical import base32_all, sha256_all
from shards.dicom_header import read_header
from shards.intake import Intake, Skip
from shards.locator import Locator
from shards.manifest import SCHEMA, check
from shards.reasons import Reason
from shards.stage import Context, Reject, Result

if TYPE_CHECKING:
    from shards.media import MediaReader

FACTS = ("kind", "sha256", "width_px", "height_px", "frames", "fps")


class RowWorker:
    """Makes manifest rows of cells; holds the names of labels and the media reader."""

    def __init__(
        self,
        options: RowOptions,
        ctx: Context,
        path: str,
        *,
        kind: str,
        look: bool = True,
        probe: bool = False,
        fps: float | None = None,
        text_checked: Mapping[str, str] | None = None,
    ) -> None:
        """`text_checked`: of DICOM files that may show text, those that a person has looked at (ingest.burned_in)."""
        self.options = options
        self.ctx = ctx
        self.kind = kind
        self.text_checked = dict(text_checked or {})
        self.look = look or probe or kind == "dicom"  # at each file, for its time and whether it is there
        self.probe = probe
        self.fps = fps  # of clips whose media say none
        self.root = Root.find(ctx.resolve(path))
        self.names = names_of(options, ctx, self.root.folder)
        self.origin = Origin(
            ctx=ctx, source=options.source, collection=options.collection or options.source, rights=options.rights
        )
        self._reader: MediaReader | None = None

    def result(self, cells: pl.DataFrame) -> Result:
        """The unit's result for rows with REASON, `path` (below the root) and the columns of the options.

        Rows may have a `locator`, and `name`: what a reject calls them, and what their key is made of; else the path.
        """
        rows = once(self.described(cells))
        bad = rows.filter(pl.col("reason").is_not_null()).select("name", "reason")
        rejects = [reject_of(name, reason) for name, reason in bad.iter_rows()]
        good = rows.filter(pl.col("reason").is_null())
        facts: list[dict[str, Any]] = []
        if self.look:
            intake = Intake(self.ctx)
            lookup = cache(Lookup(self.root))  # many rows may lie in one file
            files = good.select("name", "path", "locator").iter_rows()
            taken = [intake.take(name, self._file, lookup, path, locator) for name, path, locator in files]
            rejects += intake.rejects
            facts = intake.rows
            good = good.filter(pl.Series(taken, dtype=pl.Boolean))
        manifest = self._manifest(good, facts)
        return Result(rows=manifest, rejects=rejects, offered=rows.height, accepted=manifest.height)

    def described(self, cells: pl.DataFrame) -> pl.DataFrame:
        """The rows with `name`, `locator`, `reason` and all columns of the manifest but key, media and retrieved."""
        if "locator" not in cells.columns:
            cells = cells.with_columns(locator=pl.lit(""))
        if "name" not in cells.columns:
            nameless = pl.format("row {}", "row") if "row" in cells.columns else pl.lit("a row")
            cells = cells.with_columns(name=pl.col("path").fill_null(nameless))
        return describe(cells, self.options, self.origin, self.names, "name")

    def reader(self) -> MediaReader:
        """The reader of this worker."""
        if self._reader is None:
            from shards.media import MediaReader

            self._reader = MediaReader()
        return self._reader

    def _file(self, lookup: Callable[[str], Listed], path: str, locator: str) -> list[dict[str, Any]]:
        """Time, and with `probe` the hash and sizes, of one file."""
        found: Listed = lookup(path)
        if found.refused and not (self.kind == "frames" and found.detail == A_FOLDER):
            raise Skip(Reason.of(found.refused), found.detail)
        row = {"retrieved": found.modified}
        facts = self.reader().facts(self.root.uri(path), locator, self.kind) if self.probe else None
        if self.kind == "dicom" or (facts is not None and facts.kind == "dicom"):
            header = read_header(self.root.uri(path), self.reader().limits)
            check_text(path, header, self.text_checked, self.options.modality)
        if facts is None:
            return [row]
        check_shows(self.reader(), self.root.uri(path), locator, facts)
        known = {name: getattr(facts, name) for name in FACTS}
        if facts.fps is None and facts.frames > 1:
            known["fps"] = self.fps
        return [{**row, **known}]

    def _manifest(self, rows: pl.DataFrame, facts: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
        """The manifest's rows; `facts` has one entry a row, or none at all."""
        media = SCHEMA["media"]
        assert isinstance(media, pl.Struct)
        of_file = {name: kind for name, kind in media.to_schema().items() if name not in ("uri", "locator")}
        of_file["retrieved"] = SCHEMA["retrieved"]
        unknown = [pl.lit(None, dtype=form).alias(name) for name, form in of_file.items()]
        rows = rows.with_columns(pl.DataFrame(list(facts), schema=of_file).get_columns() if facts else unknown)
        rows = rows.with_columns(
            sample_keys(self.origin.source, rows["name"], rows["locator"]),
            uri=pl.lit(self.root.uri("").rstrip("/") + "/") + pl.col("path"),
            kind=pl.col("kind").fill_null(self.kind),
        )
        if STATED_FPS in rows.columns:
            stated = pl.col(STATED_FPS).cast(pl.Float64, strict=False)
            sound = (pl.col("frames") > 1) & stated.is_finite() & (stated > 0)
            rows = rows.with_columns(fps=pl.coalesce("fps", pl.when(sound).then(stated)))
        return check(rows.with_columns(media=pl.struct(*media.to_schema())).select(SCHEMA.names()).cast(SCHEMA))


def once(rows: pl.DataFrame) -> pl.DataFrame:
    """Of several rows that could stand for one place in one file, the one that curate keeps where they lie in units.

    That is the first of those that say most (ingest.duplicates), whatever range of display each names.
    """
    sound = pl.col("reason").is_null()
    items = rows.select("name", _places(rows["locator"]).alias("place"), sound.alias("sound"))
    item = pl.struct("name", "place", "sound")
    if not items.select((item.is_duplicated() & pl.col("sound")).any()).item():
        return rows
    ranked = items.with_columns(rows.select(said=SAID_AT_SOURCE)["said"]).with_row_index("at")
    best_first = ranked.sort("said", "at", descending=[True, False])
    kept = best_first.filter(item.is_first_distinct())["at"].cast(pl.Int64)
    again = sound & ~pl.int_range(rows.height).is_in(kept.implode())
    why = pl.when(again).then(pl.lit("duplicate_key|the item of another row"))
    return rows.with_columns(pl.coalesce("reason", why).alias("reason"))


def names_of(options: RowOptions, ctx: Context, root: str) -> list[Mapping[str, str]]:
    """`words_of` each label list."""
    return [words_of(listed, ctx, root) for listed in options.label_lists]


def reject_of(name: str, reason: str) -> Reject:
    """The reject of "code|detail"."""
    code, _, detail = reason.partition("|")
    return Reject(item=name, reason=code, detail=detail)


def sample_keys(source: str, names: pl.Series, locators: pl.Series) -> pl.Series:
    """`shards.canonical.sample_key` of each native name and place in its file, with the beginning hashed once."""
    known = pl.select(pl.concat_str(names, pl.lit("\0"), _places(locators)).cast(pl.Binary)).to_series()
    letters = pl.Series(base32_all(sha256_all(f"{source}\0".encode(), known.to_list())))
    return (f"{source}-" + letters.cast(pl.String)).alias("key")


def _places(locators: pl.Series) -> pl.Series:
    """`Locator.place` of each locator."""
    ranged = locators.filter(locators.str.contains('"(high|low)":'))
    return locators.replace({locator: Locator.parse(locator).place() for locator in ranged.unique()})
