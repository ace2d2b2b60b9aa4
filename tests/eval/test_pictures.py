"""Likeness of picture pairs and resizing, against other people's code."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch.nn.functional import avg_pool2d

from eval.resize import resize
from eval.ssim import LEAST_MS_SSIM_PX, SCALE_WEIGHTS, ms_ssim, psnr, ssim


def planes(pictures: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2)


def written_out(one: NDArray[np.float64], two: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Luminance and contrast-structure maps from Wang et al. 2004 with scipy's Gaussian (radius 5), rim cut off."""

    def blur(values: NDArray[np.float64]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = gaussian_filter(values, 1.5, truncate=3.5)[5:-5, 5:-5]
        return found

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    x, y = blur(one), blur(two)
    covariance = blur(one * two) - x * y
    spread = blur(one * one) - x * x + blur(two * two) - y * y
    return (2 * x * y + c1) / (x * x + y * y + c1), (2 * covariance + c2) / (spread + c2)


@pytest.mark.oracle
def test_ssim_and_psnr_are_their_formulas(brains: NDArray[np.uint8]) -> None:
    rng = np.random.default_rng(0)
    a = brains[20:24]
    b = np.clip(a + rng.normal(0, [[[[3]]], [[[10]]], [[[30]]], [[[80]]]], a.shape), 0, 255).astype(np.uint8)
    ours = ssim(planes(a), planes(b), data_range=255)
    peaks = psnr(planes(a), planes(b), data_range=255)
    for one, two, value, peak in zip(a.astype(float), b.astype(float), ours, peaks, strict=True):
        maps = [np.multiply(*written_out(one[..., channel], two[..., channel])) for channel in range(3)]
        assert float(value) == pytest.approx(np.mean(maps), abs=1e-9)
        assert float(peak) == pytest.approx(20 * np.log10(255 / np.sqrt(((one - two) ** 2).mean())), abs=1e-9)
    assert ours[0] > ours[1] > ours[2] > ours[3]


@pytest.mark.oracle
def test_ssim_equals_torchmetrics(brains: NDArray[np.uint8]) -> None:
    functional = pytest.importorskip("torchmetrics.functional.image")
    a, b = planes(brains[20:24]).double(), planes(brains[30:34]).double()
    options = {"data_range": 255.0, "reduction": "none", "return_full_image": True}
    _, everywhere = functional.structural_similarity_index_measure(a, b, **options)
    theirs = everywhere[..., 5:-5, 5:-5].mean(dim=(1, 2, 3))  # its own mean counts a rim of mirrored pixels as well
    assert torch.allclose(ssim(a, b, data_range=255), theirs, atol=1e-5)


def test_ssim_of_equal_pictures_is_one_and_the_range_matters(brains: NDArray[np.uint8]) -> None:
    a = planes(brains[:2])
    assert torch.allclose(ssim(a, a, data_range=255), torch.ones(2, dtype=torch.float64))
    assert torch.isinf(psnr(a, a, data_range=255)).all()
    other = planes(brains[2:4])
    scaled = ssim(a / 255, other / 255, data_range=1.0)
    assert torch.allclose(scaled, ssim(a, other, data_range=255), atol=1e-6)
    assert not torch.allclose(ssim(a, other, data_range=65535), scaled, atol=1e-2)
    with pytest.raises(ValueError, match="data_range"):
        ssim(a, other, data_range=0)


def test_ms_ssim_is_its_formula() -> None:
    """Contrast-structure at five halved scales, luminance at the last, weighted as exponents."""
    rng = np.random.default_rng(1)
    a = rng.uniform(0, 255, (1, 1, 192, 192))
    b = np.clip(a + rng.normal(0, 40, a.shape), 0, 255)
    x, y = torch.from_numpy(a), torch.from_numpy(b)
    value = 1.0
    for scale, weight in enumerate(SCALE_WEIGHTS):
        one, two = x[0, 0].numpy(), y[0, 0].numpy()
        luminance, structure = written_out(one, two)
        last = scale == len(SCALE_WEIGHTS) - 1
        value *= float((luminance * structure if last else structure).mean()) ** weight
        x, y = avg_pool2d(x, 2), avg_pool2d(y, 2)
    assert float(ms_ssim(torch.from_numpy(a), torch.from_numpy(b), data_range=255)) == pytest.approx(value, abs=1e-9)
    assert float(ms_ssim(torch.from_numpy(a), torch.from_numpy(a), data_range=255)) == pytest.approx(1)


def test_ms_ssim_works_from_its_limit_on_and_says_where_that_is() -> None:
    assert LEAST_MS_SSIM_PX == 176
    for side in (176, 177, 191):
        picture = torch.rand(1, 1, side, 300, generator=torch.Generator().manual_seed(0))
        assert float(ms_ssim(picture, picture, data_range=1.0)) == pytest.approx(1)
    for side in (161, 168, 175):
        small = torch.zeros(1, 1, side, 300)
        with pytest.raises(ValueError, match=f"300 x {side} px are too small: sides of 176 px"):
            ms_ssim(small, small, data_range=255)


def test_pictures_of_two_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        ssim(torch.zeros(1, 1, 20, 20), torch.zeros(1, 1, 20, 21), data_range=255)
    with pytest.raises(ValueError, match="11 px"):
        ssim(torch.zeros(1, 1, 10, 20), torch.zeros(1, 1, 10, 20), data_range=255)


@pytest.mark.oracle
@pytest.mark.parametrize(("side_px", "new_px"), [(512, 299), (299, 64), (64, 224), (100, 33)])
def test_resizing_equals_pillow_in_float(side_px: int, new_px: int) -> None:
    rng = np.random.default_rng(2)
    noise = rng.integers(0, 256, (side_px, side_px, 3), dtype=np.uint8)
    ours = resize(noise[None], new_px)[0].numpy()
    for channel in range(3):
        plane = Image.fromarray(noise[..., channel].astype(np.float32))
        theirs = np.asarray(plane.resize((new_px, new_px), Image.Resampling.BICUBIC)).clip(0, 255)
        assert np.abs(ours[channel] - theirs).max() < 1e-4


def test_shrinking_without_a_filter_would_differ_by_tens_of_grey_levels() -> None:
    rows, columns = np.mgrid[-512:512, -512:512]
    zone = (127.5 + 127.5 * np.cos((rows**2 + columns**2) / 400)).astype(np.uint8)
    picture = np.repeat(zone[..., None], 3, axis=2)[None]
    ours = resize(picture, 299)[0, 0]
    plain = torch.nn.functional.interpolate(planes(picture).float(), size=(299, 299), mode="bicubic")[0, 0]
    assert float((ours - plain).abs().mean()) > 20


def test_resizing_keeps_what_has_the_size_and_refuses_floats(brains: NDArray[np.uint8]) -> None:
    assert (resize(brains[:2], 64).permute(0, 2, 3, 1).numpy() == brains[:2]).all()
    with pytest.raises(ValueError, match="uint8"):
        resize(brains[:1].astype(np.float32), 32)  # type: ignore[arg-type]
