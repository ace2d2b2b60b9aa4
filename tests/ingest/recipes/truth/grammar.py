"""The English that a caption may have, written out once more for the truth tables, and the sentences that may not be.

A truth table gives each row of a synthetic table the captions that are true of it, whole, and compares. What words a
label has, and which of them take an article, is written by hand in each table. Beside that each table names sentences
that would be false of some of its rows (`Lie`), so that a reader sees which mistakes it would find.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

STATES = ("present", "absent", "uncertain", "unstated")
SPOKEN_AN = ("a", "e", "i", "o", "u", "AP ", "8", "11-", "18-", "MR ")
NEVER = re.compile(  # of no row of any table, unless a label says so in these words
    r"\bnormal\b(?<!labelled normal)|\bhealthy|unremarkable|\bclear lungs|no findings?\b|abnormalit(?:y|ies) seen"
    r"|no (?:acute|evidence)|negative for|\bnan\b|\bNone\b(?! of)|___|\(\s*\)|[{}|]|  |\s[.,]|,,|\.\.",
    re.IGNORECASE,
)

# PadChest's column Projection, as a caption words it before the picture
PADCHEST_VIEWS = {
    "PA": "PA ",
    "L": "lateral ",
    "AP": "AP ",
    "AP_horizontal": "supine AP ",
    "COSTAL": "rib-view ",
    "UNK": "",
}


class Lie(NamedTuple):
    """A sentence that is false of some rows, as a pattern, and of which."""

    example: str  # is found by the pattern, or the test is no test
    pattern: str
    of: Callable[[Mapping[str, str]], bool]


def an(words: str) -> str:
    """`words` after its article."""
    return f"{'an' if words.startswith(SPOKEN_AN) else 'a'} {words}"


def sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def items(names: Sequence[str], last: str = "and") -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"


def findings(
    states: Iterable[tuple[str, str]], nothing: str = "", devices: Iterable[str] = (), articles: Iterable[str] = ()
) -> str:
    """`a mass and possible edema but no hernia or fibrosis` of (words, state) in order; empty where nothing is said.

    `nothing` is what a row without findings says of itself (none of the 14 labelled findings): a finding, sure or not,
    contradicts it, and `devices` stand beside it. Names in `articles` are counted.
    """
    told = [(words, state) for words, state in states if state != "unstated"]
    if nothing and any(words not in devices for words, state in told if state != "absent"):
        nothing = ""
    if nothing:
        told = [(words, state) for words, state in told if state != "absent" or words in devices]
    there = [an(words) if words in articles else words for words, state in told if state == "present"]
    there += [nothing] if nothing else []
    for words, state in told:
        if state == "uncertain":
            there.append(an(f"possible {words}") if words in articles else f"possible {words}")
    absent = [words for words, state in told if state == "absent"]
    no = f"no {items(absent, 'or')}" if absent else ""
    if not (there and no):
        return items(there) if there else no
    return f"{items(there)} {'and' if nothing else 'but'} {no}"


def people(sex: str, age: str) -> list[str]:
    """What a caption may call a person of `sex` (female, male or empty) and `age` (years, `over 89` or empty)."""
    if not age:
        return [f"{sex} subject"] if sex else []
    adults = {"female": "woman", "male": "man", "": "person"}
    children = {"female": "girl", "male": "boy", "": "child"}
    noun = (adults if age == "over 89" or int(age) >= 18 else children)[sex]
    return (
        [f"{noun} over 89", f"{noun} aged over 89"]
        if age == "over 89"
        else [f"{age}-year-old {noun}", f"{noun} aged {age}"]
    )


def check(captions: Mapping[str, str], allowed: Mapping[str, set[str]]) -> list[tuple[str, str, Any]]:
    """Rows whose caption is none of those that are true of it: (row, caption, what would be true)."""
    assert set(captions) == set(allowed)
    assert len(set(captions.values())) > 1
    wrong = [(row, said, sorted(allowed[row])) for row, said in captions.items() if said not in allowed[row]]
    return wrong + [(row, said, "never") for row, said in captions.items() if NEVER.search(said)]


def told(
    lies: Sequence[Lie], rows: Mapping[str, Mapping[str, str]], captions: Mapping[str, str]
) -> list[tuple[str, str]]:
    """(example, caption) of each lie that was told; each must be a lie of some row, and be known when it is seen."""
    found = []
    for lie in lies:
        assert re.search(lie.pattern, lie.example, re.IGNORECASE), lie.example
        of = [row for row, cells in rows.items() if lie.of(cells)]
        assert of, f"no row of which this would be false: {lie.example}"
        found += [(lie.example, captions[row]) for row in of if re.search(lie.pattern, captions[row], re.IGNORECASE)]
    return found
