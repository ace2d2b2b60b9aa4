"""Volumes are shown in radiological convention by their affine, whatever the storage order."""

from __future__ import annotations

import gzip
import itertools
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest
from nibabel.affines import apply_affine

from shards import slices
from shards.frames import Frames
from shards.intake import Skip
from shards.limits import Limits
from shards.locator import Locator
from shards.nifti import Volume, closest_ras, read_volume, to_ras
from shards.reasons import Reason
from shards.slices import PLANES, picture_size, read_slices, slice_count, slice_position_mm, volume_percentiles

LIMITS = Limits()
ORIENTATIONS = [
    (axes, signs) for axes in itertools.permutations(range(3)) for signs in itertools.product((1, -1), repeat=3)
]
BODY = (24, 36, 30)  # mm: right-left, anterior-posterior, superior-inferior


def body_at(mm: npt.NDArray[Any]) -> npt.NDArray[np.int16]:
    """A head-sized lie: tissue 100, a marker of 200 at the RIGHT front top, one of 160 at the left back bottom."""
    x, y, z = np.moveaxis(mm, -1, 0)
    values = np.full(x.shape, 100, np.int16)
    values[(x > 6) & (y > 9) & (z > 8)] = 200
    values[(x < -6) & (y < -9) & (z < -8)] = 160
    return values


def stored_as(
    axes: tuple[int, ...], signs: tuple[int, ...], spacing: tuple[float, ...], turn: npt.NDArray[Any] | None = None
) -> bytes:
    """The body as a NIfTI file whose stored axis k runs along world axis axes[k] in direction signs[k]."""
    shape = [round(BODY[axis] / spacing[axis]) for axis in axes]
    affine = np.eye(4)
    affine[:3, :3] = 0
    for k, (axis, sign) in enumerate(zip(axes, signs, strict=True)):
        affine[axis, k] = sign * spacing[axis]
        affine[axis, 3] = -sign * spacing[axis] * (shape[k] - 1) / 2
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), -1) @ affine[:3, :3].T + affine[:3, 3]
    values = body_at(grid)
    if turn is not None:
        affine[:3] = turn @ affine[:3]
    image = nib.Nifti1Image(values, affine)
    image.set_sform(affine, 1)
    image.set_qform(affine, 1, strip_shears=False)
    return bytes(image.to_bytes())


def show(data: bytes, plane: str, mm: float) -> Frames:
    volume = read_volume(data, False, LIMITS)
    positions = [slice_position_mm(volume, plane, i) for i in range(slice_count(volume, plane))]
    index = int(np.argmin(np.abs(np.array(positions) - mm)))
    return read_slices(volume, Locator(axis=plane, slice=index, low=0, high=255), LIMITS)


def quadrant(picture: npt.NDArray[Any], value: int) -> tuple[str, str]:
    """Where the pixels close to `value` lie: (top or bottom, left or right)."""
    rows, columns = np.nonzero(np.abs(picture.astype(int) - value) < 8)
    assert rows.size, f"no pixel of {value}"
    height, width = picture.shape
    vertical = "top" if rows.max() < height / 2 else "bottom" if rows.min() >= height / 2 - 1 else "middle"
    horizontal = "left" if columns.max() < width / 2 else "right" if columns.min() >= width / 2 - 1 else "middle"
    return vertical, horizontal


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.0, 1.5, 3.0), (3.0, 1.0, 1.5)])
def test_all_48_orientations_in_all_planes(spacing: tuple[float, float, float]) -> None:
    pictures: dict[tuple[str, float], list[npt.NDArray[Any]]] = {}
    for axes, signs in ORIENTATIONS:
        data = stored_as(axes, signs, spacing)
        for plane, mm in (("axial", 13), ("coronal", 15), ("sagittal", 10)):
            frames = show(data, plane, mm)
            pictures.setdefault((plane, mm), []).append(frames.pixels[0])
            height, width = frames.pixels.shape[1:]
            extent = {"axial": (36, 24), "coronal": (30, 24), "sagittal": (30, 36)}[plane]
            assert height / width == pytest.approx(extent[0] / extent[1], rel=0.05), "not squashed"
            assert frames.spacing_mm == pytest.approx((extent[0] / height, extent[1] / width))
    for (plane, _), same in pictures.items():
        assert all(np.array_equal(picture, same[0]) for picture in same), plane
        # right is shown on the left; anterior up in axial and on the left in sagittal; superior up
        assert quadrant(same[0], 200) == ("top", "left"), plane
    data = stored_as((0, 1, 2), (1, 1, 1), spacing)
    assert quadrant(show(data, "axial", -13).pixels[0], 160) == ("bottom", "right")
    assert quadrant(show(data, "coronal", -15).pixels[0], 160) == ("bottom", "right")
    assert quadrant(show(data, "sagittal", -10).pixels[0], 160) == ("bottom", "right")


