"""The language in which a data set says how its captions are phrased.

A template is plain text with fields: `{picture:a} showing {findings}[, from {person:a}]`. What stands in brackets is
left out where one of its fields is unknown. A template that needs an unknown field outside of brackets does not fit
the row, and another one is taken. Findings of a wider unit than the picture have fields of their own, and the words
around them must name that unit, so that no template can state a study's finding of one view (DESIGN invariant 11).

`template` of a manifest's row holds one or more templates, one a line; which of them a row gets is drawn by its key.
The template captioner fills them in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shards.attributes import ATTRIBUTES

COMPOSED = {
    "picture": "what the picture is, with view, plane, body part and side: PA chest radiograph",
    "person": "whom it shows, by age and sex: 61-year-old woman",
    "findings": "what the labels of the picture itself say: cardiomegaly, possible edema but no pneumothorax",
    "slice_findings": "what they say of one slice of the stack",
    "series_findings": "of the scan, video or recording that the picture is part of",
    "study_findings": "of the study",
    "patient_findings": "of the patient",
    "window": "the CT window: brain window",
    "details": "where a slice lies, what a clip was taken from, magnification",
}
FIELDS = {**{name: one.meaning for name, one in ATTRIBUTES.items() if one.worded}, **COMPOSED}
AROUND = {  # what must stand around the findings of a wider unit: the forms that captioning.truth understands
    "slice_findings": (r"\bwith $", r"^ in one of its slices\b"),
    "series_findings": (r"\bfrom an? (?:scan|video|recording|series) (?:with|showing) $", ""),
    "study_findings": (r"\bfrom an? study (?:with|showing) $", ""),
    "patient_findings": (r"\bfrom an? patient (?:with|showing) $", ""),
}
HELPERS = ("a",)  # with `a` or `an`, as the words are spoken
WITH_ARTICLES = ("findings", "slice_findings", "series_findings", "study_findings", "patient_findings", "details")
CLAIMS = re.compile(  # for labels to say
    r"\b(?:no|not|without|normal|healthy|unremarkable|clear|free (?:of|from)|negative for|absence of|absent)\b",
    re.IGNORECASE,
)
TURNED = re.compile(r"\b(?:possible|from an? (?:scan|video|recording|series|study|patient) (?:with|showing)) $", re.I)
_PIECE = re.compile(
    r"\{(?P<field>[a-z_]+)(?::(?P<helper>[a-z]+))?\}|(?P<open>\[)|(?P<close>\])|(?P<text>[^\[\]{}]+)|(?P<bad>.)"
)


@dataclass(frozen=True, slots=True)
class Slot:
    """A field to fill."""

    field: str
    helper: str = ""


Piece = str | Slot


@dataclass(frozen=True, slots=True)
class Segment:
    """Pieces that stand or fall together."""

    pieces: tuple[Piece, ...]
    optional: bool

    @property
    def slots(self) -> tuple[Slot, ...]:
        """Its fields."""
        return tuple(piece for piece in self.pieces if isinstance(piece, Slot))


def parse_template(text: str) -> tuple[Segment, ...]:
    """The segments of a template; ValueError says what is wrong with it and what could be written."""
    segments: list[Segment] = []
    pieces: list[Piece] = []
    inside = False
    for match in _PIECE.finditer(text):
        if match["bad"] or (match["open"] and inside) or (match["close"] and not inside):
            raise ValueError(f"template {text!r}: the {match.group()!r} at {match.start() + 1} has no partner")
        if match["open"] or match["close"]:
            if pieces:
                segments.append(Segment(tuple(pieces), inside))
            pieces, inside = [], bool(match["open"])
        else:
            pieces.append(_slot(text, match) if match["field"] else match["text"])
    if inside:
        raise ValueError(f"template {text!r}: a bracket is not closed")
    if pieces:
        segments.append(Segment(tuple(pieces), optional=False))
    for segment in segments:
        if claim := next(filter(None, (CLAIMS.search(one) for one in segment.pieces if isinstance(one, str))), None):
            raise ValueError(f"template {text!r} says {claim.group()!r}: what is there and what not, labels say")
        if segment.optional and not segment.slots:
            raise ValueError(f"template {text!r}: brackets without a field leave nothing to know; remove them")
    return tuple(segments)


def _slot(text: str, match: re.Match[str]) -> Slot:
    name, helper = match["field"], match["helper"] or ""
    if name not in FIELDS:
        raise ValueError(f"template {text!r} has the unknown field {{{name}}}; known are {', '.join(FIELDS)}")
    if helper and helper not in HELPERS:
        raise ValueError(f"template {text!r}: {{{name}:{helper}}} has no such helper; known are {', '.join(HELPERS)}")
    if helper and name in WITH_ARTICLES:
        raise ValueError(f"template {text!r}: {{{name}}} has its articles already; write it without :{helper}")
    # in the same bracket, since what stands around may be left out with it
    around = re.split(r"[\[\]]", text[: match.start()])[-1], re.split(r"[\[\]]", text[match.end() :])[0]
    if name == "age" and re.match(r"[- ]?years?\b", around[1]):
        raise ValueError(f"template {text!r}: an age may be of months; write `aged {{age}}` or {{person}}")
    if name == "findings" and TURNED.search(around[0]):
        raise ValueError(f"template {text!r}: {{findings}} is true of the picture; write `showing {{findings}}`")
    before, after = AROUND.get(name, ("", ""))
    if not (re.search(before, around[0], re.IGNORECASE) and re.search(after, around[1], re.IGNORECASE)):
        unit = name.removesuffix("_findings")
        form = "with {slice_findings} in one of its slices" if unit == "slice" else f"from a {unit} with {{{name}}}"
        raise ValueError(
            f"template {text!r}: {{{name}}} is true of the {unit} and not of the picture; write `{form}` unbroken"
        )
    return Slot(name, helper)


def check_template(text: str) -> None:
    """ValueError unless `text` is one template on one line that says something."""
    if not text.strip() or "\n" in text:
        raise ValueError(f"template {text!r} must be one line of text")
    parse_template(text)


def join_templates(templates: Sequence[str]) -> str:
    """As the manifest's column `template` holds them."""
    return "\n".join(templates)


def split_templates(column: str) -> Iterator[tuple[Segment, ...]]:
    """The parsed templates of a cell of the manifest's column `template`."""
    return (parse_template(text) for text in column.split("\n"))
