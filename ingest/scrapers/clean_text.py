"""Captions of figures as sentences about the picture: what only the page around them gives a meaning is taken out.

"Figure 3." names the picture and does not describe it, "[12]" and "(see Table 2)" point elsewhere, and a copyright line
speaks of the file. What was taken out is returned beside the text, so that nothing is lost and a reader can look.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

from ingest.source_text import sentences

_NUMBER = r"[se]?\d+(?:\.\d+)*[a-z]?(?![a-z0-9])"
_NEXT = rf"(?:(?:\s*[,;&/]\s*|\s+(?:and|to)\s+|[\u2013-])(?:{_NUMBER}|[a-z](?![a-z0-9])))*"  # 3 and 4; 3A-C
_GOES_ON = r"(?:\s*[.,]?\s*[(\u2013\u2014-]?\s*\bcont(?:inue|['\u2019])?d\b\.?\)?)?+"  # (continued)
# `Figure 1. X-ray`, `Figure 1 X-ray`, but not the X of the second: without a full stop only a number is part of it
_LABEL = re.compile(
    r"^\s*(?P<label>(?i:(?:supplement(?:ary|al)\s+|extended data\s+)?"
    r"(?:fig(?:ure)?s?\.?|image|plate|scheme|photo|video|movie))\s*(?:"
    rf"(?i:(?:{_NUMBER}(?:\s[a-z](?![a-z0-9]))?{_NEXT}|[ivx]+(?![a-z]))(?:\s+of\s+\d+)?"
    rf"(?:\s*[\u2013\u2014-]\s*figure supplement \d+)?{_GOES_ON})(?=\s*(?:[.:)|\u2013\u2014]|-\s|$))"
    rf"|(?i:{_NUMBER}{_NEXT}{_GOES_ON})(?=\s+(?:[A-Z(\u201c\"]|(?:shows?|showing|demonstrat|depict|illustrat)))))"
    rf"\s*(?:[.:)|\u2013\u2014]+|-(?=\s)|)(?i:{_GOES_ON})[.:]?\s*"
)
_POINTERS = (
    # numbers in brackets, as references are written: [3], [3, 5-7], and superscripts that follow a full stop
    re.compile(r"\s*\[\s*\d{1,3}(?:\s*[,;\u2013-]\s*\d{1,3})*\s*\]"),
    re.compile(r"(?:(?<=[^\W\d_]{4})|(?<=[.,;]))[\u00b9\u00b2\u00b3\u2070\u2074-\u2079]{1,3}(?![\w\u207a\u207b-])"),
    re.compile(
        r"\s*\((?:see|cf\.?|compare|also see)?\s*(?:also\s+)?(?:fig(?:ure)?s?\.?|tables?|refs?\.?|references?|video"
        r"|movie|text|supplement\w*|appendix)\s*[^()]{0,40}\)",
        re.IGNORECASE,
    ),
    re.compile(r"\s*\((?:click|tap)[^()]{0,60}\)|\s*click (?:on the )?(?:image|picture|figure)[^.]*\.?", re.IGNORECASE),
)
_BRACKETS = re.compile(r"\s*\([^()]*\)")
_CREDIT = (  # Photo: J. Smith
    r"\b(?:photo(?:graph)?s?\s*:\s*(?-i:(?=Drs?\b|Prof\b|[A-Z]\.|[A-Z][\w'-]+ [A-Z]))"
    r"|(?:image|picture)s?\s*:\s*(?-i:(?=Drs?\b|Prof\b|[A-Z]\. ?[A-Z])))"
)
_OWNER_STARTS = re.compile(
    r"(?<!photo)(?<!image)(?<!picture)(?<!photo )(?<!image )(?<!picture )\s*"
    r"(?=\u00a9|\b(?:(?:photo|image|picture) )?credits?\s*:|\b(?:photo|image|picture) (?:by|courtesy)\b"
    rf"|{_CREDIT})",
    re.IGNORECASE,
)
OWNED = re.compile(
    rf"{_CREDIT}|"
    r"\u00a9|\bcopyright\b|\bcredits?\s*:|\bsource\s*:|\b(?:photo|image|picture)s? by\b"
    r"|\b(?:reproduced|reprinted|republished|reused|redrawn|adopted|adapted|modified) (?:from|with)\b|\btaken from\b"
    r"|\b(?:originally|previously|first) published (?:in|by)\b"
    r"|\b(?:reproduced|reprinted|republished|reused) under\b|\b(?:redrawn|adapted|modified) after\b"
    r"|\b(?:with|by)(?: the)?(?: kind| express| written)? permission\b|\bcourtesy\b"
    r"|\b(?:kindly|generously) (?:provided|supplied|contributed)\b"
    r"|\b(?:photo(?:graph)?|image|picture|figure)s? (?:was |were |is |are )?(?:provided|supplied|contributed) by\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cleaned:
    """A caption, and what was taken out of it."""

    text: str
    label: str = ""  # "Figure 3"
    removed: tuple[str, ...] = ()

    @property
    def speaks_of_owner(self) -> bool:
        """Whether it says that someone else owns the picture: then the licence of the page may not hold for it."""
        return any(OWNED.search(part) for part in self.removed)


def clean_caption(text: str) -> Cleaned:
    """The sentences of a figure's caption; blanks are single, entities are letters."""
    text = " ".join(html.unescape(text).split())
    removed: list[str] = []
    label = ""
    if (found := _LABEL.match(text)) is not None:
        label = found["label"].strip(" .")
        text = text[found.end() :]

    def take(match: re.Match[str]) -> str:
        removed.append(match[0].strip())
        return ""

    text = _BRACKETS.sub(lambda match: take(match) if OWNED.search(match[0]) else match[0], text)
    kept: list[str] = []
    for sentence in sentences(_OWNER_STARTS.sub("\n\n", text)):  # the whole of it, since half may be a name
        (removed if OWNED.search(sentence) else kept).append(sentence)
    text = " ".join(kept)
    for pattern in _POINTERS:
        text = pattern.sub(take, text)
    text = re.sub(r"\(\s*[,;]?\s*\)", "", text)
    text = re.sub(r"\s+([.,;:!?)])", r"\1", text)
    text = re.sub(r"([.,;:])(?:\s*[.,;:])+", r"\1", text)
    text = " ".join(text.split()).strip(" ,;:-\u2013\u2014")
    if text in (".", "!", "?"):
        text = ""
    return Cleaned(text=f"{text[:1].upper()}{text[1:]}", label=label, removed=tuple(removed))
