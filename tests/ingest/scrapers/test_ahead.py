"""Requests ahead: hosts do not hold up one another, and none has more under way than it may."""

from __future__ import annotations

import threading
import time
from concurrent.futures import CancelledError

import pytest

from ingest.scrapers.ahead import Ahead


def test_a_slow_host_holds_up_no_other_and_no_host_gets_more_than_its_share() -> None:
    running: dict[str, int] = {}
    most: dict[str, int] = {}
    lock = threading.Lock()
    let_go = threading.Event()
    both = threading.Barrier(2)

    def job(host: str, number: int) -> tuple[str, int]:
        with lock:
            running[host] = running.get(host, 0) + 1
            most[host] = max(most.get(host, 0), running[host])
        if host == "wide" and number < 2:
            both.wait(20)  # two at a time, or never
        if host == "slow":
            assert let_go.wait(20)
        else:
            time.sleep(0.002)
        with lock:
            running[host] -= 1
        return host, number

    with Ahead[tuple[str, int]](4, lambda host: 2 if host == "wide" else 1) as ahead:
        slow = [ahead.submit("slow", lambda n=n: job("slow", n)) for n in range(20)]
        others = [ahead.submit(host, lambda h=host, n=n: job(h, n)) for n in range(10) for host in ("a", "b", "wide")]
        assert {future.result(timeout=20) for future in others} == {
            (h, n) for h in ("a", "b", "wide") for n in range(10)
        }
        assert not any(future.done() for future in slow)
        let_go.set()
        assert [future.result(timeout=20) for future in slow] == [("slow", n) for n in range(20)]
    assert most == {"slow": 1, "a": 1, "b": 1, "wide": 2}


def test_an_error_is_raised_where_the_answer_is_asked_for_and_leaving_drops_what_waits() -> None:
    let_go = threading.Event()
    done = []

    def fail() -> None:
        raise ValueError("this one")

    with Ahead[None](1, lambda host: 1) as ahead:
        failed = ahead.submit("a", fail)
        with pytest.raises(ValueError, match="this one"):
            failed.result(timeout=20)
        first = ahead.submit("a", lambda: (let_go.wait(20), done.append(1))[1])
        second = ahead.submit("a", lambda: done.append(2))
        time.sleep(0.05)
        threading.Timer(0.1, let_go.set).start()
    assert first.done()
    assert done == [1]
    with pytest.raises(CancelledError):
        second.result(timeout=1)
