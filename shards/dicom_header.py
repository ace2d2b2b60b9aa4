"""What converters may know of a DICOM file: an allow-list of attributes, read without its pixels.

Everything that is not named here stays in the file, the patient's name first of all (PS3.15 Annex E lists what may
identify a person; a list of what may be kept is shorter and safer than one of what must go). Identifiers are given
raw, for keyed hashing and nothing else. Descriptions are free text that may name a person: they stand apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shards import dicom_groups as groups
from shards.dicom_file import read_dataset
from shards.dicom_groups import number, text
from shards.dicom_layout import read_layout
from shards.dicom_terms import body_part, view
from shards.foreign import foreign, media_stream
from shards.intake import Skip
from shards.limits import Limits
from shards.reasons import Reason
from shards.sniff import DICOM, HEAD_BYTES, sniff

_IDENTIFIERS = {
    "sop_uid": "SOPInstanceUID",
    "series_uid": "SeriesInstanceUID",
    "study_uid": "StudyInstanceUID",
    "patient_id": "PatientID",
}
_CODES = {
    "sop_class": "SOPClassUID",
    "modality": "Modality",
    "image_type": "ImageType",
    "patient_age": "PatientAge",
    "patient_sex": "PatientSex",
    "manufacturer": "Manufacturer",
    "burned_in_annotation": "BurnedInAnnotation",
    "lossy": "LossyImageCompression",
    "photometric": "PhotometricInterpretation",
    "scanning_sequence": "ScanningSequence",
    "mr_acquisition_type": "MRAcquisitionType",
}
_TERMS = {"body_part": ("BodyPartExamined", body_part), "view_position": ("ViewPosition", view)}
_NUMBERS = {
    "series_number": "SeriesNumber",
    "instance_number": "InstanceNumber",
    "slice_location_mm": "SliceLocation",
    "slice_thickness_mm": "SliceThickness",
    "field_strength_t": "MagneticFieldStrength",
    "repetition_ms": "RepetitionTime",
    "echo_ms": "EchoTime",
    "tube_kv": "KVP",
}
_FREE_TEXT = {
    "study_description": "StudyDescription",
    "series_description": "SeriesDescription",
    "protocol_name": "ProtocolName",
}
_LAYOUT = (
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "BitsAllocated", "BitsStored", "PixelRepresentation"),
    *("Laterality", "ImageLaterality", "FrameTime", "FrameTimeVector", "CineRate", "RecommendedDisplayFrameRate"),
    *("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "SequenceOfUltrasoundRegions"),
    *("ImageOrientationPatient", "ImagePositionPatient", "WindowCenter", "WindowWidth", "VOILUTSequence"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
)
MOST_DIFFERENT = 0.02  # of two direction cosines that mean one orientation
_TAGS = [
    *(name for table in (_IDENTIFIERS, _CODES, _NUMBERS, _FREE_TEXT) for name in table.values()),
    *(name for name, _ in _TERMS.values()),
    *_LAYOUT,
]


@dataclass(frozen=True, kw_only=True, slots=True)
class FreeText:
    """Typed by people at the scanner: may hold a name. For rules that look for a word, never for a caption."""

    study_description: str | None
    series_description: str | None
    protocol_name: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class DicomFacts:
    """The allow-list. None means absent or empty; several values of one attribute are joined by a backslash."""

    # identifiers, raw: only their keyed hashes may leave the converter
    sop_uid: str | None
    series_uid: str | None
    study_uid: str | None
    patient_id: str | None
    # codes of the standard
    sop_class: str | None
    modality: str | None
    image_type: str | None  # LOCALIZER, DERIVED and the like
    body_part: str | None  # in plain words; None where the standard has no such term: shards.dicom_terms
    laterality: str | None  # L, R, B or U
    view_position: str | None  # likewise
    patient_age: str | None  # nnnY, nnnM, nnnW or nnnD, as written
    patient_sex: str | None
    manufacturer: str | None
    burned_in_annotation: str | None  # YES or NO; NO is no proof
    lossy: str | None
    photometric: str | None
    scanning_sequence: str | None
    mr_acquisition_type: str | None
    # numbers
    series_number: float | None
    instance_number: float | None
    slice_location_mm: float | None
    slice_thickness_mm: float | None
    field_strength_t: float | None
    repetition_ms: float | None
    echo_ms: float | None
    tube_kv: float | None
    # the picture, as stored: shards.dicom_turn says how it is shown
    rows_px: int
    columns_px: int
    frames: int
    bits_stored: int
    fps: float | None
    pixel_spacing_mm: tuple[float, float] | None  # between rows, between columns
    orientation: tuple[float, ...] | None  # six direction cosines; None also where the frames differ
    position_mm: tuple[float, ...] | None  # of the first frame
    has_window: bool  # the header states a window or a VOI LUT
    free_text: FreeText


def read_header(uri: str, limits: Limits | None = None) -> DicomFacts:
    """The allow-listed attributes of a DICOM image; raises Skip where `uri` is none, or holds no picture."""
    limits = limits or Limits()
    with media_stream(uri) as stream:
        found = sniff(stream.read(HEAD_BYTES))
        if found.kind != DICOM:
            raise Skip(Reason.NOT_RECOGNISED, f"{found.format}, not DICOM")
        limits.check_file(stream.seek(0, 2), held=True)
        stream.seek(0)
        return facts_of(read_dataset(stream, found.format, limits, pixels=False, tags=_TAGS), limits)


def facts_of(dataset: Any, limits: Limits) -> DicomFacts:
    """The facts of a parsed data set; raises Skip where its layout is impossible or too large."""
    layout = read_layout(dataset, limits)
    with foreign():
        anatomy = groups.group(dataset, 0, "FrameAnatomySequence")
        measures = groups.holder(dataset, 0, "PixelMeasuresSequence")
        values: dict[str, Any] = {name: text(dataset, tag) for name, tag in (_IDENTIFIERS | _CODES).items()}
        values |= {name: known(text(dataset, tag)) for name, (tag, known) in _TERMS.items()}
        values |= {name: number(dataset, tag) for name, tag in _NUMBERS.items()}
        if values["slice_thickness_mm"] is None:
            values["slice_thickness_mm"] = number(measures, "SliceThickness")
        return DicomFacts(
            **values,
            laterality=text(dataset, "ImageLaterality")
            or text(dataset, "Laterality")
            or text(anatomy, "FrameLaterality"),
            rows_px=layout.rows,
            columns_px=layout.columns,
            frames=layout.frames,
            bits_stored=layout.bits_stored,
            fps=groups.frames_per_s(dataset) if layout.frames > 1 else None,
            pixel_spacing_mm=groups.spacing_mm(dataset),
            orientation=_common_orientation(dataset, layout.frames),
            position_mm=groups.position_mm(dataset),
            has_window=groups.first_window(dataset, 0) is not None
            or bool(groups.holder(dataset, 0, "FrameVOILUTSequence").get("VOILUTSequence")),
            free_text=FreeText(**{name: text(dataset, tag) for name, tag in _FREE_TEXT.items()}),
        )


def _common_orientation(dataset: Any, frames: int) -> tuple[float, ...] | None:
    """Of the first frame, where every other one has the same within about a degree."""
    first = groups.orientation(dataset)
    if first is None or "PerFrameFunctionalGroupsSequence" not in dataset:
        return first
    for frame in range(1, frames):
        other = groups.orientation(dataset, frame)
        if other is None or max(abs(a - b) for a, b in zip(first, other, strict=True)) > MOST_DIFFERENT:
            return None
    return first
