"""The limiter and hosts in trouble, under a simulated clock; and what it remembers of hosts, how often it is asked."""

from __future__ import annotations

import math
import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ingest.scrapers.limiter import FAILURES, FORGET_S, LONGEST_S, OPEN_S, RETRY_AFTER_MAX_S, HostLimiter

WORLD = runpy.run_path(str(Path(__file__).with_name("limiter_world.py")))
Clock, World, one_request = WORLD["Clock"], WORLD["World"], WORLD["one_request"]
PACE, CRAWL_DELAY = WORLD["PACE"], WORLD["CRAWL_DELAY"]


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
    for number in range(30_000):
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
