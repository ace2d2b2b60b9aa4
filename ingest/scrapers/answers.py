"""What came back from the web: one answer with the way to it, and what a request is asked to keep to.

An answer's body is a file and never an object in memory, so that a hundred of them in flight cost no memory. A failure
is a `shards.intake.Skip` with a reason of the web; the transient ones have been tried again before they are raised.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from shards.intake import Skip

Headers = tuple[tuple[str, str], ...]  # in the order of the answer; a name may come several times
Wanted = Literal["page", "xml", "json", "table", "image", "video", "media", "lines", "any"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Hop:
    """One answer on the way: a redirect, or the last."""

    url: str
    status: int
    address: str  # the IP address that was connected to


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """One whole answer. `status` is 200, or 404 and its like where `body_bytes` is 0; a 304 is never seen outside."""

    url: str  # as asked for
    hops: tuple[Hop, ...]  # the last is where the body came from
    status: int
    headers: Headers  # of the last hop
    fetched: datetime  # its Date header (RFC 9110 6.6.1), UTC; where there is none, the time of arrival
    sha256: str  # of the decoded body
    body_bytes: int  # decoded
    opted_out: bool = False  # its headers, or those of the redirect that it is, reserve it: no body was read

    @property
    def final_url(self) -> str:
        return self.hops[-1].url

    def header(self, name: str) -> str | None:
        """The first header of that name, in any case; None where there is none."""
        return first(self.headers, name)


class Reserved(Skip):
    """Skip(OPTED_OUT) by the headers of an answer, which is the evidence."""

    def __init__(self, skip: Skip, answer: Answer) -> None:
        super().__init__(skip.reason, skip.detail)
        self.answer = answer


def first(headers: Headers, name: str) -> str | None:
    """The first header of that name, in any case."""
    return next((value for key, value in headers if key.lower() == name.lower()), None)


def every(headers: Headers, name: str) -> list[str]:
    """All headers of that name, in any case, one entry a line."""
    return [value for key, value in headers if key.lower() == name.lower()]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """One request as a site pipeline makes it."""

    url: str
    wanted: Wanted = "any"
    max_bytes: int = 0  # on the wire and decoded; 0: the setting for its kind
    headers: Headers = ()  # such as Accept
    md5: str = ""  # hex digest that the body must have, where the source states one


class Turn(Protocol):
    """The right to make one request, held until it is answered or has failed."""

    def answered(self, status: int, headers: Headers, seconds: float) -> None:
        """Tell what came before the body is read; `seconds` from sending to the end of the headers.

        Raises Skip(OPTED_OUT) where the headers reserve the content.
        """
        ...

    def goes_on(self) -> None:
        """Tell that the body still comes; called for each piece of it."""
        ...


class Gate(Protocol):
    """Who decides when, and whether, a request may be made; asked for every hop."""

    def enter(self, url: str, check: Callable[[], None]) -> AbstractContextManager[Turn]:
        """Wait for the host's turn, calling `check` while waiting; Skip where the url may not be fetched.

        A turn that ends without `answered` is a failure of the host and slows it down.
        """
        ...


class Get(Protocol):
    """Fetches one url, whatever it takes: hops, tries, deadline, caps."""

    def __call__(
        self, ask: Ask, into: Path, *, known: Answer | None = None, check: Callable[[], None] = lambda: None
    ) -> Answer | None:
        """The answer, with its body under `into` (written under a temporary name, then renamed).

        With `known` the request is conditional (RFC 9110 13), and None means that `known` still holds. Raises Reserved
        where headers reserve it.
        """
        ...
