"""What the labels of a sample let a caption say, sorted by the unit that each is true of.

DESIGN invariant 11: a caption states nothing that its labels do not state at that scope. So labels fall into those of
the picture itself and those of another unit (one slice of a stack; the series, the study, the patient), which are
worded as belonging to it. A label that the source does not state has no entry, and nothing is said of it. Where labels
of one name and scope disagree, the expert's counts before text mining and text mining before a model; if they still
disagree, nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from captioning.wording import DEVICES, NONE_OF_THE_LABELLED, counted, label_name, listing, with_article
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
        there = [with_article(name) if counted(name) else name for name in self.present]
        there += [with_article(f"possible {name}") if counted(name) else f"possible {name}" for name in self.uncertain]
        if not self.absent:
            return listing(there)
        none = f"no {listing(list(self.absent), 'or')}"
        return f"{listing(there)} but {none}" if there else none


def unit_of(scope: str, *, stack: bool) -> str:
    """The unit of UNITS that a label of `scope` is true of: itself only for the image, its frames, its slice."""
    return OWN if scope in ("image", "frames") or (scope == "slice" and not stack) else scope


def statements(labels: Iterable[Label], *, stack: bool) -> dict[str, Statement]:
    """The statement about each unit of UNITS that has one; `stack` where the sample is several slices.

    The order of `labels` decides the order of names alone.
    """
    states: dict[str, dict[str, str]] = {unit: {} for unit in UNITS}
    for (unit, name), entries in _by_name(labels, stack=stack).items():
        state = _agreed(entries)
        if state is not None:
            states[unit][name] = state
    said: set[str] = set()
    found = {}
    for unit in UNITS:  # what is present in the picture need not be said again of its study
        here = {name: state for name, state in states[unit].items() if name not in said}
        said |= {name for name, state in here.items() if state == "present"}
        statement = _statement(here)
        if statement:
            found[unit] = statement
    return found


def _by_name(labels: Iterable[Label], *, stack: bool) -> Mapping[tuple[str, str], list[Label]]:
    entries: dict[tuple[str, str], list[Label]] = {}
    for label in labels:
        name = label_name(label.name)
        if name is not None:
            entries.setdefault((unit_of(label.scope, stack=stack), name), []).append(label)
    return entries


def _agreed(entries: Sequence[Label]) -> str | None:
    best = min(LABEL_ORIGINS.index(label.origin) for label in entries)
    states = {label.state for label in entries if LABEL_ORIGINS.index(label.origin) == best}
    return states.pop() if len(states) == 1 else None


def _statement(states: Mapping[str, str]) -> Statement:
    def named(state: str) -> tuple[str, ...]:
        return tuple(name for name, found in states.items() if found == state and (state == "present" or _denied(name)))

    present, uncertain = named("present"), named("uncertain")
    rest = tuple(name for name in present if name != NONE_OF_THE_LABELLED)
    if rest != present and not uncertain and DEVICES.issuperset(rest):
        rest = (*rest, NONE_OF_THE_LABELLED)  # else the source contradicts itself, and the finding counts
    return Statement(present=rest, uncertain=uncertain, absent=named("absent"))


def _denied(name: str) -> bool:
    """Whether `no <name>` and `possible <name>` make sense; no source states the opposite of `normal`."""
    return name != NONE_OF_THE_LABELLED and not name.startswith(("no ", "normal ", "findings labelled "))
