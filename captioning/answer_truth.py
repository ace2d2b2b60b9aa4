"""What an answer says of its picture that the metadata and labels do not bear out (DESIGN invariant 11).

`captioning.truth.judge` reads what is said of findings, modality, plane, sides, persons and numbers; this file says
which of its lines contradict what is known and which say more, and looks for what only a model writes: degrees, sizes,
comparisons with earlier pictures, counts, and readings such as `consistent with`.

What anyone can see may be said: colours, brightness, shapes, textures, parts of the body, instruments, and where
something lies in the picture (`in the left half of the image`). `The left lung` is a side of a person, which a model
cannot know of a picture that may be turned: it passes only where a label or the metadata give the side. A part whose
name holds a side (left ventricle) has none. `Large`, `small` and `enlarged` are sizes, also beside a colour;
`slightly`, `darker than the tissue around it` and `no bleeding is visible` are descriptions; `no` before a finding is
a statement that only a label can make. `Consistent with` and its like pass directly before what is labelled as present.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from captioning.answer_same import other_part, same_in_other_words
from captioning.answer_stains import other_stain
from captioning.answer_wordings import (
    ANATOMY,
    COMPARISONS,
    COUNTED_NAMES,
    COUNTS,
    DEGREES,
    DISEASES,
    NUMBERED_TERMS,
    PLAIN_WORDS,
    READINGS,
    SEEN_PLACES,
    SIDES,
    SIZED_NAMES,
    SIZES,
)
from captioning.stated_numbers import without_stated
from captioning.truth import BROKEN, NORMALITY, judge
from captioning.truth_metadata import AGE, CONTRAST_WORDS, NUMBER, PLANES, SEQUENCE, SEX_WORDS, SIDE_WORDS, YEARS, blank
from captioning.truth_scope import PICTURE, unit_true
from captioning.wording import is_none_of, label_name
from shards.attributes import Value, decode
from shards.intake import Skip
from shards.manifest import Sample
from shards.reasons import Reason

OF_UNIT = re.compile(r"says (?P<state>no |possible )?(?P<name>.+) of the (?:picture|slice|series|study|patient)")
UNSPECIFIC = ("FIG", "PATH")  # modalities that may be any kind of picture
VIEWS = {  # codes of DICOM's View Position, and how they are spelled out; one of a row is true
    "AP": "antero-?posterior", "PA": "postero-?anterior", "MLO": "medio-?lateral[- ]oblique", "CC": "cranio-?caudal",
    "ML": "medio-?lateral(?![- ]oblique)", "LM": "latero-?medial", "LAO": "left anterior oblique",
    "RAO": "right anterior oblique",
}  # fmt: skip
OF_A_VIEW = r"(?:chest|view|projection|radiograph|film|X-ray|x-ray|mammogram|position)"
CLAUSE = re.compile(  # a comma after which a denial no longer holds
    r",(?=\s+(?:and\s+)?(?:(?:the|this|there|it|these|which|while)\b|(?:typical|characteristic) (?:of|for)\b"
    r"|(?:consistent|compatible|in keeping) with\b|(?:suggest|indicat)\w+|due to\b"
    r"|because of\b|caused by\b|as (?:seen )?in\b))",
    re.IGNORECASE,
)
WEIGHTED = re.compile(r"\b(T[12]\*?)(-?(?:[wW](?:eighted|I)?))(?!\w)")
TAKEN_FOR = (
    r"(?:consistent with|compatible with|in keeping with|suggest(?:s|ive of|ing|ed)?|indicat(?:es?|ive of|ing)"
    r"|typical (?:of|for)|characteristic of|diagnostic of|represent(?:s|ing)?|hallmark of)"
)


def truth_fault(text: str, sample: Sample) -> Skip | None:
    """The first thing that `text` says and nothing known bears out; contradictions before what is only unstated."""
    attributes = decode(sample.attributes)
    known = replace(sample, labels=(*sample.labels, *same_in_other_words(sample, text)))
    seen = WEIGHTED.sub(lambda match: match[1] + " " * len(match[2]), CLAUSE.sub(";", text))
    view = str(attributes.get("view", ""))
    if view in VIEWS:
        seen = _without(seen, re.compile(VIEWS[view], re.IGNORECASE))
    seen = _without(seen, NUMBERED_TERMS, SEEN_PLACES, ANATOMY)
    lines = [line for line in judge(seen, known) if line not in BROKEN and not _is_fine(line, sample)]
    lines[:0] = _other_views(seen, view)
    contradicted = next((line for line in lines if _contradicts(line, known, attributes)), None)
    if contradicted is None and (stain := other_stain(text, str(attributes.get("stain", "")))):
        contradicted = f"says {stain}"
    if contradicted is not None:
        return Skip(Reason.ANSWER_CONTRADICTS, contradicted)
    if NUMBER.search(without_stated(seen, sample)):
        lines.append("says a number: one that nothing known gives")
    if elsewhere := other_part(sample, seen):
        lines.append(f"says another part of the body: {elsewhere}")
    unstated = next(iter(lines), None) or next(_unstated(seen, known, attributes), None)
    return None if unstated is None else Skip(Reason.ANSWER_UNSTATED, unstated)


def _unstated(text: str, sample: Sample, attributes: Mapping[str, Value]) -> Iterator[str]:
    """Degrees, sizes, comparisons, counts, readings and diseases that no label and no attribute names."""
    stated = [name for label in sample.labels if (name := label_name(label.name))]
    stated += [str(value) for value in attributes.values() if isinstance(value, str)]
    there = [name for label in sample.labels if label.state == "present" and (name := label_name(label.name))]
    named = "|".join(re.escape(name) for name in sorted(there, key=len, reverse=True))
    taken_for = re.compile(rf"\b{TAKEN_FOR}(?=\s+(?:an?\s+|the\s+)?(?:{named})(?![\w-]))", re.IGNORECASE)
    rest = blank(without_stated(_without(text, taken_for) if there else text, sample), stated)
    for what, pattern, names in (
        ("a comparison", COMPARISONS, ANATOMY),
        ("a side", SIDES, ANATOMY),
        ("a degree", DEGREES, ANATOMY),
        ("a size", SIZES, SIZED_NAMES),
        ("a number", COUNTS, COUNTED_NAMES),
        ("a reading", READINGS, ANATOMY),
        ("a disease", DISEASES, PLAIN_WORDS),
    ):
        for match in pattern.finditer(_without(rest, names)):
            yield f"says {what}: {match.group().lower()}"


def _contradicts(line: str, sample: Sample, attributes: Mapping[str, Value]) -> bool:
    """Whether a line of the judge says other than what is known, and not only more."""
    if line.endswith(f" of a {sample.modality} picture"):
        return True
    finding = OF_UNIT.fullmatch(line)
    if finding is not None:
        opposite = "present" if finding["state"] == "no " else "absent"
        return any(label.state == opposite and label_name(label.name) == finding["name"] for label in sample.labels)
    said = line.removeprefix("says ")
    if said in VIEWS:
        return True
    for pattern, name in (
        ("|".join(PLANES), "plane"),
        ("|".join(SIDE_WORDS), "laterality"),
        (SEQUENCE, "sequence"),
        ("|".join(CONTRAST_WORDS), "contrast"),
    ):
        if name in attributes and re.fullmatch(pattern, said, re.IGNORECASE):
            return True
    sexes = [sex for pattern, sex in SEX_WORDS.items() if re.fullmatch(pattern, said, re.IGNORECASE)]
    if "sex" in attributes and sexes and attributes["sex"] not in sexes:
        return True
    if AGE.fullmatch(said) or re.fullmatch("|".join(YEARS), said, re.IGNORECASE):
        return "age" in attributes and not (sexes and "sex" not in attributes)
    if NORMALITY.fullmatch(said):
        return any(label.state == "present" and not is_none_of(label_name(label.name) or "") for label in sample.labels)
    return False


def _other_views(text: str, view: str) -> list[str]:
    """Views that `text` names and that are not the row's own, by their codes; none where the row gives no view."""
    if view not in VIEWS:
        return []
    said = {code for code, long in VIEWS.items() if re.search(rf"\b{code} {OF_A_VIEW}|\b(?i:{long})\b", text)}
    return [f"says {code}" for code in sorted(said - {view})]


def _is_fine(line: str, sample: Sample) -> bool:
    """Whether a line is none of a model's faults: a technique that nobody gives, or a word of the row's own."""
    if sample.modality in UNSPECIFIC and line.endswith(f" of a {sample.modality} picture"):
        return True
    if sample.modality == "SURG" and re.fullmatch(r"says endoscop\w+ of a SURG picture", line, re.IGNORECASE):
        return True  # minimally invasive
    if line.lower() != "says normal":
        return False
    here = [label for label in sample.labels if unit_true(label.scope, sample.media) == PICTURE]
    named = any(label.state == "present" and label.name.lower() == "normal" for label in here)
    return named and all(
        label.state != "present" or is_none_of(label_name(label.name) or "") for label in sample.labels
    )


def _without(text: str, *patterns: re.Pattern[str]) -> str:
    """`text` of the same length with what the patterns match blanked."""
    for pattern in patterns:
        text = pattern.sub(lambda match: re.sub(r"\S", " ", match.group()), text)
    return text
