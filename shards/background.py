"""Work of other threads that nobody has to wait for: a call with a deadline, and calls ahead of need.

A read from a remote store may block for ever in C, where no deadline of ours is looked at. So it is done on a daemon
thread: the caller goes on when its time is over, and a process ends whatever its threads wait for.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def within(deadline: float, call: Callable[[], T]) -> T:
    """`call()` on a thread of its own; TimeoutError when it has not come back by `deadline` (time.monotonic())."""
    answers: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put((call(), None))
        except BaseException as error:  # noqa: BLE001  # raised where it is waited for
            answers.put((None, error))

    threading.Thread(target=run, name="shards-within", daemon=True).start()
    try:
        answer, error = answers.get(timeout=max(0.0, deadline - time.monotonic()))
    except queue.Empty:
        raise TimeoutError("it did not answer in time") from None
    if error is not None:
        raise error
    return answer  # type: ignore[return-value]


class Ahead:
    """A few daemon threads that do calls in the order in which they were asked for; an OSError of one is dropped."""

    def __init__(self, threads: int) -> None:
        self.calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.owner = os.getpid()  # threads do not survive a fork
        for _ in range(threads):
            threading.Thread(target=self._work, name="shards-ahead", daemon=True).start()

    def _work(self) -> None:
        while True:
            call = self.calls.get()
            with contextlib.suppress(OSError):
                call()
