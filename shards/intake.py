"""The one place where an exception becomes a counted reject.

A worker hands every item of its unit to `Intake.take`. The item is accepted when it gives at least one row; else it
leaves a reject with a reason code. Bugs and system failures (NameError, ImportError, AssertionError, MemoryError) and
what a person must mend (UserError) are never turned into rejects: they stop the unit.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from shards.reasons import Reason
from shards.stage import Cancelled, Context, DeadlineExceeded, OutputFile, Reject, Result, ServiceLost, UserError

P = ParamSpec("P")
T = TypeVar("T")

OWN_SIGNALS = (Cancelled, DeadlineExceeded, ServiceLost)
NEVER_SKIPPED = (AssertionError, NameError, ImportError, SyntaxError, MemoryError, UserError, *OWN_SIGNALS)


class Skip(Exception):
    """Drop this item, for a reason that has a code."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason
        self.detail = detail


def place(error: BaseException) -> str:
    """Type of the error and where it arose; never its message, which may quote a patient's data.

    Of an error of the operating system also what its number means, such as "No space left on device".
    """
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    meaning = f" ({os.strerror(error.errno)})" if isinstance(error, OSError) and error.errno else ""
    return f"{type(error).__name__}{meaning}{where}"


class Intake:
    """Counts what a unit is offered. `stop_after` rejects in a row stop the unit; what follows is `not_tried`."""

    def __init__(self, ctx: Context, *, stop_after: int | None = None) -> None:
        self.ctx = ctx
        self.stop_after = stop_after
        self.rows: list[Any] = []
        self.rejects: list[Reject] = []
        self.files: list[OutputFile] = []
        self.offered = 0
        self.accepted = 0
        self.in_a_row = 0

    def take(self, item: str, make_rows: Callable[P, Iterable[Any]], *args: P.args, **kwargs: P.kwargs) -> bool:
        """Offer `item`: keep the rows that `make_rows(*args)` gives, or record why there are none."""
        self.offered += 1
        if self.stop_after is not None and self.in_a_row >= self.stop_after:
            return self.reject(item, Reason.NOT_TRIED)
        if item in self.ctx.quarantined:
            return self.reject(item, Reason.of(self.ctx.quarantined[item]))
        self.ctx.check()
        self.ctx.mark(item)
        try:
            rows = list(make_rows(*args, **kwargs))
        except Skip as skip:
            return self.reject(item, skip.reason, skip.detail)
        except NEVER_SKIPPED:
            raise
        except Exception as error:
            return self.reject(item, Reason.UNEXPECTED_ERROR, place(error))
        assert rows, f"{item}: no row and no reason; raise Skip instead"
        self.rows.extend(rows)
        self.accepted += 1
        self.in_a_row = 0
        return True

    def enter(self, item: str, open_it: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """Open something that holds the items proper, such as a volume of slices.

        What `open_it(*args)` gives is no row, and success counts nothing; where it fails, the whole is one reject.
        """
        opened: list[T] = []

        def make() -> list[T]:
            opened.append(open_it(*args, **kwargs))
            return opened

        if not self.take(item, make):
            return None
        self.rows.pop()
        self.offered -= 1
        self.accepted -= 1
        return opened[0]

    def reject(self, item: str, reason: Reason, detail: str = "") -> bool:
        """Record a reject for an item that `take` has already counted."""
        self.rejects.append(Reject(item=item, reason=reason.value, detail=detail))
        self.in_a_row += 1
        return False

    def result(self, frame: Callable[[list[Any]], Any]) -> Result:
        """The unit's result; `frame` turns the collected rows into a data frame."""
        return Result(
            rows=frame(self.rows),
            rejects=self.rejects,
            offered=self.offered,
            accepted=self.accepted,
            files=self.files,
        )
