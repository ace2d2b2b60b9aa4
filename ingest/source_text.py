"""Texts of a source made fit to be captions: what says nothing of the picture before the reader is taken out.

Radiology reports compare with pictures that nobody sees here, name colleagues, and hold `___` where a name or date was
removed (MIMIC-CXR). Sentences that do so are dropped whole, since half a sentence may say the opposite, and with
them those that go on from what was dropped or sum it up. Prompts of an image-generation task are commands and become
the description that they ask for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from ingest.report_sections import descriptive

# a title, or the initial of a name, ends no sentence
_SENTENCE = re.compile(
    r"(?<=[.!?])(?<![DM][rs]\.)(?<!Mrs\.)(?<!Prof\.)(?<!\b[A-Z]\.)\s+(?=[A-Z0-9_(\"'])|\n\s*\n",
)
_NUMBERED = re.compile(r"(?:^[ \t]*|(?<=[.:!?])\s+)(?P<number>\d{1,2})[.)]\s+(?=[A-Z_])", re.MULTILINE)
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
    r"|notified|notification|discussed|communicated|conveyed|relayed|called|spoke\w*|informed|dictated|reviewed|signed|m\.?d"
    r"|rn|ph\.?d|(?:read|reported|interpreted|verified|approved|performed) by|per(?! (?:minute|second|hour|cent|se)\b)"
    r"|recommend\w*|correlat\w*|clinical\w*|suggest (?:follow|correlat)\w*)\b",
    re.IGNORECASE,
)
# what speaks of the other sentences, or sums the picture up: false or without a meaning where one of them is left out
_DEPENDENT = re.compile(
    r"^(?:it|its|they|their|these|this|those|that|such|both|he|she|which)\b|\b(?:otherwise|other|others|another"
    r"|additional\w*|else\w*|except\w*|further\w*|also|remaining|remainder|rest|apart|aside|besides|however|therefore"
    r"|likewise|latter|mentioned|described|normal\w*|unremarkable|clear|negative|intact"
    r"|no (?:new|acute|active|significant|abnormal\w*|evidence of (?:acute|active|disease)))\b",
    re.IGNORECASE,
)
# what was asked is no finding
_ASKED = re.compile(
    r"^(?:please |to )?(?:rule[ -]?out|r/o|(?:evaluat|assess)\w* for|query|question of)\b|\?$", re.IGNORECASE
)
_UNFIT = (_REMOVED, _COMPARED, _DATED, _PEOPLE, _ASKED)
_COMMAND = re.compile(
    r"^\s*(?:please\s+)?(?:generate|create|make|draw|produce|show(?: me)?|give me|synthesi[sz]e|render|design|display)"
    r"\s+(?=an?\b|the\b|some\b|\d|images?\b|pictures?\b)",
    re.IGNORECASE,
)


def clean_report(text: str) -> str | None:
    """The sentences of a report that describe this picture alone; None where none is left.

    Of its sections only findings, impression and conclusion are read, where it has them. Where a sentence is left out,
    so are those that depend on it: "otherwise normal" is not "normal".
    """
    plain = _without_numbers(descriptive(text.replace("\r", "")))
    said = sentences(plain)
    kept = [words for words in said if not any(test.search(words) for test in _UNFIT)]
    if len(kept) < len(said):
        kept = [words for words in kept if not _DEPENDENT.search(words)]
    return " ".join(words if words.endswith((".", "!", "?")) else f"{words}." for words in kept) or None


def sentences(text: str) -> list[str]:
    """The sentences of a text, each on one line; a title or an initial ends none."""
    return [words for part in _SENTENCE.split(text) if len(words := " ".join(part.split())) > 2]


def _without_numbers(text: str) -> str:
    """`text` with the items of its lists as paragraphs; `segment 4. No effusion` is none, since no 3 precedes it."""
    last = 0

    def item(match: re.Match[str]) -> str:
        nonlocal last
        number, before = int(match["number"]), text[: match.start()].rstrip(" \t")
        starts = number == 1 and (not before.strip() or before.endswith("\n\n") or before.rstrip()[-1] in ".:!?")
        if not starts and (not last or number != last + 1):
            return match[0]
        last = number
        return "\n\n"

    return _NUMBERED.sub(item, text)


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


def keyed(text: str, keys: Sequence[str]) -> dict[str, str] | None:
    """What stands behind each of `keys` in lines `key: value` or `key = value`; None where one has two values."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, sign, value = line.partition(":" if ":" in line.partition("=")[0] else "=")
        key = name.strip()
        if sign and key in keys and found.setdefault(key, value.strip()) != value.strip():
            return None
    return found


def clean_line(text: str) -> str | None:
    """The text on one line."""
    return " ".join(text.split()) or None


CLEANERS: Mapping[str, Callable[[str], str | None]] = {
    "report": clean_report,
    "command": clean_command,
    "line": clean_line,
}
