"""A fetcher for the tests, with a gate that lets everything through and notes what it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ingest.scrapers.addresses import system_resolver
from ingest.scrapers.fetch import Fetcher
from ingest.scrapers.settings import Web


@dataclass
class OpenGate:
    """Says yes to every url."""

    entered: list[str] = field(default_factory=list)
    answers: list[tuple[int, float]] = field(default_factory=list)  # status, seconds
    ended: int = 0
    pieces: int = 0

    @contextmanager
    def enter(self, url: str, check: Callable[[], None]) -> Iterator[OpenGate]:
        check()
        self.entered.append(url)
        try:
            yield self
        finally:
            self.ended += 1

    def answered(self, status: int, headers: Any, seconds: float) -> None:
        self.answers.append((status, seconds))

    def goes_on(self) -> None:
        self.pieces += 1


@dataclass
class Fetching:
    """A fetcher, its gate, and the waits between its tries, which take no time."""

    gate: Any
    waits: list[float]
    get: Fetcher


@contextmanager
def fetching(
    resolver: Any = system_resolver, gate: Any = None, loopback: bool = True, **options: Any
) -> Iterator[Fetching]:
    """Options are those of Web."""
    web = Web(contact="tests@example.org", loopback=loopback, **{"deadline_s": 5.0, "tries": 3, **options})
    waits: list[float] = []
    gate = gate or OpenGate()
    with Fetcher(web, gate, resolver=resolver, sleep=waits.append) as get:
        yield Fetching(gate, waits, get)
