"""Pictures of DICOM files: windows, the scale of a series, cines and stacks, planes, and the same pixels again."""

from __future__ import annotations

import io
import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ingest.converters.dicom_defaults import plane_of
from shards.locator import Locator
from shards.uri import package_folder

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")  # it warns of the values that these tests write
SHARED = runpy.run_path(str(Path(__file__).with_name("dicom_folders.py")))
LOOKED_AT, MR, TEST_FILES, copy, pixels, stage = (
    SHARED[name] for name in ("LOOKED_AT", "MR", "TEST_FILES", "copy", "pixels", "stage")
)


def test_a_slice_is_turned_and_its_size_is_that_of_the_picture(convert: Any, copy: Any) -> None:
    folder = copy("MR_small.dcm", "a.dcm", Rows=32, Columns=128, ImageOrientationPatient=[0, 0, -1, 1, 0, 0])
    (sample,) = convert(stage(folder)).samples
    assert (sample.media.width_px, sample.media.height_px) == (32, 128)
    assert pixels(sample).shape == (1, 128, 32)
    assert json.loads(sample.attributes)["plane"] == "coronal"


def test_ct_gives_one_row_for_each_window(convert: Any) -> None:
    found = convert(stage(TEST_FILES, include=("J2K_pixelrep_mismatch.dcm",), windows=("brain", "bone")))
    windows = {json.loads(sample.attributes)["window"]: sample for sample in found.samples}
    assert set(windows) == {"brain", "bone"}
    assert windows["brain"].key != windows["bone"].key
    assert windows["brain"].media.view.window == "brain"
    assert pixels(windows["brain"]).mean() > pixels(windows["bone"]).mean()
    assert found.offered == 1


def test_ct_that_is_not_in_hounsfield_units_is_shown_as_its_header_says(convert: Any, copy: Any) -> None:
    copy("CT_small.dcm", "head.dcm", BodyPartExamined="HEAD")
    folder = copy("CT_small.dcm", "scout.dcm", BodyPartExamined="HEAD", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    found = {Path(sample.media.uri).stem: sample for sample in convert(stage(folder)).samples}
    assert found["head"].media.view.window == "brain"
    assert found["scout"].media.locator == ""
    assert "plane" not in json.loads(found["scout"].attributes)
    asked = convert(stage(folder, windows=("bone",)))
    assert asked.reasons == {"scout.dcm": "unsupported_pixels"}


def test_the_files_of_a_series_share_one_scale_and_other_series_do_not(convert: Any) -> None:
    found = convert(stage(TEST_FILES, include=("dicomdirtests/98892003/*",)))
    scales: dict[str, set[tuple[Any, Any]]] = {}
    for sample in found.samples:
        scales.setdefault(sample.media.uri.split("/")[-2], set()).add((sample.media.view.low, sample.media.view.high))
    assert len(scales["MR700"]) == 1
    assert len(scales["MR1"]) == 3  # three series in one folder
    by_header = convert(stage(TEST_FILES, include=("dicomdirtests/98892003/*",), scale="header"))
    assert {sample.media.locator for sample in by_header.samples} == {""}


def test_the_scale_of_a_series_is_over_all_its_values(convert: Any) -> None:
    import pydicom

    folder = package_folder("pydicom") / "data/test_files" / MR
    values = np.concatenate([pydicom.dcmread(path).pixel_array.ravel() for path in sorted(folder.iterdir())])
    low, high = np.percentile(values, [0.5, 99.5], method="inverted_cdf")
    view = convert(stage(TEST_FILES, include=(f"{MR}/*",))).samples[0].media.view
    assert (view.low, view.high) == (low, high)


def test_a_damaged_file_does_not_take_its_series_along(convert: Any, copy: Any) -> None:
    names = ["4467", "4528", "4558"]
    for name in names:
        folder = copy(f"{MR}/{name}", name)
    sound = convert(stage(folder))
    bad = folder / "4600"
    data = (folder / "4558").read_bytes()
    bad.write_bytes(data[: len(data) - 40])
    found = convert(stage(folder))
    assert found.reasons == {"4600": "truncated"}
    assert found.rows["media"].to_list() == sound.rows["media"].to_list()


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"frames": "clip"}, [(None, 30)]),
        ({"clip_frames": 12}, [(0, 12), (12, 12), (24, 6)]),
        ({"clip_frames": 13}, [(0, 13), (13, 13)]),
        ({"clip_frames": 30}, [(None, 30)]),
        ({"frames": "stills", "still_every": 10}, [(0, 1), (10, 1), (20, 1)]),
        ({"frames": "both", "still_every": 15}, [(None, 30), (0, 1), (15, 1)]),
    ],
)
def test_a_cine_gives_a_clip_stills_or_both(convert: Any, options: Any, parts: list[tuple[int | None, int]]) -> None:
    found = convert(stage(TEST_FILES, include=("examples_ybr_color.dcm",), **options, burned_in_text_checked=LOOKED_AT))
    assert {(s.media.view.frame_start, s.media.frames) for s in found.samples} == set(parts)
    assert {sample.label_scope for sample in found.samples} == {"series"}
    assert found.rows["group"].n_unique() == 1
    for sample in found.samples:
        moving = sample.media.frames > 1
        assert (sample.media.fps is not None) == moving
        assert json.loads(sample.attributes).get("duration_s") == (1.0 if moving else None)  # of the recording
        assert pixels(sample).shape == (sample.media.frames, 240, 320, 3)


def test_a_stack_of_slices_is_no_clip(convert: Any) -> None:
    pytest.importorskip("data_store", reason="needs the package pydicom-data")
    found = convert(stage("package://data_store/data/emri_small.dcm", still_every=3))
    assert [
        (s.media.view.frame_start, s.media.frames)
        for s in sorted(found.samples, key=lambda s: s.media.view.frame_start)
    ] == [
        (0, 1),
        (3, 1),
        (6, 1),
        (9, 1),
    ]
    assert len({(sample.media.view.low, sample.media.view.high) for sample in found.samples}) == 1
    assert {sample.label_scope for sample in found.samples} == {"slice"}


def test_planes_follow_the_normal_of_the_slice() -> None:
    assert plane_of((1, 0, 0, 0, 1, 0)) == "axial"
    assert plane_of((1, 0, 0, 0, 0, -1)) == "coronal"
    assert plane_of((0, 1, 0, 0, 0, -1)) == "sagittal"
    assert plane_of((1, 0, 0, 0, 0.9, -0.43)) == "axial"  # a tilted gantry
    assert plane_of((1, 0, 0, 0, 0.7, -0.714)) == "oblique"
    assert plane_of((0, 0, 0, 0, 0, 0)) is None
    assert plane_of(None) is None


def test_a_locator_names_the_same_pixels_again(convert: Any) -> None:
    found = convert(stage(TEST_FILES, include=(f"{MR}/4467",)))
    sample = found.samples[0]
    assert Locator.parse(sample.media.locator).text() == sample.media.locator
    assert np.array_equal(pixels(sample), pixels(sample))
    buffer = io.BytesIO(np.ascontiguousarray(pixels(sample)).tobytes())
    assert buffer.getbuffer().nbytes == 256
