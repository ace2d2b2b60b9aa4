"""The boundary around decoders that others wrote: whatever they raise on odd bytes becomes a reject with a code.

Image libraries raise anything on damaged input (struct.error, IndexError, RecursionError, AssertionError, types of
their own), and which one is no promise of theirs. So the one broad `except` of the decoders stands here, and it
keeps the place of the error but never its message, which may quote a patient's data.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from shards.intake import Skip, place
from shards.reasons import Reason
from shards.stage import Cancelled, DeadlineExceeded


@contextmanager
def foreign(reason: Reason = Reason.CORRUPT) -> Iterator[None]:
    """Run a library's decoder: its warnings are dropped, its errors become Skip(reason, type and place)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (Skip, ImportError, MemoryError, Cancelled, DeadlineExceeded):
        raise
    except Exception as error:
        raise Skip(reason, place(error)) from None
