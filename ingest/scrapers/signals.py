"""What a site says about the use of its content for machine learning, in headers and pages.

Read are X-Robots-Tag and `<meta name="robots">` with the values that HTTP and HTML authors use against machine learning
or against any index (noai, noimageai, noml, noindex, noimageindex, none), the TDM Reservation Protocol (TDMRep, W3C
Community Group report of 2024) in its header and its meta elements, and the headers of `ingest.scrapers.preferences`.
Values addressed to another crawler say nothing to this one. TDMRep lets a later statement take back an earlier one;
here any reservation counts, since the request that would bring the later one is not made. So each line of a header
counts by itself, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ingest.scrapers import preferences
from ingest.scrapers.answers import Headers, every
from ingest.scrapers.settings import TOKEN

RESERVING = frozenset({"noai", "noimageai", "noml", "noindex", "noimageindex", "none"})
_KNOWN = RESERVING | {
    *("all", "index", "follow", "nofollow", "noarchive", "nocache", "nosnippet", "notranslate", "noodp", "noydir"),
    *("imageindex", "indexifembedded", "nositelinkssearchbox", "ai", "imageai"),
}
_WITH_VALUE = {"max-snippet", "max-image-preview", "max-video-preview", "unavailable_after"}
_ROBOTS_METAS = {"robots", TOKEN, "x-robots-tag"}  # the last as `http-equiv`
_UTF_16 = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be", b"<\0": "utf-16-le", b"\0<": "utf-16-be"}
_RESERVED = re.compile(r"1|true", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """One thing that a site said."""

    signal: str  # x-robots-tag, meta robots, tdm-reservation, meta tdm-reservation, tdmrep.json, content-signal, ...
    value: str
    reserves: bool
    where: str  # url of the answer that said it
    time: datetime  # when it was read, UTC
    raw: bytes  # as it was said
    policy: str = ""  # url of the terms under which it may be had (tdm-policy)

    def __str__(self) -> str:
        return f"{self.where} says {self.raw.decode('latin-1')[:200]}"

    def as_json(self) -> dict[str, Any]:
        """What goes into the provenance of an answer; `raw` as Latin-1, which has a letter for each byte."""
        return {
            "signal": self.signal,
            "value": self.value,
            "reserves": self.reserves,
            "where": self.where,
            "time": self.time.isoformat(),
            "raw": self.raw.decode("latin-1"),
            "policy": self.policy,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Statement:
        """The inverse of `as_json`."""
        time, raw = datetime.fromisoformat(value["time"]), value["raw"].encode("latin-1")
        return cls(**{**value, "time": time, "raw": raw})


def of_headers(headers: Headers, where: str, time: datetime) -> list[Statement]:
    """What the headers of one answer say."""
    said = []
    for line in every(headers, "X-Robots-Tag"):
        raw = f"X-Robots-Tag: {line}".encode("latin-1", "replace")
        for value in robots_values(line):
            reserves = value in RESERVING
            said.append(
                Statement(signal="x-robots-tag", value=value, reserves=reserves, where=where, time=time, raw=raw)
            )
    policy = " ".join(every(headers, "TDM-Policy")).strip()
    for line in every(headers, "TDM-Reservation"):
        raw = f"TDM-Reservation: {line}".encode("latin-1", "replace")
        said.append(reservation("tdm-reservation", line, policy, where, time, raw))
    for signal in preferences.SIGNALS:
        for line in every(headers, signal):
            raw = f"{signal.title()}: {line}".encode("latin-1", "replace")
            said.append(preference(preferences.of_field(signal, line, raw), where, time))
    return said


def of_page(body: bytes, where: str, time: datetime) -> list[Statement]:
    """What the meta elements of an HTML page say; nothing where the body is no HTML."""
    metas = list(_metas(body))
    policy = " ".join(content for name, content in metas if name == "tdm-policy")
    said = []
    for name, content in metas:
        raw = f'<meta name="{name}" content="{content}">'.encode("latin-1", "replace")
        if name in _ROBOTS_METAS:
            for value in re.split(r"[\s,;]+", content.lower()):
                reserves = value in RESERVING
                if value:
                    said.append(
                        Statement(
                            signal=f"meta {name}", value=value, reserves=reserves, where=where, time=time, raw=raw
                        )
                    )
        elif name == "tdm-reservation":
            said.append(reservation("meta tdm-reservation", content, policy, where, time, raw))
    return said


def robots_values(line: str) -> list[str]:
    """The values of one X-Robots-Tag line that are addressed to this crawler or to all.

    `name:` before a value addresses that and what follows it to a crawler. Values that have a colon themselves
    (max-snippet:0) are no such names, known ones and, where no known value follows, unknown ones.
    """
    values: list[str] = []
    ours = True
    for item in re.split("[,;]", line.lower()):
        before, colon, after = item.partition(":")
        before, words = before.strip(), after.split()
        if not colon:
            found = item.split()
        elif before in _WITH_VALUE or not _begins_with_value(after):
            found = ["".join(item.split())]
        else:
            ours = before in {TOKEN, "*"}
            found = ["".join(words)] if ":" in after else words
        values += found if ours else []
    return values


def _begins_with_value(text: str) -> bool:
    words = text.split(":", 1)[0].split()
    return bool(words) and (words[0] in _KNOWN or words[0] in _WITH_VALUE)


def reservation(signal: str, value: str, policy: str, where: str, time: datetime, raw: bytes) -> Statement:
    """A statement of TDMRep: 1 reserves, 0 does not, all else is none."""
    reserves = any(_RESERVED.fullmatch(part.strip()) for part in value.split(","))
    return Statement(
        signal=signal, value=value.strip(), reserves=reserves, where=where, time=time, raw=raw, policy=policy
    )


def preference(line: preferences.Preference, where: str, time: datetime) -> Statement:
    """A statement of a Content-Signal or Content-Usage."""
    reserves = bool(line.reserves)
    return Statement(signal=line.signal, value=line.value, reserves=reserves, where=where, time=time, raw=line.raw)


def _metas(body: bytes) -> Iterator[tuple[str, str]]:
    """Name, in lower case, and content of each meta element, with a letter for each byte.

    What counts is ASCII, so the charset that a page states is not asked: a wrong one would hide everything.
    """
    from lxml import etree

    if (encoding := _UTF_16.get(body[:2])) is not None:
        body = body.decode(encoding, "replace").encode()

    class Metas:
        """Keeps what the parser names, and builds no tree."""

        def __init__(self) -> None:
            self.found: list[tuple[str, str]] = []

        def start(self, tag: str, attributes: dict[str, str]) -> None:
            if tag == "meta":
                name = attributes.get("name") or attributes.get("http-equiv") or ""
                self.found.append((name.strip().lower(), attributes.get("content", "")))

        def close(self) -> list[tuple[str, str]]:
            return self.found

    target: Any = Metas()
    parser = etree.HTMLParser(target=target, encoding="iso-8859-1")
    try:
        parser.feed(body)
        yield from parser.close()
    except etree.LxmlError:
        return
