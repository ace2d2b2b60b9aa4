"""How tokens are drawn when a model runs here: each row of a batch by its own rules and its own seed.

Drawn by the Gumbel-max trick: noise -log(-log u) is added to the logarithms of the probabilities and the largest sum
taken, which draws from those probabilities (Gumbel, Statistical theory of extreme values, 1954). The noise depends on
the row's seed and the number of the token alone, so a row has the same answer in whatever batch it stands, and a run
that is killed and repeated the same captions. The noise is made on the CPU, alike for every device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from transformers import (
    LogitsProcessor,
    StoppingCriteria,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from captioning.questions import Sampling
from shards.draws import draw


class Draws(LogitsProcessor):  # type: ignore[misc]
    """Changes the scores of rows that are drawn so that their largest is the token drawn; leaves greedy rows alone."""

    def __init__(self, rows: Sequence[tuple[Sampling, int]], *, prompt_tokens: int) -> None:
        self.prompt_tokens = prompt_tokens  # of the padded batch
        self.drawn = [(number, _warpers(rule), seed) for number, (rule, seed) in enumerate(rows) if rule.temperature]

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """`input_ids` [B, L] so far, `scores` [B, V] of the next token, any base of logarithm."""
        step = input_ids.shape[1] - self.prompt_tokens
        scores = scores.clone() if self.drawn else scores
        for number, warpers, seed in self.drawn:
            one = scores[number : number + 1]
            for warp in warpers:
                one = warp(input_ids[number : number + 1], one)
            noise = draw(seed, step, "token").gumbel(size=one.shape[1])
            scores[number] = one[0] + torch.from_numpy(noise).to(one)
        return scores


def _warpers(rule: Sampling) -> list[LogitsProcessor]:
    found: list[LogitsProcessor] = [TemperatureLogitsWarper(rule.temperature)]
    if rule.top_k:
        found.append(TopKLogitsWarper(rule.top_k))
    if rule.top_p < 1:
        found.append(TopPLogitsWarper(rule.top_p))
    return found


class Limits(StoppingCriteria):  # type: ignore[misc]
    """Ends each row at its own number of new tokens, and calls `check` at each token."""

    def __init__(self, limits: Sequence[int], *, prompt_tokens: int, check: Callable[[], None]) -> None:
        self.limits = torch.tensor(limits)
        self.prompt_tokens = prompt_tokens
        self.check = check

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs: object) -> Tensor:
        """Which rows [B] are at their end."""
        self.check()
        self.limits = self.limits.to(input_ids.device)
        return self.limits <= input_ids.shape[1] - self.prompt_tokens
