"""Ctrl-C and SIGTERM: the first raises KeyboardInterrupt where the work is, later ones wait for the cleaning up.

A batch system sends SIGTERM and then, seconds later, SIGKILL; an impatient person presses Ctrl-C twice. Neither may
break off the cleaning that the first signal began. Libraries that put their own handlers in (Ray does, when it
starts) are undone by `kept`.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def _interrupt(signum: int, frame: FrameType | None) -> NoReturn:
    _ignore_more()
    raise KeyboardInterrupt


def _ignore_more() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def interruptible() -> None:
    """From now on the first signal raises KeyboardInterrupt in the main thread."""
    for number in SIGNALS:
        signal.signal(number, _interrupt)


@contextmanager
def kept() -> Iterator[None]:
    """Put back the handlers that a library replaces; its own way out by SystemExit becomes KeyboardInterrupt."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    except SystemExit as error:
        _ignore_more()
        raise KeyboardInterrupt from error
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is not signal.SIG_IGN:  # an interrupt is being cleaned up
                signal.signal(number, handler)
