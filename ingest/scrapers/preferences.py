"""Lines that say what content may be used for: Content-Signal and Content-Usage, in robots.txt and in headers.

Content-Signal (contentsignals.org, vocabulary of draft-romm-aipref-contentsignals-00) lists `ai-train=no` and the
like. Content-Usage (draft-ietf-aipref-attach-05, draft-ietf-aipref-vocab-08) is a dictionary of RFC 9651,
`train-ai=n`. What is none says nothing by the draft; here it is noted, and reserves where it does read as a list of
pairs. Labels that the vocabulary had up to version 07 are read as well: a label for more counts where none for less
stands beside it. A label of training whose value is no plain yes reserves.

In robots.txt a path may come first, as in Allow and Disallow; the draft has it for Content-Usage, and sites write it
for both. For each of the two, the longest path that fits and says something of training decides, and of paths of one
length any that reserves. So a longer path that speaks of search alone takes nothing back, as it would in the draft.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, urlsplit

Signal = Literal["content-signal", "content-usage"]
SIGNALS: tuple[Signal, ...] = ("content-signal", "content-usage")
NOTED = 16  # lines of one robots.txt that are noted with a url, those that reserve first
_NOTED_CHARACTERS = 1000  # of one line
_TRAINING = (  # of a generative model, of any model, all that programs do; the narrowest that is stated counts
    frozenset({"train-genai", "genai"}),
    frozenset({"train-ai", "ai-train", "ai"}),
    frozenset({"all", "bots", "tdm"}),
)
_PERMITS = frozenset({"y", "yes"})

# RFC 9651: keys, the kinds of items, parameters, lists of items. No part gives back what it took, so a line of any
# length is read in one go.
_KEY = r"[a-z*][a-z0-9_.*-]*+"
_ITEM = "(?>{})".format(
    "|".join(
        (
            r"@?-?[0-9]{1,15}+(?![0-9.])|-?[0-9]{1,12}+\.[0-9]{1,3}+",
            r'%?"(?:[ !#-\[\]-~]|\\["\\])*+"',
            r"[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*+",
            r":[A-Za-z0-9+/=]*+:",
            r"\?[01]",
        )
    )
)
_PARAMETERS = rf"(?:; *+{_KEY}(?:={_ITEM})?+)*+"
_LIST = rf"\((?: *+{_ITEM}{_PARAMETERS}(?=[ )]))*+ *+\)"
_MEMBER = re.compile(rf"({_KEY})(?:=({_ITEM}|{_LIST}))?+{_PARAMETERS}[ \t]*+(,[ \t]*+(?!\Z)|\Z)")

_ESCAPED = re.compile(rb"%([0-9A-Fa-f]{2})?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Preference:
    """One line."""

    signal: Signal
    path: str = ""  # a pattern as in Allow; empty for everything
    value: str  # without the path
    reserves: bool | None  # None where it says nothing of training
    raw: bytes


class Preferences:
    """The lines of one robots.txt that speak to this crawler."""

    def __init__(self, lines: Iterable[Preference]) -> None:
        self._lines = list(dict.fromkeys(lines))
        self._patterns = {line.path: _Pattern(line.path) for line in self._lines}

    def of(self, url: str) -> list[Preference]:
        """The lines that count for a canonical url; a shorter path than the one that decides is none of them."""
        parts = urlsplit(url)
        where = _plain(parts.path + (f"?{parts.query}" if parts.query else ""))
        fitting = [line for line in self._lines if self._patterns[line.path].fits(where)]
        return [line for signal in SIGNALS for line in self._counting(fitting, signal)]

    def _counting(self, fitting: Iterable[Preference], signal: str) -> list[Preference]:
        ours = [line for line in fitting if line.signal == signal]
        deciding = max((self._octets(line) for line in ours if line.reserves is not None), default=0)
        counting = [line for line in ours if self._octets(line) >= deciding]
        return sorted(counting, key=lambda line: not line.reserves)[:NOTED]

    def _octets(self, line: Preference) -> int:
        return self._patterns[line.path].octets


def of_line(name: str, text: str, raw: bytes) -> Preference | None:
    """What a line of robots.txt says; None where its name is another."""
    plain = re.sub("[ _]", "-", name.lower()).removesuffix("s")
    signal = next((one for one in SIGNALS if one == plain), None)
    if signal is None:
        return None
    path, rest = "", text.strip()
    if rest.startswith("/"):
        path, _, rest = re.sub(r"\s", " ", rest).partition(" ")
    return of_field(signal, rest.strip(), raw, path)


def of_field(signal: Signal, text: str, raw: bytes, path: str = "") -> Preference:
    """What a header, or a line without its path, says."""
    said = _pairs(text) if signal == "content-signal" else _dictionary(text)
    value = (text if said is not None else f"unreadable: {text}")[:_NOTED_CHARACTERS]
    reserves = _reserves(said) if said is not None else _reserves(_pairs(text)) or None
    return Preference(signal=signal, path=path, value=value, reserves=reserves, raw=raw[:_NOTED_CHARACTERS])


def _reserves(said: Mapping[str, list[str]]) -> bool | None:
    for labels in _TRAINING:
        values = [value for label in labels for value in said.get(label, ())]
        if values:
            return not _PERMITS.issuperset(values)
    return None


def _pairs(text: str) -> dict[str, list[str]]:
    """Keys and their values, in any case, whatever stands between one and the next."""
    words = re.sub("[,;\"']", " ", re.sub("[=:]", " = ", text.lower())).split()
    said: dict[str, list[str]] = {}
    for before, sign, after in zip(words, words[1:], [*words[2:], ""], strict=False):
        if sign == "=":
            said.setdefault(before.replace("_", "-"), []).append(after)
    return said


def _dictionary(text: str) -> dict[str, list[str]] | None:
    """RFC 9651 4.2.2, where of a key that comes twice the last value counts; None where it is none."""
    said: dict[str, list[str]] = {}
    text, at = text.strip(" "), 0
    while at < len(text):
        member = _MEMBER.match(text, at)
        if member is None:
            return None
        said[member[1]] = [member[2] or "?1"]
        at = member.end()
    return said


class _Pattern:
    """A path of robots.txt (RFC 9309 2.2.3): `*` is anything, `$` at its end the end."""

    def __init__(self, path: str) -> None:
        self._ends = path.endswith("$")
        plain = _plain(path.removesuffix("$"), wildcard="*")
        self.octets = len(plain) + self._ends
        self._first, *self._others = plain.split("*")

    def fits(self, where: str) -> bool:
        if not where.startswith(self._first):
            return False
        at = len(self._first)
        for part in self._others[: -1 if self._ends else None]:
            if (found := where.find(part, at)) < 0:
                return False
            at = found + len(part)
        if not self._ends:
            return True
        last = self._others[-1] if self._others else ""
        return where.endswith(last) and (at <= len(where) - len(last) if self._others else at == len(where))


def _plain(path: str, wildcard: str = "") -> str:
    """One spelling of a path, or of a pattern: what stands for itself in the one is written as in the other."""
    return quote(_ESCAPED.sub(_unescaped, path.encode()), safe=f"/%{wildcard}")


def _unescaped(found: re.Match[bytes]) -> bytes:
    if found[1] is None:
        return b"%25"
    byte = bytes.fromhex(found[1].decode())
    return found[0].upper() if byte in b"/%*$" else byte  # these would mean something else
