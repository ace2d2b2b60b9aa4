"""The raw store of a crawl: every answer once, whoever asked, and bytes that are never downloaded a second time.

    <store>/loose/ab/<sha256 of the url>        a body that no unit has packed yet; `.json` beside it is its answer
    <store>/refused/ab/<sha256 of the url>.json  why an answer was of no use, so that no unit asks for it again
    <store>/raw/<unit>.parquet                  provenance of a unit's answers (ingest.scrapers.provenance)
    <store>/raw/<unit>-000.tar                  their bodies, each once under its sha256
    <store>/raw/<unit>/<sha256>.mp4             a body that is a video, or too large for a tar
    <store>/locks                               who fetches what (ingest.scrapers.locks)
    <store>/robots/                             what hosts say about crawling (ingest.scrapers.robots)

An answer is loose from the moment that it is whole, so a killed crawl goes on where it was. When a unit ends, its loose
answers are packed: the bodies first, then the table, then the loose files go. A tar that a table names is never written
again; new answers go to a new one. A url is fetched under a lock of its own, which the kernel lets go with the process.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import polars as pl

from ingest.scrapers import provenance
from ingest.scrapers.answers import Answer
from ingest.scrapers.locks import named_lock
from ingest.scrapers.provenance import Entry, Licence, Place
from ingest.scrapers.url_index import Index
from shards import sniff
from shards.archives import TarMembers
from shards.atomic import make_folder, write_json
from shards.intake import Skip
from shards.limits import Limits
from shards.reasons import Reason

T = TypeVar("T")


def url_hash(url: str) -> str:
    """What a canonical url is called in the store."""
    return hashlib.sha256(url.encode()).hexdigest()


class Store:
    """The answers of one crawl, shared by all its workers through one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.raw = folder / "raw"
        self.index = Index(self.raw)
        make_folder(self.raw)

    def loose(self, url: str) -> Path:
        """Where the body of `url` lies until its unit is packed."""
        name = url_hash(url)
        return self.folder / "loose" / name[:2] / name

    def lock(self, url: str, check: Callable[[], None]) -> AbstractContextManager[None]:
        """The right to fetch `url`; waits while another worker does."""
        return named_lock(self.folder / "locks", url, check)

    def keep(self, answer: Answer, url: str, seen: str) -> Entry:
        """Record a whole answer, whose body lies at `loose(url)`."""
        path = self.loose(url).with_suffix(".json")
        write_json(path, provenance.to_json(answer, seen))
        return Entry(answer=answer, place=Place(), seen=seen, checked=answer.fetched)

    def refuse(self, url: str, asked_as: str, skip: Skip) -> None:
        """Record that an answer is not what was asked for, and asking again would not change that."""
        write_json(self._refusal(url), {"asked_as": asked_as, "reason": skip.reason.value, "detail": skip.detail})

    def refused(self, url: str, asked_as: str, since: datetime | None) -> Skip | None:
        """What `refuse` has recorded of the same request, at `since` or later."""
        path = self._refusal(url)
        try:
            known = json.loads(path.read_bytes())
            if known["asked_as"] != asked_as or (since and path.stat().st_mtime < since.timestamp()):
                return None
            return Skip(Reason.of(known["reason"]), known["detail"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def _refusal(self, url: str) -> Path:
        name = url_hash(url)
        return self.folder / "refused" / name[:2] / f"{name}.json"

    def find_loose(self, url: str) -> Entry | None:
        """The answer to `url` that no unit has packed yet."""
        body = self.loose(url)
        try:
            answer, seen = provenance.from_json(json.loads(body.with_suffix(".json").read_bytes()))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            return None  # written by another version: it is fetched again
        if answer.body_bytes and (not body.exists() or body.stat().st_size != answer.body_bytes):
            return None
        return Entry(answer=answer, place=Place(), seen=seen, checked=answer.fetched)

    def find(self, url: str) -> Entry | None:
        """The answer to `url`, loose or packed by any unit."""
        loose = self.find_loose(url)
        if loose is not None:
            return loose
        table = self.index.table_of(url)
        if table is None:
            return None
        rows = pl.scan_parquet(table).filter(pl.col("url") == url).collect()
        return provenance.entry_of(rows.row(0, named=True)) if rows.height else None

    def where(self, entry: Entry, use: Callable[[Entry], T]) -> T:
        """`use` of an entry with the place where its body lies now.

        Another unit that needs the same answer may pack it at any time; then it lies where that unit's table says.
        """
        try:
            return use(entry)
        except (FileNotFoundError, Skip) as error:
            if isinstance(error, Skip) and error.reason is not Reason.MISSING_FILE:  # as the media reader says it
                raise
            packed = self.find(entry.answer.url)
            if entry.place.file or packed is None or packed.answer.sha256 != entry.answer.sha256:
                raise
            return use(replace(entry, place=packed.place))

    def file(self, entry: Entry) -> Path | None:
        """The file whose whole content is the body, if there is one; for use inside of `where`."""
        if not entry.place.file:
            return self.loose(entry.answer.url)
        return None if entry.place.member else self.raw / entry.place.file

    def head(self, entry: Entry) -> bytes:
        """The first bytes of a body, for `shards.sniff`."""
        return self.where(entry, self._head)

    def read(self, entry: Entry) -> bytes:
        """The whole body of an answer."""
        return self.where(entry, self._read) if entry.answer.body_bytes else b""

    def _head(self, entry: Entry) -> bytes:
        file = self.file(entry)
        if file is None:
            return self._read(entry)[: sniff.HEAD_BYTES]
        with file.open("rb") as stream:
            return stream.read(sniff.HEAD_BYTES)

    def _read(self, entry: Entry) -> bytes:
        file = self.file(entry)
        if file is not None:
            return file.read_bytes()
        with (self.raw / entry.place.file).open("rb") as stream:
            return TarMembers(stream, Limits()).member(entry.place.member)

    def forget_loose(self, url: str) -> None:
        """Remove what a unit has packed: the answer before the body, so that none is left without its bytes."""
        body = self.loose(url)
        body.with_suffix(".json").unlink(missing_ok=True)
        body.unlink(missing_ok=True)

    def packed(self, unit: str) -> tuple[dict[str, Entry], dict[str, Licence]]:
        """What a unit packed in an earlier run."""
        path = self.raw / f"{unit}.parquet"
        return provenance.entries(path) if path.exists() else ({}, {})
