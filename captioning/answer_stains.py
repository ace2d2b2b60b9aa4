"""Stains of tissue that an answer names although the row gives another: one picture has the stain that it was given.

A stain that the row does not give at all may be said, since whoever knows it sees it. Haematoxylin alone is none here:
it is the counterstain of many.
"""

from __future__ import annotations

import re

STAINS = {
    "H&E": r"H ?(?:&|and|/) ?E(?!\w)|ha?ematoxylin(?: and | ?[&/–-] ?)eosin|\bHE[ -]stain\w*",
    "Giemsa": r"\bgiemsa\b|\bwright(?:'s)?[- ]stain\w*",
    "PAS": r"periodic acid[- ]schiff|\bPAS\b(?=[- ]|$)",
    "trichrome": r"\btrichrome\b",
    "Gram": r"\bgram[- ](?:stain\w*|positive|negative)",
    "immunohistochemistry": r"\bimmuno-?(?:histochem|stain|peroxidase)\w*|\bdiaminobenzidine\b|\bDAB\b|\bIHC\b",
    "Papanicolaou": r"\bpapanicolaou\b|\bpap[- ]stain\w*",
    "Congo red": r"\bcongo red\b",
    "Ziehl-Neelsen": r"\bziehl[- ]neelsen\b",
}
PATTERNS = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in STAINS.items()}


def other_stain(text: str, stain: str) -> str | None:
    """The words of `text` for a stain other than the row's; None where there are none, or the row's is not listed."""
    given = {name for name, pattern in PATTERNS.items() if pattern.search(stain)}
    if not given:
        return None
    found = (pattern.search(text) for name, pattern in PATTERNS.items() if name not in given)
    return next((match.group() for match in found if match is not None), None)
