"""The worker of every scraper: a site pipeline says what to ask for, and all else is the same for all.

A site pipeline gives sources (pages, articles, rows of a table), each of which names the pictures and videos that it
speaks of, with their texts as columns. A source that cannot be had is one reject, and so is each of its media.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any, Protocol

import polars as pl

from ingest.burned_in import check_text
from ingest.cells import REASON
from ingest.converters.row_worker import FACTS, names_of, once, reject_of, sample_keys
from ingest.describe import describe
from ingest.origin import Origin
from ingest.scrapers.answers import Ask
from ingest.scrapers.fetch import Fetcher
from ingest.scrapers.gate import Politeness
from ingest.scrapers.options import ScraperOptions
from ingest.scrapers.provenance import Entry, Licence
from ingest.scrapers.store import Store
from ingest.scrapers.texts import settled
from ingest.scrapers.visit import Held, Visit
from shards.dicom_header import read_header
from shards.intake import Intake, Skip
from shards.locator import Locator
from shards.manifest import SCHEMA, check
from shards.media import Facts, MediaReader
from shards.stage import Context, Result, Unit

WHOLE = Locator()
SOURCES_AHEAD = 1024  # whose pages are fetched while an earlier one is read


@dataclass(frozen=True, kw_only=True)
class Found:
    """One picture or video, and what its source says of it."""

    ask: Ask
    name: str  # what its key is made of: the same in every crawl
    cells: Mapping[str, str | None]  # by column
    licence: Licence | None = None  # as stated, for the provenance
    refused: Skip | None = None  # why it is not even asked for
    region: Locator = WHOLE  # part of a picture (left, top, width, height), where the source speaks of a part
    expand: Callable[[Held], list[Found]] | None = None  # what it is made of, told by the picture itself; may be itself


@dataclass(frozen=True, kw_only=True)
class Source:
    """Something that names media."""

    name: str  # for a reject
    read: Callable[[], list[Found]]  # raises Skip where there is nothing to be had
    asks: tuple[Ask, ...] = ()  # what `read` will ask for, so that it can be fetched ahead


class Site(Protocol):
    """What a site pipeline is."""

    def sources(self, visit: Visit, unit: Unit) -> Iterator[Source]:
        """The sources of a unit, in an order that the input fixes; found as they are needed."""
        ...


@contextmanager
def crawl(options: ScraperOptions, ctx: Context, site: Site) -> Iterator[CrawlWorker]:
    """A worker with its session, its gate and its raw store."""
    folder = options.store_folder(ctx)
    limiter = ctx.service("limiter")
    with Politeness(options.web, limiter, folder, needs_record=options.needs_record) as gate:
        yield CrawlWorker(options, ctx, site, Store(folder), gate.fetcher(), gate)


class CrawlWorker:
    """Makes manifest rows of what a site pipeline finds."""

    def __init__(
        self, options: ScraperOptions, ctx: Context, site: Site, store: Store, fetcher: Fetcher, gate: Politeness
    ) -> None:
        self.options, self.ctx, self.site = options, ctx, site
        self.store, self.fetcher, self.gate = store, fetcher, gate
        self.names = names_of(options, ctx, str(ctx.folder))
        self.origin = Origin(
            ctx=ctx, source=options.source, collection=options.collection or options.source, rights=options.rights
        )
        self.reader = MediaReader()

    def process(self, unit: Unit) -> Result:
        """The rows of a unit; its answers are in the raw store when this returns."""
        intake = Intake(self.ctx, stop_after=self.options.stop_after)
        with Visit(self.ctx, self.options.web, self.store, self.fetcher, self.gate, unit.id) as visit:
            for source in ahead(self.site.sources(visit, unit), visit):
                found = [
                    one if one.expand is not None else self._settled(one)
                    for one in intake.enter(source.name, source.read) or []
                ]
                visit.ahead(one.ask for one in found if one.refused is None)
                for one in found:
                    for part in self._parts(intake, visit, one):
                        intake.take(part.name, self._row, visit, part)
                self.ctx.on_progress(intake.offered, max(unit.items, intake.offered), source.name)
            entries = visit.pack()
        return self._result(intake, entries)

    def _parts(self, intake: Intake, visit: Visit, one: Found) -> list[Found]:
        """The picture itself, or what its own pixels say that it is made of; where they say nothing, one reject."""
        if one.expand is None or one.refused is not None:
            return [one]
        held = intake.enter(one.name, visit.get, one.ask)
        parts = intake.enter(one.name, one.expand, held) if held is not None else None
        return [self._settled(part) for part in parts or []]

    def _settled(self, one: Found) -> Found:
        """With its texts as they will be, or with the reason why it is left out, before anything is fetched."""
        if one.refused is not None:
            return one
        try:
            return replace(one, cells=settled(one.cells, self.options))
        except Skip as skip:
            return replace(one, refused=skip)

    def _row(self, visit: Visit, one: Found) -> list[dict[str, Any]]:
        """Cells and facts of one picture or video."""
        if one.refused is not None:
            raise one.refused
        held = visit.get(one.ask)
        if one.licence is not None:
            visit.licence(held, one.licence)
        facts = self.store.where(held.entry, partial(self._facts, one))
        known = {name: getattr(facts, name) for name in FACTS}
        return [
            {
                **{f"cell {name}": text for name, text in one.cells.items()},
                **known,
                "name": one.name,
                "fetched from": held.url,
                "retrieved": held.fetched,
                "region": one.region.text(),
            }
        ]

    def _facts(self, one: Found, entry: Entry) -> Facts:
        file = self.store.file(entry)
        if file is None:
            return self.reader.facts(*self._place(entry, one.region))
        facts = self.reader.facts(str(file), one.region.text())
        if facts.kind == "dicom":
            check_text(one.name, read_header(str(file), self.reader.limits), {}, self.options.modality)
        return facts

    def _result(self, intake: Intake, entries: Mapping[str, Entry]) -> Result:
        media = SCHEMA["media"]
        assert isinstance(media, pl.Struct)
        columns = {f"cell {column}" for column in self.options.columns().values()}
        schema: dict[str, Any] = dict.fromkeys(sorted(columns), pl.String)
        schema |= {"name": pl.String, "fetched from": pl.String, "region": pl.String}
        schema |= {name: media.to_schema()[name] for name in FACTS} | {"retrieved": SCHEMA["retrieved"]}
        rows = pl.DataFrame(intake.rows, schema=schema)
        cells = rows.with_columns(
            *(pl.col(f"cell {column}").alias(name) for name, column in self.options.columns().items()),
            pl.lit(None, dtype=pl.String).alias(REASON),
            locator=pl.col("region"),
        )
        described = once(describe(cells, self.options, self.origin, self.names, "name"))
        bad = described.filter(pl.col("reason").is_not_null()).select("name", "reason")
        good = described.filter(pl.col("reason").is_null())
        asked = good["fetched from"].to_list()
        regions = [Locator.parse(text) for text in good["region"]]
        places = [self._place(entries[url], region) for url, region in zip(asked, regions, strict=True)]
        good = good.with_columns(
            sample_keys(self.origin.source, good["name"], good["region"]),
            pl.Series("uri", [uri for uri, _ in places], dtype=pl.String),
            pl.Series("locator", [locator for _, locator in places], dtype=pl.String),
            url=pl.col("fetched from"),
        )
        manifest = check(good.with_columns(media=pl.struct(*media.to_schema())).select(SCHEMA.names()).cast(SCHEMA))
        rejects = [*intake.rejects, *(reject_of(name, reason) for name, reason in bad.iter_rows())]
        return Result(rows=manifest, rejects=rejects, offered=intake.offered, accepted=manifest.height)

    def _place(self, entry: Entry, region: Locator) -> tuple[str, str]:
        """Uri and locator of what an answer holds."""
        return str(self.store.raw / entry.place.file), replace(region, member=entry.place.member or None).text()


def ahead(sources: Iterator[Source], visit: Visit) -> Iterator[Source]:
    """The same sources, with what the next ones need already asked for."""
    while batch := list(islice(sources, SOURCES_AHEAD)):
        visit.ahead(ask for source in batch for ask in source.asks)
        yield from batch
