"""DICOM slices are shown in radiological convention, whichever way they were stored: the NIfTI reader is the oracle."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID

from shards.dicom_header import read_header
from shards.frames import Frames
from shards.limits import Limits
from shards.locator import Locator
from shards.manifest import Media
from shards.media import MediaReader
from shards.nifti import read_volume
from shards.slices import PLANES, read_slices

VIEW = Locator(low=0, high=255)
BODY = np.random.default_rng(17).integers(0, 256, (5, 7, 9)).astype(np.int16)  # no two halves of it are alike
BODY[3:, 5:, 6:] = 250  # right, front, top
MR, ENHANCED_MR, CAPTURE = (f"1.2.840.10008.5.1.4.1.1.{number}" for number in ("4", "4.1", "7"))
AXIAL_UPSIDE_DOWN = (1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
STANDARD = {"axial": (1, 0, 0, 0, 1, 0), "coronal": (1, 0, 0, 0, 0, -1), "sagittal": (0, 1, 0, 0, 0, -1)}


def dicom(pixels: npt.NDArray[Any], cosines: Any = None, **attributes: Any) -> FileDataset:
    """A slice [H, W], frames [T, H, W], or RGB [H, W, 3], with Image Orientation (Patient)."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.1")
    meta.MediaStorageSOPClassUID = UID(attributes.get("SOPClassUID", MR))
    meta.MediaStorageSOPInstanceUID = UID("1.2.3")
    dataset = FileDataset(None, {}, preamble=bytes(128), file_meta=meta)
    colour = pixels.shape[-1] == 3 and pixels.dtype == np.uint8
    rows, columns = pixels.shape[:2] if colour else pixels.shape[-2:]
    values = {
        "SOPClassUID": MR,
        "SOPInstanceUID": "1.2.3",
        "Modality": "MR",
        "Rows": rows,
        "Columns": columns,
        "SamplesPerPixel": 3 if colour else 1,
        "PhotometricInterpretation": "RGB" if colour else "MONOCHROME2",
        "PlanarConfiguration": 0 if colour else None,
        "NumberOfFrames": len(pixels) if pixels.ndim == 3 and not colour else None,
        "BitsAllocated": 8 * pixels.itemsize,
        "BitsStored": 8 * pixels.itemsize,
        "HighBit": 8 * pixels.itemsize - 1,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
        "ImageOrientationPatient": None if cosines is None else [f"{value:g}" for value in cosines],
        **attributes,
    }
    for keyword, value in values.items():
        if value is not None:
            setattr(dataset, keyword, value)
    dataset.PixelData = pixels.tobytes() + bytes(pixels.nbytes % 2)
    dataset["PixelData"].VR = "OW"
    return dataset


@pytest.fixture
def show(tmp_path: Path) -> Any:
    """show(data set, view): the frames, which must be what the facts say."""

    def read(dataset: FileDataset, view: Locator = VIEW) -> Frames:
        stream = io.BytesIO()
        dataset.save_as(stream, enforce_file_format=True)
        path = tmp_path / "x"
        path.write_bytes(stream.getvalue())
        reader = MediaReader()
        frames = reader.read(Media(uri=str(path), kind="dicom", locator=view.text()))
        facts = reader.facts(str(path), view.text())
        assert (facts.frames, facts.height_px, facts.width_px) == frames.pixels.shape[:3]
        return frames

    return read


def turns(frames: Frames) -> list[str]:
    return [step.partition(" (Image")[0] for step in frames.steps if "Image Orientation (Patient)" in step]


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("exchanged", [False, True])
@pytest.mark.parametrize("signs", list(itertools.product((1, -1), repeat=2)))
def test_a_slice_is_the_picture_that_the_nifti_reader_makes(
    show: Any, plane: str, exchanged: bool, signs: tuple[int, int]
) -> None:
    volume = read_volume(nib.Nifti1Image(BODY, np.eye(4)).to_bytes(), False, Limits())
    down, across = (axis for axis in range(3) if axis != PLANES[plane])  # of the stored slice, in RAS
    for index in (0, BODY.shape[PLANES[plane]] - 2):
        stored = BODY.take(index, axis=PLANES[plane])
        axes = (across, down) if exchanged else (down, across)
        stored = (stored.T if exchanged else stored)[:: signs[0], :: signs[1]]
        to_lps = (-1, -1, 1)
        cosines = [0.0] * 6
        cosines[axes[1]] = float(signs[1] * to_lps[axes[1]])  # towards the next column
        cosines[3 + axes[0]] = float(signs[0] * to_lps[axes[0]])  # towards the next row
        frames = show(dicom(np.ascontiguousarray(stored), cosines, PixelSpacing=[2, 3]))
        oracle = read_slices(volume, Locator(axis=plane, slice=index, low=0, high=255), Limits())
        assert np.array_equal(frames.pixels, oracle.pixels), cosines
        transposed = any("exchanged" in turn for turn in turns(frames))
        assert frames.spacing_mm == ((3, 2) if transposed else (2, 3))
    assert (turns(frames) == []) == (tuple(cosines) == STANDARD[plane])


