"""What a DICOM header's codes mean for a manifest: modality, specialty, CT windows, plane, age.

Codes are those of PS3.3 C.7.3.1.1.1 (Modality); body parts and views are those of shards.dicom_terms. A code without
an entry is unknown: OT, which secondary captures carry, says nothing of the picture.
"""

from __future__ import annotations

import math

from shards.dicom_header import DicomFacts
from shards.vocabulary import MODALITIES
from shards.windows import HEADER

MODALITY_CODES = {"RG": "CR"}  # header -> vocabulary where they differ: film that was digitised
SPECIALTIES = {  # who reads such pictures; a pipeline that knows better says so by `specialty` or `facts`
    **dict.fromkeys(("CR", "DX", "MG", "CT", "MR", "US"), "radiology"),
    **dict.fromkeys(("NM", "PT"), "nuclear medicine"),
    **dict.fromkeys(("GM", "SM"), "pathology"),
    **dict.fromkeys(("OP", "OPT"), "ophthalmology"),
    "DMS": "dermatology",
    "ECG": "cardiology",
    "ES": "gastroenterology",
    "XA": "cardiology",
}
_WINDOWS = {
    ("HEAD", "BRAIN", "SKULL"): ("brain",),
    ("CHEST", "THORAX", "LUNG", "MEDIASTINUM"): ("lung", "mediastinum"),
    ("ABDOMEN", "PELVIS", "LIVER", "PANCREAS", "KIDNEY", "SPLEEN"): ("abdomen",),
    ("SPINE", "EXTREMITY", "KNEE", "ANKLE", "FOOT", "HAND", "WRIST", "ELBOW", "SHOULDER", "HIP", "FEMUR"): ("bone",),
}
SLICED = ("CT", "MR", "PT")  # modalities whose pictures have a plane
MOST_TILT_DEGREES = 30.0  # from the patient's axis; CT gantries tilt up to this and the slice is still called axial
_AXES = ("sagittal", "coronal", "axial")


def modality_of(header: DicomFacts) -> str | None:
    """The vocabulary's modality, or None."""
    code = (header.modality or "").split("\\")[0].upper()
    code = MODALITY_CODES.get(code, code)
    return code if code in MODALITIES else None


def ct_windows(body_part: str | None, header: DicomFacts) -> tuple[str | None, ...]:
    """Named windows that suit a body part; else the header's own, else None: percentiles."""
    part = (body_part or "").upper()
    for names, windows in _WINDOWS.items():
        if any(name in part for name in names):
            return windows
    return (HEADER,) if header.has_window else (None,)


def plane_of(orientation: tuple[float, ...] | None) -> str | None:
    """Plane of a slice from its six direction cosines (PS3.3 C.7.6.2.1.1): the axis closest to its normal."""
    if orientation is None:
        return None
    across, down = orientation[:3], orientation[3:]
    normal = [across[i - 2] * down[i - 1] - across[i - 1] * down[i - 2] for i in range(3)]
    length = math.hypot(*normal)
    if length < 0.5:
        return None
    axis = max(range(3), key=lambda i: abs(normal[i]))
    return _AXES[axis] if abs(normal[axis]) / length >= math.cos(math.radians(MOST_TILT_DEGREES)) else "oblique"


def header_attributes(header: DicomFacts, modality: str) -> dict[str, object]:
    """Attributes that the header states; shards.attributes drops what does not fit its form."""
    kinds = header.image_type or ""
    is_slice = modality in SLICED and "LOCALIZER" not in kinds and "PROJECTION" not in kinds
    return {
        "body_part": header.body_part,
        "laterality": header.laterality,
        "view": header.view_position,
        "age": header.patient_age,
        "sex": header.patient_sex,
        "manufacturer": header.manufacturer,
        "plane": plane_of(header.orientation) if is_slice else None,
    }
