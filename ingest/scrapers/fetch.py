"""Fetches one url, whatever it takes: redirects, tries, a deadline over all of them, and a file that is whole.

Decisions that are made here:
- 200 and what is final of 400 to 499 is an answer; nothing lies under `into` where it is not 200. What may pass is
  tried again and then a Skip; all else (an unasked 304, 204, 300) is Skip(HTTP_FAILED) at once.
- The deadline is the time for which connections are in use, in all hops and tries together. A body that comes has, on
  top of it, the time of its bytes at `slowest_bytes_per_s`. Waiting for a turn and between tries is not in it; the
  latter is bounded by the number of tries and `retry.LONGEST_ASKED_S`.
- A redirect from https to http is refused: whoever sits on the way could put any picture there.
- Validators are sent to the url that they came from, at whichever hop it stands. A partial body is resumed only where
  it came unencoded under a strong entity tag (RFC 9110 8.8.1), and only by a 206 that begins where it ends.
- Cookies live along one chain of redirects, so that a page which sets one and leads back to itself is reached.
"""

from __future__ import annotations

import copy
import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

from ingest.scrapers.addresses import Addresses, Resolver, canonical, system_resolver
from ingest.scrapers.answers import Answer, Ask, Gate, Headers, Hop, Reserved, Turn, first
from ingest.scrapers.body import Body
from ingest.scrapers.retry import MayPass, asked_wait_s, http_date, may_pass, pause_s, wait
from ingest.scrapers.settings import Web
from ingest.scrapers.transport import Reply, Transport, cookie_header, no_cookies
from shards.atomic import atomic_path
from shards.intake import Skip
from shards.reasons import Reason

MAX_REDIRECTS = 5
_REDIRECTS = {301, 302, 303, 307, 308}
_PACKED_ALREADY = {"image", "video", "media"}  # compressing them again costs time and brings nothing
_PAGES = {"page", "xml", "json"}
_CONTENT_RANGE = re.compile(r"bytes ([0-9]+)-([0-9]+)/([0-9]+|\*)")
_NO_BODY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # the sha256 of nothing


class _NothingToKeep(Exception):
    """Leaves the file unwritten: the answer has no body."""


@dataclass(slots=True)
class _Partial:
    """A body that broke off, and what proves that the rest belongs to it."""

    url: str
    tag: str  # a strong entity tag
    total: int | None  # bytes of the whole, where it was stated


@dataclass(slots=True)
class _Call:
    """One call of `Fetcher`, over all its tries."""

    ask: Ask
    url: str
    known: Answer | None
    check: Callable[[], None]
    max_bytes: int
    left_s: float
    body: Body
    partial: _Partial | None = None
    hops: list[Hop] = field(default_factory=list)


