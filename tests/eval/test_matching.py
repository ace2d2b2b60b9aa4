"""The floor's training pictures: like for like, none twice."""

from __future__ import annotations

import numpy as np

from eval.matching import matched


def facts(plane: str, position: float | None, group: str = "") -> dict[str, str]:
    found = {"plane": plane, "source": "mni", "group": group}
    return found if position is None else {**found, "position_mm": str(position)}


def test_the_plane_decides_then_the_nearest_position_and_none_is_used_twice() -> None:
    train = [facts(plane, float(at), f"g{at}") for plane in ("axial", "coronal") for at in range(0, 50, 5)]
    held_out = [facts("coronal", 21.0, "h"), facts("coronal", 22.0, "h"), facts("axial", 49.0, "h")]
    for seed in range(5):
        places = matched(held_out, train, seed)
        assert [train[place]["plane"] for place in places] == ["coronal", "coronal", "axial"]
        assert train[places[2]]["position_mm"] == "45.0"
        assert {train[place]["position_mm"] for place in places[:2]} == {"20.0", "25.0"}
    assert np.array_equal(matched(held_out, train, 3), matched(held_out, train, 3))


def test_a_class_that_is_used_up_is_filled_from_the_next_best() -> None:
    train = [facts("axial", 1.0), facts("coronal", 2.0), facts("coronal", 3.0)]
    places = matched([facts("axial", 1.0), facts("axial", 2.0)], train, 0)
    assert sorted(train[place]["plane"] for place in places) == ["axial", "coronal"]


def test_without_attributes_it_is_a_random_choice_of_the_seed() -> None:
    train = [{"source": "a"} for _ in range(100)]
    held_out = [{"source": "a"} for _ in range(20)]
    first, second = (matched(held_out, train, seed) for seed in (0, 1))
    assert len(set(first.tolist())) == 20
    assert set(first.tolist()) != set(second.tolist())


def test_numbers_that_some_lack_count_as_names_and_fewer_training_pictures_give_fewer_places() -> None:
    train = [facts("axial", None), facts("axial", 7.0)]
    assert matched([facts("axial", 7.0)], train, 0).tolist() == [1]
    assert len(matched([facts("axial", 7.0)] * 3, train, 0)) == 2
