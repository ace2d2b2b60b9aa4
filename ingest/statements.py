"""What a pipelines file states about files: modality, specialty, labels, attributes, for all of them or by pattern.

A statement carries its scope: a label of a volume stays a label of the series on each of its slices, and the row's
`label_scope` is the widest scope of what is stated on it (DESIGN invariant 11).
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from shards import vocabulary
from shards.attributes import ATTRIBUTES, encode, fitting
from shards.manifest import Label

Value = str | float | bool
Scope = Literal["image", "frames", "slice", "series", "study", "patient"]
LabelOrigin = Literal["expert", "text-mined", "model"]


@dataclass(frozen=True, kw_only=True)
class StatedLabel:
    """One label as the source documents it."""

    name: str
    scope: Scope
    state: Literal["present", "absent", "uncertain"] = "present"
    origin: LabelOrigin = "expert"

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise ValueError("name of a label is empty: write what it says, such as pneumonia")

    def label(self) -> Label:
        """As the manifest holds it."""
        return Label(name=self.name, state=self.state, scope=self.scope, origin=self.origin)


@dataclass(frozen=True, kw_only=True)
class FileFacts:
    """What is stated about the files that match a pattern; it comes before what is stated about all of them."""

    files: str  # path below the root; `*` also matches `/`
    modality: str | None = None
    specialty: str | None = None
    attributes: Mapping[str, Value] = field(default_factory=dict)
    labels: tuple[StatedLabel, ...] = ()

    def __post_init__(self) -> None:
        check_modality(self.modality)
        check_specialty(self.specialty)
        check_attributes(self.attributes)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is stated about one file after all patterns."""

    modality: str | None
    specialty: str | None
    attributes: Mapping[str, Value]
    labels: tuple[Label, ...]

    def scope(self, narrowest: str) -> str:
        """Widest scope of the labels; `narrowest` where there is none."""
        return widest([narrowest, *(label.scope for label in self.labels)])


def about(path: str, patterns: Sequence[FileFacts], everywhere: FileFacts) -> Facts:
    """All that is stated about a file. Of several patterns the first that says a thing counts; labels add up."""
    found = [entry for entry in patterns if fnmatch.fnmatchcase(path, entry.files)] + [everywhere]
    attributes: dict[str, Value] = {}
    for entry in reversed(found):
        attributes.update(entry.attributes)
    return Facts(
        modality=next((entry.modality for entry in found if entry.modality), None),
        specialty=next((entry.specialty for entry in found if entry.specialty), None),
        attributes=attributes,
        labels=tuple(stated.label() for entry in found for stated in entry.labels),
    )


def widest(scopes: Iterable[str]) -> str:
    """The widest of some scopes, of which there is at least one."""
    return max(scopes, key=vocabulary.LABEL_SCOPES.index)


def check_modality(modality: str | None) -> None:
    """ValueError where `modality` is given and no code of the vocabulary."""
    if modality is not None and modality not in vocabulary.MODALITIES:
        raise ValueError(f"modality {modality!r} is unknown: use one of {', '.join(vocabulary.MODALITIES)}")


def check_specialty(specialty: str | None) -> None:
    """ValueError where `specialty` is given and not in the vocabulary."""
    if specialty is not None and specialty not in vocabulary.SPECIALTIES:
        raise ValueError(f"specialty {specialty!r} is unknown: use one of {', '.join(vocabulary.SPECIALTIES)}")


def check_attributes(attributes: Mapping[str, Value]) -> None:
    """ValueError where an attribute is not on the allow-list, or its value is not of the attribute's form."""
    encode(attributes)
    for name, value in attributes.items():
        check_values(name, [value])


def check_values(name: str, values: Iterable[Value]) -> None:
    """ValueError where one of some values is not of the form of a known attribute."""
    for value in values:
        if fitting(name, value) is None:
            raise ValueError(f"attributes: {name} cannot be {value!r}; it is: {ATTRIBUTES[name].meaning}")
