"""Whether a text holds what may be a person's: a name, a date, a number of a record, a hospital, an address.

There is no list of names and no model behind it. Numbers pass only where the metadata state them or a term needs them
(L4, T2, V1); everything else written with digits, or with words for large numbers, is taken for a date or a record.
A capitalised word passes where it is known to be no name: inside a sentence terms of medicine alone, at its start any
word of English that is not far more often a name. Lower-case words are looked at after titles and cues, in pairs that
no vocabulary knows, and before what only a person does. Words of the row's own header and path never pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from captioning.identity_patterns import (
    AROUND,
    CAPITAL_MONTH,
    CONTACTS,
    CUED,
    DATES,
    FIELD_NAME,
    HOUSES,
    INITIALS,
    LARGE,
    NUMBERED,
    PERSONAL,
    PLAIN_HOUSE,
    RECORDS,
    START_NAMES,
    TECHNICAL,
    TITLED,
    WORD,
)
from captioning.own_words import OwnWords
from captioning.truth_metadata import known_numbers
from captioning.word_lists import (
    EPONYM,
    OF_EPONYM,
    is_abbreviation,
    is_grammar,
    is_medical,
    is_term,
    is_word,
)
from captioning.wording import label_name
from shards.attributes import OLDEST_STATED_YEARS, decode
from shards.manifest import Sample

A_NAME, A_DATE, A_NUMBER = "what looks like a name", "what looks like a date", "a number that no metadata state"
A_RECORD, A_CONTACT, A_PLACE = "what looks like a record number", "an address, link or handle", "a hospital or place"
OWN_NAME = "a name of the row's own header, path or report"


@dataclass(frozen=True, slots=True)
class Token:
    """A word of a text: as it stands, in lower case without possessive, and where."""

    text: str
    lower: str
    start: int
    end: int
    begins: bool  # a sentence


def identity_in(text: str, sample: Sample, own: OwnWords) -> str:
    """What `text` holds that may be a person's, in words that quote none of it; empty where it holds nothing."""
    number = _number_of_a_person(text, sample)
    if number:
        return number
    words = frozenset(own_terms(sample))
    tokens = tokens_of(text)
    reports = (caption.text for caption in sample.captions if caption.by == "source")
    reported = {name for report in reports for name in names_in(report, words)}
    if any(_is_own(tokens, index, own, reported, words) for index in range(len(tokens))):
        return OWN_NAME
    for match in HOUSES.finditer(text):
        if not PLAIN_HOUSE.fullmatch(match.group()):
            return A_PLACE
    if FIELD_NAME.search(text) or INITIALS.search(text):
        return A_NAME
    return A_NAME if next(names_in(text, words), None) else ""


def names_in(text: str, terms: frozenset[str]) -> Iterator[str]:
    """Words of `text` that may be names, in lower case. `terms`: words that are known to be none here."""
    for pattern in (TITLED, CUED):
        for match in pattern.finditer(text):
            if _is_no_word(match["name"], terms):
                yield match["name"].lower()
    tokens = tokens_of(text)
    for index, token in enumerate(tokens):
        following = tokens[index + 1] if index + 1 < len(tokens) else None
        if token.lower in terms:
            continue
        if token.text[0].isupper():
            if not _capital_fits(token, text):
                yield token.lower
        elif not is_word(token.lower) and (
            _is_pair(token, following, text, terms)
            or PERSONAL.match(text, token.end)
            or text[token.end :][:2] in ("'s", "’s")
        ):
            yield token.lower


def tokens_of(text: str) -> list[Token]:
    """The words of `text`; the parts of a hyphenated one each by itself."""
    found = []
    terms = [match.span() for match in NUMBERED.finditer(text) if TECHNICAL.fullmatch(match.group().strip(AROUND))]
    for match in WORD.finditer(text):
        if any(start <= match.start() < end for start, end in terms):
            continue
        word = match.group()
        lower = re.sub(r"['’]s$", "", word.lower())
        before = text[: match.start()].rstrip(" \t\"'“‘([")
        begins = not before or (before[-1] in ".!?:;\n•-–—" and not text[: match.start()].endswith("-"))
        found.append(Token(word, lower, match.start(), match.end(), begins))
    return found


