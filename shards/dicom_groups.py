"""What a data set states for one of its frames: rescale, VOI, spacing, place, time.

In enhanced multi-frame objects these stand in the functional groups (PS3.3 C.7.6.16), per frame or shared, and only
in older ones at the top level; helpers that look at the top level alone leave such pixels unscaled without a word.
Every look-up here goes per frame, shared, top level.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_CM_PER_PIXEL = 3  # Physical Units X and Y Direction, PS3.3 C.8.5.5.1.15


@dataclass(frozen=True, slots=True)
class Voi:
    """A window (PS3.3 C.11.2): centre and width in modality units, and the function."""

    centre: float
    width: float
    function: str
    explanation: str


def text(dataset: Dataset | None, keyword: str) -> str | None:
    """A value as stripped text; None where it is absent or empty."""
    value = None if dataset is None else dataset.get(keyword)
    if value is None:
        return None
    joined = "\\".join(map(str, value)) if _is_list(value) else str(value)
    return joined.strip().strip("\0") or None


def numbers(dataset: Dataset | None, keyword: str) -> tuple[float, ...]:
    """A value as finite numbers; empty where it is absent or any of them is not a number."""
    value = None if dataset is None else dataset.get(keyword)
    if value is None or value == "":
        return ()
    try:
        found = tuple(float(item) for item in (value if _is_list(value) else [value]))
    except (TypeError, ValueError):
        return ()
    return found if all(map(math.isfinite, found)) else ()


def number(dataset: Dataset | None, keyword: str) -> float | None:
    """The first of `numbers`, or None."""
    return next(iter(numbers(dataset, keyword)), None)


def _is_list(value: Any) -> bool:
    return not isinstance(value, str | bytes) and hasattr(value, "__iter__")


def group(dataset: Dataset, frame: int, keyword: str) -> Dataset | None:
    """The functional group item `keyword` that holds for a frame (counted from 0), or None."""
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or ()
    shared = dataset.get("SharedFunctionalGroupsSequence") or ()
    for item in (*per_frame[frame : frame + 1], *shared[:1]):
        found = item.get(keyword)
        if found:
            return found[0]
    return None


def holder(dataset: Dataset, frame: int, keyword: str) -> Dataset:
    """The functional group `keyword` of a frame, or the data set itself where there is none."""
    found = group(dataset, frame, keyword)
    return dataset if found is None else found


def rescale(dataset: Dataset, frame: int) -> tuple[float, float, str | None]:
    """(slope, intercept, type) of the modality transform (PS3.3 C.11.1); what is empty is the identity."""
    stated = holder(dataset, frame, "PixelValueTransformationSequence")
    slope, intercept = number(stated, "RescaleSlope"), number(stated, "RescaleIntercept")
    return slope or 1.0, intercept or 0.0, text(stated, "RescaleType")


def first_window(dataset: Dataset, frame: int) -> Voi | None:
    """The first window that the file gives for a frame."""
    stated = holder(dataset, frame, "FrameVOILUTSequence")
    centre, width = number(stated, "WindowCenter"), number(stated, "WindowWidth")
    if centre is None or width is None or width <= 0:
        return None
    function = (text(stated, "VOILUTFunction") or "LINEAR").upper()
    explanation = (text(stated, "WindowCenterWidthExplanation") or "").split("\\")[0]
    return Voi(centre, width, function, explanation)


def spacing_mm(dataset: Dataset, frame: int = 0) -> tuple[float, float] | None:
    """(between rows, between columns) in mm; of the patient where stated, else at the detector; None if unknown."""
    measures = holder(dataset, frame, "PixelMeasuresSequence")
    for source, keyword in (
        (measures, "PixelSpacing"),
        (dataset, "PixelSpacing"),
        (dataset, "ImagerPixelSpacing"),
        (dataset, "NominalScannedPixelSpacing"),
    ):
        found = numbers(source, keyword)
        if len(found) == 2 and min(found) > 0:
            return found[0], found[1]
    return _ultrasound_spacing_mm(dataset)


def _ultrasound_spacing_mm(dataset: Dataset) -> tuple[float, float] | None:
    """Spacing of the regions of an ultrasound image (PS3.3 C.8.5.5) where all tissue regions agree."""
    found = set()
    for region in dataset.get("SequenceOfUltrasoundRegions") or ():
        units = {number(region, "PhysicalUnitsXDirection"), number(region, "PhysicalUnitsYDirection")}
        down, across = number(region, "PhysicalDeltaY"), number(region, "PhysicalDeltaX")
        if units == {_CM_PER_PIXEL} and down and across and number(region, "RegionDataType") == 1:
            found.add((abs(down) * 10, abs(across) * 10))
    return found.pop() if len(found) == 1 else None


def orientation(dataset: Dataset, frame: int = 0) -> tuple[float, ...] | None:
    """Image Orientation (Patient): six direction cosines, or None."""
    found = numbers(holder(dataset, frame, "PlaneOrientationSequence"), "ImageOrientationPatient")
    return found if len(found) == 6 else None


def position_mm(dataset: Dataset, frame: int = 0) -> tuple[float, ...] | None:
    """Image Position (Patient): x, y, z in mm of the first voxel, or None."""
    found = numbers(holder(dataset, frame, "PlanePositionSequence"), "ImagePositionPatient")
    return found if len(found) == 3 else None


def frames_per_s(dataset: Dataset) -> float | None:
    """Frame rate of a cine (PS3.3 C.7.6.5): from the time between frames, else the rate for playing it."""
    frame_ms = number(dataset, "FrameTime")
    if frame_ms is not None and frame_ms > 0:
        return 1000.0 / frame_ms
    steps_ms = [step for step in numbers(dataset, "FrameTimeVector")[1:] if step > 0]
    if steps_ms:
        return 1000.0 * len(steps_ms) / sum(steps_ms)
    rates = (number(dataset, "CineRate"), number(dataset, "RecommendedDisplayFrameRate"))
    return next((rate for rate in rates if rate is not None and rate > 0), None)
