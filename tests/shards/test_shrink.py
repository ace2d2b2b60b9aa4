"""Shrinking against the mean of each rectangle in real numbers, whatever the sizes and the processor."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shards.shrink import shrink

DIGEST = """
import ctypes, hashlib, pathlib, sys, av
import numpy as np
(library,) = pathlib.Path(av.__file__).parents[1].glob("av.libs/libavutil*")
if sys.argv[1] == "plain":
    ctypes.CDLL(str(library)).av_force_cpu_flags(0)
print(ctypes.CDLL(str(library)).av_get_cpu_flags() == 0)
from shards.shrink import shrink
pixels = np.random.default_rng(7).integers(0, 256, (733, 1021, 3), dtype=np.uint8)
found = [shrink(pixels, *size) for size in ((512, 368), (1020, 732), (40, 700), (9, 8))]
found += [shrink(np.ascontiguousarray(pixels[..., 1]), *size) for size in ((512, 368), (1020, 732), (1021, 8))]
print(hashlib.sha256(b"".join(one.tobytes() for one in found)).hexdigest())
"""


def weights(source: int, target: int) -> npt.NDArray[np.float64]:
    """[target, source]: how much of each source pixel lies in each result pixel, as a share of the latter."""
    edges = np.arange(target + 1) * (source / target)
    left = np.maximum(edges[:-1, None], np.arange(source))
    right = np.minimum(edges[1:, None], np.arange(1, source + 1))
    shares: npt.NDArray[np.float64] = np.clip(right - left, 0, None) * (target / source)
    return shares


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.tuples(st.integers(1, 220), st.integers(1, 220)).flatmap(
        lambda size: st.tuples(st.just(size), st.integers(1, size[0]), st.integers(1, size[1]))
    ),
    is_grey=st.booleans(),
    seed=st.integers(0, 99),
)
@example(sizes=((1, 5000), 1, 7), is_grey=True, seed=0)
@example(sizes=((3001, 2), 3, 2), is_grey=False, seed=0)
@example(sizes=((700, 1000), 699, 1000), is_grey=False, seed=0)
@example(sizes=((2600, 1500), 3, 1), is_grey=True, seed=0)
def test_each_pixel_is_the_mean_of_what_it_covers(
    sizes: tuple[tuple[int, int], int, int], is_grey: bool, seed: int
) -> None:
    (height, width), new_height, new_width = sizes
    draw = np.random.default_rng(seed)
    pixels = draw.integers(0, 256, (height, width) if is_grey else (height, width, 3), dtype=np.uint8)
    found = shrink(pixels, new_width, new_height)
    mean = np.einsum(
        "ah,hw...,bw->ab...", weights(height, new_height), pixels, weights(width, new_width), optimize=True
    )
    assert found.shape == mean.shape
    assert found.dtype == np.uint8
    assert np.abs(found - mean).max() <= 2  # of 255, on noise


@pytest.mark.parametrize(("source_px", "result_px"), [(2430, 2121), (8843, 4001), (16894, 8191), (1024, 1023)])
def test_the_far_edge_of_a_long_row_is_right_too(source_px: int, result_px: int) -> None:
    rows = np.random.default_rng(0).integers(0, 2, (17, source_px), dtype=np.uint8) * 255
    edges = np.arange(result_px + 1) * (source_px / result_px)
    sums = np.concatenate([[0], np.cumsum((weights(17, 9) @ rows)[4])])
    mean = np.diff(np.interp(edges, np.arange(source_px + 1), sums)) * (result_px / source_px)
    assert np.abs(shrink(rows, result_px, 9)[4] - mean).max() <= 2
    assert np.abs(shrink(np.ascontiguousarray(rows.T), 9, result_px)[:, 4] - mean).max() <= 2


def test_most_pixels_are_the_rounded_mean() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (600, 500), dtype=np.uint8)
    mean = weights(600, 512) @ pixels @ weights(500, 427).T
    assert (shrink(pixels, 427, 512) == np.round(mean)).mean() > 0.98


@pytest.mark.parametrize("value", [0, 1, 7, 128, 254, 255])
def test_an_even_area_stays_as_it_is(value: int) -> None:
    for height, width in ((333, 500), (1024, 1025), (4001, 17)):
        pixels = np.full((height, width, 3), value, np.uint8)
        for size in ((16, 16), (width - 1, height - 1), (16, height // 63), (16, height // 65)):
            assert (shrink(pixels, *size) == value).all()


def test_a_part_of_a_larger_picture_is_read_where_it_lies() -> None:
    whole = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    part = whole[20:217:1, 33:340]
    assert (shrink(part, 100, 90) == shrink(np.ascontiguousarray(part), 100, 90)).all()
    grey = whole[20:217, 33:340, 1]
    assert (shrink(grey, 100, 90) == shrink(np.ascontiguousarray(grey), 100, 90)).all()


def test_a_processor_without_vector_instructions_gives_the_same_bytes() -> None:
    found = {}
    for processor in ("plain", "this"):
        command = [sys.executable, "-c", DIGEST, processor]
        is_plain, digest = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        assert is_plain == str(processor == "plain")
        found[processor] = digest
    assert found["plain"] == found["this"]
