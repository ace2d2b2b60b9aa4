"""One limiter for the whole run: how long a request to a host has to wait, whichever worker makes it.

A service of the stage, hosted by the runner: it answers at once and nobody waits inside it. A worker asks with a ticket
until it is granted a turn and tells how the turn ended. The gap that a Crawl-delay asks for begins when the request
before was answered, so no delay on the way can make it shorter at the server. Otherwise a host's delay follows its
latency by the rule of Scrapy's AutoThrottle: target = latency / requests at a time, new delay = max(target, (old +
target) / 2), and never less after an answer that is no success.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

RETRY_AFTER_MAX_S = 600.0
FAILURES = 8  # in a row until a host is left alone for a while
OPEN_S = (30.0, 60.0, 120.0)  # how long, the first time, the second, ...; after the last it is paused for the run
FORGET_S = 3600.0  # a host that is slow or failed is remembered for so long
TICK_S = 0.001
STEP_S = 0.02  # the shortest wait that is told while a request is under way
LONGEST_S = 5.0  # the longest, so that a delay which has shrunk is noticed
LATE_S = 5.0  # a ticket that asks so much later than it was told has lost its place
BACKOFF_S = 0.5  # the least delay after a failure


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """What a request keeps to."""

    min_delay_s: float
    start_delay_s: float
    max_delay_s: float
    in_flight: int
    hold_s: float  # a turn that has not ended by then is lost: its worker died
    crawl_delay_s: float = 0.0


@dataclass(slots=True)
class _Turn:
    pace: Pace
    expires: float


@dataclass(slots=True)
class _Host:
    """What is known of one host; times are those of the limiter's clock."""

    start_delay_s: float
    delay_s: float
    turns: dict[str, _Turn] = field(default_factory=dict)  # by ticket
    queue: dict[str, float] = field(default_factory=dict)  # ticket, in order -> when it loses its place
    granted: float = -math.inf  # the last turn
    ended: float = -math.inf  # the last answer or failure
    crawl_delay_s: float = 0.0  # of the last turn
    held_until: float = -math.inf  # by a Retry-After
    open_until: float = -math.inf  # by failures
    failures: int = 0  # in a row
    openings: int = 0  # since an answer that is no failure

    def expire(self, now: float) -> None:
        """Drop the turns and the tickets of workers that do not come back."""
        for ticket in [ticket for ticket, turn in self.turns.items() if now >= turn.expires]:
            self.ended = max(self.ended, self.turns.pop(ticket).expires)
        for ticket in [ticket for ticket, until in self.queue.items() if now >= until]:
            del self.queue[ticket]

    def gap_s(self, pace: Pace) -> float:
        return max(self.delay_s, pace.crawl_delay_s, self.crawl_delay_s)

    def one_at_a_time(self, pace: Pace) -> bool:
        return pace.in_flight == 1 or pace.crawl_delay_s > 0 or self.crawl_delay_s > 0

    def ready(self, pace: Pace) -> float:
        """When the next turn may begin, as far as its gap and holds go."""
        after = self.ended if self.one_at_a_time(pace) else self.granted
        return max(after + self.gap_s(pace), self.held_until, self.open_until)

    def full(self, pace: Pace) -> bool:
        trial = self.openings > 0 or self.one_at_a_time(pace)
        return len(self.turns) >= (1 if trial else pace.in_flight)

    def wait_s(self, ticket: str, pace: Pace, now: float) -> float:
        """How long a ticket has to wait at least, if every answer came at once; 0 where its turn is now."""
        place = next(place for place, other in enumerate(self.queue) if other == ticket)
        gap = self.gap_s(pace)
        wait = self.ready(pace) - now
        if self.full(pace):
            under_way = (now - self.granted) / 4
            wait = max(wait, gap if self.one_at_a_time(pace) else 0.0, STEP_S, min(under_way, 1.0))
        elif place == 0:
            return min(max(wait, TICK_S), LONGEST_S) if wait > 0 else 0.0
        return min(max(wait, 0.0) + max(place * gap, STEP_S), LONGEST_S)

    def idle(self, now: float) -> bool:
        """Whether a host that is forgotten would not be asked sooner, nor faster, than one that is remembered."""
        if self.turns or self.queue:
            return False
        rest = max(self.ended + max(self.delay_s, self.crawl_delay_s), self.held_until, self.open_until)
        slow = self.failures or self.openings or self.delay_s > self.start_delay_s
        return now >= (max(rest, self.ended + FORGET_S) if slow else rest)