class Fetcher(AbstractContextManager["Fetcher"]):
    """Implements `answers.Get` over one session; safe for the threads of a worker."""

    def __init__(
        self,
        web: Web,
        gate: Gate,
        *,
        resolver: Resolver = system_resolver,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._web = web
        self._gate = gate
        self._sleep = sleep
        self._addresses = Addresses(resolver, web.loopback)
        self._transport = Transport(self._addresses, web.threads, web.slowest_bytes_per_s)

    def __exit__(self, *error: object) -> None:
        self._transport.close()

    def through(self, gate: Gate) -> Fetcher:
        """The same session behind another gate; it ends with this one."""
        other = copy.copy(self)
        other._gate = gate
        return other

    def __call__(
        self, ask: Ask, into: Path, *, known: Answer | None = None, check: Callable[[], None] = lambda: None
    ) -> Answer | None:
        """The answer to one request, its body under `into` where its status is 200; None where `known` still holds.

        Raises Skip with a reason of the web; what `check` raises passes through.
        """
        url = canonical(ask.url)
        most = self._web.max_page_bytes if ask.wanted in _PAGES else self._web.max_media_bytes
        max_bytes = ask.max_bytes or most
        answer = None
        with suppress(_NothingToKeep), atomic_path(into) as temporary:
            with Body(temporary, wanted=ask.wanted, max_bytes=max_bytes, md5=ask.md5) as body:
                answer = self._tries(_Call(ask, url, known, check, max_bytes, self._web.deadline_s, body))
            if answer is None or answer.status != 200:
                raise _NothingToKeep
        return answer

    def _tries(self, call: _Call) -> Answer | None:
        failures = 0
        while True:
            try:
                return self._follow(call)
            except MayPass as failure:
                skip, asked_s = failure.skip, failure.asked_s
            failures += 1
            pause = pause_s(failures, asked_s)
            if failures == self._web.tries or call.left_s <= 0 or pause is None:
                raise skip
            wait(pause, call.check, self._sleep)

    def _follow(self, call: _Call) -> Answer | None:
        """One try, along all redirects."""
        call.hops.clear()
        cookies = no_cookies()
        url, seen = call.url, set[tuple[str, str]]()
        while True:
            call.check()
            self._addresses.check(url)
            with self._gate.enter(url, call.check) as turn:
                started, grown_s = time.monotonic(), 0.0
                try:
                    with self._transport.open(
                        url,
                        self._headers(call, url),
                        seconds=call.left_s,
                        max_bytes=call.max_bytes,
                        cookies=cookies,
                    ) as reply:
                        call.hops.append(Hop(url=url, status=reply.status, address=reply.address))
                        _tell(call, turn, reply)
                        if reply.status not in _REDIRECTS:
                            try:
                                return self._settle(call, url, reply, turn)
                            finally:
                                grown_s = reply.grown_s
                        reply.drain()
                        seen.add((url, reply.cookie))
                finally:
                    call.left_s -= time.monotonic() - started - grown_s
            url = _next(url, reply.headers)
            if len(call.hops) > MAX_REDIRECTS or (url, cookie_header(cookies, url)) in seen:
                raise Skip(Reason.REDIRECT_LOOP, f"{len(call.hops)} redirects")

    def _headers(self, call: _Call, url: str) -> Headers:
        """Of one request; what the caller gives comes on top, and may be a key: another host sees only the Accepts."""
        plain = call.ask.wanted in _PACKED_ALREADY or self._resumes(call, url)
        headers = {
            "User-Agent": self._web.user_agent,
            "Accept": "*/*",
            "Accept-Encoding": "identity" if plain else "gzip, deflate",
        }
        if self._resumes(call, url) and call.partial is not None:
            headers |= {"Range": f"bytes={call.body.size}-", "If-Range": call.partial.tag}
        elif _conditional(call, url) and call.known is not None:
            tag, date = call.known.header("ETag"), call.known.header("Last-Modified")
            headers |= {"If-None-Match": tag} if tag else {}
            headers |= {"If-Modified-Since": date} if date else {}
        given = call.ask.headers
        if urlsplit(url)[:2] != urlsplit(call.url)[:2]:
            given = tuple(header for header in given if header[0].lower().startswith("accept"))
        return (*headers.items(), *given)

    def _resumes(self, call: _Call, url: str) -> bool:
        return call.partial is not None and call.partial.url == url and call.body.size > 0

    def _settle(self, call: _Call, url: str, reply: Reply, turn: Turn) -> Answer | None:
        """What an answer that is no redirect comes to."""
        status = reply.status
        if status == 200:
            call.body.restart()
            return self._receive(call, url, reply, turn)
        if status == 206 and self._resumes(call, url) and call.partial is not None:
            if _continues(reply, call.partial, call.body.size):
                return self._receive(call, url, reply, turn)
            call.partial = None
            raise MayPass(Skip(Reason.CONNECTION_FAILED, "the rest of a broken body does not fit to it"))
        if status == 416 and self._resumes(call, url):
            call.partial = None
            raise MayPass(Skip(Reason.CONNECTION_FAILED, "the rest of a broken body is not to be had"))
        reply.drain()
        if status == 304 and _conditional(call, url):
            return None
        if may_pass(status):
            raise MayPass(Skip(Reason.HTTP_FAILED, str(status)), asked_wait_s(reply.headers))
        if 400 <= status <= 499:
            return _answer(call, reply, status, _NO_BODY, 0)
        raise Skip(Reason.HTTP_FAILED, str(status))

    def _receive(self, call: _Call, url: str, reply: Reply, turn: Turn) -> Answer:
        def check() -> None:
            call.check()
            turn.goes_on()

        total = None if reply.length is None else call.body.size + reply.length
        tag = first(reply.headers, "ETag") or ""
        plain = (first(reply.headers, "Content-Encoding") or "identity").lower() == "identity"
        call.partial = _Partial(url, tag, total) if plain and tag.startswith('"') else None
        call.body.take(reply, check)
        return _answer(call, reply, 200, call.body.sha256, call.body.size)


def _tell(call: _Call, turn: Turn, reply: Reply) -> None:
    """Tell the turn what came; Reserved where the headers keep it from being read."""
    try:
        turn.answered(reply.status, reply.headers, reply.seconds)
    except Skip as skip:
        if skip.reason is not Reason.OPTED_OUT:
            raise
        raise Reserved(skip, replace(_answer(call, reply, reply.status, _NO_BODY, 0), opted_out=True)) from None


def _conditional(call: _Call, url: str) -> bool:
    """Whether the request asks only for what has changed."""
    known = call.known
    if known is None or known.status != 200 or known.final_url != url:
        return False
    return bool(known.header("ETag") or known.header("Last-Modified"))


def _continues(reply: Reply, partial: _Partial, size: int) -> bool:
    """Whether a 206 brings all that is missing of a body of which `size` bytes are here (RFC 9110 15.3.7)."""
    found = _CONTENT_RANGE.fullmatch((first(reply.headers, "Content-Range") or "").strip())
    if found is None or first(reply.headers, "ETag") != partial.tag or first(reply.headers, "Content-Encoding"):
        return False
    begin, end, total = int(found[1]), int(found[2]), found[3]
    if total == "*" or begin != size or end + 1 != int(total) or partial.total not in {None, int(total)}:
        return False
    return reply.length in {None, end + 1 - begin}


def _next(url: str, headers: Headers) -> str:
    """Where a redirect leads; Skip(BAD_URL) where it leads nowhere, or from https to http."""
    location = first(headers, "Location")
    if location is None:
        raise Skip(Reason.BAD_URL, "a redirect without Location")
    bare = quote(location.encode("latin-1"), safe="".join(map(chr, range(33, 127))))
    try:
        target = canonical(urljoin(url, bare))
    except ValueError:
        raise Skip(Reason.BAD_URL, "a redirect to a malformed url") from None
    if url.startswith("https:") and target.startswith("http:"):
        raise Skip(Reason.BAD_URL, "a redirect from https to http")
    return target


def _answer(call: _Call, reply: Reply, status: int, sha256: str, body_bytes: int) -> Answer:
    return Answer(
        url=call.url,
        hops=tuple(call.hops),
        status=status,
        headers=reply.headers,
        fetched=http_date(first(reply.headers, "Date") or "") or datetime.now(UTC),
        sha256=sha256,
        body_bytes=body_bytes,
    )
