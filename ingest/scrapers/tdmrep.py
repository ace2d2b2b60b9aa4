"""The site-wide file of the TDM Reservation Protocol (TDMRep, W3C Community Group report of 2024, section 6).

`/.well-known/tdmrep.json` is an array of rules: a location, which is a pattern as in robots.txt, `tdm-reservation` and
perhaps a `tdm-policy`. The first rule that matches counts. A host whose file cannot be had does not take part.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from protego import Protego

from ingest.scrapers.answers import Get
from ingest.scrapers.host_files import HostFile, HostFiles
from ingest.scrapers.signals import Statement, reservation

PATH = "/.well-known/tdmrep.json"


class TdmFiles:
    """The file of every host; one of each is fetched for all workers."""

    def __init__(self, folder: Path, get: Get) -> None:
        self._files = HostFiles(folder, get, PATH, Rules)

    def statement(self, url: str, check: Callable[[], None]) -> Statement | None:
        """What the host's file says of a canonical url."""
        return self._files.of(url, check).statement(url)


class Rules:
    """One file."""

    def __init__(self, file: HostFile) -> None:
        self._file = file
        self._rules = [(_pattern(rule), rule) for rule in _rules(file.body)]

    def statement(self, url: str) -> Statement | None:
        for pattern, rule in self._rules:
            if not pattern.can_fetch(url, "any"):
                value, policy = str(rule.get("tdm-reservation", "")), str(rule.get("tdm-policy") or "")
                raw = json.dumps(rule, ensure_ascii=False).encode()
                return reservation("tdmrep.json", value, policy, self._file.url, self._file.fetched, raw)
        return None


def _rules(body: bytes) -> list[dict[str, Any]]:
    """The rules of a file; none where it is something else, such as the page that a site has for all missing files."""
    try:
        parsed = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return []
    listed = parsed if isinstance(parsed, list) else [parsed]  # one rule without its brackets means the same
    return [rule for rule in listed if isinstance(rule, dict) and "tdm-reservation" in rule]


def _pattern(rule: dict[str, Any]) -> Protego:
    """A parser that forbids exactly the urls which the location names; all, where the location is missing."""
    location = re.sub("^https?://[^/]*", "", str(rule.get("location") or "/"))
    bare = "".join(location.split()).replace("#", "%23")
    return Protego.parse(f"User-agent: *\nDisallow: {bare if bare.startswith(('/', '*')) else f'/{bare}'}")
