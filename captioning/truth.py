"""Which statements of a caption are not covered by the sample's labels and metadata: the check of DESIGN invariant 11.

It reads the finished sentence and knows nothing of how it was made, so it can judge the template, a model, or a user's
own stage; of the template's code it shares the names of labels alone. It looks for forbidden kinds of statement:
normality that nobody labelled; a finding that is not labelled, is labelled otherwise, or is true of a wider unit than
the sentence says; a modality, plane, side, sex, age, window or number that the metadata do not give; and marks of a
broken template. It errs towards complaining.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from captioning.truth_metadata import among, blank, judge_metadata, map_words, metadata_words
from captioning.truth_scope import ORDER, unit_said, unit_true
from captioning.wording import is_none_of, label_name
from shards.attributes import decode
from shards.manifest import Sample

# findings that no caption may bring in by itself; the names of a data set's own vocabulary are added by the caller
FINDINGS = (
    "adenoma", "aneurysm", "atelectasis", "benign", "calcification", "cancer", "carcinoma", "cardiomegaly", "cataract",
    "consolidation", "cyst", "diverticulum", "edema", "effusion", "emphysema", "fibrosis", "fracture", "glaucoma",
    "haemorrhage", "hemorrhage", "hernia", "infarct", "infarction", "infiltration", "lesion", "lymphadenopathy",
    "malignancy", "malignant", "mass", "melanoma", "metastasis", "nevus", "nodule", "oedema", "oesophagitis",
    "esophagitis", "opacity", "pneumonia", "pneumothorax", "polyp", "retinopathy", "stenosis", "stroke", "thrombus",
    "tumor", "tumour", "ulcer", "ulcerative colitis",
)  # fmt: skip
NORMALITY = re.compile(
    r"\b(?:normal|normality|healthy|unremarkable|intact|disease-free|clear|(?:no|without) acute(?: \w+)?"
    r"|(?:no|without|free of|absence of) (?:\w+ )?(?:abnormalit(?:y|ies)|findings?|diseases?|pathology)"
    r"|(?:no|without) (?:evidence|signs?|suspicion) of|negative for|none of the (?:\d+ )?labelled findings)\b",
    re.IGNORECASE,
)
FINDING_OR_NORMALITY = re.compile(rf"\b(?:{'|'.join(FINDINGS)})(?:s|es)?\b|{NORMALITY.pattern}", re.IGNORECASE)
BROKEN = {
    what: re.compile(pattern)
    for what, pattern in {
        "nan": r"\bnan\b",
        "None": r"\bNone\b(?! of)|\bnull\b",
        "empty brackets": r"\(\s*\)|\[\s*\]",
        "unfilled field": r"[{}]",
        "double space": r"  ",
        "doubled punctuation": r"\.\.|,,|,\.|\s[.,]",
        "date": r"\b\d{4}-\d\d-\d\d\b|\b(?:19|20)\d{6}\b",
        "name of a person": r"\w\^\w|\b(?:Mr|Mrs|Ms|Dr)\.? [A-Z]",
    }.items()
}
DENIAL = re.compile(r"\b(?:no|without|not|absence of|free of)\b", re.IGNORECASE)
TAKES_PART = re.compile(
    r"(?:\b(?:showing|with|without|no|possible|and|or|but)|,)\s+(?:(?:an?|the)\s+)?$", re.IGNORECASE
)
RESET = re.compile(r"\b(?:but|showing|shows|with|seen|from|and (?:an?|possible|with))\b|[:;]|\.\s", re.IGNORECASE)
DOUBT = re.compile(
    r"\b(?:possible|possibly|probable|suspected|may be|questionable|likely)\s+(?:an? )?(?:[\w-]+ )?$", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a caption says of one name: its state, and the unit of truth_scope.ORDER that it is said of."""

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
    claims, rest = find_claims(
        text, names, _without_places(blank(text, map_words(attributes)), metadata_words(sample, attributes))
    )
    stated = [
        (label_name(label.name) or "", label.state, unit_true(label.scope, sample.media)) for label in sample.labels
    ]
    found = [f"says {_worded(claim)}" for claim in claims if not _covered(claim, stated)]
    found += [f"says {match.group()}" for match in NORMALITY.finditer(rest)]
    found += judge_metadata(text, sample, attributes)
    found += [what for what, pattern in BROKEN.items() if pattern.search(text)]
    return list(dict.fromkeys(found))


def find_claims(text: str, names: Iterable[str], rest: str) -> tuple[list[Claim], str]:
    """What `text` says of each of `names`, longest first, looked for in `rest`; and `rest` with those names blanked."""
    claims = []
    for name in sorted(among(names, rest), key=lambda name: (-len(name), name)):
        for match in _named(name, "(?:s|es)?").finditer(rest):
            claims.append(Claim(name, _state(text, match.start()), unit_said(text, match.start())))
            rest = f"{rest[: match.start()]}{' ' * len(match.group())}{rest[match.end() :]}"
    return claims, rest


def _without_places(text: str, phrases: Iterable[str]) -> str:
    """`text` with the attributes' `phrases` blanked, unless one names a finding or stands where a finding would."""
    places = [words for words in among(phrases, text) if not FINDING_OR_NORMALITY.search(words)]
    return blank(text, places, unless_after=TAKES_PART)


@lru_cache(maxsize=8192)  # a data set has few names and many texts
def _named(name: str, ending: str = "") -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-]){re.escape(name)}{ending}(?![\w-])", re.IGNORECASE)


def _state(text: str, at: int) -> str:
    before = text[:at]
    if DOUBT.search(before):
        return "uncertain"
    since = max((match.end() for match in RESET.finditer(before)), default=0)
    return "absent" if DENIAL.search(before[since:]) else "present"


def _covered(claim: Claim, stated: Sequence[tuple[str, str, str]]) -> bool:
    """Whether labels say so: what a part has the whole has too, and what the whole lacks each part lacks."""
    whole = ORDER.index(claim.unit)
    for name, state, unit in stated:
        if not _named(claim.name).search(name):
            continue
        narrower, wider = ORDER.index(unit) <= whole, ORDER.index(unit) >= whole
        lacks = claim.state == "absent" or is_none_of(claim.name)
        same = state == claim.state or (claim.state == "uncertain" and state == "present")
        if same and (wider if lacks else narrower):
            return True
    return False


def _worded(claim: Claim) -> str:
    state = {"present": claim.name, "absent": f"no {claim.name}", "uncertain": f"possible {claim.name}"}[claim.state]
    return f"{state} of the {claim.unit}"
