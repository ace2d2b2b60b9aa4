"""The witness: right on real pictures, honest on wrong ones, at chance when there is nothing to learn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from eval.describe import Described
from eval.intervals import wilson
from eval.probe import probe
from eval.record import Probe

PLANES = ("axial", "coronal", "sagittal")


@pytest.fixture(scope="module")
def made(slices: Any) -> Callable[[range], tuple[Described, list[str]]]:
    maker = slices({}, side_px=64)

    def some(numbers: range) -> tuple[Described, list[str]]:
        import io

        from PIL import Image

        pictures, values = [], []
        for plane in PLANES:
            for number in numbers:
                _, parts = maker.sample(plane, number, "train")
                pictures.append(np.asarray(Image.open(io.BytesIO(parts["png"]))))
                values.append(plane)
        return as_described(np.stack(pictures)), values

    return some


def as_described(pictures: NDArray[np.uint8]) -> Described:
    return Described(tuple(map(str, range(len(pictures)))), {}, pictures)


@pytest.fixture(scope="module")
def trained_on(made: Any) -> tuple[Described, list[str]]:
    found: tuple[Described, list[str]] = made(range(60, 130, 3))
    return found


@pytest.fixture(scope="module")
def held_out(made: Any) -> tuple[Described, list[str]]:
    found: tuple[Described, list[str]] = made(range(61, 131, 9))
    return found


@pytest.fixture(scope="module")
def found(trained_on: Any, held_out: Any) -> Probe:
    """Samples of one seed are right, those of the other stand in the order of other prompts."""
    swapped = held_out[0].some(np.argsort([PLANES[::-1].index(plane) for plane in held_out[1]], kind="stable"))
    return probe("plane", trained_on, held_out, {0: held_out[0], 1: swapped})


def test_it_names_the_plane_of_real_slices_and_of_samples(found: Probe) -> None:
    assert found.classes == PLANES
    assert found.chance == pytest.approx(1 / 3)
    assert found.real.value > 0.9
    assert found.real.n == 24
    right, wrong = found.by_seed
    assert right.value == found.real.value
    assert wrong.value < 0.5  # one third stands where it should
    assert found.generated.n == 48
    assert found.generated.value == pytest.approx((right.value + wrong.value) / 2)
    assert found.confusion["coronal"]["coronal"] > 14
    assert found.confusion["axial"]["sagittal"] >= 7
    assert found.real.low < found.real.value  # Wilson


def test_what_three_seeds_drew_for_one_prompt_counts_once(
    trained_on: Any, held_out: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A witness that is right on three pictures of four."""
    pictures, values = held_out
    truth = np.array([PLANES.index(value) for value in values])
    answers = np.where(np.arange(len(truth)) % 4, truth, (truth + 1) % 3)
    monkeypatch.setattr("eval.probe.train_witness", lambda *args, **more: None)
    monkeypatch.setattr("eval.probe.named", lambda net, small: answers)
    prompts = replace(pictures, groups=tuple(f"prompt {place}" for place in range(len(values))))
    patients = replace(pictures, groups=tuple(values))
    found = probe("plane", trained_on, (patients, values), dict.fromkeys(range(3), prompts))
    assert found.generated.n == 72
    assert found.generated.value == found.real.value == 0.75
    assert found.generated.low == pytest.approx(found.by_seed[0].low, abs=0.01)
    assert found.generated.low < wilson(54, 72).low - 0.05
    assert found.by_seed[0].low == pytest.approx(wilson(18, 24).low, abs=0.02)
    one = replace(pictures, groups=("one",) * len(values))
    assert probe("plane", trained_on, (one, values), {0: prompts}).real.low is None


def test_it_gives_the_same_answer_again_and_leaves_the_global_seed_alone(
    trained_on: Any, held_out: Any, found: Probe
) -> None:
    import torch

    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    again = probe("plane", trained_on, held_out, {0: held_out[0]})
    assert torch.rand(1) == expected
    assert (again.real, again.by_seed[0]) == (found.real, found.by_seed[0])


def test_shuffled_values_leave_it_at_chance(trained_on: Any, held_out: Any) -> None:
    values = np.random.default_rng(0).permutation(trained_on[1]).tolist()
    found = probe("plane", (trained_on[0], values), held_out, {0: held_out[0]})
    assert found.real.value < 0.65


def test_what_cannot_be_asked_is_refused(trained_on: Any, held_out: Any) -> None:
    with pytest.raises(ValueError, match="1 values of plane"):
        probe("plane", (trained_on[0], ["axial"] * len(trained_on[1])), held_out, {})
    others = ["oblique", *held_out[1][1:]]
    with pytest.raises(ValueError, match="plane oblique, which no training picture has"):
        probe("plane", trained_on, (held_out[0], others), {})
