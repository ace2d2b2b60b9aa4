"""English for captions: articles, lists, ages, persons, and names of labels as they stand in a sentence.

Pure functions of words. What they decide is grammar alone; what may be said at all is decided in statements and
template. A value that cannot be worded truly gives None, and the caller leaves it out.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache

from shards.attributes import LONG_NUMBER, OLDEST_STATED_YEARS, UNSAID, Value

SPOKEN_AS_WORDS = {"FLAIR", "STIR", "SPECT", "PET", "DAB", "DAPI", "BLADE", "DIXON", "COVID", "LASIK"}
VOWEL_LETTERS = "AEFHILMNORSX"  # letters whose names start with a vowel sound: an MRI, an X-ray, an H&E stain
YOO = re.compile(
    r"(uni(?![dmn])|uro|uri|ute|use|usu|eu|one\b|once\b)", re.IGNORECASE
)  # a uniform, a European, a one-lead
SILENT_H = re.compile(r"(hour|honest|heir)", re.IGNORECASE)
EIGHTS = re.compile(r"(8|11(?!\d)|18(?!\d))")  # an 8-year-old, an 11-month-old, an 80-year-old

EPONYMS = {
    "barrett", "barretts", "barrett's", "boston", "bowen", "bowen's", "calot", "calot's", "chilaiditi", "crohn",
    "crohn's", "doppler", "ewing", "hodgkin", "kaposi", "kerley", "mallory", "paget", "paget's", "parkinson",
    "parkinson's", "alzheimer", "alzheimer's", "spitz", "wolff", "wolff-parkinson-white", "schwann", "giemsa", "masson",
}  # fmt: skip
COUNTED = {
    "abnormality", "abscess", "adenoma", "anastomosis", "aneurysm", "angioma", "arch", "bag", "band", "biopsy", "body",
    "brain", "caecum", "cardiomediastinum", "cataract", "catheter", "cecum", "cell", "clip", "clipper", "colon",
    "complex", "cyst", "defect", "defibrillator", "dermatofibroma", "device", "diaphragm", "diverticulum", "drain",
    "duodenum", "endoprosthesis", "esophagus", "fibroadenoma", "fibroma", "fracture", "gallbladder", "goiter", "goitre",
    "granuloma", "grasper", "haemangioma", "haematoma", "heart", "hemangioma", "hematoma", "hernia", "hook", "ileum",
    "implant", "infarct", "instrument", "interval", "irrigator", "keratosis", "kidney", "lesion", "level", "liver",
    "lobe", "lung", "margin", "mass", "meningioma", "microaneurysm", "naevus", "needle", "nevus", "nodule",
    "oesophagus", "opacity", "pacemaker", "papilloma", "pattern", "plaque", "polyp", "prosthesis", "pseudonodule",
    "pylorus", "rectum", "retina", "rib", "scar", "score", "shadow", "snare", "spleen", "stent", "stomach", "stone",
    "stricture", "thrombus", "tube", "tumor", "tumour", "ulcer", "valve", "vessel", "view", "wart", "z-line",
}  # fmt: skip
ORGANS = {  # of which a person has one: `the caecum`
    "brain", "caecum", "cecum", "colon", "duodenum", "esophagus", "gallbladder", "heart", "ileum", "liver",
    "oesophagus", "pylorus", "rectum", "spleen", "stomach", "z-line",
}  # fmt: skip
UNSAYABLE = UNSAID | {"nothing", "out of patient", "exclude", "unlabelled", "unlabeled", "no label", "unchanged"}
NO_FINDING = {"no finding", "no findings"}
NONE_OF_THE_LABELLED = "none of the labelled findings"  # a data set's `No Finding` means this and never `normal`
LABELLED_NORMAL = "findings labelled normal"  # a label called `normal`, which is all that the source says
NONE_OF_SOME = re.compile(r"none of the (?:\d{1,3} )?labelled findings", re.IGNORECASE)  # as a recipe may name it
DEVICES = {  # heads of names that are no findings, and are named beside none of them
    "catheter", "catheters", "defibrillator", "device", "devices", "drain", "drains", "electrode", "electrodes",
    "material", "pacemaker", "stent", "stents", "tube", "tubes", "wire", "wires",
}  # fmt: skip
IN_PAIRS = {
    "ankle", "arm", "breast", "calf", "canal", "cheek", "clavicle", "ear", "elbow", "eye", "femur", "fibula", "finger",
    "foot", "forearm", "hand", "heel", "hip", "humerus", "joint", "kidney", "knee", "leg", "lung", "orbit", "ovary",
    "retina", "scapula", "shoulder", "testis", "thigh", "tibia", "ulna", "wrist",
}  # fmt: skip
A_YEAR = {"month": 12, "week": 52, "day": 365}
PLURALS = {"foot": "feet", "pelvis": "pelves", "calf": "calves", "ovary": "ovaries", "testis": "testes"}
# DICOM PS3.16 Annex L: codes of Body Part Examined that are not the word itself
BODY_PARTS = {
    "abdomenpelvis": "abdomen and pelvis", "chestabdomen": "chest and abdomen", "chestabdpelvis":
    "chest, abdomen and pelvis", "cspine": "cervical spine", "ctspine": "cervicothoracic spine", "headneck":
    "head and neck", "iac": "internal auditory canal", "lspine": "lumbar spine", "lsspine": "lumbosacral spine",
    "neckchest": "neck and chest", "sspine": "sacral spine", "tlspine": "thoracolumbar spine", "tspine":
    "thoracic spine", "wholebody": "whole body",
}  # fmt: skip
VIEWS = {
    "anteroposterior": "AP", "posteroanterior": "PA", "antero-posterior": "AP", "postero-anterior": "PA",
    "ll": "left lateral", "rl": "right lateral", "lateral": "lateral", "frontal": "frontal",
}  # fmt: skip


def article(words: str) -> str:
    """`a` or `an` as the first word of `words` is spoken."""
    first = re.split(r"[\s-]", words, maxsplit=1)[0]
    if first[:1].isdigit():
        return "an" if EIGHTS.match(first) else "a"
    if YOO.match(words):
        return "a"
    if SILENT_H.match(first):
        return "an"
    spelled = len(first) == 1 or (first.isupper() and first not in SPOKEN_AS_WORDS)
    if spelled:
        return "an" if first[0].upper() in VOWEL_LETTERS else "a"
    return "an" if first[0].lower() in "aeiou" else "a"


@lru_cache(maxsize=8192)
def with_article(words: str) -> str:
    """`words` after `a` or `an`."""
    return f"{article(words)} {words}"


def listing(items: list[str], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {last} {items[-1]}"


def plain_number(value: float) -> str:
    """At most one decimal, and none where it would be 0."""
    return f"{value:.1f}".removesuffix(".0")


@lru_cache(maxsize=8192)  # a data set has few names and many rows
def label_name(name: str) -> str | None:
    """A label's name as it stands inside a sentence, or None where it says nothing that a caption may state."""
    words = " ".join(name.replace("_", " ").split()).strip(" .,;:|")
    if " " not in words and re.fullmatch(r"(?:[A-Z][a-z]+){2,}", words):
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", words)
    if words.lower() in UNSAYABLE or LONG_NUMBER.search(words):
        return None
    if words.lower() in NO_FINDING:
        return NONE_OF_THE_LABELLED
    if NONE_OF_SOME.fullmatch(words):
        return words.lower()
    if words.lower() == "normal":
        return LABELLED_NORMAL
    return " ".join(map(_lower, words.split())).replace("( ", "(").replace(" )", ")")


