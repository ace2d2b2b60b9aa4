"""The boundary around decoders that others wrote: whatever they raise on odd bytes becomes a reject with a code.

Image libraries raise anything on damaged input (struct.error, IndexError, RecursionError, AssertionError, types of
their own), and which one is no promise of theirs. So the one broad `except` of the decoders stands here, and it
keeps the place of the error but never its message, which may quote a patient's data; so may their warnings and their
log lines, which are dropped.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from shards.intake import Skip, place
from shards.reasons import Reason
from shards.stage import Cancelled, DeadlineExceeded
from shards.uri import open_binary

_LOGGERS = ("pydicom", "PIL", "nibabel", "libav")


@contextmanager
def foreign(reason: Reason = Reason.CORRUPT) -> Iterator[None]:
    """Run a library's decoder: its errors become Skip(reason, type and place)."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (Skip, ImportError, MemoryError, Cancelled, DeadlineExceeded):
        raise
    except BaseException as error:
        # a panic of a decoder in Rust (pylibjpeg-rle) derives from BaseException, so as to end the process
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise Skip(reason, place(error)) from None
        raise
    finally:
        for logger, state in zip(loggers, before, strict=True):
            logger.disabled = state


@contextmanager
def media_stream(uri: str) -> Iterator[BinaryIO]:
    """Open for reading; Skip(MISSING_FILE) or Skip(UNREADABLE) with the type of the error alone."""
    with foreign(Reason.UNREADABLE):
        try:
            stream = open_binary(uri)
        except FileNotFoundError:
            raise Skip(Reason.MISSING_FILE) from None
    try:
        with stream:
            yield stream
    except OSError as error:
        raise Skip(Reason.UNREADABLE, type(error).__name__) from None
