"""The template captioner: everything that metadata and labels say of a picture, as one sentence of plain English.

MediSyn's captions combine "all available metadata and labels into a single caption" (arXiv 2405.09806). Findings come
early, since text encoders cut at 64 to 120 tokens. Each sample has its own phrasing, drawn by its key, so the same row
always reads the same. Only attributes of `shards.attributes` are worded, and of those: view, plane, position_mm
(within a named space), sequence, map, contrast, stain, magnification, leads, duration_s, window, body_part, organ,
laterality, age, sex. What is unknown is left out, and no name, date or number of a person can be said.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from captioning.engine import Answer, Ask
from shards.intake import Skip
from shards.reasons import Reason
from shards.stage import Context

if TYPE_CHECKING:
    from captioning.picture import Picture
    from captioning.statements import Statement
    from shards.attributes import Value
    from shards.manifest import Sample

VERSION = 2  # raise it when the same row gives another sentence
SIDES = {  # of the origin of a space, in RAS+: what is positive first
    "axial": ("above", "below"),
    "coronal": ("in front of", "behind"),
    "sagittal": ("to the right of", "to the left of"),
}
HEAD_FACTS = ("view", "plane", "sequence", "map", "contrast", "stain", "leads", "body_part", "organ", "laterality")


@dataclass(frozen=True, kw_only=True)
class TemplateEngine:
    """Options of the template captioner."""

    kind: Literal["template"] = "template"
    seed: int = 0  # which phrasing each sample gets
    least_facts: int = 0  # a row about which less is known, beside its modality, gets no caption

    def __post_init__(self) -> None:
        if self.least_facts < 0:
            raise ValueError("least_facts counts labels and attributes: write 0 or more")

    @property
    def by(self) -> str:
        """Whose words the captions are."""
        return f"template@{VERSION}"

    @property
    def batch(self) -> int:
        """How many pictures at once."""
        return 1024

    @property
    def stop_after(self) -> int | None:
        """Nothing can fail but a row that says too little of itself."""
        return None

    def identity(self, ctx: Context) -> dict[str, str]:
        """The template's version."""
        return {"captioner": self.by}

    @contextmanager
    def open(self, ctx: Context) -> Iterator[TemplateCaptioner]:
        """The captioner; it holds nothing."""
        yield TemplateCaptioner(self)


class TemplateCaptioner:
    """Words samples one by one."""

    def __init__(self, options: TemplateEngine) -> None:
        self.options = options

    def caption(self, asks: Sequence[Ask]) -> list[Answer | Skip]:
        """One sentence for each sample, or NO_CAPTION where too little is known of it."""
        return [self._answer(ask.sample) for ask in asks]

    def _answer(self, sample: Sample) -> Answer | Skip:
        facts, text = word(sample, self.options.seed)
        if facts < self.options.least_facts:
            return Skip(Reason.NO_CAPTION, f"{facts} facts known beside the modality")
        return Answer(text=text)


@dataclass(frozen=True, kw_only=True, slots=True)
class Phrasing:
    """How one sample is worded, of several equally good ways."""

    findings_first: bool
    body_first: bool
    age_first: bool

    @classmethod
    def draw(cls, seed: int, key: str) -> Phrasing:
        """A choice that depends on seed and key alone."""
        bits = hashlib.sha256(f"phrasing\0{seed}\0{key}".encode()).digest()[0]
        return cls(findings_first=bool(bits & 1), body_first=bool(bits & 2), age_first=bool(bits & 4))


def word(sample: Sample, seed: int) -> tuple[int, str]:
    """Number of facts stated beside the modality, and the sentence."""
    from captioning.picture import noun_phrase, picture_of
    from captioning.statements import statements
    from captioning.wording import person, sentence, with_article
    from shards.attributes import decode

    attributes = decode(sample.attributes)
    picture = picture_of(sample.modality, sample.media, attributes)
    phrasing = Phrasing.draw(seed, sample.key)
    said = statements(sample.labels, picture)
    head = with_article(noun_phrase(picture, attributes, body_first=phrasing.body_first))
    whom = person(_text(attributes, "sex"), attributes.get("age"), age_first=phrasing.age_first)
    taken = picture.taken_from
    window = sample.media.view.window or _text(attributes, "window")
    details = list(
        filter(None, (taken and f"taken from a {taken}", _window(window), _scale(attributes), _place(attributes)))
    )
    facts = sum(len(statement.present + statement.uncertain + statement.absent) for statement in said.values())
    facts += sum(name in attributes for name in HEAD_FACTS) + len(details) + bool(whom)
    return facts, sentence(_arrange(head, said, picture, details, whom, phrasing))


def _arrange(
    head: str,
    said: Mapping[str, Statement],
    picture: Picture,
    details: Sequence[str],
    whom: str | None,
    phrasing: Phrasing,
) -> str:
    """The head with the picture's own findings, then those of other units, details, and whom it shows."""
    from captioning.statements import OWN

    own = said.get(OWN)
    others = {unit: _of_unit(unit, statement, picture) for unit, statement in said.items() if unit != OWN}
    opening = head
    if own and phrasing.findings_first:
        opening = f"{own.text()} seen {picture.preposition} {head}"
    elif own:
        opening = f"{head} showing {own.text()}"
    elif phrasing.findings_first and (widest := max(others.keys() - {"slice"}, key=list(others).index, default=None)):
        opening = f"{others.pop(widest)}: {head}"
    clauses = list(others.values())
    if whom and "patient" in others:  # the last of the units
        clauses += [whom, *details]
    else:
        clauses += [*details, *([f"from {whom}"] if whom else [])]
    return ", ".join([opening, *clauses])


def _of_unit(unit: str, statement: Statement, picture: Picture) -> str:
    """A finding of another unit than the picture, worded as such."""
    if unit == "slice":
        return f"with {statement.text()} in one of its slices"
    return f"from a {picture.series if unit == 'series' else unit} with {statement.text()}"


def _window(name: str | None) -> str:
    from captioning.wording import with_article
    from shards.windows import WINDOWS

    return f"shown in {with_article(WINDOWS[name].wording)}" if name in WINDOWS else ""


def _scale(attributes: Mapping[str, Value]) -> str:
    from captioning.wording import plain_number

    power = attributes.get("magnification")
    return f"at {plain_number(power)}x magnification" if isinstance(power, float) else ""


def _place(attributes: Mapping[str, Value]) -> str:
    """Where a slice lies, in a named space alone: millimetres of a scanner's own frame say nothing of the body."""
    from captioning.wording import plain_number

    plane, space, offset_mm = (attributes.get(name) for name in ("plane", "space", "position_mm"))
    if plane not in SIDES or space is None or not isinstance(offset_mm, float):
        return ""
    distance = plain_number(abs(offset_mm))
    if distance == "0":
        return f"through the origin of {space} space"
    return f"{distance} mm {SIDES[str(plane)][offset_mm < 0]} the origin of {space} space"


def _text(attributes: Mapping[str, Value], name: str) -> str | None:
    value = attributes.get(name)
    return value if isinstance(value, str) else None
