"""Texts of a source made fit to be captions: what says nothing of the picture before the reader is taken out.

Radiology reports compare with pictures that nobody sees here, name colleagues, and hold `___` where a name or date was
removed (MIMIC-CXR). Sentences that do so are dropped whole, since half a sentence may say the opposite. Prompts of an
image-generation task are commands and become the description that they ask for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9_(\"'])|\n\s*\n")
_NUMBERED = re.compile(r"(?:(?<=\s)|^)\d{1,2}[.)]\s+(?=[A-Z_])")
_HEADING = re.compile(
    r"^\s*(?:final report|wet read|addendum|examination|exam|indication|history|technique|comparison|findings?"
    r"|clinical (?:history|information|indication)|impressions?|conclusion|reason for exam(?:ination)?)"
    r"\s*:?\s*(?=$|[A-Z_])",
    re.IGNORECASE | re.MULTILINE,
)
_SECTION = re.compile(r"^[ \t]*(?P<name>[A-Z][A-Z /]{2,40}):", re.MULTILINE)
_REMOVED = re.compile(r"_{2,}|\[\*\*|\bXXXX\b")
_COMPARED = re.compile(
    r"\b(?:compar\w*|prior|previous\w*|earlier|preceding|former\w*|unchanged|changed?|changes since|interval\w*|again"
    r"|re-?demonstrat\w*|new|newly|old|older|stable|stability|increas\w*|decreas\w*|improv\w*|worse\w*|progress\w*"
    r"|resol(?:ved|ving|ution)|persist\w*|residual|remain\w*|continu\w*|since|now|no longer|recent\w*|last|today"
    r"|yesterday|ago|follow(?:ed)?[- ]?up|similar\w*|developed|removed|replaced|repositioned|withdrawn|advanced"
    r"|enlarging|larger|smaller|(?:more|less) (?:prominent|pronounced|conspicuous)|as before|status post"
    r"|post-?operative\w*)\b",
    re.IGNORECASE,
)
_DATED = re.compile(
    r"\b\d{1,2}[/.-]\d{1,2}(?:[/.-]\d{2,4})?\b|\b(?:19|20|21|22)\d\d\b|\b\d{1,2}:\d\d\b|\b\d{1,2}\s?[ap]\.?m\.?\b"
    r"|\b(?:january|february|march|april|june|july|august|september|october|november|december)\b",
    re.IGNORECASE,
)
_PEOPLE = re.compile(
    r"\b(?:dr|mr|mrs|ms|prof)\b\.?|\b(?:physician|radiologist|attending|resident|nurse|telephone\w*|phone|paged?|pager"
    r"|notified|notification|discussed|communicated|informed|dictated|reviewed|signed|recommend\w*|correlat\w*|clinical\w*"
    r"|suggest (?:follow|correlat)\w*)\b",
    re.IGNORECASE,
)
_COMMAND = re.compile(
    r"^\s*(?:please\s+)?(?:generate|create|make|draw|produce|show(?: me)?|give me|synthesi[sz]e|render|design|display)"
    r"\s+(?=an?\b|the\b|some\b|\d|images?\b|pictures?\b)",
    re.IGNORECASE,
)


def clean_report(text: str) -> str | None:
    """The sentences of a report that describe this picture alone; None where none is left."""
    plain = _NUMBERED.sub("", _HEADING.sub("\n\n", text.replace("\r", "")))
    kept = []
    for sentence in _SENTENCE.split(plain):
        words = " ".join(sentence.split())
        if len(words) > 2 and not any(test.search(words) for test in (_REMOVED, _COMPARED, _DATED, _PEOPLE)):
            kept.append(words if words.endswith((".", "!", "?")) else f"{words}.")
    return " ".join(kept) or None


def clean_command(text: str) -> str | None:
    """`Generate an image containing a polyp.` as `An image containing a polyp.`; None where nothing is asked for."""
    words = " ".join(_COMMAND.sub("", text).split()).rstrip(". ")
    return f"{words[:1].upper()}{words[1:]}{'' if words.endswith(('!', '?')) else '.'}" if words else None


def sections(text: str) -> dict[str, str]:
    """The text under each heading of a report, `findings` and the like in lower case; what comes before is under ""."""
    found: dict[str, str] = {}
    name, last = "", 0
    for match in _SECTION.finditer(text):
        found[name] = f"{found.get(name, '')}\n{text[last : match.start()]}"
        name, last = match["name"].strip().lower(), match.end()
    found[name] = f"{found.get(name, '')}\n{text[last:]}"
    return {heading: body.strip() for heading, body in found.items() if body.strip()}


def clean_line(text: str) -> str | None:
    """The text on one line."""
    return " ".join(text.split()) or None


CLEANERS: Mapping[str, Callable[[str], str | None]] = {
    "report": clean_report,
    "command": clean_command,
    "line": clean_line,
}
