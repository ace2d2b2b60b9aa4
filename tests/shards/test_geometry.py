"""Geometry: exact sizes, fixed rules for odd remainders, nothing flipped, nothing lost where nothing may be."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shards import geometry
from shards.presets import parse

SIDES = st.integers(1, 400)


def ramp(width: int, height: int, frames: int = 1, colour: bool = False) -> np.ndarray:
    """Brightness grows to the right and, less, to the bottom: a flip or a turn would show."""
    across, down = np.linspace(40, 200, width)[None, :], np.linspace(0, 50, height)[:, None]
    frame = (across + down).astype(np.uint8)
    stack = np.repeat(frame[None], frames, axis=0)
    return np.repeat(stack[..., None], 3, axis=3) if colour else stack


def inside(pixels: np.ndarray) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of what is not black."""
    rows, columns = np.nonzero(pixels.reshape(*pixels.shape[1:3], -1).max(axis=2))
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


@settings(max_examples=150, deadline=None)
@given(width=SIDES, height=SIDES, colour=st.booleans())
def test_square_fits_the_longer_side_and_pads_the_rest(width: int, height: int, colour: bool) -> None:
    out, steps = parse("square-64").apply(ramp(width, height, colour=colour), None)
    assert out.shape == (1, 64, 64, 3) if colour else (1, 64, 64)
    assert out.dtype == np.uint8
    left, top, right, bottom = inside(out)
    short = max(1, (2 * 64 * min(width, height) + max(width, height)) // (2 * max(width, height)))
    expected = (64, short) if width >= height else (short, 64)
    assert (right - left, bottom - top) == expected
    assert (left, top) == ((64 - expected[0]) // 2, (64 - expected[1]) // 2)  # the odd pixel is right or below
    assert steps[0] == f"fit into 64x64: {width}x{height} to {expected[0]}x{expected[1]}"
    assert len(steps) == (2 if short < 64 else 1)


@pytest.mark.parametrize(("width", "height"), [(300, 200), (200, 300), (31, 17), (2000, 900)])
def test_nothing_is_flipped_or_turned(width: int, height: int) -> None:
    for name in ("square-64", "medisyn-64", "clip-2x64x96", "medisyn-clip-2x64x96"):
        preset = parse(name)
        out, _ = preset.apply(ramp(width, height, preset.frames), None)
        left, top, right, bottom = inside(out[:1])
        picture = out[0, top:bottom, left:right].astype(float)
        assert (np.diff(picture.mean(axis=0)) > -1).all()
        assert picture[:, -1].mean() > picture[:, 0].mean() + 20
        assert picture[-1].mean() > picture[0].mean() + 10


def test_medisyn_1024_is_that_of_the_paper() -> None:
    """Longer side to 1,152, black to a square, centre crop of 1,024: 64 pixels are lost on every side."""
    out, steps = parse("medisyn-1024").apply(ramp(2000, 1500), None)
    assert out.shape == (1, 1024, 1024)
    assert steps == (
        "fit into 1152x1152: 2000x1500 to 1152x864",
        "pad black: left 0, top 144, right 0, bottom 144",
        "crop: left 64, top 64, right 64, bottom 64",
    )
    whole = geometry.resize(ramp(2000, 1500), 1152, 864)
    padded = np.zeros((1, 1152, 1152), np.uint8)
    padded[:, 144:1008] = whole
    assert np.array_equal(out, padded[:, 64:1088, 64:1088])
    small, _ = parse("medisyn-64").apply(ramp(500, 500), None)
    assert np.array_equal(small, geometry.resize(ramp(500, 500), 72, 72)[:, 4:68, 4:68])


def test_medisyn_clip_is_that_of_the_paper() -> None:
    """Height 256, width cropped or padded to 448, 32 frames, black ones at the end."""
    preset = parse("medisyn-clip")
    wide, steps = preset.apply(ramp(1000, 400, 32, colour=True), None)
    assert wide.shape == (32, 256, 448, 3)
    assert steps == ("height to 256: 1000x400 to 640x256", "crop: left 96, top 0, right 96, bottom 0")
    assert np.array_equal(wide, geometry.resize(ramp(1000, 400, 32, colour=True), 640, 256)[:, :, 96:544])
    narrow, steps = preset.apply(ramp(321, 256, 20), None)
    assert steps == (
        "height to 256: 321x256 to 321x256",
        "pad black: left 63, top 0, right 64, bottom 0",
        "append 12 black frames",
    )
    assert narrow[:20, :, 63:384].min() > 0
    assert narrow[20:].max() == narrow[:, :, :63].max() == narrow[:, :, 384:].max() == 0


@pytest.mark.parametrize(
    ("spacing", "size", "words"),
    [
        ((1.0, 0.5), (64, 64), "square pixels from 1 mm rows and 0.5 mm columns: 100x50 to 100x100"),
        ((0.5, 1.0), (64, 16), "square pixels from 0.5 mm rows and 1 mm columns: 100x50 to 200x50"),
        ((0.7, 0.7), (64, 32), None),
        ((0.7, 0.70001), (64, 32), None),
        (None, (64, 32), None),
    ],
)
def test_pixels_become_square_and_it_is_recorded(
    spacing: tuple[float, float] | None, size: tuple[int, int], words: str | None
) -> None:
    out, steps = parse("square-64").apply(ramp(100, 50), spacing)
    left, top, right, bottom = inside(out)
    assert (right - left, bottom - top) == size
    assert [step for step in steps if step.startswith("square")] == ([words] if words else [])


@pytest.mark.parametrize("spacing", [(0.0, 1.0), (float("nan"), 1.0), (1.0, float("inf")), (-1.0, 1.0)])
def test_a_spacing_that_is_none_is_recorded_and_not_used(spacing: tuple[float, float]) -> None:
    out, steps = parse("square-64").apply(ramp(100, 50), spacing)
    assert inside(out) == (0, 16, 64, 48)
    assert "is no spacing: pixels taken as square" in steps[0]


def test_shrinking_has_no_aliases() -> None:
    stripes = np.tile(np.array([0, 255], np.uint8), 512)[None, None].repeat(1024, axis=1)
    small, _ = parse("square-128").apply(stripes, None)
    assert abs(small.astype(int) - 127).max() <= 1


def test_one_axis_may_shrink_while_the_other_grows() -> None:
    out = geometry.resize(ramp(200, 20), 100, 40)
    assert out.shape == (1, 40, 100)
    assert (np.diff(out[0].astype(int), axis=1) >= 0).all()


@pytest.mark.parametrize("shape", [(1, 65535), (65535, 1), (1, 1), (2, 3)])
def test_extreme_shapes_come_out_in_size(shape: tuple[int, int]) -> None:
    for name in ("square-64", "medisyn-64", "clip-2x64x96", "medisyn-clip-2x64x96"):
        preset = parse(name)
        out, _ = preset.apply(np.full((1, *shape), 255, np.uint8), None)
        assert out.shape == (preset.frames, preset.height_px, preset.width_px)
        assert out.max() > 0


def test_a_long_strip_does_not_grow_without_bound() -> None:
    tracemalloc.start()
    out, steps = parse("medisyn-clip").apply(np.full((1, 1, 65535), 255, np.uint8), None)
    most_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert out[0].min() == 255
    assert steps[0] == "crop: left 32759, top 0, right 32760, bottom 0"
    assert most_bytes < 50 << 20


def test_the_choice_of_frames_depends_on_seed_and_key_alone_and_reaches_all() -> None:
    preset = parse("medisyn-clip")
    starts = {key: preset.chosen(100, 3, f"key-{key}") for key in range(2000)}
    assert starts == {key: preset.chosen(100, 3, f"key-{key}") for key in range(2000)}
    assert {stop - first for first, stop in starts.values()} == {32}
    counts = np.bincount([first for first, _ in starts.values()], minlength=69)
    assert len(counts) == 69  # 0 to 68
    assert counts.min() > 5
    assert preset.chosen(100, 4, "key-0") != preset.chosen(100, 3, "key-0")
    assert preset.chosen(32, 3, "x") == (0, 32)
    assert preset.chosen(5, 3, "x") == (0, 5)
    assert preset.chosen(100, 3, "frozen") == (4, 36)


def test_cropping_more_than_there_is_and_padding_to_less_are_errors() -> None:
    with pytest.raises(ValueError, match="pad it"):
        geometry.crop(ramp(10, 10), 11, 10)
    with pytest.raises(ValueError, match="crop it"):
        geometry.pad(ramp(10, 10), 9, 10)
