"""The boundary around decoders that others wrote: whatever they raise on odd bytes becomes a reject with a code.

Image libraries raise anything on damaged input (struct.error, IndexError, RecursionError, AssertionError, types of
their own), and which one is no promise of theirs. So the one broad `except` of the decoders stands here, and it
keeps the place of the error but never its message, which may quote a patient's data; so may their warnings and their
log lines, which are dropped. What native code writes to the process's standard error itself cannot be switched off
without taking that stream from everybody: libtiff's errors (by Pillow) and the panics of pylibjpeg-rle, neither of
which quotes the file's text. FFmpeg is silent unless someone asks PyAV for its log.

A library out of memory is the machine's trouble and stops the run, unless the data asked for more than any file may
have: then it is the data that are wrong.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import BinaryIO

from shards.intake import Skip, place
from shards.limits import Limits
from shards.reasons import Reason
from shards.stage import Cancelled, DeadlineExceeded
from shards.uri import open_binary

_LOGGERS = ("pydicom", "PIL", "nibabel", "nibabel.global", "libav", "openjpeg", "jpeg_ls", "imagecodecs", "tifffile")


@contextmanager
def foreign(reason: Reason = Reason.CORRUPT) -> Iterator[None]:
    """Run a library's decoder: its errors become Skip(reason, type and place)."""
    with _silence():
        try:
            yield
        except MemoryError as error:
            if _claimed(error):
                raise Skip(Reason.CORRUPT, place(error)) from None
            raise
        except (Skip, ImportError, Cancelled, DeadlineExceeded):
            raise
        except BaseException as error:
            # a panic of a decoder in Rust (pylibjpeg-rle) derives from BaseException, so as to end the process
            if isinstance(error, Exception) or type(error).__name__ == "PanicException":
                raise Skip(reason, place(error)) from None
            raise


def _claimed(error: MemoryError) -> bool:
    """Whether the data asked for memory that nobody has, and not the machine ran out of it.

    FFmpeg says ENOMEM of a count in a header that it will not multiply (libavformat, mov_read_stts); numpy says how
    much it was asked for.
    """
    asked_bytes: int = getattr(error, "_total_size", 0)
    return type(error).__module__ == "av.error" or asked_bytes > Limits().max_total_bytes


@cache
def _loggers() -> list[logging.Logger]:
    return [logging.getLogger(name) for name in _LOGGERS]


@contextmanager
def _silence() -> Iterator[None]:
    """Drop the warnings and log lines of decoders, also those of loggers below theirs."""
    loggers = _loggers()
    before = [(logger.handlers, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers, logger.propagate = [logging.NullHandler()], False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, (handlers, propagate) in zip(loggers, before, strict=True):
            logger.handlers, logger.propagate = handlers, propagate


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
