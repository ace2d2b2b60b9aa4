"""What is worth trying again, and after how long.

Busy and failing servers (RFC 9110 15.6, 408, 425, 429), broken connections and bodies that are not whole may pass;
everything else stays as it is. The waits double and are drawn from their upper half, so that workers which failed
together do not come back together. A server that says how long to wait is never asked sooner.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from ingest.scrapers.answers import Headers, first
from shards.intake import Skip

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0
LONGEST_ASKED_S = 120.0  # a server that asks for more is left alone: the url is tried again by the next run
STEP_S = 0.25  # between two looks at whether the run goes on
NONSENSE_S = 366 * 86400.0  # a Retry-After beyond it is taken for none at all

draw: Callable[[], float] = secrets.SystemRandom().random  # [0, 1)


class MayPass(Exception):
    """A failure that may pass: `skip` is what it comes to when no try is left."""

    def __init__(self, skip: Skip, asked_s: float | None = None) -> None:
        super().__init__(str(skip))
        self.skip = skip
        self.asked_s = asked_s  # how long the server asked to wait


def may_pass(status: int) -> bool:
    """Whether an answer of this status may be another one later."""
    return status in {202, 408, 425, 429} or 500 <= status <= 599


def asked_wait_s(headers: Headers) -> float | None:
    """What Retry-After (RFC 9110 10.2.3) asks for: seconds, or a date seen from the answer's own Date.

    None where there is none, or none that makes sense: negative, past, malformed, or more than a year.
    """
    text = (first(headers, "Retry-After") or "").strip()
    if re.fullmatch(r"[0-9]{1,18}", text):
        seconds = float(text)
    else:
        then = http_date(text)
        if then is None:
            return None
        now = http_date(first(headers, "Date") or "") or datetime.now(UTC)
        seconds = (then - now).total_seconds()
    return seconds if 0 < seconds <= NONSENSE_S else None


def http_date(text: str) -> datetime | None:
    """A date as headers give it (RFC 9110 5.6.7), UTC; None where it is none."""
    try:
        date = parsedate_to_datetime(text)
        return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except (ValueError, OverflowError, IndexError):
        return None


def pause_s(failures: int, asked_s: float | None, draw: Callable[[], float] = draw) -> float | None:
    """How long to wait after so many failures (1, 2, ...); None where the server wants to be left alone for longer."""
    if asked_s is not None and asked_s > LONGEST_ASKED_S:
        return None
    longest = min(FIRST_WAIT_S * 2.0 ** (failures - 1), LONGEST_WAIT_S)
    return max(longest * (1 + draw()) / 2, (asked_s or 0.0) + draw())


def wait(seconds: float, check: Callable[[], None], sleep: Callable[[float], None] = time.sleep) -> None:
    """Sleep in short steps, with `check` before each: it raises where the run is to end."""
    while seconds > 0:
        check()
        sleep(min(seconds, STEP_S))
        seconds -= STEP_S