def rotation(degrees: tuple[float, float, float]) -> npt.NDArray[Any]:
    matrix = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        i, j = [k for k in range(3) if k != axis]
        step = np.eye(3)
        step[i, i] = step[j, j] = np.cos(angle)
        step[i, j], step[j, i] = -np.sin(angle), np.sin(angle)
        matrix = step @ matrix
    return matrix


def test_oblique_volumes_keep_their_side_and_turning_twice_changes_nothing() -> None:
    rng = np.random.default_rng(3)
    for axes, signs in ORIENTATIONS[::5]:
        for degrees in ((20, 10, 5), (-25, 15, 30)):
            frames = show(stored_as(axes, signs, (1.0, 1.5, 3.0), rotation(degrees)), "axial", 13)
            assert quadrant(frames.pixels[0], 200)[1] == "left"
            assert any("degrees from the patient's" in step for step in frames.steps)
    for _ in range(200):
        affine = np.eye(4)
        affine[:3, :3] = rotation(tuple(rng.uniform(-180, 180, 3))) * rng.uniform(0.3, 5, 3)
        once = to_ras(np.zeros((2, 3, 4, 1)), affine)
        assert closest_ras(once.affine) == ((0, 1, 2), (False, False, False))
        assert (np.diag(once.affine)[:3] > -1e-9).all()
    tie = np.eye(4)
    tie[:3, :3] = rotation((0, 0, 45))
    turned = to_ras(np.zeros((2, 3, 4, 1)), tie)
    assert np.allclose(to_ras(turned.stored, turned.affine).affine, turned.affine)


def test_the_world_position_of_a_voxel_is_kept() -> None:
    for axes, signs in ORIENTATIONS[::7]:
        data = stored_as(axes, signs, (1.0, 1.5, 3.0), rotation((10, 20, 5)))
        volume = read_volume(data, False, LIMITS)
        image = nib.Nifti1Image.from_bytes(data)
        stored = np.argwhere(np.asarray(image.dataobj) == 200)
        there = np.argwhere(volume.stored[..., 0] == 200)
        assert apply_affine(image.affine, stored).mean(0) == pytest.approx(
            apply_affine(volume.affine, there).mean(0), abs=1e-4
        )


def packaged(name: str) -> Path:
    return Path(nib.__file__).parent / "tests" / "data" / name


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["anatomical.nii", "example4d.nii.gz", "example_nifti2.nii.gz", "functional.nii"])
def test_values_are_those_of_nibabel(name: str) -> None:
    volume = read_volume(packaged(name).read_bytes(), name.endswith("gz"), LIMITS)
    image = nib.as_closest_canonical(nib.load(packaged(name)))
    expected = image.get_fdata()
    expected = expected.reshape((*expected.shape[:3], -1))
    assert np.allclose(volume.values(volume.stored), expected)
    assert np.allclose(volume.affine, image.affine)
    last = expected.shape[3] - 1
    low, high = volume_percentiles(volume, last)
    assert (low, high) == pytest.approx(np.percentile(expected[..., last], [0.5, 99.5]), rel=0.02, abs=2)
    frames = read_slices(volume, Locator(axis="coronal", slice=5, volume=last), LIMITS)
    assert frames.pixels.shape[1:] == picture_size(volume, "coronal")


