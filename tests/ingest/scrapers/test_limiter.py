"""The limiter under a simulated clock: gaps at the server, the order of turns, delays that follow a host."""

from __future__ import annotations

import itertools
import math
import runpy
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.scrapers.limiter import LATE_S, LONGEST_S, HostLimiter

WORLD = runpy.run_path(str(Path(__file__).with_name("limiter_world.py")))
Clock, World, one_request = WORLD["Clock"], WORLD["World"], WORLD["one_request"]
PACE, CRAWL_DELAY, SHORT_ERROR = WORLD["PACE"], WORLD["CRAWL_DELAY"], WORLD["SHORT_ERROR"]


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


def test_a_request_that_has_no_crawl_delay_keeps_that_of_the_request_before() -> None:
    """robots.txt is asked for anew each day, before its Crawl-delay is known again."""
    clock = Clock()
    limiter = HostLimiter(clock)
    one_request(limiter, clock, CRAWL_DELAY, 200, 0.1)
    unknown = replace(CRAWL_DELAY, crawl_delay_s=0.0)
    assert one_request(limiter, clock, unknown, 200, 0.1) == pytest.approx(2.0)
    assert one_request(limiter, clock, unknown, 200, 0.1) < 0.2
