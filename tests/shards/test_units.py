"""Units of a listing: every entry once, sizes in bounds, and an inserted name moves nothing but its neighbours."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.units import Sizes, chunks, token, unit_id


@dataclass(frozen=True)
class File:
    path: str


def cut(paths: list[str], sizes: Sizes) -> list[tuple[str, ...]]:
    return [tuple(file.path for file in piece) for piece in chunks(map(File, paths), sizes)]


def in_folders(folders: dict[str, int]) -> list[str]:
    return [f"{folder}/{number:05d}.dcm" for folder in sorted(folders) for number in range(folders[folder])]


names = st.lists(st.text("abcdefgh0123456789", min_size=1, max_size=8), unique=True, max_size=200).map(sorted)


@given(names, st.integers(1, 30))
def test_every_entry_comes_out_once_and_in_order(paths: list[str], target: int) -> None:
    pieces = cut(paths, Sizes(target=target))
    assert [path for piece in pieces for path in piece] == paths
    assert all(pieces)
    assert all(len(piece) <= 4 * target for piece in pieces)


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 2**32), st.integers(3, 40), st.booleans())
def test_an_inserted_name_changes_at_most_three_neighbours(seed: int, target: int, removed: bool) -> None:
    draw = random.Random(seed)
    paths = sorted({f"{draw.getrandbits(40):010x}" for _ in range(600)})
    more = sorted({*paths, f"{draw.getrandbits(40):010x}"})
    before, after = (more, paths) if removed else (paths, more)
    old, new = cut(before, Sizes(target=target)), cut(after, Sizes(target=target))
    changed = [at for at, piece in enumerate(old) if piece not in set(new)]
    assert len(changed) <= 3
    assert changed == list(range(changed[0], changed[0] + len(changed))) if changed else True


def test_an_inserted_name_nearly_always_changes_one_unit_and_no_other_id() -> None:
    draw = random.Random(1)
    paths = sorted({f"{draw.getrandbits(48):012x}" for _ in range(2500)})
    sizes = Sizes(target=64)
    old = cut(paths, sizes)
    ids = {unit_id("source", piece[0]) for piece in old}
    touched, lost_ids = [], []
    for _ in range(200):
        new = cut(sorted([*paths, f"{draw.getrandbits(48):012x}"]), sizes)
        touched.append(len(set(old) - set(new)))
        lost_ids.append(len(ids - {unit_id("source", piece[0]) for piece in new}))
    assert sum(count == 1 for count in touched) >= 190
    assert max(lost_ids) <= 2


def test_sizes_lie_around_the_target() -> None:
    pieces = cut([f"{number:07d}.png" for number in range(40_000)], Sizes(target=256))
    lengths = [len(piece) for piece in pieces]
    assert 230 < sum(lengths) / len(lengths) < 290
    assert min(lengths) >= Sizes(target=256).least
    assert max(lengths) <= Sizes(target=256).most


def test_a_short_listing_is_one_unit() -> None:
    for number in range(1, 257):
        assert len(cut([f"{name:03d}" for name in range(number)], Sizes(target=257))) == 1


def test_a_folder_of_moderate_size_is_never_cut() -> None:
    draw = random.Random(2)
    folders = {f"p{number:04d}": draw.randrange(1, 400) for number in range(300)}
    pieces = cut(in_folders(folders), Sizes(target=256, folder_most=2048))
    homes: dict[str, set[int]] = {}
    for at, piece in enumerate(pieces):
        for path in piece:
            homes.setdefault(path.split("/")[0], set()).add(at)
    assert all(len(units) == 1 for units in homes.values())
    assert max(map(len, pieces)) <= 4 * 256


def test_a_long_folder_is_cut_inside_and_a_middling_one_is_not() -> None:
    paths = in_folders({"a": 30, "big": 5000, "middle": 2000, "z": 30})
    pieces = cut(paths, Sizes(target=256, folder_most=2048))
    assert sum(any(path.startswith("big/") for path in piece) for piece in pieces) > 10
    assert sum(any(path.startswith("middle/") for path in piece) for piece in pieces) == 1


def test_entries_are_taken_one_by_one_and_not_all_at_first() -> None:
    taken = 0

    def endless() -> Iterator[File]:
        nonlocal taken
        while True:
            taken += 1
            yield File(f"{taken:09d}")

    pieces = chunks(endless(), Sizes(target=50))
    for _ in range(5):
        next(pieces)
    assert taken < 2000


def test_ids_fit_a_file_name_also_for_names_that_are_no_utf8() -> None:
    assert unit_id("kvasir", "a/\udcff.png").startswith("kvasir-")
    assert len(unit_id("s" * 37, "x" * 5000)) <= 96


def test_a_token_tells_size_and_time_apart() -> None:
    assert len({token("a", 1, 2), token("a", 2, 1), token("b", 1, 2), token("a", 1, "etag")}) == 4


def test_a_target_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Sizes(target=0)
