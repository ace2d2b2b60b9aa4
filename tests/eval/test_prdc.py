"""Precision, recall, density, coverage and the neighbours under them."""

from __future__ import annotations

import numpy as np
import pytest

from eval import neighbours
from eval.neighbours import nearest, nearest_other, radius
from eval.prdc import prdc


def modes(rng: np.random.Generator, centres: list[float], each: int) -> np.ndarray:
    return np.concatenate([rng.normal(size=(each, 2)) + centre for centre in centres])


def test_leaving_modes_out_lowers_recall_and_coverage_only() -> None:
    rng = np.random.default_rng(0)
    real = modes(rng, [0.0, 30.0, 60.0], 100)
    full = prdc(real, modes(rng, [0.0, 30.0, 60.0], 100))
    dropped = prdc(real, modes(rng, [0.0], 300))
    assert min(full.precision, full.recall, full.coverage) > 0.9
    assert dropped.precision > 0.9
    assert dropped.recall < 0.4
    assert dropped.coverage < 0.4
    assert dropped.density == pytest.approx(full.density, abs=0.2)


def test_adding_noise_lowers_precision_and_density_only() -> None:
    rng = np.random.default_rng(1)
    real = modes(rng, [0.0, 30.0], 100)
    noisy = np.concatenate([modes(rng, [0.0, 30.0], 100), rng.uniform(1000, 2000, (200, 2))])
    found = prdc(real, noisy)
    assert found.precision == pytest.approx(0.5, abs=0.06)
    assert found.recall > 0.9
    assert found.coverage > 0.9


def test_equal_sets_score_full_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    real, other = rng.normal(size=(57, 5)), rng.normal(size=(43, 5))
    whole = prdc(real, other)
    monkeypatch.setattr(neighbours, "BLOCK_ENTRIES", 100)  # blocks of one or two rows
    assert prdc(real, other) == whole
    same = prdc(real, real)
    assert same.precision == same.recall == same.coverage == 1
    with pytest.raises(ValueError, match="smaller k"):
        prdc(real[:5], other)


def test_neighbours_match_brute_force() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(30, 4)) + 100, rng.normal(size=(40, 4)) + 100
    table = np.linalg.norm(a[:, None] - b[None], axis=2)
    found = nearest(a, b)
    assert (found.place == table.argmin(axis=1)).all()
    np.testing.assert_allclose(found.distance, table.min(axis=1), rtol=1e-9)
    own = np.linalg.norm(b[:, None] - b[None], axis=2)
    np.fill_diagonal(own, np.inf)
    np.testing.assert_allclose(nearest_other(b).distance, own.min(axis=1), rtol=1e-9)
    np.testing.assert_allclose(radius(b, 3), np.sort(own, axis=1)[:, 2], rtol=1e-9)


def test_an_exact_copy_is_at_distance_zero_even_far_from_the_origin() -> None:
    rng = np.random.default_rng(4)
    train = (rng.normal(size=(50, 1280)) + 1e3).astype(np.float32)
    assert (nearest(train[[7, 3]], train).distance == 0).all()
    assert nearest(train[[7, 3]], train).place.tolist() == [7, 3]