def test_a_stack_and_its_positions() -> None:
    volume = read_volume(packaged("anatomical.nii").read_bytes(), False, LIMITS)
    frames = read_slices(volume, Locator(), LIMITS)
    assert frames.pixels.shape == (25, 41, 33)
    for plane, axis in PLANES.items():
        positions = [slice_position_mm(volume, plane, i) for i in range(slice_count(volume, plane))]
        assert np.allclose(np.diff(positions), volume.spacing_mm[axis])


def test_a_stack_may_be_thinned_and_cut_and_its_frames_are_the_slices() -> None:
    volume = read_volume(packaged("anatomical.nii").read_bytes(), False, LIMITS)
    whole = read_slices(volume, Locator(axis="axial"), LIMITS).pixels
    assert np.array_equal(
        read_slices(volume, Locator(axis="axial", frame_start=4, frame_stop=9), LIMITS).pixels, whole[4:9]
    )
    thin = read_slices(volume, Locator(axis="axial", step=5), LIMITS)
    assert np.array_equal(thin.pixels, whole[2::5])  # 25 slices, of which the middle one is 12
    assert "one slice in 5" in thin.steps
    cut = Locator(axis="axial", step=5, frame_start=1, frame_stop=3)
    assert np.array_equal(read_slices(volume, cut, LIMITS).pixels, whole[[7, 12]])
    for wrong in (replace(cut, frame_stop=6), replace(cut, frame_start=3), replace(cut, step=0)):
        with pytest.raises(Skip) as skip:
            read_slices(volume, wrong, LIMITS)
        assert skip.value.reason is Reason.BAD_ROW


def test_windows_scale_hounsfield_units() -> None:
    image = nib.Nifti1Image(np.array([-1000, 0, 40, 80, 3000], np.int16).reshape(5, 1, 1), np.eye(4))
    image.set_sform(np.eye(4), 1)
    volume = read_volume(image.to_bytes(), False, LIMITS)
    frames = read_slices(volume, Locator(window="brain"), LIMITS)
    assert frames.pixels[0, 0, ::-1].tolist() == [0, 0, 129, 255, 255]  # PS3.3 C.11.2.1.2.1: black at 0, white at 79
    assert "window brain 40/80 HU" in frames.steps


