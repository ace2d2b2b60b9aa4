"""One unit's view of the web: what it asks for comes from the raw store, and from the network only where it must.

A site pipeline asks for urls and gets whole answers or a Skip with its reason. It may ask ahead, and then other urls
are fetched while it reads. Whatever it used is packed when the unit ends, in an order that no delay changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import count
from typing import TypeVar

from ingest.scrapers.addresses import canonical, host_of
from ingest.scrapers.ahead import Ahead
from ingest.scrapers.answers import Answer, Ask, Get, Reserved
from ingest.scrapers.gate import Politeness
from ingest.scrapers.packing import pack
from ingest.scrapers.provenance import Entry, Licence
from ingest.scrapers.retry import MayPass, asked_wait_s, pause_s, wait
from ingest.scrapers.settings import Web
from ingest.scrapers.store import Store
from shards.intake import Skip
from shards.reasons import Reason
from shards.stage import Context

T = TypeVar("T")
MISSING = (404, 410)
REFUSED = (Reason.WRONG_CONTENT, Reason.TOO_LARGE, Reason.TRUNCATED, Reason.REDIRECT_LOOP)  # answered, and no use


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """An answer that is whole and kept."""

    url: str  # canonical, as asked for
    entry: Entry
    store: Store

    @property
    def final_url(self) -> str:
        """Where the body came from: what relative links in it start at."""
        return self.entry.answer.final_url

    @property
    def sha256(self) -> str:
        return self.entry.answer.sha256

    @property
    def fetched(self) -> datetime:
        return self.entry.answer.fetched

    def read(self) -> bytes:
        """The body."""
        return self.store.read(self.entry)


class Visit(AbstractContextManager["Visit"]):
    """What one unit asks of the web; closes its threads when it ends."""

    def __init__(self, ctx: Context, web: Web, store: Store, get: Get, gate: Politeness, unit: str) -> None:
        self.ctx = ctx
        self.web = web
        self.store = store
        self.unit = unit
        self.used: dict[str, Entry] = {}
        self.licences: dict[str, Licence] = {}
        self._get = get
        self._gate = gate
        self._failed: dict[Ask, tuple[Reason, str]] = {}
        self._pending: dict[str, Future[Entry]] = {}
        self._packed = store.packed(unit)[0]
        self._ahead: Ahead[Entry] = Ahead(web.threads, lambda host: web.rule(host).in_flight)
        self._stale = datetime.fromisoformat(f"{web.refresh}T00:00Z") if web.refresh else None

    def __exit__(self, *error: object) -> None:
        self._ahead.__exit__()

    def ahead(self, asks: Iterable[Ask]) -> None:
        """Begin to fetch what will be asked for; what goes wrong is said when it is."""
        for ask in asks:
            try:
                url = canonical(ask.url)
            except Skip:
                continue
            known = url in self.used or url in self._pending or _request(ask, url) in self._failed
            if not known and self._held(url) is None:
                self._pending[url] = self._ahead.submit(host_of(url), partial(self._fetch, ask, url))

    def get(self, ask: Ask) -> Held:
        """The answer to one request; Skip with the reason where there is none."""
        url = canonical(ask.url)
        entry = self.used.get(url)
        if entry is None:
            if (failed := self._failed.get(_request(ask, url))) is not None:
                raise Skip(*failed)
            pending = self._pending.pop(url, None)
            try:
                entry = pending.result() if pending is not None else self._held(url) or self._fetch(ask, url)
            except Skip as skip:
                self._failed[_request(ask, url)] = skip.reason, skip.detail  # without the frames that it came through
                raise
            self.used[url] = entry
        return self._obeyed(url, entry)

    def told(self, ask: Ask, read: Callable[[bytes], T]) -> T:
        """What the answer of an API says, read by `read`.

        Where that raises MayPass, which is an error told with status 200, the answer is not kept and is asked again.
        """
        for failures in count(1):
            held = self.get(ask)
            try:
                return read(held.read())
            except MayPass as error:
                pause = pause_s(failures, asked_wait_s(held.entry.answer.headers))
                del self.used[held.url]
                self.store.forget_loose(held.url)
                if failures >= self.web.tries or pause is None:
                    raise error.skip from None
            wait(pause, self.ctx.check)
        raise AssertionError

    def shared(self, ask: Ask) -> Held:
        """The same for a large list that every unit reads: it stays loose, and lies in the store once."""
        url = canonical(ask.url)
        return self._obeyed(url, self._held(url) or self._fetch(ask, url))

    def _obeyed(self, url: str, entry: Entry) -> Held:
        status = entry.answer.status
        if status < 400:
            self._gate.obey_kept(entry.answer, entry.seen)
        if status in MISSING:
            raise Skip(Reason.HTTP_MISSING, str(status))
        if status != 200:
            raise Skip(Reason.HTTP_REFUSED, str(status))
        return Held(url=url, entry=entry, store=self.store)

    def page(self, ask: Ask) -> Held:
        """The answer to a request for a page, whose own words about its use are obeyed."""
        held = self.get(ask)
        answer = held.entry.answer
        seen = self._gate.note_page(answer, held.entry.seen, held.read())
        self.used[held.url] = replace(held.entry, seen=seen)
        self._gate.obey_kept(answer, seen)
        return held

    def licence(self, held: Held, licence: Licence) -> None:
        """Note what a page says about the licence of one file."""
        self.licences[held.url] = licence

    def pack(self) -> Mapping[str, Entry]:
        """Put all that was used into the raw store; entries by url."""
        return pack(self.store, self.unit, self.used, self.licences)

    def _fresh(self, entry: Entry) -> bool:
        if (entry.answer.opted_out or self._gate.lapsed(entry.seen)) and self._is_allowed(entry):
            return False
        return self._stale is None or entry.checked >= self._stale

    def _is_allowed(self, entry: Entry) -> bool:
        """Whether the site's words that are kept, and the records of its hosts, let an answer be had now."""
        try:
            self._gate.obey_kept(entry.answer, entry.seen)
        except Skip:
            return False
        return True

    def _held(self, url: str) -> Entry | None:
        """A stored answer that need not be asked for again."""
        entry = self._packed.get(url) or self.store.find(url)
        return entry if entry is not None and self._fresh(entry) else None

    def _fetch(self, ask: Ask, url: str) -> Entry:
        with self.store.lock(url, self.ctx.check):
            known = self._packed.get(url) or self.store.find(url)
            if known is not None and self._fresh(known):
                return known
            into = self.store.loose(url)
            asked_as = f"{_request(ask, url)} {self.web.max_page_bytes} {self.web.max_media_bytes}"
            if (refused := self.store.refused(url, asked_as, self._stale)) is not None:
                raise refused
            before = known.answer if known is not None and known.answer.body_bytes else None
            try:
                answer = self._get(ask, into, known=before, check=self.ctx.check)
            except Reserved as reserved:  # what says so is kept, and not asked for again
                answer = reserved.answer
            except Skip as skip:
                if skip.reason in REFUSED:
                    self.store.refuse(url, asked_as, skip)
                raise
            if answer is None:
                assert known is not None
                return replace(known, checked=datetime.now(UTC), seen=self._seen(known.answer))
            return self.store.keep(answer, url, self._seen(answer))

    def _seen(self, answer: Answer) -> str:
        return self._gate.seen(*(hop.url for hop in answer.hops))


def _request(ask: Ask, url: str) -> Ask:
    """What a failure is known by: the url in its one form, and without headers, which may hold a key."""
    return replace(ask, url=url, headers=())
