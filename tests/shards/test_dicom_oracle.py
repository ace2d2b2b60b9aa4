"""Every DICOM test file of pydicom: counted, classified, and its display values compared with highdicom's."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import data_store  # type: ignore[import-untyped]
import highdicom
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from pydicom.errors import InvalidDicomError
from pydicom.pixels import apply_modality_lut

from shards.dicom_display import is_padding, padding_range
from shards.dicom_pixels import read_frame
from shards.frames import Frames
from shards.intake import Skip
from shards.locator import Locator
from shards.manifest import Media
from shards.media import MediaReader
from shards.reasons import Reason

# the oracles warn on nearly every odd file; what is tested is our result
pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]

WHEEL = Path(pydicom.__file__).parent / "data" / "test_files"
EXTRA = Path(next(iter(data_store.__path__))) / "data"
FILES = sorted(path for path in WHEEL.rglob("*") if path.is_file())
EXTRA_FILES = sorted(path for path in EXTRA.rglob("*") if path.is_file() and path.stat().st_size < 3 << 20)  # for time


MOST_FRAMES = 4  # compared of one file; their transforms are the same


def read(reader: MediaReader, path: Path) -> Frames:
    first = Locator(frame_stop=min(MOST_FRAMES, reader.facts(str(path)).frames))
    return reader.read(Media(uri=str(path), kind="dicom", locator=first.text()))


def test_all_176_files_are_accepted_or_rejected_for_a_reason() -> None:
    assert len(FILES) == 176
    reader, outcome = MediaReader(), {}
    for path in FILES:
        try:
            reader.read(Media(uri=str(path), kind="dicom"))
            outcome[path] = "accepted"
        except Skip as skip:
            outcome[path] = skip.reason.value
    counts = Counter(outcome.values())
    assert counts == {
        "accepted": 83,
        Reason.NO_PIXELS: 54,
        Reason.NOT_AN_IMAGE: 25,
        Reason.NOT_RECOGNISED: 10,
        Reason.CORRUPT: 3,
        Reason.TRUNCATED: 1,
    }
    decodable = {path for path in FILES if pydicom_decodes(path)}
    assert len(decodable) == 88
    by_kind = {path.name for path in decodable if outcome[path] != "accepted"}
    assert by_kind == {
        *("liver_1frame.dcm", "liver_expb_1frame.dcm"),  # segmentations
        *("rtdose.dcm", "rtdose_1frame.dcm", "rtdose_expb.dcm", "rtdose_expb_1frame.dcm"),
        *("rtdose_rle.dcm", "rtdose_rle_1frame.dcm"),
    }
    assert {outcome[path] for path in decodable if path.name in by_kind} == {Reason.NOT_AN_IMAGE}
    beyond = {path.name for path in FILES if outcome[path] == "accepted"} - {path.name for path in decodable}
    assert beyond == {"JPEG-lossy.dcm", "JPGExtended.dcm", "waveform_ecg.dcm"}  # JPEG of 12 bits; drawn


def pydicom_decodes(path: Path) -> bool:
    try:
        return bool(pydicom.dcmread(path).pixel_array.size)
    except Exception:  # noqa: BLE001  whatever it raises, it does not decode
        return False


def expected(path: Path, frames: Frames) -> npt.NDArray[Any] | None:
    """highdicom's display values 0..255 as floats, or None where it does not open the file."""
    if path.name == "mlut_18.dcm":  # highdicom takes the stored value -1 to the table's last entry; pydicom does not
        dataset = pydicom.dcmread(path)
        return np.asarray(apply_modality_lut(dataset.pixel_array, dataset)[None] / 257.0)
    try:
        image = highdicom.imread(path)
        numbers = list(range(1, len(frames.pixels) + 1))
        options = {"frame_numbers": numbers, "apply_icc_profile": False, "apply_real_world_transform": False}
        if frames.pixels.ndim == 4:
            full = 255 if "PALETTE" in image.PhotometricInterpretation else 2**image.BitsStored - 1
            if "PALETTE" in image.PhotometricInterpretation and image.RedPaletteColorLookupTableDescriptor[2] == 16:
                full = 65535
            return np.asarray(image.get_frames(**options) * (255 / full))
        linear = [re.match(r"linear from (\S+) to (\S+) ", step) for step in frames.steps]
        ends = next((found for found in linear if found), None)
        if ends is None:
            return np.asarray(image.get_frames(**options, apply_voi_transform=True, voi_output_range=(0, 255)))
        values = image.get_frames(**options, apply_voi_transform=False, apply_presentation_lut=False)
        low, high = float(ends[1]), float(ends[2])
        shown = np.clip((values - low) / (high - low), 0, 1) * 255
        return np.asarray(255 - shown if image.PhotometricInterpretation == "MONOCHROME1" else shown)
    except (ValueError, RuntimeError, AttributeError, KeyError, TypeError, InvalidDicomError):
        return None