def test_rgb_not_a_number_and_constant_volumes() -> None:
    colour = np.zeros((4, 5, 6), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    colour["R"], colour["B"][3] = 50, 250
    image = nib.Nifti1Image(colour, np.diag([1, 1, 2, 1]))
    frames = read_slices(read_volume(image.to_bytes(), False, LIMITS), Locator(axis="coronal", slice=2), LIMITS)
    assert frames.pixels.shape == (1, 12, 4, 3)
    assert frames.pixels[0, :, 0].tolist() == [[50, 0, 250]] * 12  # x = 3 is the patient's right
    assert frames.pixels[0, 5, 1].tolist() == [50, 0, 0]

    odd = np.ones((4, 5, 6), np.float32)
    odd[0], odd[1], odd[2] = np.nan, np.inf, 0
    image = nib.Nifti1Image(odd, np.eye(4))
    frames = read_slices(read_volume(image.to_bytes(), False, LIMITS), Locator(slice=0), LIMITS)
    assert frames.pixels[0, 0, ::-1].tolist() == [0, 255, 0, 255]
    image = nib.Nifti1Image(np.full((4, 5, 6), 9, np.int16), np.eye(4))
    assert read_slices(read_volume(image.to_bytes(), False, LIMITS), Locator(slice=0), LIMITS).pixels.max() == 0


@pytest.mark.parametrize(
    ("code", "in_mm", "said"),
    [
        (1, 1e3, "metres to mm"),
        (2, 1.0, None),
        (3, 1e-3, "microns to mm"),
        (0, 1.0, "no unit of length in the header, taken as mm"),
        (7, 1.0, "no unit of length in the header, taken as mm"),  # no code of the format
    ],
)
def test_lengths_become_mm_by_the_unit_of_the_header(code: int, in_mm: float, said: str | None) -> None:
    affine = np.diag([2.0, 3.0, 4.0, 1.0])
    affine[:3, 3] = -1, 5, 7
    image = nib.Nifti1Image(np.zeros((3, 4, 5), np.int16), affine)
    image.header["xyzt_units"] = code | 8  # and seconds
    image.set_sform(affine, 1)
    volume = read_volume(image.to_bytes(), False, LIMITS)
    assert volume.spacing_mm == pytest.approx((2 * in_mm, 3 * in_mm, 4 * in_mm), rel=1e-5)
    assert slice_position_mm(volume, "axial", 2) == pytest.approx(15 * in_mm, rel=1e-5)
    frames = read_slices(volume, Locator(axis="coronal", slice=0), LIMITS)
    assert frames.spacing_mm == pytest.approx((2 * in_mm, 2 * in_mm), rel=1e-5)
    assert [step for step in frames.steps if "mm" in step.removeprefix("coronal at")][1:] == ([said] if said else [])


@pytest.mark.parametrize("signs", [(1, 1, 1), (1, -1, -1)])
def test_a_clip_takes_no_more_than_the_volume_and_itself(
    signs: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slices, "_SAMPLED_VOXELS", 5000)
    stored = np.zeros((251, 128, 64, 1), np.uint8, order="F")
    stored[::3] = 200
    clip_bytes = stored.nbytes  # 2 MiB; working space of one slice is 64 KiB of float64 a few times
    tracemalloc.start()
    try:
        volume = to_ras(stored, np.diag([*signs, 1.0]))
        assert volume_percentiles(volume) == (0, 200)
        assert tracemalloc.get_traced_memory()[1] < 0.2 * clip_bytes, "the sample is no copy of the volume"
        frames = read_slices(volume, Locator(axis="axial"), LIMITS)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert frames.pixels.nbytes == clip_bytes
    assert peak_bytes < 1.8 * clip_bytes


def refused(data: bytes, compressed: bool = False, limits: Limits = LIMITS) -> Reason:
    with pytest.raises(Skip) as skip:
        read_volume(data, compressed, limits)
    return skip.value.reason


def test_an_unstated_or_contradictory_orientation_is_refused() -> None:
    image = nib.Nifti1Image(np.zeros((3, 4, 5), np.int16), np.eye(4))
    image.header["qform_code"] = image.header["sform_code"] = 0
    raw = bytearray(image.to_bytes())
    raw[252:256] = bytes(4)  # qform_code, sform_code
    assert refused(bytes(raw)) == Reason.NO_ORIENTATION
    image.set_sform(np.eye(4), 1)
    image.set_qform(np.diag([-1, 1, 1, 1]), 1)
    assert refused(image.to_bytes()) == Reason.NO_ORIENTATION
    image.set_sform(np.diag([1, 1, 0, 1]), 1)
    assert refused(image.to_bytes()) == Reason.CORRUPT


def test_limits_lies_and_bombs() -> None:
    image = nib.Nifti1Image(np.zeros((64, 64, 64), np.int16), np.eye(4))
    plain = image.to_bytes()
    packed = gzip.compress(plain, mtime=0)
    assert isinstance(read_volume(packed, True, LIMITS), Volume)
    assert refused(packed, True, Limits(max_total_bytes=1 << 18)) == Reason.TOO_LARGE
    assert refused(plain[:-1]) == Reason.TRUNCATED
    assert refused(packed[: len(packed) // 2], True) in (Reason.TRUNCATED, Reason.CORRUPT)
    flipped = bytearray(packed)
    flipped[-6] ^= 1  # the checksum
    assert refused(bytes(flipped), True) == Reason.CORRUPT
    lying = bytearray(plain)
    lying[40:56] = np.array([4, 30000, 30000, 30000, 30000, 1, 1, 1], "<i2").tobytes()
    assert refused(bytes(lying)) == Reason.TOO_LARGE
    bomb = gzip.compress(plain + bytes(1 << 28), compresslevel=1, mtime=0)
    assert read_volume(bomb, True, LIMITS).size_bytes == 64**3 * 2  # what lies behind the voxels is never inflated
    volume = read_volume(plain, False, LIMITS)
    for view in (Locator(slice=64), Locator(axis="oblique"), Locator(volume=1), Locator(window="header")):
        with pytest.raises(Skip) as skip:
            read_slices(volume, view, LIMITS)
        assert skip.value.reason == Reason.BAD_ROW
