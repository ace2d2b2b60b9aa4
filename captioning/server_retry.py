"""What is worth another try, how often, and after how long.

Busy and failing servers (408, 409, 425, 429, 5xx; RFC 9110 15.5 and 15.6), broken connections, time-outs and answers
that are cut short may pass. Waits double and are drawn from their upper half, so that questions which failed together
do not come back together. A server that says how long to wait is not asked sooner, up to a limit.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from shards.intake import Skip
from shards.reasons import Reason

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 20.0
LONGEST_ASKED_S = 60.0
# requests of one question that may fail in one way, until it is given up
MOST: Mapping[Reason, int] = {
    Reason.HTTP_FAILED: 8,
    Reason.CONNECTION_FAILED: 8,
    Reason.TIMED_OUT: 3,  # each has cost a whole deadline
    Reason.ANSWER_MALFORMED: 3,
}

_draw = secrets.SystemRandom().uniform


class Fault(Exception):
    """A failure that may pass: `skip` is what it comes to when no try is left."""

    def __init__(self, reason: Reason, detail: str, *, asked_s: float | None = None, busy: bool = False) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.skip = Skip(reason, detail)
        self.asked_s = asked_s  # how long the server asked to wait
        self.busy = busy  # the server is well, but has too much to do

    @property
    def most(self) -> int:
        """Requests of one question that may fail for this reason."""
        return MOST[self.skip.reason]


def may_pass(status: int) -> bool:
    """Whether an answer of this status may be another one later."""
    return status in {408, 409, 425, 429} or 500 <= status <= 599


def asked_wait_s(headers: Mapping[str, str]) -> float | None:
    """What Retry-After (RFC 9110 10.2.3) asks for, at most LONGEST_ASKED_S: seconds, or a date seen from `Date`.

    None where there is none, or none that makes sense.
    """
    text = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,18}", text):
        seconds = float(text)
    else:
        then = _date(text)
        if then is None:
            return None
        seconds = (then - (_date(headers.get("Date", "")) or datetime.now(UTC))).total_seconds()
    return min(seconds, LONGEST_ASKED_S) if seconds > 0 else None


def pause_s(failures: int, asked_s: float | None = None) -> float:
    """How long a question waits after so many failures (1, 2, ...)."""
    longest = min(FIRST_WAIT_S * 2.0 ** (failures - 1), LONGEST_WAIT_S)
    return max(_draw(longest / 2, longest), (asked_s or 0.0) + _draw(0.0, FIRST_WAIT_S))


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
        return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
