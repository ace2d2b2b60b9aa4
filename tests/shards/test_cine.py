"""Clips in NIfTI: frames upright as ITK writes them, time on the third or fourth axis, and no orientation asked for."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest

from shards.cine import open_cine, read_cine
from shards.intake import Skip
from shards.limits import Limits
from shards.locator import TIME, Locator
from shards.manifest import Media
from shards.media import MediaReader
from shards.nifti import read_volume
from shards.reasons import Reason

LIMITS = Limits()
CLIP = Locator(axis=TIME)
Pixels = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def heart() -> Pixels:
    """The apical four-chamber clip of pydicom's test files, without the scanner's words: [30, 200, 230]."""
    uri = "package://pydicom/data/test_files/examples_ybr_color.dcm"
    shown = MediaReader().read(Media(uri=uri, kind="dicom")).pixels
    return np.ascontiguousarray(shown[:, 17:217, 52:282, 1])


def stored(frames: npt.NDArray[Any], spacing: tuple[float, ...] = (0.4, 0.3, 1.0), codes: int = 1) -> bytes:
    """Frames [T, H, W] as a file of axes (x, y, t), the way SimpleITK writes them; `codes` 0: no orientation stated."""
    image = nib.Nifti1Image(frames.transpose(2, 1, 0), None)
    image.header.set_zooms(spacing)
    image.header.set_xyzt_units("mm")
    if codes:
        image.set_sform(np.diag([-spacing[0], -spacing[1], spacing[2], 1]), codes)  # LPS of ITK in RAS
    return bytes(image.to_bytes())


def refused(data: bytes, view: Locator = CLIP, limits: Limits = LIMITS) -> Reason:
    with pytest.raises(Skip) as skip:
        read_cine(open_cine(data, False, limits), view, limits)
    return skip.value.reason


@pytest.mark.parametrize("codes", [1, 0])
def test_frames_are_those_that_were_written(heart: Pixels, codes: int) -> None:
    data = stored(heart, codes=codes)
    if not codes:
        with pytest.raises(Skip, match="neither sform nor qform"):
            read_volume(data, False, LIMITS)
    cine = open_cine(gzip.compress(data, mtime=0), True, LIMITS)
    whole = read_cine(cine, CLIP, LIMITS)
    assert np.array_equal(whole.pixels, heart)
    assert (whole.spacing_mm, whole.fps) == (pytest.approx((0.3, 0.4)), None)  # rows, columns
    part = read_cine(cine, replace(CLIP, frame_start=3, frame_stop=7), LIMITS)
    assert np.array_equal(part.pixels, heart[3:7])
    assert "8 bits as stored" in part.steps


def test_a_mirrored_affine_turns_nothing(heart: Pixels) -> None:
    image = nib.Nifti1Image(heart.transpose(2, 1, 0), np.diag([0.3, 0.3, 1.0, 1.0]))
    assert np.array_equal(read_cine(open_cine(image.to_bytes(), False, LIMITS), CLIP, LIMITS).pixels, heart)


def test_time_on_the_fourth_axis_may_state_its_rate(heart: Pixels) -> None:
    for unit, step, fps in (("msec", 20.0, 50.0), ("sec", 0.04, 25.0), ("usec", 1e5, 10.0), ("unknown", 20.0, None)):
        image = nib.Nifti1Image(heart.transpose(2, 1, 0)[:, :, None], np.diag([0.3, 0.3, 1.0, 1.0]))
        image.header.set_zooms((0.3, 0.3, 1.0, step))
        image.header.set_xyzt_units("mm", unit)
        frames = read_cine(open_cine(image.to_bytes(), False, LIMITS), CLIP, LIMITS)
        assert np.array_equal(frames.pixels, heart)
        assert frames.fps == (None if fps is None else pytest.approx(fps))


def test_one_picture_is_a_clip_of_one_frame(heart: Pixels) -> None:
    flat = nib.Nifti1Image(heart[4].T, None)
    flat.header.set_zooms((0.3, 0.3))
    for data in (bytes(flat.to_bytes()), stored(heart[4:5])):
        frames = read_cine(open_cine(data, False, LIMITS), CLIP, LIMITS)
        assert np.array_equal(frames.pixels, heart[4:5])
        assert frames.fps is None


def test_other_values_share_one_range_over_the_clip(heart: Pixels) -> None:
    deep = heart.astype(np.int16) * 100 - 3000
    deep[20:] //= 2
    cine = open_cine(stored(deep), False, LIMITS)
    whole = read_cine(cine, CLIP, LIMITS).pixels
    low, high = np.percentile(deep, [0.5, 99.5])
    expected = np.clip((deep - low) / (high - low), 0, 1) * 255
    assert np.abs(whole - expected).max() < 3
    part = read_cine(open_cine(stored(deep), False, LIMITS), replace(CLIP, frame_start=22, frame_stop=25), LIMITS)
    assert np.array_equal(part.pixels, whole[22:25]), "the range is that of the clip and not of its part"
    given = read_cine(cine, replace(CLIP, low=-3000.0, high=22500.0, frame_stop=20), LIMITS).pixels
    assert np.abs(given.astype(int) - heart[:20]).max() <= 1


def test_colour_is_kept() -> None:
    dtype = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    values = np.zeros((5, 4, 3), dtype)  # x, y, t
    values["R"][2], values["B"][:, 1] = 200, 90
    frames = read_cine(open_cine(nib.Nifti1Image(values, np.eye(4)).to_bytes(), False, LIMITS), CLIP, LIMITS)
    assert frames.pixels.shape == (3, 4, 5, 3)
    assert frames.pixels[0, 1, 2].tolist() == [200, 0, 90]
    assert frames.pixels[0, 2, 2].tolist() == [200, 0, 0]
    assert frames.pixels[0, 1, 0].tolist() == [0, 0, 90]


def test_what_is_no_clip_is_refused(heart: Pixels) -> None:
    over_time = nib.Nifti1Image(np.zeros((4, 5, 6, 7), np.uint8), np.eye(4))
    assert refused(bytes(over_time.to_bytes())) == Reason.UNSUPPORTED_PIXELS
    data = stored(heart)
    assert refused(data[:-1]) == Reason.TRUNCATED
    assert refused(data, limits=Limits(max_total_bytes=1 << 20)) == Reason.TOO_LARGE
    assert refused(data, limits=Limits(max_frames=29)) == Reason.TOO_LARGE
    for wrong in (
        replace(CLIP, frame_stop=31),
        replace(CLIP, slice=2),
        replace(CLIP, window="brain"),
        replace(CLIP, step=2),
        replace(CLIP, volume=0),
    ):
        assert refused(data, wrong) == Reason.BAD_ROW


def test_a_header_without_spacing_says_so(heart: Pixels) -> None:
    raw = bytearray(stored(heart, codes=0))
    raw[80:88] = bytes(8)  # pixdim[1], pixdim[2]
    frames = read_cine(open_cine(bytes(raw), False, LIMITS), CLIP, LIMITS)
    assert frames.spacing_mm is None
    assert "no spacing in the header: pixels taken as square" in frames.steps


def test_the_reader_keeps_a_clip_and_a_volume_of_one_file_apart(tmp_path: Path, heart: Pixels) -> None:
    path = tmp_path / "clip.nii.gz"
    path.write_bytes(gzip.compress(stored(heart), mtime=0))
    reader = MediaReader()
    facts = reader.facts(str(path), CLIP.text())
    assert (facts.kind, facts.frames, facts.height_px, facts.width_px, facts.fps) == ("nifti", 30, 200, 230, None)
    media = Media(uri=str(path), kind="nifti", locator=CLIP.text(), sha256=facts.sha256)
    assert np.array_equal(reader.read(media).pixels, heart)
    slice_ = reader.read(replace(media, locator=Locator(axis="axial", slice=0).text())).pixels
    assert slice_.shape == (1, 200, 307), "as a volume its pixels are made square"
    assert np.array_equal(reader.read(media).pixels, heart)
    assert reader.volume(str(path)).stored.shape == (230, 200, 30, 1)
    assert np.array_equal(reader.read(media, None, (4, 9)).pixels, heart[4:9]), "a part, as pack asks for it"
    later = replace(media, locator=replace(CLIP, frame_start=10, frame_stop=20).text())
    assert np.array_equal(reader.read(later, None, (4, 9)).pixels, heart[14:19])
    one = reader.facts(str(path), replace(CLIP, frame_start=2, frame_stop=3).text())
    assert (one.frames, one.fps) == (1, None)
