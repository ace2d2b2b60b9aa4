"""Whether a text holds what may be a person's: a name, a date, a number of a record, a hospital, an address.

There is no list of names and no model behind it. Numbers pass only where the metadata state them or a term needs them
(L4, T2, V1); everything else written with digits, or with words for large numbers, is taken for a date or a record.
A capitalised word passes where it is known to be no name: inside a sentence terms of medicine alone, at its start any
word of English that is not far more often a name. Those that persons are called by as well (Short, Stone, Siemens) do
not where a person's name would stand: before what only a person has or does, after `of`, alone in brackets.
A lower-case word that no vocabulary knows does not pass anywhere. Words of the row's own header and path never pass.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace

from captioning.eponyms import in_a_term
from captioning.identity_patterns import (
    AFTER_A_ROLE,
    AROUND,
    BEFORE_A_TECHNIQUE,
    BRACKETS,
    BY_WHOM,
    CAPITAL_MONTH,
    COLOURS,
    CONTACTS,
    CUED,
    DATES,
    FIELD_NAME,
    FIRST_NAMES,
    HOUSES,
    INITIALS,
    LARGE,
    LIKE,
    MONTH_ALONE,
    NAMED,
    NUMBERED,
    OFTEN_CAPITAL,
    ONLY_PERSONS,
    OWNS,
    PERSONAL,
    PERSONS,
    PLAIN_HOUSE,
    RECORDS,
    TECHNICAL,
    TITLED,
    WORD,
)
from captioning.own_words import OwnWords
from captioning.stated_numbers import without_stated
from captioning.word_lists import (
    PREFIXES,
    is_abbreviation,
    is_also_a_name,
    is_grammar,
    is_medical,
    is_surname,
    is_term,
    is_word,
)
from captioning.wording import label_name
from shards.attributes import OLDEST_STATED_YEARS, decode
from shards.manifest import Sample

A_NAME, A_DATE, A_NUMBER = "what looks like a name", "what looks like a date", "a number that no metadata state"
A_RECORD, A_CONTACT, A_PLACE = "what looks like a record number", "an address, link or handle", "a hospital or place"
TITLE_WORDS, TITLE_SHARE = 4, 0.8  # longer words of a text, and how many of them are capitalised in a title
MARKS = ((CONTACTS, A_CONTACT), (RECORDS, A_RECORD), (DATES, A_DATE), (CAPITAL_MONTH, A_DATE), (MONTH_ALONE, A_DATE))
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
    text = unicodedata.normalize("NFC", text)
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
    yield from (match["name"].lower() for match in CUED.finditer(text) if _is_no_word(match, terms))
    tokens = tokens_of(text)
    if _is_title(tokens):  # its capitals say nothing
        tokens = [replace(token, begins=True) for token in tokens]
    for token in tokens:
        if token.lower in terms:
            continue
        if not (_capital_fits(token, text) if token.text[0].isupper() else _is_known(token, text)):
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
    if len(word) == 1 or is_abbreviation(re.sub(r"['’]s$", "", word)):
        return True
    if in_a_term(text, token.start, token.end) or LIKE.match(text, token.end) or _ends_a_term(token, text):
        return True
    if word.lower() != token.lower and token.lower not in PERSONS:  # with 's
        return False
    if is_medical(token.lower) or is_term(token.lower):
        return not _in_a_persons_place(token, text)
    if not token.begins or word.isupper():
        return token.lower in OFTEN_CAPITAL and not word.isupper()
    if token.lower in PERSONS:
        return True
    if ONLY_PERSONS.match(text, token.end):
        return False
    if token.lower in FIRST_NAMES and PERSONAL.match(text, token.end):
        return False
    surname = is_surname(token.lower)
    if (surname or not is_grammar(token.lower)) and OWNS.match(text, token.end):
        return False
    if surname and BEFORE_A_TECHNIQUE.match(text, token.end):
        return False
    return is_word(token.lower)


def _in_a_persons_place(token: Token, text: str) -> bool:
    """Whether a capitalised term that may be a surname too stands where a person's name would."""
    surname = is_surname(token.lower)
    if not surname and not is_term(token.lower):
        return False
    before, after = text[: token.start], text[token.end :]
    if OWNS.match(after) or ONLY_PERSONS.match(after):
        return True
    if BY_WHOM.search(before) or AFTER_A_ROLE.search(before):
        return True
    alone = before[-1:] + after[:1] in BRACKETS or (before.endswith(", ") and after[:1] in ("", ",", "."))
    return surname and alone and not token.text.isupper()


def _ends_a_term(token: Token, text: str) -> bool:
    """Whether a capitalised word is the second half of a term such as `Virchow-Robin spaces`."""
    first = re.search(r"(?<![\w-])([^\W\d_]+)[-–]$", text[: token.start])
    return first is not None and first[1].istitle() and in_a_term(text, *first.span(1))


def _is_known(token: Token, text: str) -> bool:
    """Whether a lower-case word is one of the language: any other may be a name, wherever it stands."""
    lower = token.lower
    if is_also_a_name(lower) or lower in FIRST_NAMES:
        return not _is_used_as_a_name(token, text)
    if (
        is_abbreviation(token.text)
        or len(lower) == 1
        or is_word(lower)
        or is_term(lower)
        or in_a_term(text, token.start, token.end)
    ):
        return True
    if lower in PREFIXES and text[token.end : token.end + 1] in ("-", "–"):
        return True
    plain = unicodedata.normalize("NFKD", lower).encode("ascii", "ignore").decode()
    return plain != lower and is_word(plain)


def _is_used_as_a_name(token: Token, text: str) -> bool:
    """Whether a lower-case word that is far more often a name stands beside one, or where one would."""
    before, after = text[: token.start], text[token.end :]
    if token.lower in FIRST_NAMES:  # each of them is a word as well
        second = re.match(r" ([^\W\d_]+)", after)
        last = second[1].lower() if second else ""
        surname = is_surname(last) and last not in COLOURS and not is_medical(last)
        return surname and BY_WHOM.search(before) is not None
    if token.text.lower() != token.lower or BY_WHOM.search(before) or AFTER_A_ROLE.search(before):
        return True
    near = (re.search(r"([^\W\d_]+),? $", before), re.match(r",? ([^\W\d_]+)", after))
    beside = [match[1].lower() for match in near if match is not None]
    if any(is_also_a_name(word) or not (is_word(word) or is_grammar(word)) for word in beside):
        return True
    if any(is_surname(word) and not is_medical(word) for word in beside[-1:] if near[1] is not None):
        return True
    alone = before[-1:] + after[:1] in BRACKETS or (before.endswith(", ") and after[:1] in ("", ",", "."))
    return alone or (not before and after[:1] == ",") or any(cue.match(after) for cue in (PERSONAL, BEFORE_A_TECHNIQUE))


def _is_no_word(match: re.Match[str], terms: frozenset[str]) -> bool:
    """Whether the word that stands after a cue is taken for a name."""
    word = match["name"]
    lower = re.sub(r"['’]s$", "", word.lower().rstrip(".'’-"))
    parts = [part for part in lower.split("-") if part]
    if is_grammar(lower) or all(part in terms for part in parts):
        return False
    start = match.start("name")
    if in_a_term(match.string, start, start + len(word.split("-")[0])):
        return False
    if word[0].isupper() and not is_abbreviation(word):
        return not is_medical(lower) or (is_surname(lower) and not word.isupper())
    return not all(is_word(part) or part in terms or part in PREFIXES for part in parts)


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
    for pattern, what in MARKS:
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
