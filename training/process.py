"""What a diffusion process is: pure functions of tensors, so that each can be tested by its equation.

A process knows how noise is added, what the network has to answer, how much each noise level counts, and how to read
the picture back from an answer. It knows no network, no data and no loop. The scheduler fields it gives describe it to
stock `diffusers`, which does the sampling. Shapes: B samples, ... the latent's own shape.
"""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor


class Process(Protocol):
    """How a latent is noised and what is learnt from it."""

    def draw_t(self, uniform: Tensor) -> Tensor:
        """Noise levels [B] from uniform numbers [B] in [0, 1)."""
        ...

    def corrupt(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """Noised latents x_t [B, ...] of x0 [B, ...] at the levels t [B]."""
        ...

    def target(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """What the network has to answer for x_t, [B, ...]."""
        ...

    def weight(self, t: Tensor) -> Tensor:
        """How much the squared error of the answer counts at t, [B]; finite and not negative."""
        ...

    def x0_hat(self, prediction: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """The clean latents that the answer stands for, [B, ...]."""
        ...

    def grid(self, count: int) -> Tensor:
        """`count` fixed noise levels, evenly spread, for a validation loss that means the same at every step."""
        ...

    def scheduler(self) -> dict[str, Any]:
        """The fields by which a stock `diffusers` scheduler samples this process."""
        ...


def per_sample(values: Tensor, like: Tensor) -> Tensor:
    """[B] as [B, 1, ...] of the rank and dtype of `like`."""
    return values.to(like.dtype).reshape(-1, *(1 for _ in range(like.ndim - 1)))
