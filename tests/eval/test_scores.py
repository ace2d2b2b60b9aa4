"""The verdict over rows, and what a thorough score adds."""

from __future__ import annotations

import numpy as np
import pytest

from eval.describe import Described
from eval.frechet import frechet_infinity
from eval.record import Row, Score, Verdict
from eval.scores import GENERATED, HELD_OUT, MATCHED, NOISE, UNTRAINED, row, score, verdict

NAMES = {"result": GENERATED, "floor": MATCHED, "untrained": UNTRAINED, "noise": NOISE}


def judged(*, with_floor: bool = True, fd: bool = True, **distances: tuple[float, float]) -> Verdict:
    """The verdict over rows of two seeds with these distances; KID is a thousandth of them."""
    rows: list[Row] = []
    for role, values in distances.items():
        scores = [
            Score(seed=seed, n=60, fd=value if fd else None, kid=value / 1000) for seed, value in enumerate(values)
        ]
        if with_floor or role != "floor":
            rows.append(row("space", NAMES[role], HELD_OUT, role, scores))
    other = [Score(seed=0, n=60, fd=0.0, kid=0.0)]
    rows += [row("another space", name, HELD_OUT, role, other) for role, name in NAMES.items()]
    return verdict("space", rows)


def test_shares_are_of_the_worst_seed_over_the_mildest_ceiling() -> None:
    found = judged(result=(2, 4), floor=(1, 1.5), untrained=(10, 20), noise=(50, 80))
    assert found.figure == "fd"
    assert found.share_of_untrained == pytest.approx(4 / 10)
    assert found.share_of_noise == pytest.approx(4 / 50)
    assert found.at_most_half
    assert not found.ranges_overlap
    assert found.floor is not None
    assert found.floor.high == 1.5
    assert (found.generated.low, found.generated.high, found.generated.mean) == (2, 4, 3)
    assert (found.untrained.low, found.noise.high) == (10, 80)


@pytest.mark.parametrize(
    ("result", "untrained", "noise", "at_most_half", "overlap"),
    [
        ((4, 5), (10, 12), (50, 60), True, False),  # half itself counts
        ((4, 5.1), (10, 12), (50, 60), False, False),
        ((4, 5), (60, 70), (9, 12), False, False),  # noise may be the milder of the two
        ((4, 10), (10, 12), (50, 60), False, True),  # they touch
        ((4, 11), (10, 12), (50, 60), False, True),
        ((4, 55), (60, 70), (50, 60), False, True),
    ],
)
def test_half_and_overlap(
    result: tuple[float, float],
    untrained: tuple[float, float],
    noise: tuple[float, float],
    at_most_half: bool,
    overlap: bool,
) -> None:
    for fd in (True, False):  # by KID where there is no distance
        found = judged(fd=fd, result=result, floor=(1, 1), untrained=untrained, noise=noise)
        assert found.figure == ("fd" if fd else "kid")
        assert (found.at_most_half, found.ranges_overlap) == (at_most_half, overlap)


def test_a_ceiling_of_nothing_and_a_missing_floor_are_no_flattery() -> None:
    found = judged(with_floor=False, result=(2, 4), untrained=(-1, 20), noise=(50, 80))
    assert found.floor is None
    assert found.share_of_untrained == float("inf")
    assert not found.at_most_half


def described(n: int, seed: int, groups: int) -> Described:
    rows = np.random.default_rng(seed).normal(size=(n, 4)).astype(np.float32)
    names = tuple(str(place % groups) for place in range(n))
    return Described(tuple(map(str, range(n))), {"space": rows}, np.zeros((n, 64, 64, 3), np.uint8), names)


def test_a_thorough_score_extrapolates_and_has_an_interval_over_groups() -> None:
    a, b = described(150, 0, 30), described(120, 1, 120)
    found = score(a, b, space="space", seed=3, min_fd_samples=50, thorough=True)
    assert found.n == 120
    rows = a.features["space"][:120], b.features["space"]
    assert found.fd_infinity == frechet_infinity(*rows, seed=3).value
    assert found.fd is not None
    assert found.fd_infinity < found.fd  # the bias of few samples is taken off
    assert found.fd_low is not None
    assert found.fd_high is not None
    assert found.fd_low < found.fd < found.fd_high
    assert found.kid_p is not None
    brief = score(a, b, space="space", seed=3, min_fd_samples=50, thorough=False)
    assert (brief.fd_low, brief.fd_high, brief.fd_infinity, brief.kid_p) == (None,) * 4
    assert brief.fd == found.fd


def test_few_groups_have_no_interval_and_few_samples_no_extrapolation() -> None:
    few = score(described(150, 0, 7), described(150, 1, 150), space="space", seed=0, min_fd_samples=50, thorough=True)
    assert (few.fd_low, few.fd_high) == (None, None)
    assert few.fd_infinity is not None
    small = score(described(99, 0, 99), described(99, 1, 99), space="space", seed=0, min_fd_samples=50, thorough=True)
    assert small.fd_infinity is None
    assert small.fd_low is not None
