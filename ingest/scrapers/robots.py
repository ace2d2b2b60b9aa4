"""robots.txt (RFC 9309), read by protego: what a host lets this crawler fetch, how fast, and for which use.

No file (400 to 499) allows everything, one that cannot be had forbids everything for now. Crawl-delay and Request-rate
are no part of the standard and are kept to. A file that is not UTF-8 is read both with its odd bytes replaced and as
Latin-1, so that its paths fit to urls of either form, and what one of the two forbids is forbidden.

protego compares names of crawlers by their beginnings: `med` would speak to medloom, and `medloom/0.1`, which stands in
the logs of whoever writes the file, would not. So names are brought to the form that RFC 9309 2.2.1 compares before it
reads them; that also keeps thousands of names from multiplying thousands of rules.

What it says of use (`ingest.scrapers.preferences`) stands in the same groups. Lines before any group speak to all, and
lines hold for paths that are forbidden as well: a licence record may override the one and not the other.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from protego import Protego

from ingest.scrapers.answers import Get
from ingest.scrapers.host_files import HostFile, HostFiles, Outcome
from ingest.scrapers.preferences import Preference, Preferences, of_line
from ingest.scrapers.settings import TOKEN
from ingest.scrapers.signals import Statement, preference

_LITERAL = re.compile(r"[A-Za-z0-9/_.~-]*")  # what stands in a canonical url as in a rule
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_OTHERS = "another"  # every crawler but this one
_AGENT = re.compile(r"user[ -]?agent(?:\s*:|\s)\s*(?P<name>.+)", re.IGNORECASE)
_PRODUCT = re.compile(r"[A-Za-z_-]+")
_Groups = dict[str, list[tuple[str, str, str]]]  # lines: name in lower case, value, the line as it stands
_DELAY = re.compile(r"crawl[ -]delay(?:\s*:|\s)\s*(\d+(?:[.,]\d+)?)\s*(?:s|secs?|seconds?)?\.?", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What a robots.txt says of one url."""

    allowed: bool
    crawl_delay_s: float  # 0 where it asks for none
    line: str  # the Allow or Disallow that decides, as it stands there; empty where none speaks of the url
    file: HostFile  # without its body

    def as_json(self) -> dict[str, Any]:
        """What goes into the provenance of an answer."""
        return {
            "url": self.file.url,
            "fetched": self.file.fetched.isoformat(),
            "outcome": self.file.outcome.value,
            "sha256": self.file.sha256,
            "line": self.line,
            "crawl_delay_s": self.crawl_delay_s,
        }


class Robots:
    """The robots.txt of every host; one of each is fetched for all workers."""

    def __init__(self, folder: Path, get: Get) -> None:
        """`get` fetches without asking this class: its gate knows the pace alone."""
        self._files = HostFiles(folder, get, "/robots.txt", Rules, wanted="lines")

    def verdict(self, url: str, check: Callable[[], None]) -> Verdict:
        """On a canonical url; what `get` and `check` raise passes through."""
        return self._files.of(url, check).verdict(url)

    def statements(self, url: str, check: Callable[[], None]) -> list[Statement]:
        """What is said of the use of a canonical url; nothing where the file could not be had."""
        return self._files.of(url, check).statements(url)


