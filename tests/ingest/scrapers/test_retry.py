"""What is tried again, after how long, and never before the server wants it."""

from __future__ import annotations

import pytest

from ingest.scrapers.retry import LONGEST_WAIT_S, STEP_S, asked_wait_s, may_pass, pause_s, wait
from shards.stage import Cancelled

DATE = ("Date", "Sun, 01 Nov 2026 12:00:00 GMT")  # the server's clock, which is not ours


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0", None),
        ("-7", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("1000000000", None),
        ("9" * 400, None),
        ("٧", None),
        ("Sun, 01 Nov 2026 12:01:30 GMT", 90.0),
        ("Sunday, 01-Nov-26 12:01:30 GMT", 90.0),
        ("Sun Nov  1 12:01:30 2026", 90.0),
        ("Sun, 01 Nov 2026 13:01:30 +0100", 90.0),
        ("Sun, 01 Nov 2026 11:59:00 GMT", None),
        ("Fri, 01 Nov 2399 12:00:00 GMT", None),
        ("Sun, 01 Nov 99999 12:00:00 GMT", None),
    ],
)
def test_both_forms_of_retry_after(text: str, seconds: float | None) -> None:
    assert asked_wait_s((DATE, ("retry-after", text))) == seconds


def test_no_retry_after_asks_for_nothing() -> None:
    assert asked_wait_s((DATE,)) is None


def test_waits_double_and_are_drawn_from_their_upper_half() -> None:
    assert [pause_s(failures, None, lambda: 0.0) for failures in (1, 2, 3, 4)] == [0.5, 1.0, 2.0, 4.0]
    assert [pause_s(failures, None, lambda: 1.0) for failures in (1, 2, 3, 4)] == [1.0, 2.0, 4.0, 8.0]
    assert pause_s(60, None, lambda: 1.0) == LONGEST_WAIT_S
    assert len({pause_s(1, None) for _ in range(20)}) > 10


def test_a_server_is_never_asked_before_it_wants_it() -> None:
    assert pause_s(1, 30.0, lambda: 0.0) == 30.0
    assert pause_s(1, 30.0, lambda: 0.5) == 30.5
    assert pause_s(4, 1.0, lambda: 0.0) == 4.0
    assert pause_s(1, 121.0) is None


def test_statuses_that_may_pass() -> None:
    assert {status for status in range(100, 600) if may_pass(status)} == {202, 408, 425, 429, *range(500, 600)}


def test_a_wait_ends_when_the_run_does() -> None:
    slept: list[float] = []

    def check() -> None:
        if sum(slept) >= 1.0:
            raise Cancelled

    with pytest.raises(Cancelled):
        wait(60.0, check, slept.append)
    assert sum(slept) == 1.0
    assert max(slept) <= STEP_S
    slept.clear()
    wait(0.6, lambda: None, slept.append)
    assert sum(slept) == pytest.approx(0.6)