def own_terms(sample: Sample) -> Iterator[str]:
    """Words of the sample's labels and of its attributes, in lower case: they are data, and no names."""
    texts = [name for label in sample.labels if (name := label_name(label.name))]
    texts += [str(value) for value in decode(sample.attributes).values() if isinstance(value, str)]
    for text in texts:
        yield from (re.sub(r"['’]s$", "", word.lower()) for word in WORD.findall(text))


def _capital_fits(token: Token, text: str) -> bool:
    """Whether a capitalised word is known to be no name where it stands."""
    word = token.text
    if len(word) == 1:
        return True
    if is_abbreviation(re.sub(r"['’]s$", "", word)):
        return True
    if is_medical(token.lower) or is_term(token.lower) or is_term(word.lower()):
        return True
    if EPONYM.match(text, token.end) or OF_EPONYM.search(text[: token.start]):
        return word.istitle() or word[:-2].istitle()
    if not token.begins or (word.isupper() and len(word) > 1):
        joined = text[token.start - 1 : token.start] == "-" and is_grammar(token.lower)
        return joined or (is_grammar(token.lower) and not word.isupper() and token.lower not in ("do", "may", "will"))
    if token.lower in START_NAMES and PERSONAL.match(text, token.end):
        return False
    return is_word(token.lower)


def _is_pair(token: Token, following: Token | None, text: str, terms: frozenset[str]) -> bool:
    """Whether an unknown lower-case word and the next look like a first and a last name."""
    if following is None or text[token.end : following.start] != " " or following.lower in terms:
        return False
    return following.text[0].islower() and (not is_word(following.lower))


def _is_no_word(word: str, terms: frozenset[str]) -> bool:
    """Whether a word that stands after a title or a cue is taken for a name."""
    lower = re.sub(r"['’]s$", "", word.lower().rstrip(".'’-"))
    if is_grammar(lower) or lower in terms:
        return False
    parts = [part for part in lower.split("-") if part]
    if word[0].isupper() and not is_medical(lower) and not is_term(lower) and not is_abbreviation(word):
        return True
    return not all(is_word(part) or part in terms for part in parts)


def _is_own(tokens: list[Token], index: int, own: OwnWords, reported: set[str], terms: frozenset[str]) -> bool:
    """Whether a word of the row's own header, path or report stands here, and not as a word of the language."""
    token = tokens[index]
    if (token.lower in own.unknown or token.lower in reported) and token.lower not in terms:
        return True
    if token.lower not in own.known or token.lower in terms:
        return False
    beside = [near.lower for near in tokens[max(0, index - 2) : index + 3] if near is not token]
    capital = token.text[0].isupper() and (not token.begins or not is_medical(token.lower))
    return capital or any(near in own.unknown or near in own.known for near in beside)


def _number_of_a_person(text: str, sample: Sample) -> str:
    for pattern, what in ((CONTACTS, A_CONTACT), (RECORDS, A_RECORD), (DATES, A_DATE), (CAPITAL_MONTH, A_DATE)):
        if pattern.search(text):
            return what
    if LARGE.search(text):
        return A_NUMBER
    known = known_numbers(sample, decode(sample.attributes))
    for match in NUMBERED.finditer(text):
        what = _numbered(match.group().strip(AROUND), known)
        if what:
            return what
    return ""


def _numbered(token: str, known: set[str]) -> str:
    """What a token with digits is taken for; empty where the metadata or a term hold it.

    A plain number of one or two digits is left to the check of truth, which knows it for unstated.
    """
    if TECHNICAL.fullmatch(token):
        return ""
    plain = re.fullmatch(
        r"(?P<number>\d+(?:\.\d+)?)(?:[-–]?(?P<unit>[a-z]+(?:[-–][a-z]+)*)|%|°)?", token, re.IGNORECASE
    )
    if plain is None:
        return A_DATE if re.search(r"\d[/.:–-]\d|\d(?:st|nd|rd|th)\b", token) else A_RECORD
    number = plain["number"]
    if (plain["unit"] or "").startswith("year") and float(number) > OLDEST_STATED_YEARS:
        return A_NUMBER
    return "" if number in known or (len(number) <= 2 and number.isdigit()) else A_RECORD
