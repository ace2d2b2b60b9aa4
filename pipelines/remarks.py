"""What a stage says while it works: warnings of its loggers, carried with the outcome wherever the worker runs.

Only loggers of our packages and of the stage's own package are heard: a decoder's warning may quote what it read.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from pipelines.house import PACKAGES

MOST = 20  # different ones of one task


class Remarks(logging.Handler):
    """Collects the warnings of a stage, each text once."""

    def __init__(self, module: str) -> None:
        super().__init__(logging.WARNING)
        self.loggers = [logging.getLogger(name) for name in sorted({*PACKAGES, module.partition(".")[0]})]
        self.said: dict[str, None] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the text; what comes after MOST of them is left out."""
        if len(self.said) < MOST:
            self.said[record.getMessage()] = None

    @contextmanager
    def heard(self) -> Iterator[dict[str, None]]:
        """Listen while the block runs; gives the texts as they come."""
        self.said = {}
        for logger in self.loggers:
            logger.addHandler(self)
        try:
            yield self.said
        finally:
            for logger in self.loggers:
                logger.removeHandler(self)
