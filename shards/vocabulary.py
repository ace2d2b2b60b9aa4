"""Controlled vocabularies: modalities, specialties, label states, and MediSyn's nine names for Table 1.

Modality codes follow DICOM's defined terms (PS3.3 C.7.3.1.1.1) where one exists. An unknown value is a reject
reason, never a bin of its own. PATH and FIG are what some sources say of their pictures and no more: such a source
states it for all of them, and no unknown value becomes one.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Modality:
    """One kind of picture."""

    code: str
    name: str  # as it stands in a caption, with no article
    article: str  # "a" or "an"
    medisyn: str | None  # its row in MediSyn's Table 1; None where the paper has none


_ROWS = (
    Modality("CR", "radiograph", "a", "X-ray"),
    Modality("DX", "digital radiograph", "a", "X-ray"),
    Modality("MG", "mammogram", "a", "X-ray"),
    Modality("XA", "X-ray angiogram", "an", "X-ray"),
    Modality("CT", "CT image", "a", "CT"),
    Modality("MR", "MR image", "an", "MRI"),  # the I of MRI is the imaging; an MRI is the whole examination
    Modality("US", "ultrasound image", "an", "ultrasound"),
    Modality("NM", "nuclear medicine image", "a", None),
    Modality("PT", "PET image", "a", None),
    Modality("ECG", "electrocardiogram", "an", "ECG"),
    Modality("ES", "endoscopic image", "an", "light photography"),
    Modality("GM", "microscopy image", "a", "microscopy"),
    Modality("SM", "histology image", "a", "microscopy"),
    Modality("OP", "fundus photograph", "a", "light photography"),
    Modality("OPT", "optical coherence tomography image", "an", "light photography"),
    Modality("DMS", "dermoscopic image", "a", "light photography"),
    Modality("XC", "clinical photograph", "a", "light photography"),
    Modality("SURG", "operative video frame", "an", "surgical footage"),
    Modality("AUDIO", "spectrogram", "a", "spectrogram"),
    Modality("PATH", "pathology image", "a", None),  # through a microscope, of a specimen, or of a patient
    Modality("FIG", "published figure", "a", None),  # of an article: a picture of any kind, or a drawing
)
MODALITIES: dict[str, Modality] = {row.code: row for row in _ROWS}

MEDISYN_MODALITIES = (
    "X-ray",
    "CT",
    "MRI",
    "ultrasound",
    "ECG",
    "microscopy",
    "light photography",
    "spectrogram",
    "surgical footage",
)

MEDISYN_SPECIALTIES = (
    "radiology",
    "dermatology",
    "cardiology",
    "gastroenterology",
    "pathology",
    "general surgery",
    "ophthalmology",
    "pulmonology",
)
SPECIALTIES = (*MEDISYN_SPECIALTIES, "neurology", "orthopaedics", "nuclear medicine", "biology", "biomedicine")

MEDIA_KINDS = ("image", "video", "dicom", "nifti", "array", "kspace", "ecg", "audio", "slide", "frames")
LABEL_STATES = ("present", "absent", "uncertain")
LABEL_SCOPES = ("image", "frames", "slice", "series", "study", "patient")  # narrowest first
LABEL_ORIGINS = ("expert", "text-mined", "model")
SPLITS = ("train", "val", "test")
TERM_NAMES = ("redistribute", "commercial", "derivatives", "train", "third_party_processing", "publish_weights")
TERM_ANSWERS = ("yes", "no", "unknown")
