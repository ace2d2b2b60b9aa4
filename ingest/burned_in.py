"""The gate for text in the pixels of DICOM files: one rule for every converter that meets such a file.

Ultrasound devices draw names, dates and hospitals into the picture, and a screen save shows whatever stood on the
screen. No header says so reliably: Burned In Annotation (PS3.3 C.7.6.1) is mostly absent, and NO is no proof (a still
of pydicom-data says NO and shows the name of a hospital). So such files are rejected unless a person has looked at them
and the pipelines file says which, and what was seen. Where the header says YES, nobody's word counts.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from shards.intake import Skip
from shards.reasons import Reason

if TYPE_CHECKING:
    from shards.dicom_header import DicomFacts

_STORAGE = "1.2.840.10008.5.1.4.1.1"
ULTRASOUND = {f"{_STORAGE}.{end}" for end in ("3", "3.1", "6", "6.1", "6.2")}  # stills, clips and volumes
SECONDARY_CAPTURE = {f"{_STORAGE}.{end}" for end in ("7", "7.1", "7.2", "7.3", "7.4")}
SCREEN = re.compile(r"SCREEN|CAPTURE|SNAPSHOT|PASTE", re.IGNORECASE)  # in Image Type; makers choose the words
ULTRASOUND_CODES = ("US", "IVUS")


def check_text(path: str, header: DicomFacts, checked: Mapping[str, str], modality: str | None = None) -> None:
    """Skip(BURNED_IN_TEXT_UNCHECKED) where a file may show text that nobody has looked at.

    `checked` maps patterns on `path` to what a person saw there; `modality` is what is stated beside the header.
    """
    if header.burned_in_annotation == "YES":
        raise Skip(Reason.BURNED_IN_TEXT_UNCHECKED, "the header says so")
    why = may_show_text(header) or ("ultrasound" if modality == "US" else "")
    if why and not any(fnmatch.fnmatchcase(path, pattern) for pattern in checked):
        raise Skip(Reason.BURNED_IN_TEXT_UNCHECKED, f"{why}; look at it, and name it under `burned_in_text_checked`")


def may_show_text(header: DicomFacts) -> str:
    """Why a picture may show text, or nothing."""
    if header.sop_class in ULTRASOUND or (header.modality or "").upper() in ULTRASOUND_CODES:
        return "ultrasound"
    if header.sop_class in SECONDARY_CAPTURE:
        return "a secondary capture"
    return "a screen save by its Image Type" if SCREEN.search(header.image_type or "") else ""


def check_evidence(checked: Mapping[str, str]) -> None:
    """ValueError where `burned_in_text_checked` does not say what was seen."""
    for pattern, evidence in checked.items():
        if len(evidence.split()) < 3:
            raise ValueError(
                f"burned_in_text_checked: {pattern} needs the evidence: which frames a person saw, and what they show"
            )
