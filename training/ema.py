"""The running average of the weights, which is what gets sampled and published.

Kept in float32 whatever the weights are in: at a decay of 0.9999 a change is below the resolution of bfloat16 and
would be lost. Buffers are copied, not averaged.
"""

from __future__ import annotations

import copy

import torch
from torch import nn


class Ema:
    """Average of a module's weights, itself a module: `ema.net` predicts like the one it follows."""

    def __init__(self, net: nn.Module) -> None:
        self.net = copy.deepcopy(net).float().eval().requires_grad_(False)
        self._averaged: list[torch.Tensor] = list(self.net.parameters())

    @torch.no_grad()
    def update(self, net: nn.Module, decay: float) -> None:
        """average = decay * average + (1 - decay) * weights."""
        current = [weight.detach().float() for weight in net.parameters()]
        torch._foreach_lerp_(self._averaged, current, 1 - decay)
        for average, buffer in zip(self.net.buffers(), net.buffers(), strict=True):
            average.copy_(buffer)
