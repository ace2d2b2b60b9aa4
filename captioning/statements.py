"""What the labels of a sample let a caption say, sorted by the unit that each is true of.

DESIGN invariant 11: a caption states nothing that its labels do not state at that scope. So labels fall into those of
the picture itself and those of another unit (one slice of a stack; the series, the study, the patient), which are
worded as belonging to it. What is true of the picture itself stays true when packing cuts a clip: it holds on every
frame. A label that the source does not state has no entry, and nothing is said of it. Where labels of one name and
scope disagree, the expert's counts before text mining and text mining before a model; if they still disagree, nothing
is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from captioning.picture import Form, Picture
from captioning.wording import counted, is_device, is_none_of, label_name, listing, named, with_article
from shards.manifest import Label
from shards.vocabulary import LABEL_ORIGINS

OWN = "picture"  # the sample itself
UNITS = (OWN, "slice", "series", "study", "patient")  # slice: some slice of a stack


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """Worded names of labels that are true of one unit."""

    present: tuple[str, ...] = ()
    uncertain: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.present or self.uncertain or self.absent)

    def text(self) -> str:
        """`a polyp, possible pneumonia but no pneumothorax or fracture`."""
        there = [named(name) for name in self.present]
        there += [with_article(f"possible {name}") if counted(name) else f"possible {name}" for name in self.uncertain]
        if not self.absent:
            return listing(there)
        none = f"no {listing(list(self.absent), 'or')}"
        link = "and" if any(map(is_none_of, self.present)) else "but"
        return f"{listing(there)} {link} {none}" if there else none


def unit_of(scope: str, picture: Picture) -> str:
    """The unit of UNITS that a label of `scope` is true of.

    `frames` holds on every frame of the range that the sample's locator names, so it is true of whatever is cut from
    it; without a range nobody chose the frames, and such a label, like one of the `image`, is the whole recording's.
    """
    if scope not in ("image", "frames", "slice"):
        return scope
    if not picture.several:
        return OWN
    if scope == "slice" and picture.form is Form.STACK:
        return "slice"
    return OWN if scope == "frames" and picture.cut else "series"


def statements(labels: Iterable[Label], picture: Picture) -> dict[str, Statement]:
    """The statement about each unit of UNITS that has one.

    The order of `labels` decides the order of names alone.
    """
    states: dict[str, dict[str, str]] = {unit: {} for unit in UNITS}
    for (unit, name), entries in _by_name(labels, picture).items():
        state = _agreed(entries)
        if state is not None:
            states[unit][name] = state
    said: set[str] = set()
    found = {}
    is_finding_said = False
    for unit in UNITS:  # what is present in the picture need not be said again of its study
        if not states[unit]:
            continue
        here = {name: state for name, state in states[unit].items() if name not in said}
        if is_finding_said:  # what is found in a part is found in the whole
            here = {name: state for name, state in here.items() if not is_none_of(name)}
        said |= {name for name, state in here.items() if state == "present"}
        is_finding_said |= any(state != "absent" and _is_finding(name) for name, state in here.items())
        statement = _statement(here)
        if statement:
            found[unit] = statement
    return found


def _by_name(labels: Iterable[Label], picture: Picture) -> Mapping[tuple[str, str], list[Label]]:
    entries: dict[tuple[str, str], list[Label]] = {}
    for label in labels:
        name, unit = label_name(label.name), unit_of(label.scope, picture)
        part = unit == "series" and (label.scope == "slice" or (label.scope == "image" and picture.cut))
        if name is None or (part and (label.state == "absent" or is_none_of(name))):
            continue  # what a part lacks the whole may have
        entries.setdefault((unit, name), []).append(label)
    return entries


def _agreed(entries: Sequence[Label]) -> str | None:
    if len(entries) == 1:
        return entries[0].state
    best = min(LABEL_ORIGINS.index(label.origin) for label in entries)
    states = {label.state for label in entries if LABEL_ORIGINS.index(label.origin) == best}
    return states.pop() if len(states) == 1 else None


def _statement(states: Mapping[str, str]) -> Statement:
    def those(state: str) -> tuple[str, ...]:
        return tuple(name for name, found in states.items() if found == state and (state == "present" or _denied(name)))

    present, uncertain, absent = those("present"), those("uncertain"), those("absent")
    findings = tuple(name for name in present if not is_none_of(name))
    nothing = tuple(name for name in present if is_none_of(name))
    if nothing and all(map(is_device, (*findings, *uncertain))):
        return Statement(present=(*findings, *nothing), uncertain=uncertain, absent=tuple(filter(is_device, absent)))
    return Statement(present=findings, uncertain=uncertain, absent=absent)  # the finding counts


def _is_finding(name: str) -> bool:
    return not is_none_of(name) and not is_device(name)


def _denied(name: str) -> bool:
    """Whether `no <name>` and `possible <name>` make sense; no source states the opposite of `normal`."""
    negated = name.startswith(("no ", "normal ", "without ", "absence of ", "absent ")) or name.endswith(
        " labelled normal"
    )
    return not is_none_of(name) and not negated
