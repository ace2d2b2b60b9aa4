"""Radiomics: each family of figures against what can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from eval.spaces.radiomics import Radiomics, co_occurrence, first_order, patterns


def test_first_order_figures_are_those_of_the_histogram() -> None:
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 256, (2, 40, 30))
    found = first_order(levels)
    flat = levels[0].ravel() / 255
    assert found.shape == (2, 13)
    assert found[0, :2] == pytest.approx([flat.mean(), flat.std()])
    away = (flat - flat.mean()) / flat.std()
    skew, kurtosis = (away**3).mean(), (away**4).mean()
    assert found[0, 2:4] == pytest.approx([skew / (1 + abs(skew)), kurtosis / (3 + kurtosis)])
    quantiles = np.quantile(flat, [0.05, 0.25, 0.5, 0.75, 0.95], method="inverted_cdf")
    assert found[0, 6:11] == pytest.approx(quantiles)
    assert found[0, 11] == pytest.approx(quantiles[3] - quantiles[1])
    assert found[0, 12] == pytest.approx(np.abs(flat - flat.mean()).mean())


def test_co_occurrence_counts_pairs_in_both_ways_and_four_directions() -> None:
    # two columns of 0, two of 255 (levels 0 and 15): written out by hand for distance 1
    levels = np.tile([0, 0, 255, 255], (3, 1))[None]
    # of 9 pairs to the right 3 cross; down none of 8; diagonals 2 of 6 each
    crossing = (3 / 9 + 0 / 8 + 2 / 6 + 2 / 6) / 4
    figures = co_occurrence(levels, 1)[0]
    assert figures[0] == pytest.approx(np.sqrt(crossing))  # contrast, its root over 15
    assert figures[1] == pytest.approx(crossing)
    assert figures[2] == pytest.approx(1 - crossing + crossing / (1 + 15**2))
    # symmetric about the middle, so the mean is 7.5 and the variance 7.5^2
    assert figures[5] == pytest.approx(1 - 2 * crossing)
    assert figures[6] == pytest.approx(0, abs=1e-4)  # a cube root of rounding
    constant = co_occurrence(np.full((1, 8, 8), 77), 2)[0]
    assert constant[[0, 1, 4]] == pytest.approx([0, 0, 0], abs=1e-12)
    assert constant[[2, 3, 5, 8]] == pytest.approx([1, 1, 1, 1])


def test_patterns_know_edges_from_flats_and_ignore_faint_noise() -> None:
    flat = np.full((1, 12, 12), 30)
    assert patterns(flat, 1)[0] == pytest.approx([1, *[0] * 9])
    faint = flat + np.random.default_rng(0).integers(0, 3, flat.shape)
    assert patterns(faint, 1)[0] == pytest.approx([1, *[0] * 9])
    edge = flat.copy()
    edge[:, :, 6:] = 200
    shares = patterns(edge, 1)[0] ** 2
    assert shares[3] == pytest.approx(0.1)  # the column beside the edge sees three brighter neighbours
    assert shares.sum() == pytest.approx(1)
    turned = patterns(np.rot90(edge, axes=(1, 2)), 1)[0] ** 2
    np.testing.assert_allclose(turned, shares)


def test_scale_is_fixed_so_that_a_set_never_changes_its_members(brains: NDArray[np.uint8]) -> None:
    space = Radiomics()
    alone = space.features(brains[30:31])
    black = np.concatenate([brains[30:31], np.zeros((3, 64, 64, 3), np.uint8)])
    assert np.array_equal(space.features(black)[:1], alone)
    assert np.abs(space.features(brains)).max() < 1.5
    with pytest.raises(ValueError, match="too small"):
        space.features(np.zeros((1, 7, 64, 3), np.uint8))
