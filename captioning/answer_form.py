"""Whether an answer is a caption by its form: no refusal, no talk of the model about itself, no list, no loop, no echo.

Each fault has its reason code; the detail says which rule spoke, never what the answer said. Counts of words and tokens
are of the tidied answer. Tokens are estimated as one for each five letters begun of a word and one for each other sign,
since which tokenizer will read a caption is not known here: on the 229 harmless answers of the tests that is 1.10 times
what BERT's word pieces are.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from shards.intake import Skip
from shards.reasons import Reason

FEWEST_WORDS = 3
LETTERS_A_TOKEN = 5
ECHO_WORDS = 7  # in a row, that stand in the prompt as well
LOOP_WORDS = 5  # a row of so many, LOOP_TIMES times
LOOP_TIMES = 3
LISTED_FEATURES = 3  # of the asked ones, one after another with nothing said of them
WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
BULLET = re.compile(r"^\s*(?:[-*•–·‣▪]\s+|\(?\d{1,2}[.)]\s+|[a-z]\)\s+)", re.MULTILINE)
HEADING = re.compile(r"(?:^|\n|(?<=[.;])\s)[A-Z][\w /-]{2,40}:(?=\s)")
TABLE = re.compile(r"\|.*\|.*\||^\s*[{\[].*[}\]]\s*$|^\s*\{", re.DOTALL)
_UNABLE = (
    r"can(?:no|')t|cannot|can not|could not|couldn't|won't|will not|(?:am|was|'m|’m|is|are) (?:not able|unable)"
    r"|unable to"
)
REFUSAL = re.compile(
    r"\b(?:sorry|apologi[sz]e|as an? (?:AI|artificial|large|language|assistant|medical AI)|language model"
    r"|AI (?:model|assistant|language)"
    rf"|(?:{_UNABLE})\b(?! be\b)[^.]{{0,40}}\b(?:assist|help|provide|comply|describe|analy[sz]e|interpret"
    r"|diagnos\w+|identify"
    r"|determine|view|see|process|fulfil\w*|offer|give|access|display|open|read|make|be determined)"
    r"|cannot be (?:determined|assessed|described)"
    r"|no (?:image|picture|photo|visual)\b[^.]{0,30}\b(?:provided|attached|uploaded|given|available|included)"
    r"|(?:image|picture)s? (?:is|was|are|were|has|have) not (?:been )?(?:provided|attached|uploaded|visible|available)"
    r"|(?:consult|seek|contact|see) (?:with )?(?:an? |your )?"
    r"(?:\w+ )?(?:doctor|physician|healthcare|medical professional|professional|radiologist|specialist|provider)"
    r"|not (?:a (?:doctor|physician|substitute)|medical advice|qualified)|medical advice|for educational purposes"
    r"|against (?:my|the) (?:policy|guidelines)|disclaimer)\b",
    re.IGNORECASE,
)
_FIRST = (
    r"\b[Ii](?:'m|’m|'ve|’ve|'d|’d|'ll|’ll)\b|(?:^|[.!?,;:]\s+|\b(?:and|but|that|what|as|if|so|because|which)\s+)I\s+"
    r"(?!(?:is|was|has|of|to|and|or|in)\b)[a-z]+"
)
SELF_TALK = re.compile(
    rf"{_FIRST}|\b(?:[Mm]y|[Mm]e|[Ww]e|[Oo]ur|us|[Yy]ou|[Yy]ours?)\b|\?"
    r"|\b(?i:let me|let's|the user|the prompt|the instructions?|the question|the metadata|this caption"
    r"|word (?:count|limit)|as requested|as instructed|feel free|hope this helps|wait,|hmm|step by step|first, let"
    r"|(?:based on|according to|given|from) the (?:known|given|provided|available|supplied)"
    r" (?:\w+ )?(?:information|metadata|details|context|data|facts|label)s?"
    r"|note that (?:this|the) (?:description|caption|answer)"
    r"|without (?:more|further|additional) (?:information|context))\b"
)


@dataclass(frozen=True, kw_only=True)
class AnswerRules:
    """What a prompt asks of the form of its answers."""

    opening: str = ""  # the first words, in whatever capitals
    most_words: int = 200
    shorten_over_tokens: int | None = None
    features: tuple[str, ...] = ()  # asked for in the prompt, and not to be listed


def form_fault(text: str, rules: AnswerRules, asked: Sequence[str]) -> Skip | None:
    """What is wrong with the form of a tidied answer to a prompt whose own words are `asked`."""
    words = [word.lower() for word in WORD.findall(text)]
    if len(words) < FEWEST_WORDS:
        return Skip(Reason.ANSWER_EMPTY, f"{len(words)} words")
    if parroted := _parroted(text, words, rules.features, asked):
        return Skip(Reason.ANSWER_PARROTS, parroted)
    if REFUSAL.search(text):
        return Skip(Reason.ANSWER_REFUSES, "a refusal")
    if SELF_TALK.search(text):
        return Skip(Reason.ANSWER_REFUSES, "talk about itself, to the reader or about the question")
    if _is_list(text):
        return Skip(Reason.ANSWER_FORM, "a list, a table or headings")
    if _loops(text, words):
        return Skip(Reason.ANSWER_LOOPS)
    if rules.opening and not text.lower().startswith(rules.opening.lower()):
        return Skip(Reason.ANSWER_OPENING)
    if len(words) > rules.most_words:
        return Skip(Reason.ANSWER_TOO_LONG, f"{len(words)} words")
    tokens = estimated_tokens(text)
    if rules.shorten_over_tokens is not None and tokens > rules.shorten_over_tokens:
        return Skip(Reason.ANSWER_TOO_LONG, f"about {tokens} tokens")
    return None


def estimated_tokens(text: str) -> int:
    """How many tokens a text encoder makes of `text`, about."""
    words = sum(-(-len(word) // LETTERS_A_TOKEN) for word in re.findall(r"[^\W_]+", text))
    return words + len(re.findall(r"[^\w\s]", text))


def _is_list(text: str) -> bool:
    return len(BULLET.findall(text)) > 1 or len(HEADING.findall(text)) > 1 or TABLE.search(text) is not None


def _loops(text: str, words: Sequence[str]) -> bool:
    runs = Counter(zip(*(words[start:] for start in range(LOOP_WORDS)), strict=False))
    sentences = Counter(
        " ".join(said) for part in SENTENCE.split(text.lower()) if len(said := WORD.findall(part)) >= FEWEST_WORDS
    )
    stuck = any(len(set(words[start : start + 4])) == 1 for start in range(len(words) - 3))
    letters = re.search(r"(\S{1,12}?)\1{7,}", text) is not None
    return max(runs.values(), default=0) >= LOOP_TIMES or max(sentences.values(), default=0) > 1 or stuck or letters


def _parroted(text: str, words: Sequence[str], features: Sequence[str], asked: Sequence[str]) -> str:
    """What of the prompt the answer only repeats; empty where it says something of its own."""
    for start in range(len(features) - LISTED_FEATURES + 1):
        listed = r"[\s,;]+(?:and\s+)?".join(map(re.escape, features[start : start + LISTED_FEATURES]))
        if re.search(listed, text, re.IGNORECASE):
            return "the list of features"
    runs = set(zip(*(words[start:] for start in range(ECHO_WORDS)), strict=False))
    for instruction in asked:
        own = [word.lower() for word in WORD.findall(instruction)]
        if not runs.isdisjoint(zip(*(own[start:] for start in range(ECHO_WORDS)), strict=False)):
            return f"{ECHO_WORDS} words in a row of the prompt"
    return ""