def turns(frames: Frames) -> list[str]:
    return [step for step in frames.steps if step.endswith("(Image Orientation (Patient))")]


def as_shown(stored: npt.NDArray[Any], frames: Frames, dataset: Any) -> npt.NDArray[Any]:
    """A stored frame turned as our steps say, since highdicom gives frames the way they are stored.

    A step is believed only where the header's axes run that way: none of these files needs an exchange of axes.
    """
    for step in turns(frames):
        group = dataset.get("SharedFunctionalGroupsSequence")
        holder = group[0].PlaneOrientationSequence[0] if group else dataset
        cosines = [float(value) for value in holder.ImageOrientationPatient]
        if step.startswith("turned over left to right to put the patient's right"):
            assert cosines[0] < -0.9, "columns run to the patient's right"
            stored = stored[:, ::-1]
        else:
            assert step.startswith("turned over top to bottom to put anterior up"), step
            assert cosines[4] < -0.9, "rows run to the front"
            stored = stored[::-1]
    return stored


@pytest.mark.parametrize(("files", "compared"), [(FILES, 75), (EXTRA_FILES, 45)], ids=["wheel", "extra"])
def test_display_values_are_highdicoms(files: list[Path], compared: int) -> None:
    reader, seen, turned = MediaReader(), 0, 0
    for path in files:
        try:
            frames = read(reader, path)
        except Skip:
            continue
        want = expected(path, frames)
        if want is None:
            continue
        seen += 1
        image = reader.dicom(str(path))
        padding = padding_range(image.dataset, image.layout)
        turned += bool(turns(frames))
        for frame, (got, shown) in enumerate(zip(frames.pixels, want, strict=True)):
            reference = as_shown(shown, frames, image.dataset)
            if reference.shape != got.shape:  # pixels were made square
                assert any(step.startswith("pixel aspect") for step in frames.steps), path.name
                assert np.allclose(reference.mean(0), got.mean(0), atol=2), path.name  # each column, now longer
                continue
            difference = np.abs(got.astype(float) - reference)
            if padding is not None:
                there = is_padding(
                    as_shown(read_frame(image.dataset, image.layout, frame), frames, image.dataset), padding
                )
                assert got[there].max(initial=0) == 0, f"{path.name}: padding is not black"
                difference[there] = 0
            assert difference.max() <= 1.0, f"{path.name} frame {frame}: off by {difference.max():.1f}"
    assert seen == compared
    assert turned == (2 if files is EXTRA_FILES else 0), "eCT_Supplemental.dcm and explicit_VR-UN.dcm"


def test_jpeg_of_12_bits_is_the_picture_that_was_compressed() -> None:
    stored = []
    for path in (EXTRA / "JPEG-LL.dcm", WHEEL / "JPEG-lossy.dcm"):
        image = MediaReader().dicom(str(path))
        stored.append(read_frame(image.dataset, image.layout, 0).astype(float))
    assert np.corrcoef(stored[0].ravel(), stored[1].ravel())[0, 1] > 0.98
    assert np.abs(stored[0] - stored[1]).mean() < 3  # of 278
