"""Whether an answer is in English, by its commonest words, the vocabularies and, where these do not say so, py3langid.

Terms of anatomy are Latin in every language, so a classifier alone takes short English captions for Latin or French.
Each sentence is looked at by itself, since a model may begin in English and end in another language.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import Any

from captioning.word_lists import is_word, words_of
from shards.stage import UserError

ENOUGH = 0.15  # of the words; English prose has 0.3 to 0.5
MOST = 0.6  # that are words of English or medicine
SURE, SURE_OF_NONE = 0.9, 0.5  # of 1, that it is another language; the second where none of the words is common
FEWEST = 5  # words of a sentence that say in which language it is
FOREIGN_LETTERS = 0.1  # of the letters, that are not Latin; single Greek ones stand in English too
WORDS = re.compile(r"[^\W\d_]+")
SENTENCES = re.compile(r"(?<=[.!?;])\s+|\n+")


@cache
def _identifier() -> Any:
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError as error:
        raise UserError("captions of models are checked with py3langid: pip install 'medloom[caption]'") from error
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def is_english(text: str) -> bool:
    """Whether each sentence that is long enough to tell is English; terms of Latin and Greek may stand in it."""
    letters = [sign for sign in text if sign.isalpha()]
    foreign = sum(not unicodedata.name(sign, "").startswith(("LATIN", "MICRO")) for sign in letters)
    if letters and foreign > FOREIGN_LETTERS * len(letters):
        return False
    return all(_reads_english(sentence) for sentence in SENTENCES.split(text))


def _reads_english(sentence: str) -> bool:
    words = [word.lower() for word in WORDS.findall(sentence)]
    common = sum(word in words_of("common") for word in words)
    if len(words) < FEWEST or common >= ENOUGH * len(words) or sum(map(is_word, words)) >= MOST * len(words):
        return True
    code, share = _identifier().classify(sentence)
    return str(code) == "en" or float(share) < (SURE if common else SURE_OF_NONE)
