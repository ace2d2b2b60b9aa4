"""The Fréchet distance against closed forms, against scipy's matrix root, and where it is easily wrong."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.linalg import sqrtm

from eval.frechet import FewerSamplesThanDimensions, frechet_distance, frechet_infinity

FEW = "ignore::eval.frechet.FewerSamplesThanDimensions"


def exact(n: int, mean: NDArray[np.float64], cov: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """n samples whose sample mean and covariance are exactly these."""
    x = np.random.default_rng(seed).normal(size=(n, len(mean)))
    x -= x.mean(axis=0)
    x = x @ np.linalg.inv(np.linalg.cholesky(np.atleast_2d(np.cov(x.T)))).T
    root = np.linalg.cholesky(cov)
    made: NDArray[np.float64] = x @ root.T + mean
    return made


def test_one_dimension_has_a_closed_form() -> None:
    a = exact(400, np.array([1.0]), np.array([[4.0]]), 0)
    b = exact(300, np.array([4.0]), np.array([[0.25]]), 1)
    assert frechet_distance(a, b) == pytest.approx((1 - 4) ** 2 + (2 - 0.5) ** 2, rel=1e-10)


def test_commuting_covariances_have_a_closed_form() -> None:
    rng = np.random.default_rng(2)
    basis, _ = np.linalg.qr(rng.normal(size=(8, 8)))
    first, second = rng.uniform(0.1, 5, 8), rng.uniform(0.1, 5, 8)
    shift = rng.normal(size=8)
    a = exact(500, np.zeros(8), basis @ np.diag(first) @ basis.T, 3)
    b = exact(450, shift, basis @ np.diag(second) @ basis.T, 4)
    truth = shift @ shift + ((np.sqrt(first) - np.sqrt(second)) ** 2).sum()
    assert frechet_distance(a, b) == pytest.approx(truth, rel=1e-9)


@pytest.mark.parametrize(("n", "d"), [(60, 700), (100, 1280), (400, 30)])
@pytest.mark.filterwarnings(FEW)
def test_equal_sets_are_at_distance_zero_and_order_does_not_matter(n: int, d: int) -> None:
    rng = np.random.default_rng(5)
    a = rng.gamma(0.5, size=(n, d)).astype(np.float32)
    b = rng.gamma(0.7, size=(n + 9, d)).astype(np.float32)
    assert abs(frechet_distance(a, a)) < 1e-9
    assert abs(frechet_distance(a, a[::-1])) < 1e-9
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-12)
    assert frechet_distance(a, b) > 0


@pytest.mark.oracle
@pytest.mark.parametrize(("n", "d"), [(40, 120), (300, 64), (90, 90)])
@pytest.mark.filterwarnings(FEW, "ignore:The `disp` argument:DeprecationWarning", "ignore:Matrix is singular")
def test_eigenvalues_and_scipys_root_agree_with_it(n: int, d: int) -> None:
    rng = np.random.default_rng(6)
    spectrum = 1 / np.arange(1, d + 1)
    a = (rng.normal(size=(n, d)) * spectrum + 1).astype(np.float32)
    b = (rng.normal(size=(n, d)) * spectrum[::-1] + 0.9).astype(np.float32)
    one, two = np.cov(a.T, dtype=np.float64), np.cov(b.T, dtype=np.float64)
    apart = a.mean(axis=0, dtype=np.float64) - b.mean(axis=0, dtype=np.float64)
    rest = apart @ apart + np.trace(one) + np.trace(two)
    values, vectors = np.linalg.eigh(one)
    half = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    symmetric = np.sqrt(np.clip(np.linalg.eigvalsh(half @ two @ half), 0, None)).sum()
    ours = frechet_distance(a, b)
    assert rest - 2 * symmetric == pytest.approx(ours, rel=1e-6)
    scipys = rest - 2 * np.trace(np.asarray(sqrtm(one @ two)).real)
    assert scipys == pytest.approx(ours, rel=1e-5)


def test_it_warns_when_there_are_fewer_samples_than_dimensions_and_only_then() -> None:
    x = np.random.default_rng(7).normal(size=(30, 20))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frechet_distance(x, x + 1)
    with pytest.warns(FewerSamplesThanDimensions, match="19 samples in 20 dimensions"):
        frechet_distance(x, x[:19])


def test_it_refuses_what_has_no_distance() -> None:
    x = np.zeros((5, 3))
    with pytest.raises(ValueError, match="at least 2"):
        frechet_distance(x, x[:1])
    with pytest.raises(ValueError, match="3 and of 2 dimensions"):
        frechet_distance(x, x[:, :2])
    with pytest.raises(ValueError, match="NaN"):
        frechet_distance(x, x * np.nan)


@pytest.mark.filterwarnings(FEW)
def test_infinity_removes_most_of_the_bias_of_few_samples() -> None:
    spectrum = np.arange(1, 257) ** -0.75  # decays as those of real feature spaces do

    def drawn(n: int, seed: int, shift: float = 0.0) -> NDArray[np.float64]:
        made: NDArray[np.float64] = (
            np.random.default_rng(seed).normal(size=(n, 256)) * spectrum * (1 + 6 * shift) + shift
        )
        return made

    truth = 256 * 0.05**2 + (spectrum**2).sum() * 0.3**2
    a, b = drawn(200, 1), drawn(200, 2, 0.05)
    at_n = frechet_distance(a, b)
    found = frechet_infinity(a, b, seed=0)
    assert at_n > 1.1 * truth
    assert abs(found.value - truth) < 0.5 * abs(at_n - truth)
    assert found.slope > 0
    assert (found.sizes[0], found.sizes[-1]) == (100, 200)
    assert frechet_infinity(a, b, seed=0) == found
    with pytest.raises(ValueError, match="100 are needed"):
        frechet_infinity(a[:99], b, seed=0)


def test_a_mean_far_above_the_spread_does_not_spoil_the_distance() -> None:
    """Features are float32; sums of their products in float32 lose the covariance."""
    rng = np.random.default_rng(1)
    a, b = ((rng.normal(size=(4000, 3)) * 0.01 + 100).astype(np.float32) for _ in range(2))
    truth = np.cov(a.T, dtype=np.float64)
    naive = (a.T @ a - len(a) * np.outer(a.mean(0), a.mean(0))) / (len(a) - 1)
    assert np.abs(naive - truth).max() > 0.5 * truth.max()  # the trap is real on these data
    moved = frechet_distance(a - np.float32(100), b - np.float32(100))  # exact in float32
    assert frechet_distance(a, b) == pytest.approx(moved, rel=1e-6)
