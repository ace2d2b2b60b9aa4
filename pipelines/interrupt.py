"""Ctrl-C and SIGTERM raise KeyboardInterrupt where the work is; what comes while it is cleaned up is ignored.

A batch system sends SIGTERM and then, seconds later, SIGKILL; an impatient person presses Ctrl-C twice. Neither may
break off the cleaning that the first signal began. But a library may swallow the first KeyboardInterrupt (one raised in
a callback or in `__del__` is lost), so signals are ignored for AGAIN_S only, until the cleaning has really begun.
Libraries that put their own handlers in (Ray does, when it starts) are undone by `kept`.
"""

from __future__ import annotations

import math
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
AGAIN_S = 2.0

_last = -math.inf  # time.monotonic() of the last signal that was not ignored


def _interrupt(signum: int, frame: FrameType | None) -> None:
    global _last  # noqa: PLW0603  # signals belong to the process
    if time.monotonic() - _last < AGAIN_S:
        return
    _last = time.monotonic()
    raise KeyboardInterrupt


def interruptible() -> None:
    """From now on a signal raises KeyboardInterrupt in the main thread."""
    for number in SIGNALS:
        signal.signal(number, _interrupt)


@contextmanager
def unbroken() -> Iterator[None]:
    """Around cleaning up: signals that `interruptible` would raise for are ignored.

    After a KeyboardInterrupt they stay so, for Python's own end would put back the handlers that kill at once.
    """
    ends = isinstance(sys.exc_info()[1], KeyboardInterrupt)
    ours = threading.current_thread() is threading.main_thread()
    numbers = [number for number in SIGNALS if ours and signal.getsignal(number) is _interrupt]
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN if ends else _interrupt)


@contextmanager
def kept() -> Iterator[None]:
    """Put back the handlers that a library replaces; its own way out by SystemExit becomes KeyboardInterrupt."""
    global _last  # noqa: PLW0603
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    except SystemExit as error:
        _last = time.monotonic()
        raise KeyboardInterrupt from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