def _lower(word: str) -> str:
    if word.lower().strip("(),") in EPONYMS:
        return "-".join(part.capitalize() for part in word.split("-"))
    shouted = word.isalpha() and word.isupper() and len(word) > 5
    return word.lower() if shouted or re.fullmatch(r"\W*[A-Z][a-z]+([-/][A-Za-z][a-z]+)*\W*", word) else word


@lru_cache(maxsize=8192)
def counted(name: str) -> bool:
    """Whether a worded label takes an article: `a polyp`, but `pneumonia` and `Barrett's oesophagus`."""
    head = re.split(r" (?:of|in|with|grade|without|due|via|labelled) ", name, maxsplit=1)[0]
    *before, last = head.lower().split()
    return last in COUNTED and not (last in ORGANS and EPONYMS.intersection(before))


def named(name: str) -> str:
    """A worded label as something that is there: `a polyp`, `the caecum`, `pneumonia`."""
    if name.lower() in ORGANS:
        return f"the {name}"
    return with_article(name) if counted(name) else name


def body_part(value: str) -> str:
    """A region in plain words: `CHEST` and `chest` are both the chest."""
    joined = value.lower().replace(" ", "").replace("-", "")
    return BODY_PARTS.get(joined, value.lower())


@lru_cache(maxsize=8192)
def is_none_of(name: str) -> bool:
    """Whether a worded label says that nothing was found, so that a finding beside it contradicts it."""
    return name == LABELLED_NORMAL or NONE_OF_SOME.fullmatch(name) is not None


