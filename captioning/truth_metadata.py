"""Statements of a caption about metadata (modality, plane, side, person, numbers) that the sample does not bear out.

One half of `captioning.truth`. Each check gives one line for each false statement. Words of the sample's own labels and
of its text attributes are blanked before, so that `left anterior oblique` as a view is no claim about a side.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from captioning.wording import age, body_part, label_name, plain_number, view
from shards.attributes import ATTRIBUTES, Value
from shards.manifest import Sample
from shards.windows import WINDOWS

# words that fit only some modalities; abbreviations by case, words without
MODALITY_WORDS = {
    r"CT|(?i:computed tomogra\w+)": {"CT"},
    r"MRI?|(?i:magnetic resonance)": {"MR"},
    r"(?i:radiogra\w+|x-?rays?)": {"CR", "DX", "MG", "XA"},
    r"(?i:mammogra\w+)": {"MG"},
    r"(?i:angiogra\w+)": {"XA", "CT", "MR", "OP"},
    r"(?i:ultraso\w+|echocardiogra\w+|sonogra\w+)": {"US"},
    r"PET|(?i:positron)": {"PT"},
    r"(?i:scintigra\w+|nuclear medicine|bone scan)": {"NM"},
    r"ECG|EKG|(?i:electrocardiogra\w+)": {"ECG"},
    r"(?i:endoscop\w+|colonoscop\w+|gastroscop\w+)": {"ES"},
    r"(?i:histolog\w+|histopatholog\w+)": {"SM"},
    r"(?i:microscop\w+)": {"GM", "SM"},
    r"(?i:fundus)": {"OP", "ES"},  # of the eye, of the stomach
    r"OCT|(?i:optical coherence)": {"OPT"},
    r"(?i:dermosco\w+|dermatosco\w+)": {"DMS"},
    r"(?i:photogra\w+)": {"OP", "XC", "DMS", "ES"},
    r"(?i:spectrogra\w+)": {"AUDIO"},
    r"(?i:operative|laparoscop\w+|surg(?:ical|ery))": {"SURG"},
}
SIDES = {  # of the origin of a space in RAS+ (nifti1.h: +x = right, +y = anterior, +z = superior), plus and minus
    "axial": ("above", "below"),
    "coronal": ("in front of", "behind"),
    "sagittal": ("to the right of", "to the left of"),
}
PLANES = {"axial": "axial", "transverse": "axial", "coronal": "coronal", "sagittal": "sagittal", "oblique": "oblique"}
SEQUENCE = r"T1|T2\*?|FLAIR|STIR|DWI|ADC|(?i:proton.density|diffusion)"
SIDE_WORDS = {"left": "left", "right": "right", "bilateral": "bilateral", "both": "bilateral"}
CONTRAST_WORDS = {r"contrast-enhanced|with contrast|post-contrast": True, r"non-contrast|without contrast": False}
CARDIAC_PHASE = r"end[- ](?:diastole|systole)"
VIEW_WORDS = re.compile("|".join((*PLANES, SEQUENCE, *SIDE_WORDS, *CONTRAST_WORDS, CARDIAC_PHASE)), re.IGNORECASE)
SEX_WORDS = {
    r"wom[ae]n|females?|girls?|she|her|lady": "female",
    r"m[ae]n|males?|boys?|he|his|gentleman": "male",
}
YEARS = {  # word -> lowest age, and the age that is too old for it
    r"infants?|newborns?|neonat\w+|bab(?:y|ies)": (0, 1),
    r"child|children|girls?|boys?|toddlers?|adolescents?": (1, 18),
    r"wom[ae]n|m[ae]n|adults?|elderly": (18, 200),
}
AGE = re.compile(
    r"\b(?:aged )?(?P<over>over )(?P<n1>\d+)\b(?! ?mm)|\baged (?P<n2>\d+)(?: (?P<u2>year|month|week|day)s?)?\b"
    r"|\b(?P<n3>\d+)[- ](?P<u3>year|month|week|day)s?[- ]old\b"
)
PLACE = re.compile(r"\b(?P<mm>[\d.]+) mm (?P<side>above|below|in front of|behind|to the (?:right|left) of)\b")
ORIGIN_SIDE = re.compile(r"to the (?:left|right) of the origin")
SIDED_NAMES = re.compile(  # of parts of one organ, which say nothing of the side of a body part
    r"\b(?:left|right) (?:ventric\w+|atri\w+|bundle branch|axis|coronary|anterior descending|circumflex|main)\b",
    re.IGNORECASE,
)
NUMBER = re.compile(r"(?<![\w.*])\d+(?:\.\d+)?")


def judge_metadata(text: str, sample: Sample, attributes: Mapping[str, Value]) -> Iterator[str]:
    """False statements of `text` about what the attributes and the modality of `sample` say."""
    labelled = [name for label in sample.labels if (name := label_name(label.name))]
    rest = blank(text, labelled + metadata_words(sample, attributes) + map_words(attributes))
    if _unfit(sample.modality).search(rest):
        yield from (
            f"says {found} of a {sample.modality} picture"
            for pattern, fits in MODALITY_WORDS.items()
            if sample.modality not in fits
            for found in _words(pattern, rest)
        )
    if VIEW_WORDS.search(text):
        yield from _judge_view(text, rest, sample, attributes)
    yield from _judge_window(text, sample, attributes)
    yield from _judge_place(text, attributes)
    yield from _judge_person(rest, attributes)
    yield from _judge_numbers(text, sample, attributes)


@lru_cache(maxsize=64)
def _unfit(modality: str) -> re.Pattern[str]:
    """Any word that fits other modalities alone: most texts have none."""
    words = "|".join(pattern for pattern, fits in MODALITY_WORDS.items() if modality not in fits)
    return re.compile(rf"(?<![\w-])(?:{words})(?!\w)")


def _judge_view(text: str, rest: str, sample: Sample, attributes: Mapping[str, Value]) -> Iterator[str]:
    """Of planes, sequences, sides, contrast and phases; `rest` is `text` without what the metadata say."""
    planes = {attributes.get("plane"), sample.media.view.axis}
    yield from (f"says {found}" for found in _words("|".join(PLANES), rest) if PLANES[found.lower()] not in planes)
    sequence = str(attributes.get("sequence", "")).lower()
    yield from (f"says {found}" for found in _words(SEQUENCE, text, flags=0) if found.lower() not in sequence)
    sides = SIDED_NAMES.sub(" ", ORIGIN_SIDE.sub(" ", rest))
    laterality = attributes.get("laterality")
    yield from (
        f"says {found}" for found in _words("|".join(SIDE_WORDS), sides) if SIDE_WORDS[found.lower()] != laterality
    )
    for pattern, given in CONTRAST_WORDS.items():
        yield from (f"says {found}" for found in _words(pattern, text) if attributes.get("contrast") is not given)
    phases = _words(CARDIAC_PHASE, text)
    yield from (
        f"says {found}" for found in phases if found.lower().replace("-", " ") != attributes.get("cardiac_phase")
    )


def _words(pattern: str, text: str, flags: int = re.IGNORECASE) -> list[str]:
    return [match.group() for match in _compiled(rf"(?<![\w-])(?:{pattern})(?!\w)", flags).finditer(text)]


@lru_cache(maxsize=8192)
def _compiled(pattern: str, flags: int) -> re.Pattern[str]:
    return re.compile(pattern, 0 if "(?i:" in pattern else flags)


def among(names: Iterable[str], text: str) -> list[str]:
    """Those of `names` that may stand in `text` in whatever case: cheaper than to look for each by its pattern."""
    if not text.isascii():  # a pattern also takes the long s for an s
        return list(names)
    lower = text.lower()
    return [name for name in names if name.lower() in lower or not name.isascii()]


def blank(text: str, names: Iterable[str], unless_after: re.Pattern[str] | None = None) -> str:
    """`text` of the same length with spaces in the place of each of `names`, longest first."""

    def spaces(match: re.Match[str]) -> str:
        kept = unless_after is not None and unless_after.search(match.string[: match.start()])
        return match.group() if kept else " " * len(match.group())

    for words in sorted(among(names, text), key=len, reverse=True):
        text = _compiled(rf"(?<!\w){re.escape(words)}(?!\w)", re.IGNORECASE).sub(spaces, text)
    return text


def metadata_words(sample: Sample, attributes: Mapping[str, Value]) -> list[str]:
    """Phrases that the metadata of `sample` put into a caption, which are no statements of findings."""
    texts = [str(value) for name, value in attributes.items() if ATTRIBUTES[name].form == "text" and name != "map"]
    worded = [name for text in texts if (name := label_name(text))]
    regions = [body_part(str(attributes[name])) for name in ("body_part", "organ") if name in attributes]
    views = [view(str(attributes["view"]))] if "view" in attributes else []
    return [*texts, *worded, *regions, *views, *(window.wording for window in WINDOWS.values())]


def map_words(attributes: Mapping[str, Value]) -> list[str]:
    """The name of a computed map: it may name what the map looks for, and states nothing of it."""
    return [f"derived {attributes['map']} map"] if "map" in attributes else []


def _judge_window(text: str, sample: Sample, attributes: Mapping[str, Value]) -> Iterator[str]:
    own = sample.media.view.window or attributes.get("window")
    for name, window in WINDOWS.items():
        if name != own and window.wording in text and re.search(rf"\b{re.escape(window.wording)}\b", text):
            yield f"says {window.wording}"


def _judge_place(text: str, attributes: Mapping[str, Value]) -> Iterator[str]:
    plane, offset_mm = attributes.get("plane"), attributes.get("position_mm")
    for match in PLACE.finditer(text):
        known = isinstance(offset_mm, float) and plane in SIDES and "space" in attributes
        if not known or match["side"] != SIDES[str(plane)][float(offset_mm or 0) < 0]:
            yield f"says {match.group()}"


def _judge_person(text: str, attributes: Mapping[str, Value]) -> Iterator[str]:
    for pattern, sex in SEX_WORDS.items():
        yield from (f"says {found}" for found in _words(pattern, text) if attributes.get("sex") != sex)
    known = age(attributes["age"]) if "age" in attributes else None
    for match in AGE.finditer(text):
        number = int(match["n1"] or match["n2"] or match["n3"])
        unit = "over" if match["over"] else match["u2"] or match["u3"] or "year"
        if known != (number, unit):
            yield f"says {match.group()}"
    years = None if known is None else known[0] if known[1] in {"year", "over"} else _years(*known)
    for pattern, (youngest, too_old) in YEARS.items():
        if years is None or not youngest <= years < too_old:
            yield from (f"says {found}" for found in _words(pattern, text))


def _years(number: int, unit: str) -> int:
    return number // {"month": 12, "week": 53, "day": 366}[unit]


def _judge_numbers(text: str, sample: Sample, attributes: Mapping[str, Value]) -> Iterator[str]:
    """Every number in a caption comes from the metadata."""
    texts = [label.name for label in sample.labels] + [str(value) for value in attributes.values()]
    known = {number for words in texts for number in NUMBER.findall(words)} | {"0"}
    known |= {digits for words in texts for digits in re.findall(r"\d+", words)}
    known |= {plain_number(abs(value)) for value in attributes.values() if isinstance(value, float)}
    media = sample.media
    seconds = [media.frames / media.fps] if media.frames and media.fps else []
    seconds += [value for name, value in attributes.items() if name == "duration_s" and isinstance(value, float)]
    known |= {plain_number(length_s if length_s < 10 else round(length_s)) for length_s in seconds}
    known |= {str(round(length_s / 60)) for length_s in seconds if length_s >= 120}
    if "age" in attributes and (stated := age(attributes["age"])):
        known.add(str(stated[0]))
    yield from (f"states the number {found}" for found in NUMBER.findall(text) if found not in known)
