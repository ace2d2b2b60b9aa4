"""Moved pictures: seeded by position, nothing lost but what leaves the frame, black behind."""

from __future__ import annotations

import torch

from training.augment import moved

PICTURES = torch.arange(3 * 16 * 16 * 3, dtype=torch.int64).remainder(251).add(1).to(torch.uint8).reshape(3, 16, 16, 3)


def test_a_move_depends_on_seed_and_position_alone() -> None:
    together = moved(PICTURES, 7, (10, 11, 12), 4)
    alone = moved(PICTURES[1:2], 7, (11,), 4)
    assert torch.equal(together[1:2], alone)
    assert not torch.equal(moved(PICTURES, 8, (10, 11, 12), 4), together)


def test_no_shift_leaves_pictures_alone() -> None:
    assert torch.equal(moved(PICTURES, 7, (10, 11, 12), 0), PICTURES)


def test_a_moved_picture_is_a_turned_and_shifted_one() -> None:
    for position in range(40):
        out = moved(PICTURES[:1], 0, (position,), 4)[0]
        seen = (out > 0).any(dim=2)
        rows, columns = seen.any(dim=1), seen.any(dim=0)
        kept = out[rows][:, columns]
        turns = [PICTURES[0].flip(axes) for axes in ([], [0], [1], [0, 1])]
        height, width = kept.shape[:2]
        assert height >= 12
        assert width >= 12
        places = [(turn, top, left) for turn in turns for top in (0, 16 - height) for left in (0, 16 - width)]
        assert any(torch.equal(turn[top : top + height, left : left + width], kept) for turn, top, left in places)


def test_all_four_turns_happen() -> None:
    square = torch.zeros(1, 8, 8, 3, dtype=torch.uint8)
    square[0, 2:4, 2:4] = torch.tensor([[1, 2], [3, 4]], dtype=torch.uint8)[..., None]
    corners = {int(out[out > 0][0]) for p in range(40) if ((out := moved(square, 0, (p,), 1)[0]) > 0).any()}
    assert corners == {1, 2, 3, 4}
