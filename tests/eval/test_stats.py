"""Statistics that merge, and the trap that float32 sums fall into."""

from __future__ import annotations

import numpy as np
import pytest

from eval.stats import Moments, checked


def test_pieces_of_any_size_give_the_statistics_of_the_whole() -> None:
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(301, 12)) @ rng.normal(size=(12, 12)) + 40).astype(np.float32)
    whole = Moments.of(x)
    for cuts in ([1, 2, 300], [150], [7, 100, 101, 250]):
        pieces = Moments.of_pieces(np.split(x, cuts))
        assert pieces.n == 301
        np.testing.assert_allclose(pieces.mean, whole.mean, rtol=1e-12)
        np.testing.assert_allclose(pieces.cov, whole.cov, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(whole.cov, np.cov(x.astype(np.float64).T), rtol=1e-10)


def test_a_mean_far_above_the_spread_does_not_spoil_the_covariance() -> None:
    x = (np.random.default_rng(1).normal(size=(4000, 3)) * 0.01 + 100).astype(np.float32)
    truth = np.cov(x.astype(np.float64).T)
    naive = (x.T @ x - len(x) * np.outer(x.mean(0), x.mean(0))) / (len(x) - 1)  # all in float32
    assert np.abs(naive - truth).max() > 0.5 * truth.max()  # the trap is real on these data
    ours = Moments.of_pieces(np.split(x, 8)).cov
    assert np.abs(ours - truth).max() < 1e-6 * truth.max()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_a_number_is_refused(bad: float) -> None:
    x = np.zeros((5, 2), np.float32)
    x[3, 1] = bad
    with pytest.raises(ValueError, match="1 of 5 samples hold NaN"):
        Moments.of(x)


def test_shapes_and_counts_are_refused_with_what_is_needed() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        checked(np.zeros((1, 4)))
    with pytest.raises(ValueError, match="must be a table"):
        checked(np.zeros(4))
    with pytest.raises(ValueError, match="at least 2 samples"):
        _ = Moments.of(np.zeros((1, 4))).cov
    with pytest.raises(ValueError, match="no features"):
        Moments.of_pieces([])
