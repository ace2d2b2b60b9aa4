"""Intervals: half-samples have the right spread, groups count as groups, Wilson's limits are the published ones."""

from __future__ import annotations

import math

import numpy as np
import pytest

import eval.intervals as intervals
from eval.frechet import frechet_distance
from eval.intervals import grouped_share, half_sample_interval, half_samples, jackknife_mean, wilson


def test_half_samples_are_drawn_without_replacement_and_repeatably() -> None:
    drawn = list(half_samples(range(11), 20, np.random.default_rng(0)))
    assert all(len(places) == 5 == len(set(places.tolist())) for places in drawn)
    assert len({tuple(sorted(places.tolist())) for places in drawn}) > 10
    again = list(half_samples(range(11), 20, np.random.default_rng(0)))
    assert all((one == two).all() for one, two in zip(drawn, again, strict=True))


def test_half_samples_take_whole_groups_and_cut_one_at_most() -> None:
    groups = np.repeat(np.arange(12), [1, 2, 3, 4, 5, 6] * 2)
    for places in half_samples(groups.tolist(), 50, np.random.default_rng(0)):
        assert len(places) == 21 == len(set(places.tolist()))
        names, taken = np.unique(groups[places], return_counts=True)
        assert (taken < np.bincount(groups)[names]).sum() <= 1


def test_the_spread_of_half_samples_is_that_of_repeating_the_study() -> None:
    rng = np.random.default_rng(1)

    def statistic(a: np.ndarray, b: np.ndarray) -> float:
        return float(a.mean() - b.mean())

    widths, hits = [], 0
    for trial in range(150):
        a, b = rng.normal(size=(40, 1)), rng.normal(size=(60, 1))
        found = half_sample_interval(statistic, a, b, groups=(range(40), range(60)), seed=trial, draws=60)
        widths.append(found.high - found.low)
        hits += found.low <= 0 <= found.high
    expected = 2 * 1.96 * math.sqrt(1 / 40 + 1 / 60)
    assert np.mean(widths) == pytest.approx(expected, rel=0.12)
    assert hits / 150 > 0.85


def test_slices_of_one_patient_do_not_narrow_the_interval() -> None:
    """20 patients with 10 equal slices each know what 20 slices know."""
    rng = np.random.default_rng(4)
    one = rng.normal(size=(20, 1))
    many, groups = np.repeat(one, 10, axis=0), np.repeat(np.arange(20), 10).tolist()

    def statistic(a: np.ndarray, b: np.ndarray) -> float:
        return float(a.mean() - b.mean())

    def width(a: np.ndarray, names: list[int]) -> float:
        return _width(half_sample_interval(statistic, a, a, groups=(names, names), seed=0, draws=400))

    alone = width(one, list(range(20)))
    assert width(many, groups) == pytest.approx(alone, rel=0.25)
    assert width(many, list(range(200))) < 0.5 * alone


@pytest.mark.filterwarnings("ignore::eval.frechet.FewerSamplesThanDimensions")
def test_the_interval_of_a_distance_holds_its_estimate() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(80, 300)), rng.normal(size=(80, 300)) + 0.1
    found = half_sample_interval(frechet_distance, a, b, groups=(range(80), range(80)), seed=0, draws=20)
    assert found.low < found.value < found.high
    with pytest.raises(ValueError, match="7 groups are too few for an interval: 8 a side"):
        half_sample_interval(frechet_distance, a, b, groups=([place % 7 for place in range(80)], range(80)), seed=0)


def test_a_group_counts_once_however_many_pictures_it_has() -> None:
    values, groups = [0.0, 1.0], ["a", "b"]
    alone = jackknife_mean(values, groups)
    many = jackknife_mean(values * 50, groups * 50)
    assert many.high - many.low == pytest.approx(alone.high - alone.low)
    assert many.high - many.low > 5 * _width(jackknife_mean(values * 50, list(range(100))))


def test_the_jackknife_of_single_samples_is_the_standard_error() -> None:
    values = np.random.default_rng(3).normal(size=30)
    found = jackknife_mean(values.tolist(), list(range(30)))
    assert _width(found) == pytest.approx(2 * 1.959964 * values.std(ddof=1) / math.sqrt(30), rel=1e-5)
    assert math.isnan(jackknife_mean([1.0, 2.0], ["one", "one"]).low)
    with pytest.raises(ValueError, match="one group for each value"):
        jackknife_mean([1.0], [])


def test_a_share_counts_what_is_independent() -> None:
    hits = np.random.default_rng(5).random(60) < 0.7
    alone = grouped_share(hits, range(60))
    plain = wilson(int(hits.sum()), 60)
    assert (alone.low, alone.high) == pytest.approx((plain.low, plain.high), abs=0.005)
    # three seeds that answered alike for each prompt are 60 answers and not 180
    thrice = grouped_share(np.tile(hits, 3), list(range(60)) * 3)
    assert (thrice.low, thrice.high) == pytest.approx((alone.low, alone.high), abs=0.005)
    naive = wilson(3 * int(hits.sum()), 180)
    assert _width(thrice) > 1.6 * _width(naive)
    # all are hits: each of nine groups counts once, however many pictures it has
    assert grouped_share([True] * 90, list(range(9)) * 10).low == pytest.approx(wilson(9, 9).low)
    assert grouped_share([False] * 90, list(range(9)) * 10).high == pytest.approx(wilson(0, 9).high)
    # groups that agree better than chance are still no more than their pictures
    assert grouped_share([True, False] * 20, [place // 2 for place in range(40)]) == wilson(20, 40)
    one = grouped_share([True, False], ["a", "a"])
    assert one.value == 0.5
    assert math.isnan(one.low)
    assert math.isnan(one.high)
    with pytest.raises(ValueError, match="one group for each value"):
        grouped_share([True], [])


def test_wilson_matches_published_limits() -> None:
    # Newcombe 1998 (Statistics in Medicine 17, table I), method 3
    for successes, n, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)):
        found = wilson(successes, n)
        assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)
    assert wilson(29, 29).low == pytest.approx(0.8830, abs=5e-5)
    with pytest.raises(ValueError, match="at least one trial"):
        wilson(0, 0)


def _width(found: intervals.Interval) -> float:
    return found.high - found.low