class HostLimiter:
    """The turns of all hosts. Hosts with nothing to remember are forgotten, so memory follows the hosts in work."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._hosts: OrderedDict[str, _Host] = OrderedDict()  # the ones unused for longest first
        self._paused: set[str] = set()
        self._lock = threading.Lock()  # without Ray the threads of the one worker call it

    def remembered(self) -> int:
        """How many hosts there is something to remember of, not counting those that are paused."""
        return len(self._hosts)

    def ask(self, host: str, ticket: str, pace: Pace) -> float:
        """Ask for a turn: 0 is granted, else the seconds until it is worth asking again; inf: never in this run.

        Tickets of a host are served in the order of their first asking. One that asks much later than it was told is
        served as if it were new.
        """
        with self._lock:
            return math.inf if host in self._paused else self._ask(host, ticket, pace, self._clock())

    def _ask(self, host: str, ticket: str, pace: Pace, now: float) -> float:
        self._forget(now)
        known = self._hosts.setdefault(host, _Host(pace.start_delay_s, pace.start_delay_s))
        self._hosts.move_to_end(host)
        known.expire(now)
        if ticket in known.turns:
            return 0.0
        known.queue.setdefault(ticket, math.inf)
        wait = known.wait_s(ticket, pace, now)
        if wait > 0:
            known.queue[ticket] = now + wait + LATE_S
            return wait
        del known.queue[ticket]
        known.turns[ticket] = _Turn(pace, now + pace.hold_s)
        known.granted = now
        known.crawl_delay_s = pace.crawl_delay_s
        return 0.0

    def goes_on(self, host: str, ticket: str) -> None:
        """The turn is still in use: a large body comes, and its worker lives."""
        with self._lock:
            turn = self._hosts[host].turns.get(ticket) if host in self._hosts else None
            if turn is not None:
                turn.expires = self._clock() + turn.pace.hold_s

    def answered(self, host: str, ticket: str, status: int, seconds: float, retry_after_s: float | None = None) -> None:
        """The turn ended with an answer, whose headers came after `seconds`; `retry_after_s` is what it asked for."""
        with self._lock:
            self._answered(host, ticket, status, seconds, retry_after_s, self._clock())

    def failed(self, host: str, ticket: str) -> None:
        """The turn ended without a whole answer, by the host's fault or the network's."""
        with self._lock:
            now = self._clock()
            known, turn = self._end(host, ticket, now)
            if known is not None and turn is not None:
                self._failure(host, known, turn.pace, now)

    def left(self, host: str, ticket: str) -> None:
        """The ticket is no longer wanted, or its turn ended in a way that says nothing of the host."""
        with self._lock:
            self._end(host, ticket, self._clock())

    def _answered(
        self, host: str, ticket: str, status: int, seconds: float, retry_after_s: float | None, now: float
    ) -> None:
        known, turn = self._end(host, ticket, now)
        if known is None or turn is None:
            return
        if retry_after_s is not None:
            known.held_until = max(known.held_until, now + min(max(retry_after_s, 0.0), RETRY_AFTER_MAX_S))
        if status == 429 or status >= 500:
            self._failure(host, known, turn.pace, now)
            return
        known.failures = known.openings = 0
        target = seconds / turn.pace.in_flight
        delay = max(target, (known.delay_s + target) / 2, turn.pace.min_delay_s)
        if not (200 <= status < 300 or status == 304):
            delay = max(delay, known.delay_s)
        known.delay_s = min(delay, turn.pace.max_delay_s)

    def _end(self, host: str, ticket: str, now: float) -> tuple[_Host | None, _Turn | None]:
        known = self._hosts.get(host)
        if known is None:
            return None, None
        turn = known.turns.pop(ticket, None)
        if turn is not None or ticket not in known.queue:  # the second: a turn that was taken for lost
            known.ended = now
        known.queue.pop(ticket, None)
        return known, turn

    def _failure(self, host: str, known: _Host, pace: Pace, now: float) -> None:
        known.delay_s = min(max(2 * known.delay_s, BACKOFF_S), max(pace.max_delay_s, known.delay_s))
        if now < known.open_until:  # it was under way when the others failed
            return
        known.failures += 1
        if known.failures < FAILURES and not known.openings:
            return
        if known.openings == len(OPEN_S):
            self._paused.add(host)
            del self._hosts[host]
            return
        known.open_until = now + OPEN_S[known.openings]
        known.openings += 1

    def _forget(self, now: float) -> None:
        """Look at two hosts for each that is asked for: more are forgotten than come."""
        for _ in range(min(2, len(self._hosts))):
            host, known = next(iter(self._hosts.items()))
            known.expire(now)
            if known.idle(now):
                del self._hosts[host]
            else:
                self._hosts.move_to_end(host)
