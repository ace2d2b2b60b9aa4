"""Which statements of a caption are not covered by the sample's labels and metadata: the check of DESIGN invariant 11.

It reads the finished sentence and knows nothing of how it was made, so it can judge the template, a model, or a user's
own stage. It looks for forbidden kinds of statement: normality that nobody labelled; a finding that is not labelled, is
labelled otherwise, or is true of a wider unit than the sentence says; a modality, plane, side, sex, age, window or
number that the metadata do not give; and marks of a broken template. It errs towards complaining.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from captioning.picture import Form, picture_of
from captioning.statements import OWN, UNITS, unit_of
from captioning.truth_metadata import blank, judge_metadata, metadata_words
from captioning.wording import label_name
from shards.attributes import decode
from shards.manifest import Sample

# findings that no caption may bring in by itself; the names of a data set's own vocabulary are added by the caller
FINDINGS = (
    "adenoma", "aneurysm", "atelectasis", "calcification", "cancer", "carcinoma", "cardiomegaly", "cataract",
    "consolidation", "cyst", "diverticulum", "edema", "effusion", "emphysema", "fibrosis", "fracture", "glaucoma",
    "haemorrhage", "hemorrhage", "hernia", "infarct", "infarction", "infiltration", "lesion", "lymphadenopathy", "mass",
    "melanoma", "metastasis", "nevus", "nodule", "oedema", "oesophagitis", "esophagitis", "opacity", "pneumonia",
    "pneumothorax", "polyp", "retinopathy", "stenosis", "stroke", "thrombus", "tumor", "tumour", "ulcer",
    "ulcerative colitis",
)  # fmt: skip
NORMALITY = re.compile(
    r"\b(?:normal|normality|healthy|unremarkable|intact|disease-free|no (?:\w+ )?abnormalit(?:y|ies)"
    r"|no (?:\w+ )?findings?|no (?:\w+ )?disease|no evidence of|no signs? of|negative for"
    r"|none of the labelled findings)\b",
    re.IGNORECASE,
)
BROKEN = {
    "nan": r"\bnan\b",
    "None": r"\bNone\b(?! of)|\bnull\b",
    "empty brackets": r"\(\s*\)|\[\s*\]",
    "unfilled field": r"[{}]",
    "double space": r"  ",
    "doubled punctuation": r"\.\.|,,|,\.|\s[.,]",
    "date": r"\b\d{4}-\d\d-\d\d\b|\b(?:19|20)\d{6}\b",
    "name of a person": r"\w\^\w|\b(?:Mr|Mrs|Ms|Dr)\.? [A-Z]",
}
# "from a study with ...": what follows belongs to that unit, up to the next such words, a colon or the end
UNIT = re.compile(
    r"\bfrom an? (?P<unit>study|patient|video|recording|scan|series) (?:with|showing)\b"
    r"|(?P<slice>\bin one of its slices\b)|(?P<end>[:;]|\.(?:\s|$))",
    re.IGNORECASE,
)
SERIES_WORDS = {"video", "recording", "scan"}
DENIAL = re.compile(r"\b(?:no|without|not|absence of|free of)\b", re.IGNORECASE)
RESET = re.compile(r"\b(?:but|showing|shows|with|seen|from|and (?:an?|possible|with))\b|[:;]|\.\s", re.IGNORECASE)
DOUBT = re.compile(
    r"\b(?:possible|possibly|probable|suspected|may be|questionable|likely)\s+(?:an? )?(?:[\w-]+ )?$", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a caption says of one name: its state, and the unit of captioning.statements.UNITS that it is said of."""

    name: str
    state: str
    unit: str


def false_statements(sample: Sample, vocabulary: Iterable[str] = ()) -> list[str]:
    """What the captions of `sample` state that its labels and metadata do not, one line each; empty where all is true.

    Captions of the source are its own words and are not judged. `vocabulary` are the label names of the data set, none
    of which may be stated of a sample that has no such label.
    """
    words = tuple(vocabulary)
    judged = (caption for caption in sample.captions if caption.by != "source")
    return [f"{caption.by}: {line}" for caption in judged for line in judge(caption.text, sample, words)]


def judge(text: str, sample: Sample, vocabulary: Sequence[str] = ()) -> list[str]:
    """The false statements of one text about `sample`, each once."""
    attributes = decode(sample.attributes)
    labelled = {name for label in sample.labels if (name := label_name(label.name))}
    names = labelled | {name for word in vocabulary if (name := label_name(word))} | set(FINDINGS)
    claims, rest = find_claims(text, names, blank(text, metadata_words(sample, attributes)))
    stack = picture_of(sample, attributes).form is Form.STACK
    stated = [(label_name(label.name) or "", label.state, unit_of(label.scope, stack=stack)) for label in sample.labels]
    found = [f"says {_worded(claim)}" for claim in claims if not _covered(claim, stated)]
    found += [f"says {match.group()}" for match in NORMALITY.finditer(rest)]
    found += judge_metadata(text, sample, attributes)
    found += [what for what, pattern in BROKEN.items() if re.search(pattern, text)]
    return list(dict.fromkeys(found))


def find_claims(text: str, names: Iterable[str], rest: str) -> tuple[list[Claim], str]:
    """What `text` says of each of `names`, longest first, looked for in `rest`; and `rest` with those names blanked."""
    claims = []
    for name in sorted(names, key=lambda name: (-len(name), name)):
        for match in re.finditer(rf"(?<![\w-]){re.escape(name)}(?:s|es)?(?![\w-])", rest, re.IGNORECASE):
            claims.append(Claim(name, _state(text, match.start()), _unit(text, match.start())))
            rest = f"{rest[: match.start()]}{' ' * len(match.group())}{rest[match.end() :]}"
    return claims, rest


def _state(text: str, at: int) -> str:
    before = text[:at]
    if DOUBT.search(before):
        return "uncertain"
    since = max((match.end() for match in RESET.finditer(before)), default=0)
    return "absent" if DENIAL.search(before[since:]) else "present"


def _unit(text: str, at: int) -> str:
    unit = OWN
    for match in UNIT.finditer(text):
        if match.start() > at:
            is_of_slice = match["slice"] and " with " in text[: match.start()]
            return "slice" if is_of_slice and text.rindex(" with ", 0, match.start()) < at else unit
        word = (match["unit"] or OWN).lower()
        unit = "series" if word in SERIES_WORDS else word
    return unit


def _covered(claim: Claim, stated: Sequence[tuple[str, str, str]]) -> bool:
    """Whether labels say so: what a part has the whole has too, and what the whole lacks each part lacks."""
    whole = UNITS.index(claim.unit)
    for name, state, unit in stated:
        if not re.search(rf"(?<![\w-]){re.escape(claim.name)}(?![\w-])", name, re.IGNORECASE):
            continue
        narrower, wider = UNITS.index(unit) <= whole, UNITS.index(unit) >= whole
        if claim.state == "absent" and state == "absent" and wider:
            return True
        if claim.state != "absent" and narrower and state in {"present", claim.state}:
            return True
    return False


def _worded(claim: Claim) -> str:
    state = {"present": claim.name, "absent": f"no {claim.name}", "uncertain": f"possible {claim.name}"}[claim.state]
    return f"{state} of the {claim.unit}"


def forbidden(samples: Iterable[Sample], vocabulary: Iterable[str] = ()) -> Iterator[tuple[str, str]]:
    """(key, false statement) over many samples: what a test of a whole manifest asserts to be empty."""
    words = tuple(vocabulary)
    for sample in samples:
        yield from ((sample.key, line) for line in false_statements(sample, words))
