"""Which sections of a report describe its pictures: findings, impression and conclusion.

What was asked, what was known before and how the pictures were made is no description of them: an indication of
"pneumonia?" in a caption would be false. The headings are those of MIMIC-CXR and of common usage.
"""

from __future__ import annotations

import re

_DESCRIBING = r"findings?(?:(?: and | & | ?/ ?)impressions?)?|impressions?|conclusions?"
_OF_ALL = r"final report|preliminary report|wet read|addendum"  # whatever stands below
_OTHER = (
    r"exam(?:ination)?s?(?: performed)?|type of exam(?:ination)?|study|procedure|indications?|history|technique"
    r"|protocol|comparisons?|clinical [a-z]+|(?:past |prior )?(?:medical|surgical) history|medical condition"
    r"|admitting diagnosis|reason for [a-z ]{3,30}|contrast|recommendations?|notifications?"
)
_NAMES = f"{_DESCRIBING}|{_OF_ALL}|{_OTHER}"
_CAPITALS = _NAMES.upper()  # of a pattern without escapes
# `findings` at the start of a wrapped line is a word of a sentence: a heading has a colon, or its line for itself; with
# a colon it may also stand behind a sentence, or in capitals anywhere, since tables hold reports on one line
_HEADING = re.compile(
    rf"(?:^[ \t]*|(?<=[.!?]\s))(?i:{_NAMES})[ \t]*:|^[ \t]*(?:{_CAPITALS})[ \t]*$|(?<=\s)(?:{_CAPITALS})[ \t]*:",
    re.MULTILINE,
)


def descriptive(text: str) -> str:
    """The sections of a report that describe its pictures, each a paragraph; empty where there are none.

    Where no heading names such a section, it is the text that stands below no other heading.
    """
    sections, name, last = [], "", 0
    for heading in _HEADING.finditer(text):
        sections.append((name, text[last : heading.start()]))
        name, last = heading[0].strip(" \t:").lower(), heading.end()
    sections.append((name, text[last:]))
    described = [body for name, body in sections if re.fullmatch(_DESCRIBING, name) and body.strip()]
    return "\n\n".join(described or [body for name, body in sections if not name or re.fullmatch(_OF_ALL, name)])
