"""HDF5: the chosen row and nothing else, k-space as the picture it was made of, and no other file ever."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path
from typing import Any

import h5py
import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest

from shards import containers
from shards.arrays import collection_range
from shards.intake import Skip
from shards.kspace import Crop, centred_ifft, magnitude
from shards.limits import Limits
from shards.locator import Locator
from shards.manifest import Media
from shards.media import MediaReader
from shards.reasons import Reason
from shards.uri import local_path

BRAIN = "package://nilearn/datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
HEADER = """<?xml version="1.0"?><ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"><encoding>
<encodedSpace><matrixSize><x>256</x><y>240</y><z>1</z></matrixSize></encodedSpace>
<reconSpace><matrixSize><x>{}</x><y>{}</y><z>1</z></matrixSize></reconSpace></encoding></ismrmrdHeader>"""


def facts(path: Path, limits: Limits | None = None, **view: Any) -> Any:
    return MediaReader(limits).facts(str(path), Locator(**view).text())


def pixels(path: Path, **view: Any) -> npt.NDArray[np.uint8]:
    return MediaReader().read(Media(uri=str(path), kind="array", locator=Locator(**view).text())).pixels


def refused(path: Path, limits: Limits | None = None, **view: Any) -> Reason:
    with pytest.raises(Skip) as skip:
        facts(path, limits, **view)
    return skip.value.reason


@pytest.fixture(scope="module")
def brain() -> npt.NDArray[np.float64]:
    """Six axial slices [6, 256, 240] of a real head in a wider field of view, 0 to 1."""
    volume = np.asarray(nib.load(str(local_path(BRAIN))).dataobj, np.float64)[..., 60:120:10]
    framed = np.pad(volume.transpose(2, 1, 0), ((0, 0), (11, 12), (21, 22)))
    return framed / framed.max()


def to_kspace(pictures: npt.NDArray[Any], coils: int) -> npt.NDArray[np.complex64]:
    """[S, coils, H, W] as `coils` coils would see it, whose sensitivities have a root sum of squares of 1."""
    rows, columns = np.mgrid[-1 : 1 : pictures.shape[1] * 1j, -1 : 1 : pictures.shape[2] * 1j]
    angles = 2 * np.pi * np.arange(coils) / coils
    maps = np.stack([np.exp(-((rows - np.sin(a)) ** 2) - (columns - np.cos(a)) ** 2 + 1j * a) for a in angles])
    maps /= np.sqrt((abs(maps) ** 2).sum(0))
    seen = pictures[:, None] * maps
    axes = (-2, -1)
    forward = np.fft.fftn(np.fft.ifftshift(seen, axes), axes=axes, norm="ortho")
    return np.fft.fftshift(forward, axes).astype(np.complex64)


def test_rows_of_a_chunked_file(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 255, (300, 32, 24, 3), dtype=np.uint8)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("deep/x", data=values, chunks=(1, 32, 24, 3), compression="gzip")
        file["soft"] = h5py.SoftLink("deep/x")
        file["deep/near"] = h5py.SoftLink("x")
    reader = MediaReader()
    for name in ("deep/x", "/deep/x", "soft", "deep/near"):
        view = Locator(array=name, row=299).text()
        found = reader.facts(f"{tmp_path}/a.h5", view)
        assert (found.kind, found.width_px, found.height_px, found.frames) == ("array", 24, 32, 1)
        read = reader.read(Media(uri=f"{tmp_path}/a.h5", kind="array", locator=view, sha256=found.sha256))
        assert np.array_equal(read.pixels[0], values[299])
    assert reader.arrays(f"{tmp_path}/a.h5").names() == ["deep/x"]
    assert refused(tmp_path / "a.h5", array="deep/x", row=300) == Reason.BAD_ROW
    assert refused(tmp_path / "a.h5", array="deep/y", row=0) == Reason.NO_PIXELS
    assert refused(tmp_path / "a.h5", array="deep", row=0) == Reason.NO_PIXELS


def test_k_space_gives_the_picture_that_it_was_made_of(tmp_path: Path, brain: npt.NDArray[np.float64]) -> None:
    kspace = to_kspace(brain, coils=5)
    back, step = magnitude(kspace, None)
    assert back.dtype == np.float32
    assert np.abs(back - brain).max() < 1e-5
    assert "root sum of squares of 5 coils" in step
    with h5py.File(tmp_path / "multi.h5", "w") as file:
        file["kspace"] = kspace
        file["ismrmrd_header"] = HEADER.format(200, 180)
        file.attrs["acquisition"] = "AXT1"
    with h5py.File(tmp_path / "single.h5", "w") as file:
        file["kspace"] = to_kspace(brain, coils=1)[:, 0]
        file["reconstruction_rss"] = np.zeros((6, 100, 90), np.float32)
    found = facts(tmp_path / "multi.h5", array="kspace", row=2)
    assert (found.kind, found.height_px, found.width_px, found.frames) == ("kspace", 200, 180, 1)
    shown = pixels(tmp_path / "multi.h5", array="kspace", row=2, low=0, high=1)
    wanted = np.floor(brain[2, 28:228, 30:210] * 255 + 0.5)
    assert np.abs(shown[0] - wanted).max() <= 1
    assert shown.max() > 150, "a head and not a black square"
    single = pixels(tmp_path / "single.h5", array="kspace", row=2, low=0, high=1)
    assert np.abs(single[0] - np.floor(brain[2, 78:178, 75:165] * 255 + 0.5)).max() <= 1
    stack = pixels(tmp_path / "multi.h5", array="kspace", low=0, high=1)
    assert stack.shape == (6, 200, 180)
    assert np.array_equal(stack[2], shown[0])
    arrays = MediaReader().arrays(str(tmp_path / "multi.h5"))
    assert arrays.attributes(["acquisition", "none"]) == {"acquisition": "AXT1"}
    low, high = collection_range(arrays, "kspace", Limits())
    assert (low, high) == pytest.approx(np.percentile(brain[:, 28:228, 30:210], [0.5, 99.5]), abs=0.01)


def test_the_field_of_view_follows_fastmri() -> None:
    assert Crop(320, 320, "x").size_px(640, 372) == (320, 320)
    assert Crop(320, 320, "x").size_px(640, 213) == (213, 213), "narrower than the crop: a square"
    assert Crop(320, 320, "x").size_px(256, 372) == (256, 320)
    odd = np.zeros((7, 9))
    odd[3, 4] = 1
    assert np.allclose(centred_ifft(np.ones((7, 9))).real, odd * np.sqrt(63)), "the origin lies in the middle"


def test_only_the_chosen_row_is_held(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=np.ones((200, 512, 512), np.uint8), chunks=(1, 512, 512))
    tracemalloc.start()
    facts(tmp_path / "a.h5", array="x", row=150)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_no_other_file_is_opened(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.ones((4, 9, 7), np.uint8)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["outside"] = h5py.ExternalLink("/etc/passwd", "/x")
        file["beside"] = h5py.ExternalLink("other.h5", "/x")
        file["soft"] = h5py.SoftLink("/beside")
        file["group/soft"] = h5py.SoftLink("/outside/deeper")
        file["loop"] = h5py.SoftLink("/loop")
        file["ismrmrd_header"] = h5py.ExternalLink("/etc/passwd", "/x")
        file["kspace"] = np.ones((1, 9, 7), np.complex64)
        layout = h5py.VirtualLayout((4, 9, 7), np.uint8)
        layout[:] = h5py.VirtualSource("other.h5", "x", (4, 9, 7))
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("external", (4, 9, 7), np.uint8, external=[("/etc/passwd", 0, 252)])
    for name in ("outside", "beside", "soft", "group/soft", "virtual", "external", "kspace"):
        assert refused(tmp_path / "a.h5", array=name, row=0) == Reason.PATH_ESCAPES, name
    assert refused(tmp_path / "a.h5", array="loop", row=0) == Reason.CORRUPT
    names = MediaReader().arrays(str(tmp_path / "a.h5")).names()
    assert {"outside", "beside", "kspace"} <= set(names)
    assert not {"soft", "loop"} & set(names)


def test_claims_are_held_against_what_is_stored(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("rows", (10**12, 9, 7), np.uint8, chunks=(1, 9, 7))
        file.create_dataset("chunk", (10**7, 9, 7), np.uint8, chunks=(10**5, 9, 7))
        file["chunk"][0] = 7
        file["text"] = ["a", "b"]
        file["scalar"] = 3.0
        file["empty"] = np.zeros((0, 9, 7))
        file["wide"] = np.zeros((2, 300, 400), np.uint8)
    for name, reason in {"rows": Reason.TRUNCATED, "text": Reason.UNSUPPORTED_PIXELS, "scalar": Reason.NO_PIXELS,
                         "empty": Reason.CORRUPT}.items():  # fmt: skip
        assert refused(tmp_path / "a.h5", array=name, row=0) == reason, name
    assert refused(tmp_path / "a.h5", Limits(max_total_bytes=1 << 20), array="chunk", row=0) == Reason.TOO_LARGE
    assert refused(tmp_path / "a.h5", Limits(max_pixels=1000), array="wide", row=0) == Reason.TOO_LARGE


def test_a_group_that_holds_itself_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.ones((2, 9, 7), np.uint8)
        file["inside/again"] = file["/"]
    assert facts(tmp_path / "a.h5", array="inside/again/x", row=1).width_px == 7
    with pytest.raises(Skip, match="groups more than 16 deep"):
        MediaReader().arrays(str(tmp_path / "a.h5")).names()


def test_a_chunk_of_many_rows_is_inflated_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).integers(0, 255, (1024, 64, 64), dtype=np.uint8)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=values, chunks=(1024, 64, 64), compression="gzip")
    reads: list[int] = []

    class Counting(io.BytesIO):
        def readinto(self, buffer: Any) -> int:
            reads.append(len(buffer))
            return super().readinto(buffer)

    monkeypatch.setattr(containers, "open_binary", lambda uri: Counting(Path(uri).read_bytes()))
    reader = MediaReader()
    for row in range(0, 1024, 64):
        reader.facts(str(tmp_path / "a.h5"), Locator(array="x", row=row).text())
    assert sum(reads) < 2 * (tmp_path / "a.h5").stat().st_size


def test_damaged_files(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset(
            "x", data=np.random.default_rng(0).random((50, 32, 24)), chunks=(1, 32, 24), fletcher32=True
        )
    whole = (tmp_path / "a.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[: len(whole) // 2])
    assert refused(tmp_path / "cut.h5", array="x", row=49) in (Reason.CORRUPT, Reason.TRUNCATED)
    flipped = bytearray(whole)
    flipped[-3000] ^= 1
    (tmp_path / "flipped.h5").write_bytes(flipped)
    reasons = set()
    for row in range(50):
        try:
            facts(tmp_path / "flipped.h5", array="x", row=row)
        except Skip as skip:
            reasons.add(skip.reason)
    assert reasons == {Reason.CORRUPT}
