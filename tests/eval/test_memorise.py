"""Copies: planted ones are found, unseen pictures raise few alarms, and what cannot be found is not claimed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from eval.copies import KINDS, brighter, cropped, darker, mirrored, planted
from eval.describe import Described, describe, unit_thumbs
from eval.intervals import wilson
from eval.memorise import PIXELS, closest, copying, leaked
from eval.pictures import PictureSet
from eval.spaces.table import open_space
from eval.strata import strata, summaries


def as_set(pictures: NDArray[np.uint8], name: str = "picture") -> PictureSet:
    return PictureSet(tuple(f"{name}-{place}" for place in range(len(pictures))), lambda place: pictures[place])


@pytest.fixture(scope="module")
def spaces() -> list[Any]:
    return [open_space(name, {}, {}, torch.device("cpu")) for name in ("radiomics", "mobilenetv2-imagenet")]


@pytest.fixture(scope="module")
def sets(axial_64: NDArray[np.uint8], spaces: list[Any]) -> dict[str, Any]:
    """Every third slice is held out; the rest is the training set."""
    unseen = np.arange(len(axial_64)) % 3 == 1
    train, held_out = axial_64[~unseen], axial_64[unseen]
    sources = list(range(0, len(train), 4))
    copies = {kind: describe(planted(as_set(train).some(sources), kind), spaces, 16) for kind in KINDS}
    return {
        "train": describe(as_set(train, "train"), spaces, 16),
        "held_out": describe(as_set(held_out), spaces, 16),
        "plants": copies,
        "sources": sources,
    }


def figures(sets: dict[str, Any], space: str, generated: Described) -> Any:
    return copying(space, sets["train"], sets["held_out"], generated, sets["plants"], sets["sources"])


def test_planted_copies_are_found_and_unseen_pictures_are_not(sets: dict[str, Any]) -> None:
    for space, found_kinds in (
        ("radiomics", ("exact", "mirrored")),
        ("mobilenetv2-imagenet@b0353104", ("exact",)),
        (PIXELS, ("exact", "mirrored", "brighter", "darker")),
    ):
        found = figures(sets, space, sets["held_out"])
        for kind in found_kinds:
            assert found.planted_recall[kind].value > 0.9, (space, kind)
        assert found.false_positive_rate.value <= 0.3
        assert found.false_positive_rate.n == 10
        # held-out pictures in the place of generated ones: as far as they are, and flagged as rarely
        assert found.ratio == pytest.approx(1)
        assert found.flagged_share.value <= 0.2


def test_a_model_that_repeats_its_training_set_is_seen(sets: dict[str, Any]) -> None:
    for space in ("radiomics", "mobilenetv2-imagenet@b0353104", PIXELS):
        found = figures(sets, space, sets["train"])
        assert found.ratio == 0
        assert found.authentic_share == 0
        assert found.flagged_share.value == 1


def test_pictures_far_from_everything_are_authentic(sets: dict[str, Any], spaces: list[Any]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (10, 64, 64, 3), dtype=np.uint8)
    for space in ("radiomics", "mobilenetv2-imagenet@b0353104", PIXELS):
        found = figures(sets, space, describe(as_set(noise), spaces, 16))
        assert found.ratio > 1
        assert found.authentic_share == 1
        assert found.flagged_share.value == 0


def on(rows: Any) -> Described:
    """Pictures that are known by one number each."""
    values = np.asarray(rows, np.float32).reshape(-1, 1)
    keys = tuple(f"{place}" for place in range(len(values)))
    return Described(keys, {"line": values}, np.zeros((len(values), 64, 64, 3), np.uint8))


def test_authentic_is_what_is_farther_from_its_neighbour_than_that_from_its_own() -> None:
    train = on([0, 1, 100, 110])  # at the ends 1 and 10 apart
    found = copying("line", train, on(range(200, 208)), on([3, 105]), {}, [])
    assert found.authentic_share == 0.5  # 2 from a picture whose neighbour is at 1; 5 from one whose neighbour is at 10


def test_a_planted_copy_that_is_taken_for_another_picture_is_not_found() -> None:
    train, unseen = on([0, 100, 200, 300]), on(range(1000, 1008))
    found = copying("line", train, unseen, unseen, {"moved": on([1, 101]), "lost": on([99, 199])}, [0, 1])
    assert {kind: each.value for kind, each in found.planted_recall.items()} == {"moved": 1, "lost": 0}


def test_a_mirrored_copy_of_a_lopsided_picture_is_found_by_its_pixels() -> None:
    """Brains of a template look the same either way, and would be found without looking."""
    draw = np.random.default_rng(0)
    small = draw.integers(0, 255, (12, 64, 64, 3), dtype=np.uint8)
    small[:, :, 40:] = 0
    kept = [Described(tuple(map(str, range(n))), {}, small[at : at + n]) for at, n in ((0, 4), (4, 8))]
    turned = replace(kept[0], small=np.ascontiguousarray(kept[0].small[:, :, ::-1]))
    found = copying(PIXELS, kept[0], kept[1], turned, {"mirrored": turned}, range(4))
    assert found.flagged_share.value == 1
    assert found.planted_recall["mirrored"].value == 1


def test_the_threshold_and_the_false_alarms_are_of_two_halves() -> None:
    """A threshold that had seen the pictures on which it is judged would have its rate of false alarms by choice."""
    line = np.arange(40, dtype=np.float32)[:, None] * 1000
    apart = np.concatenate([np.linspace(100, 200, 20), np.linspace(1, 2, 20)]).astype(np.float32)[:, None]
    found = copying("line", on(line), on(line + apart), on(line + 150), {}, [])
    assert found.threshold == pytest.approx(105)  # the first half alone: 5 % from 100 to 200
    assert found.false_positive_rate.value == 1  # all of the second are nearer
    assert found.flagged_share.value == 0


def test_the_gallery_shows_the_closest_pairs_and_each_training_picture_once(sets: dict[str, Any]) -> None:
    train: Described = sets["train"]
    drawn = train.some([3, 3, 3, 8, 20])
    drawn.small[4] = drawn.small[4][:, ::-1]
    pairs = closest(train, drawn, 3)
    assert [pair[1] for pair in pairs] == [3, 8, 20]
    assert all(pair[2] == pytest.approx(1, abs=1e-5) for pair in pairs)


def test_correlation_is_that_of_numpy_and_a_constant_picture_has_none(brains: NDArray[np.uint8]) -> None:
    brains[0] = 77
    rows = unit_thumbs(brains[:4])
    assert not rows[0].any()
    small = brains[1:3, ..., 0].astype(float).reshape(2, 32, 2, 32, 2).mean(axis=(2, 4)).reshape(2, -1)
    assert float(rows[1] @ rows[2]) == pytest.approx(np.corrcoef(small)[0, 1], abs=1e-5)


def test_planted_changes_are_what_they_are_called(brains: NDArray[np.uint8]) -> None:
    picture = brains[20]  # of a template that is symmetric by construction
    half = np.where(np.arange(64)[None, :, None] < 32, picture, 0)
    assert mirrored(half)[:, 32:].any()
    assert not mirrored(half)[:, :32].any()
    assert brighter(np.full((2, 2, 3), 100, np.uint8)).tolist() == np.full((2, 2, 3), 110).tolist()
    assert brighter(np.full((2, 2, 3), 250, np.uint8)).max() == 255
    assert darker(np.full((2, 2, 3), 100, np.uint8)).tolist() == np.full((2, 2, 3), 90).tolist()
    assert cropped(picture).shape == picture.shape
    # what stays in the middle is larger: the brain's border moves outwards
    assert (cropped(picture) > 40).sum() > (picture > 40).sum()


def test_shares_of_pictures_are_over_prompts_and_patients(sets: dict[str, Any]) -> None:
    """20 unseen pictures drawn for 4 prompts are worth less than 20 pictures; one patient is worth no interval."""
    train, held_out = sets["train"], sets["held_out"]
    alone = copying(PIXELS, train, held_out, train, sets["plants"], sets["sources"])
    prompts = replace(train, groups=tuple(str(place % 4) for place in range(len(train))))
    patient = replace(held_out, groups=("one",) * len(held_out))
    found = copying(PIXELS, train, patient, prompts, sets["plants"], sets["sources"])
    assert found.flagged_share.value == alone.flagged_share.value == 1
    assert found.flagged_share.low == pytest.approx(wilson(4, 4).low)
    assert alone.flagged_share.low == pytest.approx(wilson(len(train), len(train)).low)
    assert found.false_positive_rate.value == alone.false_positive_rate.value
    assert (found.false_positive_rate.low, found.false_positive_rate.high) == (None, None)


def test_small_cells_have_no_frechet_distance_and_tiny_ones_nothing(sets: dict[str, Any]) -> None:
    held_out: Described = sets["held_out"]
    values = ["many"] * 13 + ["few"] * 7
    rows = {
        row.value: row
        for row in strata(
            "class",
            values,
            held_out,
            {0: sets["train"].some(range(20))},
            untrained={0: sets["train"].some(range(20, 40))},
            floor={0: (sets["train"].some(range(12)), ["many"] * 11 + ["few"])},
            min_fd_samples=12,
        )
        if row.space == "radiomics"
    }
    assert rows["many"].n == 13
    assert rows["many"].fd is not None
    assert rows["few"].n == 7
    assert (rows["few"].fd, rows["few"].kid, rows["few"].untrained_kid) == (None, None, None)
    assert rows["many"].untrained_kid is not None
    assert rows["many"].floor_kid is not None
    assert rows["few"].floor_kid is None


def described(values: NDArray[np.float64]) -> Described:
    keys = tuple(map(str, range(len(values))))
    return Described(keys, {"space": values.astype(np.float32)}, np.zeros((len(values), 64, 64, 3), np.uint8))


def test_a_good_average_does_not_hide_a_bad_class() -> None:
    """Nine parts of ten are right, one class is noise: its row says so, and the worst cell is named."""
    rng = np.random.default_rng(1)
    real, drawn = rng.normal(size=(200, 4)), rng.normal(size=(200, 4))
    drawn[180:] += 6
    values = ["common"] * 180 + ["rare"] * 20
    rows = strata(
        "class",
        values,
        described(real),
        {0: described(drawn)},
        untrained={0: described(rng.normal(size=(200, 4)) + 12)},
        floor={0: (described(rng.normal(size=(200, 4))), values)},
        min_fd_samples=50,
    )
    by = {row.value: row for row in rows}
    assert by["common"].kid.mean < 0.1 < 10 < by["rare"].kid.mean  # type: ignore[union-attr]
    (summary,) = summaries(rows)
    assert (summary.worst, summary.cells) == ("rare", 2)
    assert summary.macro_kid > 5
    assert summary.worst_share == by["rare"].share_of_untrained
    for cell in rows:
        assert abs(cell.floor_kid.mean) < 0.3  # type: ignore[union-attr]
        assert cell.untrained_kid.mean > cell.kid.mean  # type: ignore[union-attr]


def test_the_worst_class_is_the_one_nearest_to_what_was_never_learnt() -> None:
    """Class `far` is far from everything by its own spread; class `bad` is close in numbers, and not learnt at all."""
    rng = np.random.default_rng(2)
    values = ["far"] * 60 + ["bad"] * 60

    def made(far: float, bad: float) -> Described:
        rows = rng.normal(size=(120, 4))
        rows[:60] += far
        rows[60:] += bad
        return described(rows)

    rows = strata(
        "class", values, made(0, 0), {0: made(3, 1.5)}, untrained={0: made(20, 1.6)}, floor={}, min_fd_samples=50
    )
    by = {row.value: row for row in rows}
    assert by["far"].kid.mean > by["bad"].kid.mean  # type: ignore[union-attr]
    (summary,) = summaries(rows)
    assert summary.worst == "bad"
    assert summary.worst_share is not None
    assert summary.worst_share > 0.5
    assert summary.worst_kid == by["bad"].kid.mean  # type: ignore[union-attr]
    assert by["far"].floor_kid is None


def test_a_held_out_picture_that_was_trained_on_is_named(sets: dict[str, Any]) -> None:
    assert leaked(sets["train"], sets["held_out"]) == []
    both = sets["train"].some([5])
    assert leaked(sets["train"], both) == [("train-5", "train-5")]
    twins = sets["train"].some(range(10))  # all that is "unseen" was seen: the threshold is 0, and still finds copies
    found = copying(PIXELS, sets["train"], twins, twins, sets["plants"], sets["sources"])
    assert found.threshold == 0
    assert found.planted_recall["exact"].value == 1
    assert found.false_positive_rate.value == 1


def test_too_few_held_out_pictures_are_refused(sets: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="7 held-out pictures are too few"):
        copying(PIXELS, sets["train"], sets["held_out"].some(range(7)), sets["train"], sets["plants"], sets["sources"])