@lru_cache(maxsize=8192)
def is_device(name: str) -> bool:
    """Whether a worded label names something that was put into the body, which is no finding."""
    return name.rsplit(maxsplit=1)[-1].lower() in DEVICES


def in_pairs(noun: str) -> bool:
    """Whether a body part, in the singular or plural, is one of two."""
    last = noun.rpartition(" ")[2]
    return last in IN_PAIRS or last in (plural(one) for one in IN_PAIRS)


def plural(noun: str) -> str:
    """Of a body part that comes in pairs; a plural stays as it is."""
    first, _, last = noun.rpartition(" ")
    many = last if last.removesuffix("s") in IN_PAIRS - {last} else PLURALS.get(last, f"{last}s")
    return f"{first} {many}".strip()


def view(value: str) -> str:
    """A projection as an adjective: `PA`, `lateral`, `apical four-chamber`."""
    words = re.sub(r"\s+view$", "", value, flags=re.IGNORECASE)
    return VIEWS.get(words.lower(), " ".join(map(_lower, words.split())))


def age(value: Value) -> tuple[int, str] | None:
    """Whole number and unit (year, month, week, day), or None where the value is no age.

    More years than may be stated are (OLDEST_STATED_YEARS, "over").
    """
    if value == f"over {OLDEST_STATED_YEARS}":
        return OLDEST_STATED_YEARS, "over"
    if isinstance(value, str):
        number, unit = int(value[:3]), {"Y": "year", "M": "month", "W": "week", "D": "day"}[value[3]]
    elif value >= 2 or value == 1:  # sources that count in years write 1 up to the second birthday
        number, unit = math.floor(value), "year"
    else:
        months = math.floor(value * 12)
        number, unit = (months, "month") if months else (max(1, math.floor(value * 365)), "day")
    if unit == "year" and number > OLDEST_STATED_YEARS:
        return OLDEST_STATED_YEARS, "over"
    return (number, unit) if number else None


def age_text(value: Value) -> str:
    """After `aged`: `58`, `6 months`, `over 89`; empty where the value is no age."""
    known = age(value)
    if known is None:
        return ""
    number, unit = known
    if unit == "over":
        return f"over {number}"
    return f"{number}" if unit == "year" else f"{number} {unit}{'s' if number != 1 else ''}"


def persons(sex: Value | None, age_value: Value | None) -> tuple[str, ...]:
    """`woman aged 58` and `58-year-old woman`, without article; empty where neither sex nor age is known."""
    known = None if age_value is None else age(age_value)
    adjective = str(sex) if sex in {"female", "male"} else ""
    if known is None or age_value is None:
        return (f"{adjective} subject",) if adjective else ()
    number, unit = known
    noun = _noun(adjective, number // A_YEAR.get(unit, 1))
    aged = f"{noun} aged {age_text(age_value)}"
    return aged, f"{noun} over {number}" if unit == "over" else f"{number}-{unit}-old {noun}"


def _noun(sex: str, years: int) -> str:
    if years < 1:
        return f"{sex} infant".strip()
    names = ("girl", "boy", "child") if years < 18 else ("woman", "man", "person")
    return names[("female", "male", "").index(sex)]
