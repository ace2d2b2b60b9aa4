"""KID and CMMD: unbiased, right against a written-out sum, and with a test whose level is its level."""

from __future__ import annotations

import numpy as np
import pytest

from eval.kernel import cmmd, gaussian, kid, mmd2, permutation_p, polynomial


def test_it_is_the_u_statistic_written_out() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(7, 3)), rng.normal(size=(5, 3)) + 0.5

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / 3 + 1) ** 3)

    own_x = sum(k(x[i], x[j]) for i in range(7) for j in range(7) if i != j) / (7 * 6)
    own_y = sum(k(y[i], y[j]) for i in range(5) for j in range(5) if i != j) / (5 * 4)
    between = sum(k(a, b) for a in x for b in y) / 35
    assert mmd2(x, y) == pytest.approx(own_x + own_y - 2 * between)
    assert kid(x, y, seed=0).value == pytest.approx(mmd2(x, y))


def test_it_has_no_bias_at_small_n_and_its_error_is_that_of_repetition() -> None:
    rng = np.random.default_rng(1)
    found = [kid(rng.normal(size=(20, 6)), rng.normal(size=(20, 6)), seed=i) for i in range(300)]
    values = np.array([each.value for each in found])
    assert abs(values.mean()) < 4 * values.std() / np.sqrt(len(values))
    assert values.min() < 0  # an unbiased estimate of 0 falls below it
    stated = np.mean([each.error for each in found])
    # half-samples overstate the error of a degenerate statistic (its terms fall as 1/n): never below the truth
    assert 0.8 * values.std() < stated < 3 * values.std()


def test_a_constant_apart_is_seen_by_the_gaussian_kernel_at_its_width() -> None:
    x = np.zeros((4, 2))
    y = np.tile([3.0, 4.0], (4, 1))
    assert mmd2(x, y, gaussian(5.0)) == pytest.approx(2 - 2 * np.exp(-0.5))


def test_cmmd_sees_directions_only() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(30, 8)), rng.normal(size=(30, 8)) + 1
    assert cmmd(x * 100, y * 0.01, seed=0).value == pytest.approx(cmmd(x, y, seed=0).value)
    unit = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in (x, y)]
    assert cmmd(x, y, seed=0).value == pytest.approx(1000 * mmd2(*unit, gaussian(10.0)))


def test_large_sets_are_measured_on_subsets_without_replacement() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2100, 2)), rng.normal(size=(2100, 2)) + 0.5
    assert kid(x, y, seed=0, draws=3).value == pytest.approx(mmd2(x, y), rel=0.1)


def test_permutation_p_is_about_uniform_under_no_difference_and_small_under_one() -> None:
    rng = np.random.default_rng(4)
    ps = np.array(
        [permutation_p(rng.normal(size=(15, 3)), rng.normal(size=(12, 3)), seed=i, permutations=99) for i in range(200)]
    )
    assert abs(ps.mean() - 0.505) < 0.08
    for level in (0.1, 0.5, 0.9):
        assert abs((ps <= level).mean() - level) < 0.12
    assert ps.min() >= 0.01
    x = rng.normal(size=(15, 3))
    assert permutation_p(x, x + 3, seed=0, permutations=99) == 0.01
    assert permutation_p(x, x, seed=0, permutations=99) > 0.9


def test_the_permuted_statistic_is_the_statistic() -> None:
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(9, 2)), rng.normal(size=(6, 2))
    pooled = np.concatenate([x, y])
    order = np.random.default_rng(0)
    values = []
    for _ in range(19):
        places = order.permutation(15)
        values.append(mmd2(pooled[places[:9]], pooled[places[9:]], polynomial))
    expected = (1 + sum(v >= mmd2(x, y) for v in values)) / 20
    assert permutation_p(x, y, seed=0, permutations=19) == pytest.approx(expected)


def test_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        mmd2(np.full((3, 2), np.nan), np.zeros((3, 2)))
