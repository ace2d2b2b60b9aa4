"""Classifier-free guidance, by numbers that show it: networks of tests hardly heed their captions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from training.denoise import sample_latents
from training.schedulers import make_scheduler

FIELDS: dict[str, Any] = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.0204,
    "beta_schedule": "scaled_linear",
    "prediction_type": "sample",  # so that one step ends at the answer itself
    "rescale_betas_zero_snr": True,
    "timestep_spacing": "trailing",
    "clip_sample": False,
}


@pytest.mark.parametrize("guidance", [0.0, 1.0, 3.5])
def test_guidance_goes_from_the_answer_without_a_caption_past_the_one_with_it(guidance: float) -> None:
    seen: list[int] = []

    def predict(x: Tensor, t: Tensor, condition: Mapping[str, Tensor]) -> Tensor:
        """The caption's number in every place."""
        seen.append(len(x))
        assert len(t) == len(x) == len(condition["text"])
        return condition["text"][:, :1, None, None].expand_as(x)

    given, without = torch.tensor([[2.0], [5.0]]), torch.tensor([[1.0]])
    drawn = sample_latents(
        predict,
        make_scheduler(FIELDS, "ddim"),
        {"text": given},
        {"text": without},
        torch.randn(2, 4, 3, 3),
        steps=1,
        guidance=guidance,
    )
    wanted = (without + guidance * (given - without))[:, :, None, None].expand_as(drawn)
    torch.testing.assert_close(drawn, wanted, atol=1e-4, rtol=0)
    assert seen == [2 if guidance == 1 else 4]  # without guidance one pass is enough
