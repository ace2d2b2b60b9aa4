"""Which modality a caption speaks of: exactly one, in words that name the picture, or none at all.

A table of words and a few rules about where they stand, and no model: what is found here is text-mined. A caption that
speaks of two modalities, of none, or of one only to say that it was not done, gives None; so does one with words of
drawings and of pictures that the vocabulary lacks (curves, blots, specimens), for `ROC curve of the CT model` shows no
CT. Where a caption is silent a picture is never guessed.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import yaml

OTHER, NOTHING = "other", "nothing"  # of modality_words.yaml
_NOT_BEFORE = re.compile(
    r"\b(?:no|not|without|never|neither|nor|lack of|absence of|instead of|rather than|awaiting|refus\w+|declin\w+"
    r"|contraindicat\w+|prior|previous\w*|earlier|subsequent|later|before|after|following|further|planned|scheduled"
    r"|confirm\w* (?:by|on|with|at)|detected (?:by|on|with|at)|diagnos\w+ (?:by|on|with|at)"
    r"|(?:discovered|suspected|proven|incidental\w*) (?:by|on|with|at))\s+(?:[\w-]+\s+){0,3}$",
    re.IGNORECASE,
)
_NOT_AFTER = re.compile(
    r"\s*(?:[\w-]+\s+){0,3}?(?:was|were|is|are|has|had|could|did|cannot|can)(?:\s+been)?\s*"
    r"(?:n't|(?:not|normal|negative|unremarkable|performed|planned|refused|contraindicated|unavailable|done|obtained"
    r"|ordered|scheduled|recommended|required|needed|unhelpful|inconclusive|within normal)\b)",
    re.IGNORECASE,
)
LONGEST = 20_000  # characters; what is longer is no caption, and would take minutes
_NEAR = 300  # characters: what denies a word stands at most three words away
_CLAUSE = re.compile(r"[.;:!?]\s|\n|\bbut\b|\bwhereas\b|\bwhile\b")


@cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    table = yaml.safe_load(Path(__file__).with_name("modality_words.yaml").read_text(encoding="utf-8"))
    return [
        (entry["shows"], re.compile(rf"(?<!\w)(?:{'|'.join(entry['words'])})(?!\w)", re.IGNORECASE)) for entry in table
    ]


def modality_of(text: str) -> str | None:
    """The code (shards.vocabulary.MODALITIES) of the one modality that a caption names as what it shows, else None."""
    named, shown = _read(text)
    return next(iter(named)) if len(named) == 1 and shown == named and named != {OTHER} else None


def modalities_in(text: str) -> frozenset[str]:
    """All that a text speaks of, also where it denies it: codes, and OTHER for what has none."""
    return _read(text)[0]


def _read(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """(all modalities that are spoken of, those that nothing around them denies)."""
    if len(text) > LONGEST:
        return frozenset({OTHER}), frozenset()
    named: set[str] = set()
    shown: set[str] = set()
    left = text
    for code, pattern in _patterns():
        for match in pattern.finditer(left):
            if code != NOTHING:
                named |= set(code.rstrip("?").split("+"))
                if not code.endswith("?") and _is_shown(text, match):
                    shown.add(code)
        left = pattern.sub(lambda match: " " * len(match[0]), left)
    return frozenset(named), frozenset(shown)


def _is_shown(text: str, match: re.Match[str]) -> bool:
    before = _CLAUSE.split(text[max(0, match.start() - _NEAR) : match.start()])[-1]
    after = _CLAUSE.split(text[match.end() : match.end() + _NEAR])[0]
    return not _NOT_BEFORE.search(before) and not _NOT_AFTER.match(after)
