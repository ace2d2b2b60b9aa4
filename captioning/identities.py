"""Whether a text holds what may be a person's: a name, a date, a number of a record, a hospital, an address.

There is no list of names and no model behind it. Numbers pass only where the metadata state them or a term needs them
(L4, T2, V1); everything else written with digits, or with words for large numbers, is taken for a date or a record.
A capitalised word passes where it is known to be no name: inside a sentence terms of medicine alone, at its start any
word of English that is not far more often a name. Lower-case words are looked at after titles and cues; one that no
vocabulary knows also in pairs, after `of` and its like, and before what only a person does. Words of the row's own
header and path never pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from captioning.identity_patterns import (
    AROUND,
    BY_WHOM,
    CAPITAL_MONTH,
    CONTACTS,
    CUED,
    DATES,
    FIELD_NAME,
    HOUSES,
    INITIALS,
    LARGE,
    LIKE,
    NAMED,
    NUMBERED,
    OF_WHOM,
    OFTEN_CAPITAL,
    ONLY_PERSONS,
    PERSONAL,
    PERSONS,
    PLAIN_HOUSE,
    RECORDS,
    START_NAMES,
    TECHNICAL,
    TITLED,
    WORD,
)
from captioning.own_words import OwnWords
from captioning.stated_numbers import without_stated
from captioning.word_lists import (
    EPONYM,
    OF_EPONYM,
    is_abbreviation,
    is_also_a_name,
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
TITLE_WORDS, TITLE_SHARE = 4, 0.8  # longer words of a text, and how many of them are capitalised in a title
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
    if any(_is_own(text, tokens, index, own, reported, words) for index in range(len(tokens))):
        return OWN_NAME
    for match in HOUSES.finditer(text):
        if not PLAIN_HOUSE.fullmatch(match.group()):
            return A_PLACE
    if FIELD_NAME.search(text) or INITIALS.search(text):
        return A_NAME
    return A_NAME if next(names_in(text, words), None) else ""


def names_in(text: str, terms: frozenset[str]) -> Iterator[str]:
    """Words of `text` that may be names, in lower case. `terms`: words that are known to be none here."""
    yield from (match["name"].lower() for match in TITLED.finditer(text) if not is_grammar(match["name"].lower()))
    yield from (match["name"].lower() for match in NAMED.finditer(text) if not is_grammar(match["name"].lower()))
    yield from (match["name"].lower() for match in CUED.finditer(text) if _is_no_word(match["name"], terms))
    tokens = tokens_of(text)
    if _is_title(tokens):  # its capitals say nothing
        tokens = [replace(token, begins=True) for token in tokens]
    for index, token in enumerate(tokens):
        if token.lower in terms:
            continue
        if token.text[0].isupper():
            if not _capital_fits(token, text):
                yield token.lower
        elif not is_word(token.lower) and not is_term(token.lower) and _stands_for_a_person(tokens, index, text, terms):
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


def _is_title(tokens: list[Token]) -> bool:
    """Whether nearly all longer words are capitalised, as in `Axial CT Image Showing the Liver`."""
    longer = [token for token in tokens if len(token.text) > 3]
    capitals = sum(token.text.istitle() for token in longer)
    return len(longer) >= TITLE_WORDS and capitals >= TITLE_SHARE * len(longer)


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
    if LIKE.match(text, token.end) or _ends_a_term(token, text):
        return True
    if EPONYM.match(text, token.end) or OF_EPONYM.search(text[: token.start]):
        return word.istitle() or word[:-2].istitle()
    if not token.begins or (word.isupper() and len(word) > 1):
        return token.lower in OFTEN_CAPITAL and not word.isupper()
    owns = word.lower() != token.lower  # with 's
    if token.lower in START_NAMES and (owns or PERSONAL.match(text, token.end)):
        return False
    if token.lower not in PERSONS and ONLY_PERSONS.match(text, token.end):
        return False
    return is_word(token.lower)


def _ends_a_term(token: Token, text: str) -> bool:
    """Whether a capitalised word is the second half of one such as `Virchow-Robin`."""
    first = re.search(r"(?<![\w-])([^\W\d_]+)-$", text[: token.start])
    return first is not None and is_term(first[1].lower())


def _stands_for_a_person(tokens: list[Token], index: int, text: str, terms: frozenset[str]) -> bool:
    """Whether an unknown lower-case word looks like a name by what stands around it, or by its letters."""
    token = tokens[index]
    following = tokens[index + 1] if index + 1 < len(tokens) else None
    pair = (
        following is not None
        and text[token.end : following.start] == " "
        and following.text[0].islower()
        and following.lower not in terms
        and not is_word(following.lower)
    )
    before = tokens[index - 1] if index else None
    after_first = before is not None and before.lower in START_NAMES and OF_WHOM.search(text[: before.start])
    owns = token.text.lower() != token.lower  # with 's
    cues = (after_first, OF_WHOM.search(text[: token.start]), PERSONAL.match(text, token.end))
    return pair or owns or not token.text.isascii() or any(cues)


def _is_no_word(word: str, terms: frozenset[str]) -> bool:
    """Whether a word that stands after a cue is taken for a name."""
    lower = re.sub(r"['’]s$", "", word.lower().rstrip(".'’-"))
    if is_grammar(lower) or lower in terms or is_term(lower) or is_term(word.lower()):
        return False
    parts = [part for part in lower.split("-") if part]
    if word[0].isupper() and not is_medical(lower) and not is_abbreviation(word):
        return True
    return not all(is_word(part) or part in terms for part in parts)


def _is_own(
    text: str, tokens: list[Token], index: int, own: OwnWords, reported: set[str], terms: frozenset[str]
) -> bool:
    """Whether a word of the row's own header, path or report stands here, and not as a word of the language."""
    token = tokens[index]
    if (token.lower in own.unknown or token.lower in reported) and token.lower not in terms:
        return True
    if token.lower not in own.known or token.lower in terms:
        return False
    if is_also_a_name(token.lower) or BY_WHOM.search(text[: token.start]):
        return True
    beside = [near.lower for near in tokens[max(0, index - 1) : index + 2] if near is not token]
    capital = token.text[0].isupper() and (not token.begins or not is_medical(token.lower))
    return capital or any(near in own.unknown or near in own.known for near in beside)


def _number_of_a_person(text: str, sample: Sample) -> str:
    for pattern, what in ((CONTACTS, A_CONTACT), (RECORDS, A_RECORD), (DATES, A_DATE), (CAPITAL_MONTH, A_DATE)):
        if pattern.search(text):
            return what
    if LARGE.search(text):
        return A_NUMBER
    unstated = (match.group().strip(AROUND) for match in NUMBERED.finditer(without_stated(text, sample)))
    return next((what for token in unstated if (what := _numbered(token))), "")


def _numbered(token: str) -> str:
    """What a token with digits that nothing states is taken for; empty where a term holds them.

    A plain number of one or two digits is left to the check of truth, which knows it for unstated.
    """
    if TECHNICAL.fullmatch(token):
        return ""
    if re.search(r"\d[/.:–-]\d|\d(?:st|nd|rd|th)\b", token):
        return A_DATE
    plain = re.fullmatch(r"(?P<number>\d+)(?:[-–]?(?P<unit>[a-z]+(?:[-–][a-z]+)*)|%|°)?", token, re.IGNORECASE)
    if plain is None or len(plain["number"]) > 2:
        return A_RECORD
    aged = (plain["unit"] or "").startswith("year") and int(plain["number"]) > OLDEST_STATED_YEARS
    return A_NUMBER if aged else ""
