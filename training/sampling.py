"""Pictures from a trained model: `load_checkpoint(folder).sample(prompts, seeds, ...)`.

A picture depends on its prompt, its seed and the settings alone, never on what else is asked for: its noise comes from
its seed, its prompt is embedded by itself, and the networks always see batches of one shape, filled up where needed,
since other shapes may round otherwise: by a grey level here and there (`at_once` is written down for that reason).
Nothing is downloaded but a text encoder that the model names by hub id.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.conditions import Condition, collate
from training.denoise import sample_latents
from training.families.table import family_class
from training.family import Family
from training.model_folder import Model, read_model
from training.noise import normal
from training.pixels import unsigned
from training.schedulers import Method, load_scheduler

AT_ONCE = {"cpu": 4, "cuda": 32}  # pictures that the networks see together where nobody says otherwise


class Sampler:
    """A model that draws pictures. `net` may be replaced by another of the same shape."""

    def __init__(self, model: Model, family: Family, net: nn.Module, device: torch.device, at_once: int) -> None:
        self.model = model
        self.family = family
        self.net = net
        self.device = device
        self.at_once = at_once
        self._conditions: dict[str, Condition] = {}

    @property
    def defaults(self) -> dict[str, Any]:
        """The `steps` and `guidance` that the model's recipe names."""
        return dict(self.model.record["sampling"])

    @torch.no_grad()
    def sample(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        *,
        steps: int,
        guidance: float,
        method: Method = "ddim",
    ) -> NDArray[np.uint8]:
        """One picture for each pair of prompt and seed, uint8 [N, H, W, 3] in 0..255.

        `guidance` is the classifier-free scale, 1 for none. Raises ValueError where the numbers do not fit.
        """
        if len(prompts) != len(seeds) or not prompts:
            raise ValueError(f"{len(prompts)} prompts and {len(seeds)} seeds: give one seed for each prompt")
        if steps < 1 or guidance < 0 or min(seeds) < 0:
            raise ValueError(
                f"steps {steps}, guidance {guidance}, seeds {list(seeds)}: none may be negative, steps >= 1"
            )
        scheduler = load_scheduler(self.model.folder / "scheduler", method)
        null = self._batch([""])
        pictures = []
        for start in range(0, len(prompts), self.at_once):
            count = len(prompts[start : start + self.at_once])
            places = [min(start + number, len(prompts) - 1) for number in range(self.at_once)]
            latents = sample_latents(
                lambda x_t, t, condition: self.family.predict(self.net, x_t, t, condition),
                scheduler,
                self._batch([prompts[place] for place in places]),
                null,
                normal(0, [seeds[place] for place in places], self.family.latent_shape, "sample").to(self.device),
                steps=steps,
                guidance=guidance,
            )
            pictures.append(unsigned(self.family.decode(latents))[:count].cpu().numpy())
        return np.concatenate(pictures)

    def _batch(self, prompts: Sequence[str]) -> dict[str, Tensor]:
        for prompt in prompts:
            if prompt not in self._conditions:
                (self._conditions[prompt],) = self.family.encode_texts([prompt])
        batch = collate(self.family.fields, [self._conditions[prompt] for prompt in prompts])
        return {name: value.to(self.device) for name, value in batch.items()}


def load_checkpoint(folder: Path, device: torch.device | None = None, at_once: int | None = None) -> Sampler:
    """The sampler of a finished train stage (its folder, or `model/` in it), drawing `at_once` pictures together.

    Raises FileNotFoundError where there is no model, ValueError where it is damaged or an autoencoder alone.
    """
    if at_once is not None and at_once < 1:
        raise ValueError(f"at_once: {at_once} must be 1 or more; leave it out for what suits the device")
    model = read_model(Path(folder))
    if model.record["kind"] != "denoiser":
        raise ValueError(f"{folder} holds an {model.record['kind']} alone: give the folder of a `train` stage")
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    family = family_class(model.record["family"]).opened(model.record, model.folder, device)
    at_once = at_once or AT_ONCE.get(device.type, AT_ONCE["cpu"])
    return Sampler(model, family, family.load_network(model.folder), device, at_once)
