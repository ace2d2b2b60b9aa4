"""The limiter under a simulated clock: gaps at the server, the order of turns, what errors do, what is remembered."""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.scrapers.limiter import (
    FAILURES,
    FORGET_S,
    LATE_S,
    LONGEST_S,
    OPEN_S,
    RETRY_AFTER_MAX_S,
    HostLimiter,
    Pace,
)

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


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    workers=st.integers(1, 6),
    latency_s=st.sampled_from([0.001, 0.5, 5.0]),
    network_s=st.sampled_from([0.0, 0.05, 3.0]),
    crawl_delay_s=st.sampled_from([0.2, 1.0, 10.0]),
    dies=st.sampled_from([0.0, 0.1]),
)
def test_gaps_at_a_server_with_a_crawl_delay_are_never_shorter(
    seed: int, workers: int, latency_s: float, network_s: float, crawl_delay_s: float, dies: float
) -> None:
    world = World(seed)
    pace = replace(PACE, min_delay_s=0.0, start_delay_s=0.0, in_flight=4, crawl_delay_s=crawl_delay_s)
    for number in range(workers):
        world.start(world.worker(pace, 8, latency_s, network_s, dies), after=number / 7)
    world.run(until=math.inf)
    assert len(world.arrivals) == 8 * workers or dies or world.limiter.ask("host", "new", pace) == math.inf
    for before, after in itertools.pairwise(world.arrivals):
        answered = max(answer for answer in world.answers if answer <= after)
        assert answered >= before  # one at a time
        assert after - answered >= crawl_delay_s - SHORT_ERROR


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    workers=st.integers(2, 8),
    in_flight=st.integers(1, 4),
    network_s=st.sampled_from([0.0, 0.5]),
)
def test_turns_are_granted_in_the_order_of_asking(seed: int, workers: int, in_flight: int, network_s: float) -> None:
    world = World(seed)
    pace = replace(PACE, in_flight=in_flight, max_delay_s=2.0)
    for _ in range(workers):
        world.start(world.worker(pace, 5, 0.3, network_s, 0.0), after=world.random.uniform(0, 1))
    world.run(until=math.inf)
    assert world.granted == world.asked[: len(world.granted)]
    assert len(world.granted) == len(world.asked) or world.limiter.ask("host", "new", pace) == math.inf


def test_a_worker_that_asks_no_more_loses_its_place_and_holds_up_no_one_for_long() -> None:
    clock = Clock()
    limiter = HostLimiter(clock)
    assert limiter.ask("a", "first", CRAWL_DELAY) == 0
    assert limiter.ask("a", "dead", CRAWL_DELAY) > 0
    limiter.answered("a", "first", 200, 0.1)
    begun = clock.now
    while wait := limiter.ask("a", "alive", CRAWL_DELAY):
        clock.now += wait
    assert 2.0 <= clock.now - begun <= 2.0 + LATE_S + LONGEST_S


def test_a_turn_that_never_ends_is_lost_when_its_time_is_up() -> None:
    clock = Clock()
    limiter = HostLimiter(clock)
    assert limiter.ask("a", "dead", CRAWL_DELAY) == 0
    begun = clock.now
    while wait := limiter.ask("a", "alive", CRAWL_DELAY):
        clock.now += wait
    assert 92.0 <= clock.now - begun < 94.0


def test_an_answer_that_comes_after_its_turn_was_lost_still_starts_the_gap() -> None:
    clock = Clock()
    limiter = HostLimiter(clock)
    assert limiter.ask("a", "slow", CRAWL_DELAY) == 0
    clock.now += 91.5
    assert limiter.ask("a", "next", CRAWL_DELAY) > 0
    limiter.answered("a", "slow", 200, 91.5)
    assert limiter.ask("a", "next", CRAWL_DELAY) == pytest.approx(2.0)


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


