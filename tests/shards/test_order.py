"""The order of samples: every sample once an epoch, whatever the world looks like, found without walking there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.draws import draw, permutation, pick
from shards.order import Order, Step

SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=12)


def located(order: Order, start: int, stop: int) -> list[tuple[int, int]]:
    return [order.locate(position) for position in range(start, stop)]


@settings(max_examples=120, deadline=None)
@given(sizes=SIZES, seed=st.integers(0, 2**63), window=st.integers(1, 14), epoch=st.sampled_from([0, 1, 10**9]))
def test_an_epoch_holds_every_sample_once(sizes: list[int], seed: int, window: int, epoch: int) -> None:
    order = Order(sizes, seed=seed, window_shards=window)
    total = sum(sizes)
    everything = sorted((shard, sample) for shard, size in enumerate(sizes) for sample in range(size))
    assert sorted(located(order, epoch * total, (epoch + 1) * total)) == everything


@settings(max_examples=80, deadline=None)
@given(sizes=SIZES, window=st.integers(1, 14), positions=st.lists(st.integers(0, 10**12), min_size=1, max_size=8))
def test_a_position_is_the_same_in_whatever_order_it_is_asked_for(
    sizes: list[int], window: int, positions: list[int]
) -> None:
    order = Order(sizes, seed=3, window_shards=window)
    answers = [order.locate(position) for position in positions]
    assert answers == [Order(sizes, seed=3, window_shards=window).locate(position) for position in positions]
    assert answers[::-1] == [order.locate(position) for position in positions[::-1]]


def test_seed_and_epoch_change_the_order() -> None:
    orders = [
        located(Order([30] * 10, seed=seed, window_shards=4), epoch * 300, epoch * 300 + 300)
        for seed in (0, 1)
        for epoch in (0, 1)
    ]
    assert len({tuple(order) for order in orders}) == 4


def test_reads_stay_inside_the_window_and_shards_are_not_opened_again_and_again() -> None:
    shards, window = 40, 5
    order = Order([50] * shards, seed=7, window_shards=window)
    held: list[int] = []
    openings = 0
    for position in range(order.epoch_samples):
        shard, _ = order.locate(position)
        if shard in held:
            held.remove(shard)
        else:
            openings += 1
        held = [*held[-(window + 1) :], shard]  # what the loader keeps open: two more than the window
    assert openings <= shards + window  # each shard once, and those of the window where the epoch begins and ends


def test_samples_are_mixed_across_the_window() -> None:
    order = Order([100] * 20, seed=1, window_shards=8)
    kinds = [len({shard for shard, _ in located(order, start, start + 32)}) for start in range(0, 2000, 32)]
    assert np.mean(kinds) > 6  # 32 draws from 8 shards show 7.9 of them on average
    ahead = [
        position - index for index, position in enumerate(np.argsort([s * 100 + n for s, n in located(order, 0, 2000)]))
    ]
    assert np.std(ahead) > 100


def test_far_positions_cost_no_more_than_near_ones() -> None:
    class Counting(Order):
        made = 0

        def _make(self, epoch: Any, turn: int) -> Step:
            self.made += 1
            return super()._make(epoch, turn)

    order = Counting([10] * 1000, seed=0, window_shards=8)
    order.locate(10**15 + 5)
    assert order.made == 1  # one window, of an epoch that nobody walked to


def test_this_order_is_frozen() -> None:
    """A run that is resumed with a later version must see the same samples: change this only with a new seed name."""
    order = Order([3, 4, 5], seed=42, window_shards=2)
    assert located(order, 0, 12) == FROZEN
    assert permutation(42, "samples", (0, 1), 8).tolist() == FROZEN_PERMUTATION


@pytest.mark.parametrize(("sizes", "window"), [([], 4), ([3, 0], 4), ([3], 0)])
def test_nothing_to_order_is_an_error(sizes: list[int], window: int) -> None:
    with pytest.raises(ValueError, match="at least one sample"):
        Order(sizes, seed=0, window_shards=window)


def test_draws_depend_on_seed_what_and_position_alone() -> None:
    first = draw(1, 10, "noise").standard_normal(4)
    draw(1, 11, "noise").standard_normal(1000)
    assert np.array_equal(first, draw(1, 10, "noise").standard_normal(4))
    others = [draw(2, 10, "noise"), draw(1, 11, "noise"), draw(1, 10, "crop")]
    assert all(not np.array_equal(first, other.standard_normal(4)) for other in others)


def test_neighbouring_draws_are_independent() -> None:
    values = np.array([draw(0, position, "t").random(2) for position in range(4000)])
    assert abs(values.mean() - 0.5) < 0.01
    assert abs(np.corrcoef(values[:-1, 0], values[1:, 0])[0, 1]) < 0.05
    assert abs(np.corrcoef(values[:, 0], values[:, 1])[0, 1]) < 0.05


def test_captions_are_picked_by_weight() -> None:
    counts = np.bincount([pick([3.0, 0.0, 1.0], 5, position) for position in range(4000)], minlength=3)
    assert counts[1] == 0
    assert abs(counts[0] / 4000 - 0.75) < 0.03
    assert pick([0.0, 0.0], 5, 1) == 0
    assert [pick([1.0, 1.0], 5, p) for p in range(50)] == [pick([1.0, 1.0], 5, p) for p in range(50)]
    with pytest.raises(ValueError, match="cannot choose"):
        pick([], 0, 0)
    with pytest.raises(ValueError, match="cannot choose"):
        pick([1.0, -1.0], 0, 0)


FROZEN = [(1, 2), (2, 3), (2, 2), (1, 0), (2, 1), (1, 3), (0, 0), (1, 1), (0, 2), (2, 0), (0, 1), (2, 4)]
FROZEN_PERMUTATION = [7, 6, 2, 4, 0, 5, 1, 3]
