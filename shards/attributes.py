"""The one allow-list of sample attributes: names, value forms, and which of them a caption may word.

`attributes` is a canonical JSON object in the manifest, since sources differ; what may stand in it does not. Nothing
that could name a person (names, dates, ids, free header text) has a place here, so a caption made from attributes
cannot hold one (DESIGN invariant 10). A value that does not fit its attribute is unknown, and unknown is left out.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from shards.canonical import canonical_json

Value = str | float | bool
PLAIN_TEXT = re.compile(r"[A-Za-z0-9](?:(?:[A-Za-z0-9*&+/-]|, | )*[A-Za-z0-9*+])?")
LONGEST_TEXT = 64
LONG_NUMBER = re.compile(r"\d{4}")  # years, dates and record numbers; no attribute needs one
AGE_TEXT = re.compile(r"\d{3}[DWMY]|over 89")  # DICOM value representation AS (PS3.5 6.2), or top-coded
UNSAID = {
    "",
    "unknown",
    "unk",
    "none",
    "nan",
    "null",
    "n/a",
    "na",
    "not given",
    "not stated",
    "unspecified",
    "other",
    "-",
}
OLDEST_YEARS = 120  # above, a number of years is a code or an error: PTB-XL writes 300, NIH's first table 414
OLDEST_STATED_YEARS = 89  # 45 CFR 164.514(b)(2)(i)(C): ages over 89 are one category


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """One allowed attribute."""

    form: Literal["text", "number", "flag", "choice", "age"]
    meaning: str
    choices: tuple[str, ...] = ()
    codes: tuple[tuple[str, str], ...] = ()  # DICOM code in lower case -> choice
    positive: bool = False  # of a number: 0 and less are no values
    worded: bool = True  # False: kept for tables and filters, never in a caption


ATTRIBUTES: dict[str, Attribute] = {
    "body_part": Attribute(form="text", meaning="region shown: chest, or a code of DICOM PS3.16 Annex L (CSPINE)"),
    "organ": Attribute(form="text", meaning="organ that a specimen or a scan shows: colon, liver"),
    "laterality": Attribute(
        form="choice",
        choices=("left", "right", "bilateral"),
        codes=(("l", "left"), ("r", "right"), ("b", "bilateral")),  # PS3.3 C.7.6.1.1.1, (0020,0062)
        meaning="side of the body part",
    ),
    "view": Attribute(form="text", meaning="projection or standard view: PA, AP, lateral, MLO, apical four-chamber"),
    "plane": Attribute(form="choice", choices=("axial", "coronal", "sagittal", "oblique"), meaning="plane of a slice"),
    "position_mm": Attribute(
        form="number",
        meaning="of a slice along the normal of its plane in `space`; right, anterior, superior positive (RAS+)",
    ),
    "space": Attribute(form="text", meaning="named anatomical space of position_mm: MNI152. Scanner space has none"),
    "sequence": Attribute(form="text", meaning="MR weighting or sequence in plain words: T1-weighted, FLAIR"),
    "map": Attribute(form="text", meaning="what a map computed from scans shows: grey matter probability"),
    "contrast": Attribute(form="flag", meaning="true with a contrast agent, false only where the source says without"),
    "window": Attribute(form="text", meaning="name in shards.windows that made the display values"),
    "stain": Attribute(form="text", meaning="H&E, DAB, Giemsa"),
    "magnification": Attribute(form="number", positive=True, meaning="objective power, 20 for 20x"),
    "microns_per_px": Attribute(form="number", positive=True, worded=False, meaning="scale of a slide's tile as read"),
    "tissue_share": Attribute(form="number", positive=True, worded=False, meaning="share of a slide's tile, 0 to 1"),
    "leads": Attribute(form="number", positive=True, meaning="leads of an electrocardiogram"),
    "duration_s": Attribute(form="number", positive=True, meaning="length of a recording or clip in seconds"),
    "phase": Attribute(form="text", meaning="step of a procedure, in plain words: gallbladder dissection"),
    "cardiac_phase": Attribute(form="choice", choices=("end diastole", "end systole"), meaning="of one picture"),
    "image_quality": Attribute(form="choice", choices=("good", "medium", "poor"), meaning="as the source grades it"),
    "ejection_fraction_percent": Attribute(form="number", positive=True, meaning="of the left ventricle, as measured"),
    "end_systolic_volume_ml": Attribute(form="number", positive=True, meaning="of the left ventricle, as measured"),
    "end_diastolic_volume_ml": Attribute(form="number", positive=True, meaning="of the left ventricle, as measured"),
    "heart_axis": Attribute(form="text", meaning="electrical axis in plain words: left axis deviation"),
    "skin_type": Attribute(form="number", positive=True, meaning="Fitzpatrick skin type, 1 to 6"),
    "chest_location": Attribute(form="text", meaning="where a stethoscope lay: left anterior"),
    "age": Attribute(form="age", meaning="years (above 0, at most 120), DICOM age text (006M), or `over 89`"),
    "sex": Attribute(
        form="choice",
        choices=("female", "male", "other"),
        codes=(("f", "female"), ("m", "male"), ("o", "other")),  # PS3.3 C.7.1.1, (0010,0040)
        meaning="as the source states it; a source's 0 and 1 are mapped by its recipe",
    ),
    "language": Attribute(form="text", worded=False, meaning="of the source's text, ISO 639-1: en"),
    "figure_label": Attribute(form="text", worded=False, meaning="what the source calls the picture: Figure 3"),
    "compound": Attribute(form="flag", worded=False, meaning="several pictures in one file, under one caption"),
    "manufacturer": Attribute(form="text", worded=False, meaning="maker of the device"),
}


def fitting(name: str, value: object) -> Value | None:
    """`value` in the form that attribute `name` has, or None where it does not fit; KeyError for an unknown name."""
    attribute = ATTRIBUTES[name]
    if attribute.form == "flag":
        return value if isinstance(value, bool) else None
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        number = attribute.form == "number" and (value > 0 or not attribute.positive)
        fits = number or (attribute.form == "age" and 0 < value <= OLDEST_YEARS)
        return float(value) if fits and math.isfinite(value) else None
    text = " ".join(str(value).split())
    if attribute.form == "choice":
        choice = dict(attribute.codes).get(text.lower(), text.lower())
        return choice if choice in attribute.choices else None
    if attribute.form == "age":
        return text if AGE_TEXT.fullmatch(text) and not _no_age(text) else None
    if attribute.form == "number" or text.lower() in UNSAID:
        return None
    return text if len(text) <= LONGEST_TEXT and PLAIN_TEXT.fullmatch(text) and not LONG_NUMBER.search(text) else None


def _no_age(text: str) -> bool:
    """Zero is a code for unknown in some sources, and nobody has lived to 121."""
    return text.startswith("000") or (text.endswith("Y") and int(text[:3]) > OLDEST_YEARS)


def encode(values: Mapping[str, object]) -> str:
    """The manifest's `attributes` cell; values that do not fit are left out, years over 89 become `over 89`.

    Raises ValueError for a name that is not in ATTRIBUTES: add it there, with its meaning, or do not carry it.
    """
    unknown = sorted(set(values) - set(ATTRIBUTES))
    if unknown:
        raise ValueError(f"attributes {unknown} are not on the allow-list; known are {', '.join(ATTRIBUTES)}")
    kept = {name: fitting(name, value) for name, value in values.items()}
    age = kept.get("age")
    years = float(age[:3]) if isinstance(age, str) and age.endswith("Y") else age
    if isinstance(years, float) and years > OLDEST_STATED_YEARS:
        kept["age"] = f"over {OLDEST_STATED_YEARS}"
    return canonical_json({name: value for name, value in kept.items() if value is not None})


def decode(text: str) -> dict[str, Value]:
    """The known attributes of a cell that fit their form; anything else in it is ignored."""
    found = json.loads(text) if text else {}
    values = {name: fitting(name, value) for name, value in found.items() if name in ATTRIBUTES}
    return {name: value for name, value in values.items() if value is not None}