def test_the_delay_follows_the_latency_as_autothrottle_has_it() -> None:
    clock = Clock()
    limiter = HostLimiter(clock)
    waits = [one_request(limiter, clock, PACE, 200, 0.4) for _ in range(6)]
    # start 1.0, target 0.4: (1.0 + 0.4) / 2, (0.7 + 0.4) / 2, ...
    assert waits == pytest.approx([0.0, 0.7, 0.55, 0.475, 0.4375, 0.41875])
    assert one_request(limiter, clock, PACE, 200, 8.0) < 0.42
    assert one_request(limiter, clock, PACE, 200, 0.01) == pytest.approx(8.0)  # at once, not by halves
    for _ in range(20):
        one_request(limiter, clock, PACE, 200, 0.01)
    assert one_request(limiter, clock, PACE, 200, 0.01) == pytest.approx(PACE.min_delay_s)
    one_request(limiter, clock, PACE, 200, 500.0)
    assert one_request(limiter, clock, PACE, 200, 0.01) == pytest.approx(PACE.max_delay_s)


def test_several_at_a_time_begin_a_part_of_the_latency_apart() -> None:
    clock = Clock()
    limiter = HostLimiter(clock)
    pace = replace(PACE, in_flight=4)
    assert limiter.ask("a", "1", pace) == 0
    assert limiter.ask("a", "2", pace) == pytest.approx(1.0)  # the start delay, from the beginning of the first
    clock.now += 1.0
    assert limiter.ask("a", "2", pace) == 0
    limiter.answered("a", "1", 200, 1.0)
    clock.now += 0.625  # (1.0 + 1.0 / 4) / 2
    assert limiter.ask("a", "3", pace) == 0


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([200, 304, 301, 404, 403, 429, 500, 503, 0]), st.floats(0.001, 20)), max_size=30)
)
def test_no_error_ever_makes_a_host_faster(story: list[tuple[int, float]]) -> None:
    clock = Clock()
    limiter = HostLimiter(clock)
    before = 0.0
    for number, (status, seconds) in enumerate([(200, 0.1), *story]):
        ticket, begun = f"t{number}", clock.now
        while wait := limiter.ask("a", ticket, PACE):
            if wait == math.inf:
                return
            clock.now += wait
        waited = clock.now - begun
        clock.now += seconds
        if status:
            limiter.answered("a", ticket, status, seconds)
        else:
            limiter.failed("a", ticket)
        after = limiter._hosts["a"].delay_s
        if status not in (200, 304):
            assert after >= before
        assert number == 0 or waited >= before - SHORT_ERROR
        before = after


def test_a_quick_error_does_not_bring_back_the_start_delay_of_a_host_that_was_forgotten() -> None:
    clock = Clock()
    limiter = HostLimiter(clock)
    one_request(limiter, clock, PACE, 200, 20.0)
    clock.now += 100
    limiter.left("b", "nobody")
    limiter.ask("b", "x", PACE)  # looks for hosts to forget
    one_request(limiter, clock, PACE, 404, 0.01)
    assert one_request(limiter, clock, PACE, 200, 0.01) >= 20.0


@pytest.mark.parametrize(("asked_s", "kept_s"), [(30.0, 30.0), (1e9, RETRY_AFTER_MAX_S), (-5.0, 0.0)])
def test_a_host_that_says_when_to_come_back_is_left_alone_until_then(asked_s: float, kept_s: float) -> None:
    clock = Clock()
    limiter = HostLimiter(clock)
    one_request(limiter, clock, PACE, 429, 0.1, retry_after_s=asked_s)
    delay_s = 2 * PACE.start_delay_s
    assert one_request(limiter, clock, PACE, 200, 0.1) == pytest.approx(max(kept_s, delay_s))
    assert one_request(limiter, clock, PACE, 200, 0.1) < 2 * PACE.start_delay_s  # the hold is over


