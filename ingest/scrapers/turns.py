"""A worker's side of the limiter: it waits for its host's turn and tells how the turn ended."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from ingest.scrapers.addresses import host_of
from ingest.scrapers.answers import Headers
from ingest.scrapers.limiter import Pace
from ingest.scrapers.retry import MayPass, asked_wait_s, wait
from ingest.scrapers.settings import Web
from shards.intake import Skip
from shards.reasons import Reason
from shards.stage import ServiceLost

SPARE_S = 30.0  # beyond a request's deadline, or the longest silence of a body, until its turn is taken for lost
RENEW_S = 10.0  # of a body that still comes
_BROKEN = {Reason.CONNECTION_FAILED, Reason.TIMED_OUT}


class HeldTurn:
    """A turn, and what it was answered with."""

    def __init__(self, renew: Callable[[], None]) -> None:
        self.answer: tuple[int, float, float | None] | None = None  # status, seconds, Retry-After in seconds
        self._renew = renew
        self._renewed = time.monotonic()

    def answered(self, status: int, headers: Headers, seconds: float) -> None:
        self.answer = status, seconds, asked_wait_s(headers)

    def goes_on(self) -> None:
        if time.monotonic() - self._renewed >= RENEW_S:
            self._renewed = time.monotonic()
            self._renew()


class Turns:
    """A `Gate` that knows a host's pace and nothing else; what robots.txt itself is fetched through."""

    def __init__(self, web: Web, limiter: Any) -> None:
        """`limiter` is a `HostLimiter`, here or in another process."""
        self._web = web
        self._limiter = limiter

    @contextmanager
    def enter(self, url: str, check: Callable[[], None], crawl_delay_s: float = 0.0) -> Iterator[HeldTurn]:
        """Hold a turn of the host of `url`; Skip(HOST_PAUSED) where it has failed too often. ServiceLost passes."""
        host = host_of(url)
        rule = self._web.rule(host)
        pace = Pace(
            min_delay_s=rule.min_delay_s,
            start_delay_s=rule.start_delay_s,
            max_delay_s=rule.max_delay_s,
            in_flight=rule.in_flight,
            hold_s=self._web.deadline_s + SPARE_S,
            crawl_delay_s=crawl_delay_s,
        )
        ticket = secrets.token_hex(8)
        turn = HeldTurn(partial(self._limiter.goes_on, host, ticket))
        try:
            self._wait(host, ticket, pace, check)
            yield turn
        except BaseException as error:
            with suppress(ServiceLost):  # of two troubles the first is told
                self._end(host, ticket, turn, error)
            raise
        self._end(host, ticket, turn, None)

    def _wait(self, host: str, ticket: str, pace: Pace, check: Callable[[], None]) -> None:
        while (seconds := self._limiter.ask(host, ticket, pace)) > 0:
            if math.isinf(seconds):
                raise Skip(Reason.HOST_PAUSED, host)
            wait(seconds, check)

    def _end(self, host: str, ticket: str, turn: HeldTurn, error: BaseException | None) -> None:
        if _is_failure(turn, error):
            self._limiter.failed(host, ticket)
        elif turn.answer is None:
            self._limiter.left(host, ticket)
        else:
            self._limiter.answered(host, ticket, *turn.answer)


def _is_failure(turn: HeldTurn, error: BaseException | None) -> bool:
    """Whether the host or the network is to blame for how a turn ended."""
    skip = error.skip if isinstance(error, MayPass) else error
    if turn.answer is not None:
        return isinstance(skip, Skip) and skip.reason in _BROKEN  # the body broke off
    if isinstance(skip, Skip):
        return skip.reason.transient and skip.reason is not Reason.HOST_PAUSED
    return error is None or isinstance(error, Exception)
