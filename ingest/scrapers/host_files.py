"""What a host says of itself in a file at a fixed place: asked for once by all workers, kept raw with its time.

    <store>/robots/<hash of its url>.json           the newest
    <store>/robots/<hash of its url>.<time>.json    an older one, where the newest differs

A file is asked for anew after 24 hours (RFC 9309 2.4), reckoned by this machine's clock from when it came: a server's
Date may be years off. That it could not be had is remembered for ten minutes only.
"""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from ingest.scrapers.answers import Ask, Get, Wanted
from ingest.scrapers.locks import named_lock
from shards.atomic import TMP_PREFIX, make_folder, write_json
from shards.canonical import sha256_hex
from shards.intake import Skip
from shards.reasons import Reason

T = TypeVar("T")

READ_BYTES = 500 * 1024  # RFC 9309 2.5: what lies beyond is not read
FETCH_BYTES = 4 * 2**20  # what is larger is not fetched, and so could not be had
HELD_S = 24 * 3600.0
UNREACHABLE_HELD_S = 600.0
IN_MEMORY = 1024  # hosts
IN_MEMORY_BYTES = 4 * 2**20  # of their files; what is parsed takes some ten times as much
_OF_THE_HOST = {Reason.ADDRESS_FORBIDDEN, Reason.HOST_PAUSED}  # no fault of the file


class Outcome(StrEnum):
    """What came of asking."""

    FOUND = "found"
    ABSENT = "absent"  # an answer of 400 to 499, but those that ask to wait
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, kw_only=True, slots=True)
class HostFile:
    """One file of a host as it was when it was asked for."""

    url: str
    final_url: str  # where it came from, after redirects
    outcome: Outcome
    detail: str  # status, or what failed
    asked: datetime  # by this machine's clock, UTC
    fetched: datetime  # by the server's Date, where it came
    body: bytes = b""  # whole lines of the first READ_BYTES
    cut: bool = False
    sha256: str = ""  # of the body as kept; empty where there is none

    def held_s(self, now: datetime) -> float:
        """For how many seconds it still holds; 0 or less where it is to be asked for anew."""
        longest = UNREACHABLE_HELD_S if self.outcome is Outcome.UNREACHABLE else HELD_S
        age = (now - self.asked).total_seconds()
        return longest - age if age >= 0 else 0.0  # written by a clock that was ahead

    def as_json(self) -> dict[str, Any]:
        return {
            "url": self.url,
            "final_url": self.final_url,
            "outcome": self.outcome.value,
            "detail": self.detail,
            "asked": self.asked.isoformat(),
            "fetched": self.fetched.isoformat(),
            "sha256": self.sha256,
            "body_base64": base64.b64encode(self.body).decode(),
            "cut": self.cut,
        }

    @classmethod
    def from_json(cls, value: Any) -> HostFile:
        """KeyError, TypeError or ValueError where the record is damaged."""
        return cls(
            url=value["url"],
            final_url=value["final_url"],
            outcome=Outcome(value["outcome"]),
            detail=value["detail"],
            asked=datetime.fromisoformat(value["asked"]),
            fetched=datetime.fromisoformat(value["fetched"]),
            body=base64.b64decode(value["body_base64"], validate=True),
            cut=value["cut"],
            sha256=value["sha256"],
        )


@dataclass(frozen=True, slots=True)
class _Parsed(Generic[T]):
    value: T
    until: float  # time.monotonic()
    size_bytes: int  # of the file


class HostFiles(Generic[T]):
    """The file at one path of every host, parsed; safe for the threads of a worker."""

    def __init__(
        self, folder: Path, get: Get, path: str, parse: Callable[[HostFile], T], *, wanted: Wanted = "any"
    ) -> None:
        self._wanted: Wanted = wanted
        self._folder = folder
        self._get = get
        self._path = path
        self._parse = parse
        self._parsed: OrderedDict[str, _Parsed[T]] = OrderedDict()  # by url
        self._lock = threading.Lock()
        make_folder(folder)

    def of(self, url: str, check: Callable[[], None]) -> T:
        """That of the host (scheme, name and port) of a canonical url; `check` is called while waiting for it."""
        parts = urlsplit(url)
        where = f"{parts.scheme}://{parts.netloc}{self._path}"
        with self._lock:
            known = self._parsed.get(where)
            if known is not None and time.monotonic() < known.until:
                self._parsed.move_to_end(where)
                return known.value
        file = self._current(where, check)
        value = self._parse(file)
        with self._lock:
            until = time.monotonic() + file.held_s(datetime.now(UTC))
            self._parsed[where] = _Parsed(value, until, len(file.body))
            self._parsed.move_to_end(where)
            while len(self._parsed) > IN_MEMORY or self._too_large():
                self._parsed.popitem(last=False)
        return value

    def _too_large(self) -> bool:
        return len(self._parsed) > 1 and sum(one.size_bytes for one in self._parsed.values()) > IN_MEMORY_BYTES

    def _current(self, url: str, check: Callable[[], None]) -> HostFile:
        path = self._folder / f"{sha256_hex(url.encode())[:32]}.json"
        held = _read(path)
        if held is not None and held.held_s(datetime.now(UTC)) > 0:
            return held
        with named_lock(self._folder / "locks", path.name, check):
            held = _read(path)
            if held is not None and held.held_s(datetime.now(UTC)) > 0:
                return held  # another worker asked meanwhile
            fresh = self._fetch(url, check)
            if held is not None and (held.outcome, held.body) != (fresh.outcome, fresh.body):
                path.rename(path.with_suffix(f".{held.asked:%Y%m%dT%H%M%S}Z.json"))
            write_json(path, fresh.as_json())
            return fresh

    def _fetch(self, url: str, check: Callable[[], None]) -> HostFile:
        into = self._folder / f"{TMP_PREFIX}{secrets.token_hex(8)}"
        ask = Ask(url=url, wanted=self._wanted, max_bytes=FETCH_BYTES)
        try:
            answer = self._get(ask, into, check=check)
            assert answer is not None
            now = datetime.now(UTC)
            body, cut = _whole_lines(into) if answer.status == 200 else (b"", False)
        except Skip as skip:
            if skip.reason in _OF_THE_HOST:
                raise
            now = datetime.now(UTC)
            failed = Outcome.UNREACHABLE
            return HostFile(url=url, final_url=url, outcome=failed, detail=str(skip), asked=now, fetched=now)
        finally:
            into.unlink(missing_ok=True)
        return HostFile(
            url=url,
            final_url=answer.final_url,
            outcome=Outcome.FOUND if answer.status == 200 else Outcome.ABSENT,
            detail=str(answer.status),
            asked=now,
            fetched=answer.fetched,
            body=body,
            cut=cut,
            sha256=sha256_hex(body) if answer.status == 200 else "",
        )


def _read(path: Path) -> HostFile | None:
    """What is kept; None where there is nothing, or a record of another form."""
    try:
        return HostFile.from_json(json.loads(path.read_bytes()))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _whole_lines(path: Path) -> tuple[bytes, bool]:
    """The first READ_BYTES, without a line that they cut: half a rule says something else than the whole."""
    with path.open("rb") as stream:
        body = stream.read(READ_BYTES + 1)
    if len(body) <= READ_BYTES:
        return body, False
    end = max(body.rfind(b"\n", 0, READ_BYTES), body.rfind(b"\r", 0, READ_BYTES))
    return body[: end + 1], True
