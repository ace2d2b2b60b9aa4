"""The words for every field of a template, from what is known of one picture.

A field that is not known has no entry. Some fields have two wordings that are equally good; which of them a row gets is
drawn by its key, like its template. Fields: shards/phrasing.py. Facts are counted for engines that ask for a least.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from captioning.picture import Picture, contrast, noun_phrase
from captioning.statements import OWN, Statement
from captioning.wording import age_text, body_part, label_name, persons, plain_number, view, with_article
from shards.attributes import ATTRIBUTES, Value
from shards.windows import WINDOWS

Wordings = dict[str, tuple[str, ...]]  # field -> equally good wordings

SIDES = {  # of the origin of a space, in RAS+: what is positive first
    "axial": ("above", "below"),
    "coronal": ("in front of", "behind"),
    "sagittal": ("to the right of", "to the left of"),
}
STATED = (  # attributes that the general wording states one by one, beside details and person
    *("view", "plane", "sequence", "map", "contrast", "stain", "leads", "body_part", "organ", "laterality", "phase"),
)


def _plain(value: Value) -> str:
    return plain_number(value) if isinstance(value, float) else str(value)


def _sex(value: Value) -> str:
    return str(value) if value in {"female", "male"} else ""


def _part(value: Value) -> str:
    return body_part(str(value))


def _inside(value: Value) -> str:
    """As words inside a sentence."""
    return label_name(str(value)) or ""


SINGLE: dict[str, Callable[[Value], str]] = {  # fields that are one attribute
    **{name: _plain for name, one in ATTRIBUTES.items() if one.worded and name != "window"},
    "age": age_text,
    "body_part": _part,
    "chest_location": _inside,
    "contrast": contrast,
    "heart_axis": _inside,
    "organ": _part,
    "phase": _inside,
    "sex": _sex,
    "view": lambda value: view(str(value)),
}


def look_words(picture: Picture, attributes: Mapping[str, Value], window: str | None) -> tuple[Wordings, int]:
    """Words for the fields that metadata give, and how many facts they hold; `window` is the locator's."""
    words: Wordings = {
        name: (said,) for name, word in SINGLE.items() if name in attributes and (said := word(attributes[name]))
    }
    words["picture"] = tuple(noun_phrase(picture, attributes, body_first=body_first) for body_first in (False, True))
    whom = persons(attributes.get("sex"), attributes.get("age"))
    if whom:
        words["person"] = whom
    named = window or attributes.get("window")
    if named in WINDOWS:
        words["window"] = (WINDOWS[str(named)].wording,)
    taken_from = f"taken from {with_article(picture.taken_from)}" if picture.taken_from else ""
    details = list(filter(None, (taken_from, _scale(attributes), _place(attributes))))
    if details:
        words["details"] = (", ".join(details),)
    facts = sum(name in attributes for name in STATED) + len(details) + bool(whom) + ("window" in words)
    return words, facts


def finding_words(said: Mapping[str, Statement]) -> tuple[Wordings, int]:
    """Words for the fields that labels give, and how many labels they word."""
    names = {unit: "findings" if unit == OWN else f"{unit}_findings" for unit in said}
    facts = sum(len(statement.present + statement.uncertain + statement.absent) for statement in said.values())
    return {names[unit]: (statement.text(),) for unit, statement in said.items()}, facts


def _scale(attributes: Mapping[str, Value]) -> str:
    power = attributes.get("magnification")
    return f"at {plain_number(power)}x magnification" if isinstance(power, float) else ""


def _place(attributes: Mapping[str, Value]) -> str:
    """Where a slice lies, in a named space alone: millimetres of a scanner's own frame say nothing of the body."""
    plane, space, offset_mm = (attributes.get(name) for name in ("plane", "space", "position_mm"))
    if plane not in SIDES or space is None or not isinstance(offset_mm, float):
        return ""
    distance = plain_number(abs(offset_mm))
    if distance == "0":
        return f"through the origin of {space} space"
    return f"{distance} mm {SIDES[str(plane)][offset_mm < 0]} the origin of {space} space"
