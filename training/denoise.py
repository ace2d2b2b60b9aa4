"""From noise to latents: classifier-free guidance through a stock `diffusers` scheduler.

guided = uncond + guidance * (cond - uncond) (Ho and Salimans 2022), so 1 is no guidance and needs one pass. Noise is
given, one tensor a sample, and nothing else is random.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from torch import Tensor

Predict = Callable[[Tensor, Tensor, Mapping[str, Tensor]], Tensor]


@torch.no_grad()
def sample_latents(
    predict: Predict,
    scheduler: Any,
    condition: Mapping[str, Tensor],
    null: Mapping[str, Tensor],
    noise: Tensor,
    *,
    steps: int,
    guidance: float,
) -> Tensor:
    """Latents [B, ...] from standard normal noise [B, ...]; `null` is a batch of one. No step draws random numbers."""
    scheduler.set_timesteps(steps, device=noise.device)
    guided = guidance != 1
    both = {
        name: torch.cat([null[name].expand_as(values), values]) if guided else values
        for name, values in condition.items()
    }
    x: Tensor = noise * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        x_in = scheduler.scale_model_input(torch.cat([x, x]) if guided else x, t)
        answer = predict(x_in, t.expand(len(x_in)), both)
        if guided:
            without, given = answer.chunk(2)
            answer = without + guidance * (given - without)
        x = cast(Tensor, scheduler.step(answer, t, x, return_dict=False)[0])
    return x
