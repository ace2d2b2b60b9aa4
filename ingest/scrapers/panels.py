"""The caption of a figure of several pictures, cut at the letters of its panels.

    Chest CT. (A) Axial view. (B, C) Coronal views.   ->  shared "Chest CT.", A "Axial view.", B and C "Coronal views."

A caption is cut only where there is one way to read it: the letters begin with A, none is missing, none comes twice,
and each stands before its text (or each behind it, at the end of a sentence). `Axial (A) and coronal (B) CT` cannot be
cut. What stands behind the first sentence of the last panel may speak of all panels, and a sentence that names another
panel means nothing beside one picture: both are left out. A panel without a text of its own ends the attempt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from string import ascii_lowercase

from ingest.source_text import sentences

MOST = 16  # panels; what looks like more is a list of something else
_GROUP = r"(?P<letters>[A-Pa-p](?:\s*(?:[,;&]|and|to|[-\u2013\u2014])\s*[A-Pa-p]){0,15})"
_LETTERS = rf"(?:panels?\s+)?{_GROUP}"
_STARTS = r"(?:^|(?<=[.;,:])\s+|(?<=\s)and\s+)"
_MARKERS = (
    re.compile(rf"\(\s*{_LETTERS}\s*\)\s*[:.,]?\s*", re.IGNORECASE),  # (A) text
    re.compile(rf"{_STARTS}{_LETTERS}\s?[:,.]\s+", re.IGNORECASE),  # A, text; B: text
    re.compile(rf"(?:^|(?<=\s)){_LETTERS}\)\s*[:.]?\s*", re.IGNORECASE),  # a) text
)
_RANGE = re.compile(r"([a-p])\s*(?:to|[-\u2013\u2014])\s*([a-p])")
_ENDED = re.compile(r"[.:;!?]\s*$")
_TRAILING = re.compile(r"[\s,;]+(?:and|or|while|whereas|with)?[\s,;]*$")
_WORD = re.compile(r"[^\W\d_]{2,}")
_NAMED = re.compile(
    r"\b(?:in|of|to|from|as|than|and|or|panels?|figures?|images?|pictures?)\s+\(?([A-Pa-p])\)?(?=[\s.,;:)\u2013-]|$)"
    r"|\(([A-Pa-p])\)"
)
_NO_ARTICLE = re.compile(r"\)?\s*(?:[.,;:)]|$|and\b)")  # what follows the letter a, and not the word


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """What is said of some panels, and of no other."""

    letters: tuple[str, ...]  # in lower case
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Panels:
    """A caption that was cut; the letters of all parts are a, b, c, ... in this order."""

    shared: str  # what is said before the first letter; may be empty
    parts: tuple[Part, ...]

    @property
    def count(self) -> int:
        """How many panels the caption speaks of."""
        return sum(len(part.letters) for part in self.parts)


def split_caption(text: str) -> Panels | None:
    """The caption by its panels; None where it has none, or where it can be read in more than one way."""
    for pattern in _MARKERS:
        markers = list(pattern.finditer(text))
        letters = [_expanded(marker["letters"]) for marker in markers]
        if 2 <= sum(map(len, letters)) <= MOST and _in_order(letters):
            found = _before_text(text, markers, letters) or _behind_text(text, markers, letters)
            return found if found is not None and len(found.parts) > 1 else None
    return None


def speaks_of_panels(text: str) -> bool:
    """Whether a caption has the letters A and B of panels, wherever they stand."""
    written = {letter for marker in _MARKERS[0].finditer(text) for letter in _expanded(marker["letters"])}
    return {"a", "b"} <= written or split_caption(text) is not None


def _expanded(written: str) -> tuple[str, ...]:
    """`A, C-E` as a, c, d, e; empty where a range does not rise."""
    written = written.lower()
    found = re.findall(r"(?<![a-z])[a-p](?![a-z])", written)
    for first, last in _RANGE.findall(written):
        if first >= last:
            return ()
        at = found.index(first)
        found[at : at + 2] = list(ascii_lowercase[ascii_lowercase.index(first) : ascii_lowercase.index(last) + 1])
    return tuple(found)


def _in_order(letters: list[tuple[str, ...]]) -> bool:
    flat = [letter for group in letters for letter in group]
    return all(letters) and flat == list(ascii_lowercase[: len(flat)])


def _before_text(text: str, markers: list[re.Match[str]], letters: list[tuple[str, ...]]) -> Panels | None:
    """Each letter before its text: what precedes the first must be a whole sentence, or nothing."""
    shared = text[: markers[0].start()]
    if shared.strip() and not _ENDED.search(shared):
        return None
    ends = [*(marker.start() for marker in markers[1:]), len(text)]
    said = [text[marker.end() : end] for marker, end in zip(markers, ends, strict=True)]
    return _panels(shared, said, letters)


def _behind_text(text: str, markers: list[re.Match[str]], letters: list[tuple[str, ...]]) -> Panels | None:
    """Each letter behind its text, at the end of a sentence: `Axial CT (A). Coronal CT (B).`"""
    starts = [0, *(marker.end() for marker in markers)]
    said = [text[start : marker.start()] for start, marker in zip(starts, markers, strict=False)]
    ended = [marker[0].rstrip().endswith((".", ":")) or text[marker.end() :][:1] in (";", "") for marker in markers]
    if not all(ended) or any(len(sentences(one)) > 1 for one in said):
        return None
    return _panels("", [one.strip(" ;.") for one in said], letters)


def _panels(shared: str, said: list[str], letters: list[tuple[str, ...]]) -> Panels | None:
    known = {letter for group in letters for letter in group}
    texts = [_TRAILING.sub("", one).strip() for one in said]
    parts = []
    for number, (text, group) in enumerate(zip(texts, letters, strict=True)):
        own = [one for one in sentences(text) if not _names_panels(one, known)]
        own = own[:1] if number == len(texts) - 1 else own
        if not own or not _WORD.search(own[0]) or _names_panels(sentences(text)[0], known):
            return None
        parts.append(Part(letters=group, text=_sentence(" ".join(own))))
    before = [one for one in sentences(shared) if not _names_panels(one, known)]
    return Panels(shared=" ".join(before), parts=tuple(parts))


def _names_panels(sentence: str, letters: set[str]) -> bool:
    """Whether a sentence speaks of panels by their letters: `the arrow in A`, `same patient as in (b)`."""
    for match in _NAMED.finditer(sentence):
        is_word = match[1] == "a" and not _NO_ARTICLE.match(sentence, match.end())
        if (match[1] or match[2]).lower() in letters and not is_word:
            return True
    return False


def _sentence(text: str) -> str:
    text = f"{text[:1].upper()}{text[1:]}"
    return text if text.endswith((".", "!", "?")) else f"{text}."
