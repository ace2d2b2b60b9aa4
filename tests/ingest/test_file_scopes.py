"""What may be told of a volume, a stack or a cine, and which slices, windows and clips it gives."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ingest.columns import LabelColumn, LabelList
from ingest.statements import FileFacts, StatedLabel
from shards.media import MediaReader

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")  # it warns of the values that these tests write
SHARED = runpy.run_path(str(Path(__file__).with_name("written_files.py")))
STATES, Write, attributes, dicom, nifti, root, scan, volume = (
    SHARED[name] for name in ("STATES", "Write", "attributes", "dicom", "nifti", "root", "scan", "volume")
)


@pytest.mark.parametrize("scope", ["image", "frames", "slice"])
def test_a_label_of_one_slice_cannot_be_told_of_a_volume(root: Path, scope: Any) -> None:
    glioma = FileFacts(files="*", labels=(StatedLabel(name="glioma", scope=scope),))
    for options in (
        {"facts": (glioma,)},
        {"labels": (LabelColumn(column="name", name="glioma", states=STATES, scope=scope),)},
        {"labels": (LabelColumn(column="name", name="glioma", states=STATES),), "label_scope": scope},
        {"label_lists": (LabelList(column="name", scope=scope),)},
    ):
        with pytest.raises(ValueError, match=f"has the scope {scope}.*write `scope: series`"):
            nifti(root, **options)
    with pytest.raises(ValueError, match="the text in 'name' is of the scan and not of one slice"):
        nifti(root, caption="name")


@pytest.mark.parametrize(("scope", "refused"), [("image", True), ("frames", True), ("slice", True), ("series", False)])
def test_a_label_of_one_frame_cannot_be_told_of_a_cine(
    convert: Any, root: Path, scan: Write, scope: Any, refused: bool
) -> None:
    scan("US cine")
    scan("CT slice")
    facts = (FileFacts(files="*", labels=(StatedLabel(name="effusion", scope=scope),)),)
    seen = {"US*": "30 frames: no text that names anybody"}
    found = convert(dicom(root, facts=facts, burned_in_text_checked=seen, frames="both"))
    assert found.reasons == ({"US cine.dcm": "bad_row"} if refused else {})
    assert {label.scope for sample in found.samples for label in sample.labels} == {scope}


def test_windows_are_for_the_files_that_are_ct(convert: Any, root: Path, volume: Write) -> None:
    volume("ct.nii.gz")
    volume("mr.nii.gz")
    found = convert(nifti(root, windows=("brain", "bone"), facts=(FileFacts(files="mr*", modality="MR"),)))
    windows = {(sample.modality, attributes(sample).get("window")) for sample in found.samples}
    assert windows == {("CT", "brain"), ("CT", "bone"), ("MR", None)}
    assert all((sample.media.view.low is None) == (sample.modality == "CT") for sample in found.samples)
    other = convert(nifti(root, modality="MR", windows=("brain",), facts=(FileFacts(files="ct*", modality="CT"),)))
    assert {(sample.modality, attributes(sample).get("window")) for sample in other.samples} == {
        ("CT", "brain"),
        ("MR", None),
    }


def test_a_volume_that_lies_outside_of_the_range_leaves_a_reject(convert: Any, root: Path, volume: Write) -> None:
    volume("low.nii.gz")
    found = convert(nifti(root, range_mm={"axial": (100.0, 200.0)}))
    assert (found.offered, found.reasons) == (1, {"low.nii.gz": "out_of_range"})
    clip = convert(nifti(root, planes=(), clips=("axial",), range_mm={"axial": (-10.0, -9.5)}))
    assert clip.reasons == {"low.nii.gz axial clip": "out_of_range"}


def test_keys_of_a_series_stay_when_a_file_joins_it_and_shifts_its_scale(convert: Any, root: Path, scan: Write) -> None:
    import pydicom

    for name in ("MR1", "MR2"):
        scan(name, SeriesInstanceUID="1.2.3", SOPInstanceUID=f"1.2.3.{name[-1]}")
    before = convert(dicom(root)).samples
    brighter = pydicom.dcmread(root / "MR1.dcm")
    brighter.PixelData = (brighter.pixel_array // 2 + 4000).astype("<i2").tobytes()
    brighter.SOPInstanceUID = "1.2.3.3"
    brighter.save_as(root / "MR3.dcm")
    after = {sample.media.uri: sample for sample in convert(dicom(root)).samples}
    assert len(after) == 3
    for sample in before:
        assert after[sample.media.uri].key == sample.key
        assert after[sample.media.uri].media.view.high != sample.media.view.high


def test_all_slices_of_a_plane_are_one_clip_beside_the_slices(convert: Any, root: Path, volume: Write) -> None:
    volume("a.nii.gz", np.arange(8 * 8 * 11, dtype=np.int16).reshape(8, 8, 11, order="F"))
    found = convert(nifti(root, modality="MR", clips=("axial", "sagittal")))
    clips = {attributes(s)["plane"]: s for s in found.samples if s.media.frames > 1}
    stills = {s.media.view.slice: s for s in found.samples if s.media.frames == 1}
    assert (set(clips), len(stills), found.offered) == ({"axial", "sagittal"}, 11, 13)
    reader = MediaReader()
    shown = reader.read(clips["axial"].media).pixels
    assert shown.shape == (11, 8, 8)
    for index, still in stills.items():
        assert np.array_equal(shown[index], reader.read(still.media).pixels[0])
    assert shown[0].mean() < shown[-1].mean(), "from inferior to superior"
    assert "position_mm" not in attributes(clips["axial"])
    assert clips["axial"].label_scope == "series"
    assert clips["axial"].media.fps is None


def test_a_clip_of_every_kth_slice_within_a_range_has_the_frames_that_it_says(
    convert: Any, root: Path, volume: Write
) -> None:
    volume("a.nii.gz", np.arange(4 * 4 * 21, dtype=np.int16).reshape(4, 4, 21, order="F"))
    (clip,) = convert(
        nifti(root, modality="MR", planes=(), clips=("axial",), clip_every=2, range_mm={"axial": (-8.0, 3.0)})
    ).samples  # fmt: skip
    view = clip.media.view
    assert (view.step, view.frame_start, view.frame_stop, clip.media.frames) == (2, 1, 7, 6)
    frames = MediaReader().read(clip.media)
    assert frames.pixels.shape[0] == 6
    assert any("one slice in 2" in step for step in frames.steps)
    whole = MediaReader().volume(clip.media.uri)
    from shards.slices import select, slice_position_mm

    positions = [slice_position_mm(whole, "axial", index) for index in select(whole, view)[1]]
    assert positions == [-8, -6, -4, -2, 0, 2]
