"""Superscripts in plain text: what is raised has another meaning on the line, where 10 to the 5th would read 105."""

from __future__ import annotations

import re

_RAISED = str.maketrans(
    "0123456789+-\u2212\u2013n",
    "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207a\u207b\u207b\u207b\u207f",
)
_POWER = re.compile("[+\u2212-]|(?=.*[0-9])[0-9n+\u2212\u2013-]+")


def raised(text: str, before: str) -> str:
    """`text` as it stands raised after the character `before`: cm\u00b2, 10\u207b\u00b3, Ca\u00b2\u207a.

    Letters stay on the line (1st, 99mTc), so do marks of references ([3]), and numbers at the start of a word, which
    are those of an isotope.
    """
    follows = before.isalnum() or before in (")", "]")
    return text.translate(_RAISED) if follows and _POWER.fullmatch(text.strip()) else text