def test_every_turn_is_said_in_words(show: Any) -> None:
    stored = np.arange(6, dtype=np.int16).reshape(2, 3) * 50
    assert turns(show(dicom(stored, AXIAL_UPSIDE_DOWN))) == ["turned over top to bottom to put anterior up"]
    assert turns(show(dicom(stored, (-1, 0, 0, 0, 1, 0)))) == [
        "turned over left to right to put the patient's right on the left"
    ]
    assert turns(show(dicom(stored, (0, 0, 1, 0, -1, 0)))) == [
        "rows and columns exchanged to lay front to back across",
        "turned over top to bottom to put superior up",
        "turned over left to right to put anterior on the left",
    ]
    frames = show(dicom(stored, AXIAL_UPSIDE_DOWN))
    assert frames.steps[-1].endswith("to put anterior up (Image Orientation (Patient))")
    assert frames.pixels[0].tolist() == [[150, 200, 250], [0, 50, 100]]


def tilted(degrees: float) -> list[float]:
    """Upside-down axial, its normal tilted about the left-right axis."""
    angle = np.radians(degrees)
    return [1, 0, 0, 0, -np.cos(angle), np.sin(angle)]


def test_a_tilt_up_to_45_degrees_is_turned_and_no_plane_is_guessed_beyond(show: Any) -> None:
    stored = np.arange(6, dtype=np.int16).reshape(2, 3)
    assert turns(show(dicom(stored, tilted(30)))) == ["turned over top to bottom to put anterior up"]
    assert turns(show(dicom(stored, tilted(44)))) == ["turned over top to bottom to put anterior up"]
    assert turns(show(dicom(stored, tilted(50)))) == ["turned over top to bottom to put superior up"]  # coronal rather
    third = np.array([[-2, 1, 1], [0, -1, 1]]) / np.sqrt([[6], [2]])  # normal to (1, 1, 1): 54.7 degrees from each axis
    frames = show(dicom(stored, third.ravel()))
    assert frames.steps[-1] == "more than 45 degrees from every plane of the patient: shown as stored"
    assert np.array_equal(frames.pixels[0], stored)


@pytest.mark.parametrize(
    "attributes",
    [
        {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]},
        {"ImageType": ["DERIVED", "SECONDARY", "PROJECTION IMAGE"]},
        {"Modality": "DX"},
        {"Modality": "MG"},
        {"ImageOrientationPatient": None},
        {"ImageOrientationPatient": ["0"] * 6},
        {"ImageOrientationPatient": ["1", "0", "0", "1", "0", "0"]},
        {"ImageOrientationPatient": ["1", "0", "0"]},
        {"ImageOrientationPatient": ["1e300", "0", "0", "0", "-1e300", "0"]},
    ],
)
def test_what_is_no_slice_stays_as_stored(show: Any, attributes: dict[str, Any]) -> None:
    stored = np.arange(6, dtype=np.int16).reshape(2, 3)
    frames = show(dicom(stored, AXIAL_UPSIDE_DOWN, **attributes))
    assert turns(frames) == []
    assert np.array_equal(frames.pixels[0], stored)


@pytest.mark.parametrize("modality", ["CT", "PT", "NM", "OT"])
def test_any_modality_and_colour_are_turned(show: Any, modality: str) -> None:
    stored = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    frames = show(dicom(stored, AXIAL_UPSIDE_DOWN, Modality=modality, SOPClassUID=CAPTURE))
    assert np.array_equal(frames.pixels[0], stored[::-1])


