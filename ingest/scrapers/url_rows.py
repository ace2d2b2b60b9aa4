"""The rows of a url list as units, and as what a crawl asks for.

Hosts are put into buckets by a hash of their names, and a bucket's rows, host by host in turn, are cut into units. The
number of buckets grows in doublings, so that a few new rows leave the units of nearly all others as they were; answers
are looked up over all units, so what moves is not fetched again. The rows in their order are written once beside the
raw store, so that a worker holds those of its unit and no more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from ingest.cells import below, content
from ingest.scrapers.addresses import canonical, host_of
from ingest.scrapers.answers import Ask
from ingest.scrapers.crawl import Found, Source
from ingest.scrapers.provenance import Licence
from ingest.scrapers.store import Store
from ingest.scrapers.texts import LANGUAGE
from ingest.scrapers.url_list import HOST_LICENCE
from ingest.tables import Table, cleaned
from shards.atomic import atomic_path
from shards.intake import Skip
from shards.manifest import content_hash
from shards.reasons import Reason
from shards.stage import Context, Unit

if TYPE_CHECKING:
    from ingest.scrapers.url_list import UrlList
    from ingest.scrapers.visit import Visit

_HOST = r"(?i)^https?://(?:[^/?#@]*@)?([^/?#:\[\]]+|\[[^\]]*\])"
ROW, BUCKET = "row of the list", "bucket of hosts"


def _table(stage: UrlList, ctx: Context) -> Table:
    return Table(below(ctx, str(ctx.folder), stage.file.table), stage.file)


def ordered(stage: UrlList, table: Table) -> pl.DataFrame:
    """The columns that the stage reads, with ROW (from 1) and BUCKET, in the order of the units."""
    named = {stage.url_column, stage.md5_column, *stage.columns().values()} - {"", HOST_LICENCE, LANGUAGE}
    table.check_columns(named)
    height = table.height()
    rows = table.held() if table.is_held else cleaned(table.scan().select(sorted(named)).collect())
    rows = rows.select(sorted(named)).with_row_index(ROW, 1)
    host = pl.col(stage.url_column).str.extract(_HOST).str.to_lowercase().fill_null("").alias("host")
    rows = rows.with_columns(host)
    buckets = 1 << max(0, (height // stage.unit_rows).bit_length() - 1)
    bucket = {one: f"{buckets:x}-{_number(_known(one)) % buckets:x}" for one in rows["host"].unique()}
    rows = rows.with_columns(pl.col("host").replace_strict(bucket, return_dtype=pl.String).alias(BUCKET))
    rows = rows.sort(BUCKET, "host", stage.url_column, ROW, nulls_last=True)
    turn = pl.int_range(pl.len()).over("host").alias("turn")
    return rows.with_columns(turn).sort(BUCKET, "turn", "host", maintain_order=True).drop("turn", "host")


def _known(host: str) -> str:
    """A host in its one form, however a url writes it; what is none stays as it is."""
    try:
        return host_of(f"http://{host}/")
    except Skip:
        return host


def _number(host: str) -> int:
    return int.from_bytes(hashlib.sha256(host.encode()).digest()[:8], "big")


def url_units(stage: UrlList, ctx: Context) -> Iterator[Unit]:
    """Units of rows; a host's rows have ids that begin alike up to `..`, which keeps them in one slice of a run."""
    rows = ordered(stage, _table(stage, ctx))
    start = 0
    for (bucket,), part in rows.group_by(BUCKET, maintain_order=True):
        for number, first in enumerate(range(0, part.height, stage.unit_rows)):
            chosen = part.slice(first, stage.unit_rows)
            yield Unit(
                id=f"{stage.source}-{bucket}..{number:04d}",
                payload={"start": start + first, "stop": start + first + chosen.height},
                inputs=(content_hash(chosen.drop(ROW, BUCKET)),),
                size_bytes=chosen.height,
                items=chosen.height,
            )
        start += part.height


class UrlRows:
    """The site pipeline of a url list."""

    def __init__(self, stage: UrlList, ctx: Context) -> None:
        self.stage = stage
        self.ctx = ctx

    @cached_property
    def _list(self) -> Path:
        """The rows in their order, written by the first worker that needs them."""
        stage, ctx = self.stage, self.ctx
        table = _table(stage, ctx)
        named = ",".join(sorted({stage.url_column, stage.md5_column, *stage.columns().values()}))
        known = hashlib.sha256(f"{content(table.where, ctx)}\n{named}\n{stage.unit_rows}".encode()).hexdigest()[:20]
        store = Store(stage.store_folder(ctx))
        path = store.folder / f"list-{known}.parquet"
        with store.lock(f"list:{known}", ctx.check):
            if not path.exists():
                with atomic_path(path) as temporary:
                    ordered(stage, table).write_parquet(temporary, row_group_size=max(stage.unit_rows, 1000))
        return path

    def sources(self, visit: Visit, unit: Unit) -> Iterator[Source]:
        """Each row is a source of its own: nothing has to be fetched to know it."""
        rows = pl.scan_parquet(self._list).slice(unit.payload["start"], unit.payload["stop"] - unit.payload["start"])
        for row in rows.collect().iter_rows(named=True):
            name = row[self.stage.url_column] or f"row {row[ROW]}"
            try:
                found = self._found(row)
            except Skip as skip:
                yield Source(name=name, read=partial(_refuse, skip))
            else:
                yield Source(name=name, read=partial(list, [found]), asks=(found.ask,))

    def _found(self, row: dict[str, Any]) -> Found:
        stage = self.stage
        url = row[stage.url_column]
        if not url:
            raise Skip(Reason.BAD_ROW, "no url")
        known = canonical(url)
        record = stage.web.rule(host_of(known)).record
        if record is None:
            raise Skip(Reason.NO_LICENCE_RECORD, "give the host a `record` under `web.hosts`")
        cells = {name: text for name, text in row.items() if name not in (ROW, BUCKET)}
        if stage.license_column is None:
            cells[HOST_LICENCE] = record.rights.license
        said = Licence(license=cells[stage.license_column or HOST_LICENCE] or "", evidence=record.evidence)
        md5 = (row[stage.md5_column] or "") if stage.md5_column else ""
        ask = Ask(url=url, wanted="video" if stage.kind == "video" else "image", md5=md5)
        return Found(ask=ask, name=known, cells=cells, licence=said)


def _refuse(skip: Skip) -> list[Found]:
    raise skip