class Rules:
    """One robots.txt as it speaks to this crawler."""

    def __init__(self, file: HostFile) -> None:
        self.file = replace(file, body=b"")
        texts = [_named(text) for text in _texts(file.body)]
        self._parsed = [Protego.parse(text) for text in texts]
        self._lines = [
            _Rule(name == "allow", value, line)
            for name, value, line in _own(_groups(texts[0]))
            if value and name in {"allow", "disallow"}
        ]
        self._preferences = Preferences(_preferences(texts))

    def verdict(self, url: str) -> Verdict:
        reached = self.file.outcome is not Outcome.UNREACHABLE
        allowed = reached and all(parsed.can_fetch(url, TOKEN) for parsed in self._parsed)
        matching = [rule for rule in self._lines if rule.matches(url)]
        decides = max(matching, key=lambda rule: (len(rule.value), rule.allows), default=None)
        line = decides.line if decides is not None and decides.allows == allowed else ""
        return Verdict(allowed=allowed, crawl_delay_s=self._delay_s(), line=line, file=self.file)

    def statements(self, url: str) -> list[Statement]:
        where, time = self.file.url, self.file.fetched
        return [preference(line, where, time) for line in self._preferences.of(url)]

    def _delay_s(self) -> float:
        delays = [0.0]
        for parsed in self._parsed:
            rate = parsed.request_rate(TOKEN)
            delays += [parsed.crawl_delay(TOKEN) or 0.0, rate.seconds / rate.requests if rate else 0.0]
        return max(delays)


class _Rule:
    """One Allow or Disallow by itself."""

    def __init__(self, allows: bool, value: str, line: str) -> None:
        self.allows, self.value, self.line = allows, value, line
        self._start = _LITERAL.match(value)[0]  # type: ignore[index]  # it matches the empty string

    @cached_property
    def _parsed(self) -> Protego:
        return Protego.parse(f"User-agent: *\nDisallow: {self.value}")

    def matches(self, url: str) -> bool:
        return self._start in url and not self._parsed.can_fetch(url, TOKEN)


def _texts(body: bytes) -> list[str]:
    """A file's text; two readings where it is not UTF-8."""
    if body.startswith(_UTF_16):
        return [body.decode("utf-16", "replace")]
    if 0 in body[:2] and len(body) > 1:  # UTF-16 that does not say so
        return [body.decode("utf-16-be" if body[0] == 0 else "utf-16-le", "replace")]
    try:
        return [body.decode().lstrip("\ufeff")]
    except UnicodeDecodeError:
        plain = body.removeprefix(codecs.BOM_UTF8)
        return [plain.decode(errors="replace"), plain.decode("latin-1")]


def _named(text: str) -> str:
    """The same lines with crawlers named TOKEN, `*` or _OTHERS, and with delays as plain numbers."""
    lines = []
    for line in text.splitlines():
        bare = line.split("#", 1)[0].strip()
        if (agent := _AGENT.fullmatch(bare)) is not None:
            lines.append(f"User-agent: {_group(agent['name'])}")
        elif (delay := _DELAY.fullmatch(bare)) is not None:
            lines.append(f"Crawl-delay: {delay[1].replace(',', '.')}")
        else:
            lines.append(line)
    return "\n".join(lines)


def _group(name: str) -> str:
    """Whom a User-agent line speaks to: only its product token counts, in any case."""
    if name.split(maxsplit=1)[0] == "*":
        return "*"
    product = _PRODUCT.match(name.lstrip("*"))
    return TOKEN if product is not None and product[0].lower() == TOKEN else _OTHERS


def _preferences(texts: list[str]) -> Iterator[Preference]:
    """What the readings of a file say of use."""
    for text, encoding in zip(texts, ("utf-8", "latin-1"), strict=False):
        groups = _groups(text)
        for name, value, line in [*groups[""], *_own(groups)]:
            if (said := of_line(name, value, line.encode(encoding))) is not None:
                yield said


def _own(groups: _Groups) -> list[tuple[str, str, str]]:
    return groups.get(TOKEN, groups.get("*", []))


def _groups(text: str) -> _Groups:
    """The lines of each group by the name that it speaks to; by no name those which no name stands before."""
    groups: _Groups = {"": []}
    agents = {""}
    naming = False
    for line in text.splitlines():
        name, colon, value = line.split("#", 1)[0].partition(":")
        name, value = name.strip().lower(), value.strip()
        if not colon or name in {"sitemap", "host"}:
            continue
        if name == "user-agent":
            agents = {*agents, value} if naming else {value}
            groups.setdefault(value, [])
        else:
            for agent in agents:
                groups[agent].append((name, value, line.strip()))
        naming = name == "user-agent"
    return groups