def test_a_host_that_keeps_failing_is_left_alone_then_tried_once_then_paused() -> None:
    clock = Clock()
    limiter = HostLimiter(clock)
    pace = replace(PACE, min_delay_s=0.0, start_delay_s=0.0, max_delay_s=0.0, in_flight=3)
    for number in range(FAILURES):
        assert limiter.ask("a", f"t{number}", pace) == 0
        limiter.failed("a", f"t{number}")
    for open_s in OPEN_S:
        opened = clock.now
        assert limiter.ask("other", f"t{opened}", pace) == 0  # other hosts go on
        while wait := limiter.ask("a", "trial", pace):
            clock.now += wait
        assert clock.now - opened == pytest.approx(open_s)
        assert 0 < limiter.ask("a", "second", pace) < math.inf  # one trial at a time, whatever in_flight is
        limiter.left("a", "second")
        limiter.answered("a", "trial", 503, 0.1)
    assert limiter.ask("a", "late", pace) == math.inf
    clock.now += 1e6
    assert limiter.ask("a", "late", pace) == math.inf


def test_one_good_answer_closes_the_circuit() -> None:
    clock = Clock()
    limiter = HostLimiter(clock)
    pace = replace(PACE, min_delay_s=0.0, start_delay_s=0.0, max_delay_s=0.0, in_flight=2)
    for _ in range(5):
        for number in range(FAILURES):
            assert limiter.ask("a", f"t{number}", pace) == 0
            limiter.failed("a", f"t{number}")
        clock.now += OPEN_S[0]
        assert limiter.ask("a", "trial", pace) == 0
        limiter.answered("a", "trial", 404, 0.0)  # the host lives, whatever it has not
        assert limiter.ask("a", "1", pace) == limiter.ask("a", "2", pace) == 0
        limiter.left("a", "1")
        limiter.left("a", "2")


def test_requests_under_way_when_the_circuit_opens_do_not_count_as_its_trials() -> None:
    limiter = HostLimiter(Clock())
    pace = replace(PACE, min_delay_s=0.0, start_delay_s=0.0, max_delay_s=0.0, in_flight=100)
    for number in range(3 * FAILURES):
        assert limiter.ask("a", f"t{number}", pace) == 0
    for number in range(3 * FAILURES):
        limiter.failed("a", f"t{number}")
    assert limiter.ask("a", "late", pace) == LONGEST_S  # open, not paused


def test_hosts_that_need_no_waiting_are_forgotten() -> None:
    clock = Clock()
    limiter = HostLimiter(clock)
    most = 0
    for number in range(100_000):
        host = f"h{number}"
        assert limiter.ask(host, "t", PACE) == 0
        if number % 500 == 0:
            limiter.failed(host, "t")
        else:
            limiter.answered(host, "t", 200, 0.1)
        clock.now += 0.01
        most = max(most, limiter.remembered())
    assert most < 500  # those of the last second, and those that failed: one in 500
    clock.now += FORGET_S
    for _ in range(200):
        limiter.ask("last", "t", PACE)
        limiter.left("last", "t")
    assert limiter.remembered() <= 1


def test_waiting_tickets_ask_seldom() -> None:
    """Sixty workers before one host with a delay of 2 s: what they ask in all stays far from a call each 20 ms."""
    world = World(1)
    calls = 0
    ask = world.limiter.ask

    def counted(*args: Any) -> float:
        nonlocal calls
        calls += 1
        return ask(*args)

    world.limiter.ask = counted  # type: ignore[method-assign]
    for _ in range(60):
        world.start(world.worker(CRAWL_DELAY, 2, 0.1, 0.01, 0.0))
    begun = world.clock.now
    world.run(until=math.inf)
    assert calls / (world.clock.now - begun) < 60 / LONGEST_S * 1.5 + 5


def test_a_request_that_has_no_crawl_delay_keeps_that_of_the_request_before() -> None:
    """robots.txt is asked for anew each day, before its Crawl-delay is known again."""
    clock = Clock()
    limiter = HostLimiter(clock)
    one_request(limiter, clock, CRAWL_DELAY, 200, 0.1)
    unknown = replace(CRAWL_DELAY, crawl_delay_s=0.0)
    assert one_request(limiter, clock, unknown, 200, 0.1) == pytest.approx(2.0)
    assert one_request(limiter, clock, unknown, 200, 0.1) < 0.2
