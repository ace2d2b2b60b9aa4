"""Which articles a unit of `PmcArticles` is about: parts of a table, a month of a search, a slice of an inventory.

Units are fixed by the options and the table alone; what a search or an inventory finds is asked inside its unit, so it
lies in the raw store like everything else. All units ask one host, so their names begin alike (pipelines.lineage).
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import re
import zlib
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, TextIO, cast

from ingest.cells import below
from ingest.scrapers import entrez, europe_pmc, pmc_bucket
from ingest.scrapers.answers import Ask
from ingest.scrapers.pmc import PmcArticles
from ingest.tables import Table
from shards.intake import Skip
from shards.reasons import Reason
from shards.stage import Context, Unit

if TYPE_CHECKING:
    from ingest.scrapers.visit import Visit

_PMCID = re.compile(r"(?:PMC)?0*([1-9]\d{0,11})(?:\.\d+)?", re.IGNORECASE)
_KEY = re.compile(r"metadata/(PMC\d+)\.(\d+)\.json")
_GZIP = b"\x1f\x8b"
LONGEST_LINE = 2**16  # characters


@dataclass(frozen=True, kw_only=True, slots=True)
class Named:
    """One article that was found, or why nothing more was."""

    name: str  # PMCID, else what a reject is called
    newest: int | None = None  # its newest version, where the source knows it
    refused: Skip | None = None


def pmc_units(stage: PmcArticles, ctx: Context) -> Iterator[Unit]:
    """The units of the stage."""
    start = f"{stage.source}-pmc.."
    if stage.ids:
        yield from _table_units(stage, ctx, start)
    elif stage.inventory:
        for number in range(stage.slices):
            known = (stage.inventory, str(stage.slices), str(number))
            yield Unit(
                id=f"{start}{stage.inventory}-{stage.slices}-{number:05d}", payload={"slice": number}, inputs=known
            )
    else:
        asked = hashlib.sha256((stage.query or stage.europe_pmc).encode()).hexdigest()[:12]
        for year, month in stage.months():
            last = f"{year:04d}-{month:02d}-{monthrange(year, month)[1]:02d}"
            payload = {"first": f"{last[:7]}-01", "last": last}
            yield Unit(id=f"{start}{asked}-{last[:7]}", payload=payload, inputs=(asked, last))


def _table_units(stage: PmcArticles, ctx: Context, start: str) -> Iterator[Unit]:
    """Buckets by a hash of the PMCID, as many as a power of two: a few more ids leave nearly all units as they are."""
    table = Table(below(ctx, str(ctx.folder), stage.file.table), stage.file)
    table.check_columns([stage.id_column])
    cells = table.rows(0, table.height())[stage.id_column].to_list()
    buckets = 1 << max(0, (len(cells) // stage.unit_articles).bit_length() - 1)
    parts: dict[int, dict[str, None]] = {}
    for row, cell in enumerate(cells, 1):
        known = pmcid_of(cell or "") or f"row {row}"
        parts.setdefault(_number(known) % buckets, {})[known] = None
    for number, names in sorted(parts.items()):
        digest = hashlib.sha256("\n".join(names).encode()).hexdigest()
        payload = {"ids": list(names)}
        yield Unit(id=f"{start}{buckets:x}-{number:x}", payload=payload, inputs=(digest,), items=len(names))


def pmcid_of(text: str) -> str | None:
    """`PMC123` of PMC123, pmc123, 123 and PMC123.2; None for anything else."""
    match = _PMCID.fullmatch(text.strip())
    return f"PMC{match[1]}" if match else None


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def articles_of(stage: PmcArticles, visit: Visit, unit: Unit) -> Iterator[Named]:
    """The articles of a unit, each once; what ends a search early is the last entry."""
    seen: set[str] = set()
    try:
        for one in _articles(stage, visit, unit):
            if one.name not in seen:
                seen.add(one.name)
                yield one
    except Skip as skip:
        yield Named(name=unit.id, refused=skip)


def _articles(stage: PmcArticles, visit: Visit, unit: Unit) -> Iterator[Named]:
    if stage.ids:
        for name in unit.payload["ids"]:
            yield Named(name=name, refused=None if pmcid_of(name) else Skip(Reason.BAD_ROW, "no PMCID"))
    elif stage.inventory:
        yield from _of_inventory(stage, visit, unit.payload["slice"])
    else:
        pages = _of_query if stage.query else _of_europe_pmc
        for name in pages(stage, visit, unit.payload["first"], unit.payload["last"]):
            yield Named(name=name, refused=None if pmcid_of(name) else Skip(Reason.BAD_ROW, "no PMCID"))


def _of_query(stage: PmcArticles, visit: Visit, first: str, last: str) -> Iterator[str]:
    start, count = 0, 1
    while start < count:
        ask = entrez.search(stage.e_utilities, stage.query, first.replace("-", "/"), last.replace("-", "/"), start)
        count, ids = visit.told(ask, entrez.found)
        if not ids and start < count:
            raise Skip(Reason.CORRUPT, f"esearch gave {start} of {count} articles")
        yield from ids
        start += len(ids)


def _of_europe_pmc(stage: PmcArticles, visit: Visit, first: str, last: str) -> Iterator[str]:
    cursor, following = "", europe_pmc.START
    while following not in ("", cursor):
        cursor = following
        ask = europe_pmc.search(stage.europe_pmc_url, stage.europe_pmc, stage.licences, first, last, cursor)
        ids, following = visit.told(ask, europe_pmc.found)
        yield from ids


def _of_inventory(stage: PmcArticles, visit: Visit, number: int) -> Iterator[Named]:
    """The articles of one slice by a hash of the PMCID, in the order of their numbers."""
    start = f"{pmc_bucket.INVENTORIES}{stage.inventory}T"
    days, _ = pmc_bucket.folders(visit.get(pmc_bucket.listing(stage.bucket, start)).read())
    if not days:
        raise Skip(Reason.HTTP_MISSING, "no inventory of that day; the bucket keeps them for 30 days")
    manifest = visit.shared(Ask(url=f"{stage.bucket}{max(days)}manifest.json", wanted="json"))
    newest: dict[str, int] = {}
    for key in pmc_bucket.manifest_keys(manifest.read()):
        data = visit.shared(Ask(url=stage.bucket + key, wanted="table")).read()
        for pmcid, version in inventory_rows(data):
            if zlib.crc32(pmcid.encode()) % stage.slices == number:
                newest[pmcid] = max(version, newest.get(pmcid, 0))
    for pmcid in sorted(newest, key=lambda name: int(name[3:])):
        yield Named(name=pmcid, newest=newest[pmcid])


def _short(lines: TextIO) -> Iterator[str]:
    """The lines of a file; ValueError for one that is none: packed zeros would fill the memory."""
    while line := lines.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            raise ValueError("a line that does not end")
        yield line


def inventory_rows(data: bytes) -> Iterator[tuple[str, int]]:
    """(PMCID, version) of each line of an inventory: bucket, key, time, ETag, and no header."""
    stream: IO[bytes] = io.BytesIO(data)
    if data.startswith(_GZIP):
        stream = cast(IO[bytes], gzip.GzipFile(fileobj=stream))
    try:
        with io.TextIOWrapper(stream, encoding="utf-8") as lines:
            for row in csv.reader(_short(lines)):
                if len(row) > 1 and (match := _KEY.fullmatch(row[1])):
                    yield match[1], int(match[2])
    except (OSError, EOFError, ValueError, zlib.error, csv.Error) as error:
        raise Skip(Reason.CORRUPT, f"an inventory file cannot be read: {type(error).__name__}") from None
