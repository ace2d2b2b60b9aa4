"""Training a denoiser: any family, any process, any terms.

One step: what is stored of a sample becomes clean latents x0; noise and level are drawn; the network answers; the terms
compare. Every draw is keyed by (seed, position), every validation draw by the place in the held-out set, so that the
validation loss of two moments differs by the weights alone (PEERS asked for it since 2023: kohya-ss/sd-scripts 193).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from training.batches import LatentBatch, PictureBatch
from training.conditions import Condition, collate, drop
from training.denoise import sample_latents
from training.family import Family
from training.noise import normal, uniform
from training.pixels import unsigned
from training.process import Process
from training.recipes import DiffusionChoice
from training.schedulers import make_scheduler, save_scheduler
from training.task import Preview
from training.terms import Term, mean_of, measure

SHOWN = 8
HELD_OUT_SEED = 0
LEVELS = 16  # noise levels of the validation loss


@dataclass(frozen=True)
class Denoised:
    """One step of B samples: what was asked, what was answered, and what counts how much."""

    prediction: Tensor  # [B, *latent]
    target: Tensor  # [B, *latent]
    weight: Tensor  # [B], of the noise level
    x0: Tensor  # [B, *latent]
    x0_hat: Callable[[], Tensor]  # made only for the terms that look at it
    decode: Callable[[Tensor], Tensor]


def squared_error(step: Denoised) -> Tensor:
    """Weighted squared error of the answer."""
    return step.weight * mean_of((step.prediction - step.target) ** 2)


def absolute_error(step: Denoised) -> Tensor:
    """Weighted absolute error of the answer, as the 2024 code of MSDM's author has it."""
    return step.weight * mean_of((step.prediction - step.target).abs())


def pixel_error(step: Denoised) -> Tensor:
    """Absolute error between the decoded estimate of x0 and the decoded x0, through the frozen decoder."""
    with torch.no_grad():
        truth = step.decode(step.x0)
    return mean_of((step.decode(step.x0_hat()) - truth).abs())


def terms_of(choice: DiffusionChoice) -> list[Term[Denoised]]:
    """The terms that a recipe asks for."""
    latent = squared_error if choice.loss == "l2" else absolute_error
    return [
        Term(name=f"latent_{choice.loss}", weight=1.0, measure=latent),
        Term(
            name="pixel_l1",
            weight=choice.pixel_weight,
            measure=pixel_error,
            every_samples=choice.pixel_every_samples,
        ),
    ]


class Denoising:
    """The task of training a family's network. `null` is the condition of the empty caption."""

    def __init__(
        self,
        family: Family,
        process: Process,
        choice: DiffusionChoice,
        *,
        null: Condition,
        seed: int,
        device: torch.device,
    ) -> None:
        self.family = family
        self.process = process
        self.choice = choice
        self.terms = terms_of(choice)
        self.null = {name: value.to(device) for name, value in collate(family.fields, [null]).items()}
        self.seed = seed
        self.device = device
        self.net = family.network(seed)

    def losses(self, net: nn.Module, batch: LatentBatch | PictureBatch, step: range) -> dict[str, Tensor]:
        positions = batch.positions
        stored, condition = self.encoded(batch)
        x0 = self._clean(stored, self.seed, positions)
        noise = normal(self.seed, positions, self.family.latent_shape, "noise").to(self.device)
        t = self.process.draw_t(uniform(self.seed, positions, "t")).to(self.device)
        dropped = uniform(self.seed, positions, "caption dropout") < self.choice.caption_dropout
        return measure(self.terms, self._answered(net, x0, noise, t, drop(condition, self.null, dropped)), step)

    def held_out(self, net: nn.Module, batch: LatentBatch | PictureBatch) -> Tensor:
        positions = batch.positions
        stored, condition = self.encoded(batch)
        x0 = self._clean(stored, HELD_OUT_SEED, positions)
        noise = normal(HELD_OUT_SEED, positions, self.family.latent_shape, "held-out noise").to(self.device)
        t = self.process.grid(LEVELS)[[position % LEVELS for position in positions]].to(self.device)
        return self.terms[0].measure(self._answered(net, x0, noise, t, condition))

    def preview(self, net: nn.Module, batch: LatentBatch | PictureBatch) -> Preview:
        _, condition = self.encoded(batch)
        latents = sample_latents(
            lambda x_t, t, cond: self.family.predict(net, x_t, t, cond),
            make_scheduler(self.process.scheduler(), "ddim"),
            {name: value[:SHOWN] for name, value in condition.items()},
            self.null,
            normal(HELD_OUT_SEED, batch.positions[:SHOWN], self.family.latent_shape, "preview").to(self.device),
            steps=10,
            guidance=self.choice.guidance,
        )
        pictures = unsigned(self.family.decode(latents)).cpu().numpy()
        return Preview(np.hstack([*pictures]), "samples for held-out captions, 10 steps of DDIM")

    def export(self, net: nn.Module, folder: Path) -> dict[str, Any]:
        save_scheduler(self.process.scheduler(), folder / "scheduler")
        return self.family.export(net, folder)

    @torch.no_grad()
    def encoded(self, batch: LatentBatch | PictureBatch) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
        """What is stored of the pictures and the condition of the captions, on the device; encoded now if need be."""
        if isinstance(batch, PictureBatch):
            stored: Mapping[str, Tensor] = self.family.encode_pictures(batch.pixels)
            condition = collate(self.family.fields, self.family.encode_texts(batch.captions))
        else:
            stored, condition = batch.stored, dict(batch.condition)
        return _on(self.device, stored), _on(self.device, condition)

    def _clean(self, stored: Mapping[str, Tensor], seed: int, positions: tuple[int, ...]) -> Tensor:
        noise = normal(seed, positions, self.family.latent_shape, "latents").to(self.device)
        return self.family.clean_latents(stored, noise)

    def _answered(
        self, net: nn.Module, x0: Tensor, noise: Tensor, t: Tensor, condition: Mapping[str, Tensor]
    ) -> Denoised:
        x_t = self.process.corrupt(x0, noise, t)
        prediction = self.family.predict(net, x_t, t, condition)
        return Denoised(
            prediction,
            self.process.target(x0, noise, t),
            self.process.weight(t),
            x0,
            lambda: self.process.x0_hat(prediction, x_t, t),
            self.family.decode,
        )


def _on(device: torch.device, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.to(device, non_blocking=True) for name, value in tensors.items()}