def enhanced(stored: npt.NDArray[Any], *cosines: Any, **attributes: Any) -> FileDataset:
    """Frames with an orientation each; one for all of them where only one is given."""
    groups = []
    for value in cosines:
        plane = Dataset()
        plane.ImageOrientationPatient = list(value)
        group = Dataset()
        group.PlaneOrientationSequence = [plane]
        groups.append(group)
    name = "PerFrame" if len(groups) > 1 else "Shared"
    attributes[f"{name}FunctionalGroupsSequence"] = groups
    return dicom(stored, SOPClassUID=ENHANCED_MR, **attributes)


def test_each_frame_is_turned_by_its_own_orientation(show: Any, tmp_path: Path) -> None:
    stored = np.arange(12, dtype=np.int16).reshape(2, 2, 3)
    standard = STANDARD["axial"]
    frames = show(enhanced(stored, standard, AXIAL_UPSIDE_DOWN))
    assert np.array_equal(frames.pixels, [stored[0], stored[1, ::-1]])
    assert read_header(str(tmp_path / "x")).orientation is None, "no plane is stated of frames that differ"
    shared = show(enhanced(stored, AXIAL_UPSIDE_DOWN))
    assert np.array_equal(shared.pixels, stored[:, ::-1])
    assert read_header(str(tmp_path / "x")).orientation == AXIAL_UPSIDE_DOWN
    assert turns(shared) == ["turned over top to bottom to put anterior up"], "said once"


def test_frames_of_different_shapes_are_turned_one_by_one_and_as_a_clip_not_at_all(show: Any) -> None:
    stored = np.arange(12, dtype=np.int16).reshape(2, 2, 3)
    mixed = enhanced(stored, STANDARD["axial"], (0, 1, 0, 1, 0, 0))  # rows run to the front, columns to the left
    clip = show(mixed)
    assert np.array_equal(clip.pixels, stored)
    assert clip.steps[-1] == "frames of different planes are shown as stored"
    second = show(mixed, Locator(low=0, high=255, frame_start=1, frame_stop=2))
    assert np.array_equal(second.pixels[0], stored[1].T)
    square = show(enhanced(stored[:, :, :2].copy(), STANDARD["axial"], (0, 1, 0, 1, 0, 0)))
    assert np.array_equal(square.pixels[1], stored[1, :, :2].T)


def test_a_scout_among_the_frames_stays_as_stored(show: Any) -> None:
    stored = np.arange(6, dtype=np.int16).reshape(1, 2, 3)
    dataset = enhanced(stored, AXIAL_UPSIDE_DOWN)
    kind = Dataset()
    kind.FrameType = ["ORIGINAL", "PRIMARY", "LOCALIZER", "NONE"]
    dataset.SharedFunctionalGroupsSequence[0].MRImageFrameTypeSequence = [kind]
    assert turns(show(dataset)) == []


@pytest.mark.parametrize(
    ("attributes", "size", "words"),
    [
        ({"PixelAspectRatio": ["4", "3"]}, (30, 54), "pixel aspect 4:3 (vertical, horizontal): 30x40 to 30x53"),
        ({"PixelAspectRatio": ["1", "2"]}, (60, 40), "pixel aspect 1:2 (vertical, horizontal): 30x40 to 60x40"),
        ({"PixelAspectRatio": ["2", "2"]}, (30, 40), None),
        ({"PixelAspectRatio": ["9", "1"]}, (30, 40), "pixel aspect 9:1 (vertical, horizontal) is none: "),
        ({"PixelAspectRatio": ["0", "1"]}, (30, 40), None),
        ({"PixelAspectRatio": ["4", "3"], "PixelSpacing": [2, 1]}, (30, 40), None),  # the spacing says it in mm
    ],
)
def test_pixels_without_a_spacing_are_made_square(
    show: Any, attributes: dict[str, Any], size: tuple[int, int], words: str | None
) -> None:
    stored = np.tile(np.arange(40, dtype=np.int16)[:, None] * 6, (1, 30))
    frames = show(dicom(stored, **attributes))
    assert frames.pixels.shape[1] == pytest.approx(size[1], abs=1)
    assert frames.pixels.shape[2] == size[0]
    assert frames.spacing_mm == ((2, 1) if "PixelSpacing" in attributes else None)
    said = [step for step in frames.steps if "aspect" in step]
    assert (len(said) == 1 and said[0].startswith(words)) if words else not said


def test_the_aspect_goes_with_the_turn(show: Any) -> None:
    stored = np.zeros((40, 30), np.int16)
    frames = show(dicom(stored, (0, 1, 0, 1, 0, 0), PixelAspectRatio=["2", "1"]))
    assert frames.pixels.shape == (1, 30, 80)
