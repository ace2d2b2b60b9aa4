"""The reader over all kinds: hash, cache, locators, and that facts and pixels agree."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import fsspec
import nibabel as nib
import numpy as np
import pydicom
import pytest
from PIL import Image

from shards import media, slices
from shards.dicom_header import read_header
from shards.intake import Skip
from shards.limits import Limits
from shards.locator import Locator
from shards.manifest import Media
from shards.media import MediaReader
from shards.reasons import Reason
from shards.windows import WINDOWS, check_window

DICOM = "package://pydicom/data/test_files/"
NIFTI = f"{Path(nib.__file__).parent}/tests/data/"


@pytest.fixture
def png(tmp_path: Path) -> Path:
    path = tmp_path / "picture.dcm"  # the name lies, and is not looked at
    Image.fromarray(np.arange(600, dtype=np.uint8).reshape(20, 30)).save(path, "PNG")
    return path


def refused(call: Any, *args: Any) -> Reason:
    with pytest.raises(Skip) as skip:
        call(*args)
    return skip.value.reason


@pytest.mark.parametrize(
    ("uri", "kind", "locator"),
    [
        (f"{DICOM}CT_small.dcm", "dicom", ""),
        (f"{DICOM}CT_small.dcm", "dicom", Locator(window="lung").text()),
        (f"{DICOM}examples_ybr_color.dcm", "dicom", Locator(frame_start=4, frame_stop=9).text()),
        (f"{DICOM}examples_palette.dcm", "dicom", ""),
        (f"{DICOM}image_dfl.dcm", "dicom", ""),
        (f"{NIFTI}example4d.nii.gz", "nifti", Locator(axis="coronal", slice=3, volume=1).text()),
        (f"{NIFTI}functional.nii", "nifti", Locator(axis="sagittal").text()),
        (f"{NIFTI}anatomical.nii", "nifti", ""),
    ],
)
def test_facts_are_those_of_the_pixels(uri: str, kind: str, locator: str) -> None:
    facts = MediaReader().facts(uri, locator)
    reader = MediaReader()
    frames = reader.read(Media(uri=uri, kind=kind, locator=locator, sha256=facts.sha256))
    assert (facts.frames, facts.height_px, facts.width_px) == frames.pixels.shape[:3]
    assert facts.kind == kind
    assert facts.fps == frames.fps
    assert frames.steps
    assert facts == reader.facts(uri, locator), "from the cache"


def test_an_image_and_its_hash(png: Path) -> None:
    reader = MediaReader()
    facts = reader.facts(str(png))
    assert facts.sha256 == hashlib.sha256(png.read_bytes()).hexdigest()
    assert (facts.kind, facts.width_px, facts.height_px, facts.frames, facts.fps) == ("image", 30, 20, 1, None)
    media = Media(uri=str(png), kind="image", sha256=facts.sha256)
    assert reader.read(media).pixels.shape == (1, 20, 30)
    damaged = bytearray(png.read_bytes())
    damaged[-30] ^= 1
    png.write_bytes(damaged)
    assert refused(reader.read, media) == Reason.MEDIA_CHANGED


def test_a_changed_volume_is_not_served_from_the_cache(tmp_path: Path) -> None:
    path = tmp_path / "volume"
    reader = MediaReader()
    for value in (50, 90):
        image = nib.Nifti1Image(np.full((4, 5, 6), value, np.int16), np.eye(4))
        path.write_bytes(image.to_bytes())
        os.utime(path, ns=(value, value))
        view = Locator(slice=0, low=0, high=255).text()
        assert reader.read(Media(uri=str(path), kind="nifti", locator=view)).pixels.max() == value


def test_the_cache_is_bounded_and_keeps_what_was_used_last(tmp_path: Path) -> None:
    one = 40 * 40 * 40 * 2
    reader = MediaReader(cache_bytes=3 * one)
    for i in range(6):
        nib.Nifti1Image(np.full((40, 40, 40), i, np.int16), np.eye(4)).to_filename(tmp_path / f"{i}.nii")
    for i in (0, 1, 2, 0, 3, 4, 0, 5):
        reader.volume(str(tmp_path / f"{i}.nii"))
        assert reader._held_bytes <= 3 * one
    held = {Path(uri).stem for uri, _ in reader._cache}
    assert held == {"0", "4", "5"}
    first = reader.volume(str(tmp_path / "5.nii"))
    assert reader.volume(str(tmp_path / "5.nii")) is first


def test_what_is_larger_than_the_cache_is_read_once_and_not_for_every_slice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        nib.Nifti1Image(np.arange(8000, dtype=np.int16).reshape(20, 20, 20), np.eye(4)).to_filename(
            tmp_path / f"{name}.nii"
        )
    reads: list[str] = []
    opening = media._OPENERS["nifti"]
    reader = MediaReader(cache_bytes=100)

    def open_it(*args: Any) -> Any:
        reads.append("file")
        assert not reader._cache, "two of them would take twice the memory"
        return opening(*args)

    monkeypatch.setitem(media._OPENERS, "nifti", open_it)
    worked_out = slices.volume_percentiles
    monkeypatch.setattr(slices, "volume_percentiles", lambda *args: reads.append("percentiles") or worked_out(*args))
    for name in ("a", "b"):
        for index in range(20):
            reader.read(Media(uri=str(tmp_path / f"{name}.nii"), kind="nifti", locator=Locator(slice=index).text()))
    assert reads == ["file", "percentiles"] * 2
    assert [Path(uri).stem for uri, _ in reader._cache] == ["b"]


def test_remote_and_missing_files(png: Path, tmp_path: Path) -> None:
    with fsspec.open("memory://media/x", "wb") as stream:
        stream.write(png.read_bytes())
    reader = MediaReader()
    assert reader.read(Media(uri="memory://media/x", kind="image")).pixels.shape == (1, 20, 30)
    assert reader.facts(f"file://{png}").width_px == 30
    assert refused(reader.facts, "memory://media/none") == Reason.MISSING_FILE
    assert refused(reader.facts, str(tmp_path / "none")) == Reason.MISSING_FILE
    (tmp_path / "folder").mkdir()
    assert refused(reader.facts, str(tmp_path / "folder")) == Reason.NO_PIXELS
    assert refused(reader.facts, f"{DICOM}README.txt") == Reason.NOT_RECOGNISED
    empty = tmp_path / "empty"
    empty.write_bytes(b"")
    assert refused(reader.facts, str(empty)) == Reason.NOT_RECOGNISED
    with pytest.raises(ModuleNotFoundError):
        reader.facts("package://no_such_package/x")


def test_locators_that_cannot_be_read(png: Path) -> None:
    reader = MediaReader()
    for locator in ('{"member":"a"}', '{"byte_start":3}', '{"unheard":1}', "no json"):
        assert refused(reader.read, Media(uri=str(png), kind="image", locator=locator)) == Reason.BAD_ROW


def test_file_limits(png: Path) -> None:
    size_bytes = png.stat().st_size
    assert refused(MediaReader(Limits(max_file_bytes=size_bytes - 1)).facts, str(png)) == Reason.TOO_LARGE
    with pytest.raises(ValueError, match="max_pixels"):
        Limits(max_pixels=0)


def test_series_percentiles_over_files() -> None:
    reader = MediaReader()
    names = ["4467", "4528", "4558", "4588"]
    uris = [f"{DICOM}dicomdirtests/98892003/MR700/{name}" for name in names]
    low, high = reader.series_percentiles(uris)
    root = Path(pydicom.__file__).parent / "data/test_files/dicomdirtests/98892003/MR700"
    values = np.concatenate([pydicom.dcmread(root / name).pixel_array.ravel() for name in names])
    assert (low, high) == pytest.approx(np.percentile(values, [0.5, 99.5]), abs=8)
    assert reader.read(Media(uri=uris[0], kind="dicom", locator=Locator(low=low, high=high).text())).pixels.any()


def test_windows_are_named() -> None:
    assert set(WINDOWS) == {"brain", "subdural", "bone", "lung", "mediastinum", "abdomen"}
    assert all(window.width_hu > 0 and window.wording and window.source for window in WINDOWS.values())
    with pytest.raises(ValueError, match="unknown window 'bones': use one of brain"):
        check_window("bones")


def test_importing_the_reader_imports_no_decoder() -> None:
    code = (
        "import sys, shards.media, shards.windows, shards.dicom_header\n"
        "heavy = {'pydicom', 'nibabel', 'av', 'cv2', 'PIL', 'torch'} & set(sys.modules)\n"
        "sys.exit(repr(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_nothing_of_a_patient_is_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Values that pydicom would quote in a warning or a log line."""
    raw = (Path(pydicom.__file__).parent / "data/test_files/CT_small.dcm").read_bytes()
    uid = b"1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322"
    assert uid in raw
    path = tmp_path / "x"
    path.write_bytes(raw.replace(uid, b"Zmith^Jane" * 4 + b"Zmith^J"))  # pydicom quotes a UID that is none
    read_header(str(path))
    said = ""
    try:
        said = str(MediaReader().read(Media(uri=str(path), kind="dicom")).steps)
    except Skip as skip:
        said = str(skip)
    printed = capfd.readouterr()
    assert "mith" not in said + printed.out + printed.err + caplog.text
