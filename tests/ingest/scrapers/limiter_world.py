"""A limiter under a simulated clock, and a world of workers, a slow network and one server."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from typing import Any

from ingest.scrapers.limiter import HostLimiter, Pace

PACE = Pace(min_delay_s=0.25, start_delay_s=1.0, max_delay_s=60.0, in_flight=1, hold_s=90.0)
CRAWL_DELAY = replace(PACE, min_delay_s=0.0, start_delay_s=0.0, crawl_delay_s=2.0)
SHORT_ERROR = 1e-9  # of adding floats


class Clock:
    """Time as a test tells it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class World:
    """Workers, a network that takes its time, and a server that keeps a log."""

    seed: int
    clock: Clock = field(default_factory=Clock)
    arrivals: list[float] = field(default_factory=list)
    answers: list[float] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)  # tickets in the order of their first asking
    granted: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.limiter = HostLimiter(self.clock)
        self.random = random.Random(self.seed)
        self.events: list[tuple[float, int, Generator[float]]] = []
        self.numbers = itertools.count()

    def start(self, process: Generator[float], after: float = 0.0) -> None:
        heapq.heappush(self.events, (self.clock.now + after, next(self.numbers), process))

    def run(self, until: float) -> None:
        """Let every process go on when the time that it gave has passed."""
        while self.events and self.events[0][0] <= until:
            self.clock.now, _, process = heapq.heappop(self.events)
            wait = next(process, None)
            if wait is not None:
                self.start(process, wait)

    def worker(self, pace: Pace, requests: int, latency_s: float, network_s: float, dies: float) -> Generator[float]:
        for _ in range(requests):
            ticket = f"t{next(self.numbers)}"
            self.asked.append(ticket)
            while wait := self.limiter.ask("host", ticket, pace):
                yield wait + self.random.uniform(0, network_s)
            self.granted.append(ticket)
            if self.random.random() < dies:
                return
            yield self.random.uniform(0, network_s)  # on the way to the server
            self.arrivals.append(self.clock.now)
            took = self.random.expovariate(1 / latency_s)
            yield took
            self.answers.append(self.clock.now)
            yield self.random.uniform(0, network_s)  # on the way back
            if self.random.random() < 0.1:
                self.limiter.failed("host", ticket)
            else:
                self.limiter.answered("host", ticket, self.random.choice([200, 200, 200, 404, 503]), took)


def one_request(limiter: HostLimiter, clock: Clock, pace: Pace, status: int, seconds: float, **more: Any) -> float:
    """Time from asking to the turn; then the answer comes after `seconds`."""
    begun = clock.now
    ticket = f"t{clock.now}"
    while wait := limiter.ask("a", ticket, pace):
        clock.now += wait
    granted = clock.now
    clock.now += seconds
    limiter.answered("a", ticket, status, seconds, **more)
    return granted - begun
