"""The numbers that metadata and labels state, in the words in which a caption may repeat them.

A number is true of one thing: the 12 of a 12-lead electrocardiogram says nothing of `bed 12`. So what is known is
looked for as a phrase, and every digit outside of such a phrase is a number that nobody stated.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from captioning.truth_metadata import blank
from captioning.wording import age, label_name, plain_number
from shards.attributes import OLDEST_STATED_YEARS, decode
from shards.manifest import Sample

PHRASES = {  # of a number N: how it is said of each attribute
    "leads": r"N[- ]leads?",
    "duration_s": r"N[- ]?(?:s|sec|seconds?)",
    "magnification": r"N ?(?:x|×|times|-fold)|[x×] ?N",
    "position_mm": r"N[- ]?mm",
    "ejection_fraction_percent": r"N ?(?:%|percent|per cent)",
    "end_systolic_volume_ml": r"N ?m[lL]",
    "end_diastolic_volume_ml": r"N ?m[lL]",
    "skin_type": r"(?:Fitzpatrick )?(?:photo)?(?:skin )?type N",
}
GRADED = re.compile(  # a label that gives a value on a scale
    r"(?P<scale>.+?)\s+(?:(?P<kind>grade|score|subscore|type|class|category|stage|classification|level)\s+)?"
    r"(?P<value>\d+[a-d]?|[IVX]+[a-z]{0,2})",
    re.IGNORECASE,
)
_KIND = r"(?:grade|score|subscore|type|class|category|stage|classification|level|scale|system|grading)"
DENIED = re.compile(r"\b(?:no|not|without)\b[^.;,]*$", re.IGNORECASE)
MINUTES = r"N[- ]?(?:min|minutes?)"


def without_stated(text: str, sample: Sample) -> str:
    """`text` of the same length with the phrases blanked in which a number is known of `sample`."""
    attributes = decode(sample.attributes)
    texts = [name for label in sample.labels if (name := label_name(label.name))]
    texts += [str(value) for value in attributes.values() if isinstance(value, str)]
    text = blank(text, [words for words in texts if re.search(r"\d", words)])
    for phrase in _phrases(sample):
        found = re.compile(rf"(?<![\w.,/-])(?:{phrase})(?![\w/]|[.,-]\d)")
        text = found.sub(lambda match: " " * len(match.group()), text)
    graded = (GRADED.fullmatch(label.name) for label in sample.labels if label.state == "present")
    for match in filter(None, graded):
        text = _graded(match).sub(_spaces_unless_denied, text)
    return text


def _spaces_unless_denied(match: re.Match[str]) -> str:
    return match.group() if DENIED.search(match.string[: match.start()]) else " " * len(match.group())


def _graded(label: re.Match[str]) -> re.Pattern[str]:
    """What says the value of a label such as `Kellgren-Lawrence grade 3` in another order or by another noun."""
    scale = r"(?:[-–\s]+(?:and\s+|&\s+)?)".join(map(re.escape, re.split(r"[-–\s]+", label["scale"])))
    value = re.escape(label["value"])
    if label["kind"] is None and not label["scale"].lower().endswith("rads"):
        return re.compile(rf"(?<![\w-]){scale}\s+{value}(?![\w/]|[.,-]\d)", re.IGNORECASE)
    first = rf"{scale}(?:['’]s)?(?:\s+(?:endoscopic|radiographic|{_KIND}|of|is))*\s+{value}"
    last = rf"{_KIND}\s+{value}\s+(?:on|of|by|in|according to)\s+(?:the\s+)?{scale}(?:\s+{_KIND})?"
    return re.compile(rf"(?<![\w-])(?:{first}(?![\w/]|[.,-]\d)|{last}(?![\w-]))", re.IGNORECASE)


def _phrases(sample: Sample) -> Iterator[str]:
    """Patterns of what may be said, one for each number that is known."""
    attributes = decode(sample.attributes)
    media = sample.media
    lengths = [media.frames / media.fps] if media.frames and media.fps else []
    for name, value in attributes.items():
        if name == "duration_s" and isinstance(value, float):
            lengths.append(value)
        elif name in PHRASES and isinstance(value, float):
            yield from _with_number(PHRASES[name], abs(value))
    for length_s in lengths:
        yield from _with_number(PHRASES["duration_s"], length_s)
        yield from _with_number(MINUTES, length_s / 60)
    known = age(attributes["age"]) if "age" in attributes else None
    if known is not None:
        number, unit = known
        if unit == "over":
            yield rf"(?:aged )?over {OLDEST_STATED_YEARS}(?: years(?: old)?)?"
        else:
            yield rf"(?:aged |age of )?{number}[- ]{unit}s?(?:[- ](?:old|of age))?"
            yield rf"aged {number}"


def _with_number(phrase: str, value: float) -> Iterator[str]:
    for number in {plain_number(value), str(round(value)), str(math.floor(value))}:
        yield phrase.replace("N", re.escape(number))
