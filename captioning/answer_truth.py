"""What an answer says of its picture that the metadata and labels do not bear out (DESIGN invariant 11).

`captioning.truth.judge` reads what is said of findings, modality, plane, sides, persons and numbers; this file says
which of its lines contradict what is known and which say more, and looks for what only a model writes: degrees, sizes,
comparisons with earlier pictures, counts, and readings such as `consistent with`.

What anyone can see may be said: colours, brightness, shapes, textures, parts of the body, instruments, and where
something lies in the picture (`in the left half of the image`). `The left lung` is a side of a person, which a model
cannot know of a picture that may be turned: it passes only where a label or the metadata give the side. A part whose
name holds a side (left ventricle) has none. `Large`, `small` and `enlarged` are sizes, also beside a colour;
`slightly`, `darker than the tissue around it` and `no bleeding is visible` are descriptions; `no` before a finding is
a statement that only a label can make.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

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
from captioning.wording import is_none_of, label_name
from shards.attributes import Value, decode
from shards.intake import Skip
from shards.manifest import Label, Sample
from shards.reasons import Reason

OF_UNIT = re.compile(r"says (?P<state>no |possible )?(?P<name>.+) of the (?:picture|slice|series|study|patient)")
UNSPECIFIC = ("FIG", "PATH")  # modalities that may be any kind of picture
CO_REFERENCE = ("lesion", "mass", "abnormality", "finding")  # other words for a labelled finding
SPELLINGS = (("oes", "es"), ("oed", "ed"), ("haem", "hem"), ("naev", "nev"), ("tumour", "tumor"), ("aem", "em"))


def truth_fault(text: str, sample: Sample) -> Skip | None:
    """The first thing that `text` says and nothing known bears out; contradictions before what is only unstated."""
    attributes = decode(sample.attributes)
    known = replace(sample, labels=(*sample.labels, *_other_words(sample.labels)))
    seen = _without(text, NUMBERED_TERMS, SEEN_PLACES, ANATOMY)
    lines = [line for line in judge(seen, known) if line not in BROKEN and not _of_any_kind(line, sample)]
    contradicted = next((line for line in lines if _contradicts(line, known, attributes)), None)
    if contradicted is not None:
        return Skip(Reason.ANSWER_CONTRADICTS, contradicted)
    if NUMBER.search(without_stated(seen, sample)):
        lines.append("says a number: one that nothing known gives")
    unstated = next(iter(lines), None) or next(_unstated(seen, known, attributes), None)
    return None if unstated is None else Skip(Reason.ANSWER_UNSTATED, unstated)


def _unstated(text: str, sample: Sample, attributes: Mapping[str, Value]) -> Iterator[str]:
    """Degrees, sizes, comparisons, counts, readings and diseases that no label and no attribute names."""
    stated = [name for label in sample.labels if (name := label_name(label.name))]
    stated += [str(value) for value in attributes.values() if isinstance(value, str)]
    rest = blank(text, stated)
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
    for pattern, name in (
        ("|".join(PLANES), "plane"),
        ("|".join(SIDE_WORDS), "laterality"),
        (SEQUENCE, "sequence"),
        ("|".join(CONTRAST_WORDS), "contrast"),
        ("|".join(SEX_WORDS), "sex"),
        ("|".join(YEARS), "age"),
    ):
        if name in attributes and re.fullmatch(pattern, said, re.IGNORECASE):
            return True
    if AGE.fullmatch(said):
        return "age" in attributes
    if NORMALITY.fullmatch(said):
        return any(label.state == "present" and not is_none_of(label_name(label.name) or "") for label in sample.labels)
    return False


def _of_any_kind(line: str, sample: Sample) -> bool:
    """Whether a line only names a technique of a picture whose source does not say which it was made with."""
    return sample.modality in UNSPECIFIC and line.endswith(f" of a {sample.modality} picture")


def _other_words(labels: Sequence[Label]) -> Iterator[Label]:
    """The same labels in the singular and plural, in the other spelling, and as what they are called a second time."""
    for label in labels:
        name = label_name(label.name) or ""
        if is_none_of(name) or not name:
            continue
        forms = {name, name.removesuffix("s"), f"{name}s"}
        for long, short in SPELLINGS:
            forms |= {form.replace(long, short) for form in forms if long in form}
            forms |= {re.sub(rf"\b{short}", long, form) for form in forms}
        if label.state == "present":
            forms |= set(CO_REFERENCE)
        yield from (replace(label, name=form) for form in sorted(forms - {name}))


def _without(text: str, *patterns: re.Pattern[str]) -> str:
    """`text` of the same length with what the patterns match blanked."""
    for pattern in patterns:
        text = pattern.sub(lambda match: re.sub(r"\S", " ", match.group()), text)
    return text
