"""Tokens are drawn from the model's own probabilities, as the rules of the row bound them."""

from __future__ import annotations

import pytest
import torch

from captioning.hub_sampling import Draws, Limits
from captioning.questions import Sampling

ROWS = 4000
SCORES = torch.tensor([2.0, 1.0, 0.5, 0.0, -1.0, -3.0])


def drawn(rule: Sampling, *, prompt_tokens: int = 3, length: int = 3, first_seed: int = 0) -> torch.Tensor:
    """How often each of the tokens comes out first."""
    rows = [(rule, first_seed + number) for number in range(ROWS)]
    ids = torch.zeros((ROWS, length), dtype=torch.long)
    chosen = Draws(rows, prompt_tokens=prompt_tokens)(ids, SCORES.repeat(ROWS, 1)).argmax(dim=1)
    return chosen.bincount(minlength=len(SCORES))


@pytest.mark.parametrize(
    ("rule", "logits"),
    [
        (Sampling(temperature=1.0), SCORES),
        (Sampling(temperature=0.5), SCORES / 0.5),
        (Sampling(temperature=1.0, top_k=2), SCORES.masked_fill(SCORES < 1, float("-inf"))),
        (Sampling(temperature=2.0, top_k=3), (SCORES / 2).masked_fill(SCORES < 0.5, float("-inf"))),
        (Sampling(temperature=1.0, top_p=0.8), SCORES.masked_fill(SCORES < 0.5, float("-inf"))),
    ],
)
def test_each_token_is_drawn_as_often_as_its_probability_says(rule: Sampling, logits: torch.Tensor) -> None:
    expected = torch.softmax(logits, dim=0) * ROWS
    spread = (expected * (1 - expected / ROWS)).sqrt()
    assert ((drawn(rule) - expected).abs() <= 4 * spread).all()


def test_the_number_of_the_token_and_the_seed_draw_and_the_length_of_the_prompt_does_not() -> None:
    rule = Sampling(temperature=1.0)
    ids = torch.zeros((1, 9), dtype=torch.long)
    first = Draws([(rule, 5)], prompt_tokens=9)(ids, SCORES[None])
    assert torch.equal(first, Draws([(rule, 5)], prompt_tokens=3)(ids[:, :3], SCORES[None]))
    assert not torch.equal(first, Draws([(rule, 5)], prompt_tokens=8)(ids, SCORES[None]))
    assert not torch.equal(first, Draws([(rule, 6)], prompt_tokens=9)(ids, SCORES[None]))


def test_greedy_rows_are_left_alone_beside_drawn_ones() -> None:
    rows = [(Sampling(), 1), (Sampling(temperature=1.0), 1), (Sampling(), 2)]
    given = SCORES.repeat(3, 1)
    found = Draws(rows, prompt_tokens=2)(torch.zeros((3, 2), dtype=torch.long), given)
    assert torch.equal(found[[0, 2]], given[[0, 2]])
    assert not torch.equal(found[1], given[1])
    assert torch.equal(given, SCORES.repeat(3, 1))


def test_each_row_ends_at_its_own_number_of_tokens() -> None:
    checked: list[int] = []
    limits = Limits([2, 4], prompt_tokens=3, check=lambda: checked.append(1))
    ends = [limits(torch.zeros((2, 3 + new), dtype=torch.long), SCORES.repeat(2, 1)).tolist() for new in range(1, 5)]
    assert ends == [[False, False], [True, False], [True, False], [True, True]]
    assert len(checked) == 4
