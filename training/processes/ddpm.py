"""The variance-preserving process in discrete steps: DDPM (Ho et al. 2020, eq. 4), with three targets.

    x_t = a_t x0 + s_t noise,  a_t = sqrt(alphas_cumprod[t]),  s_t = sqrt(1 - alphas_cumprod[t]),  SNR = a_t^2 / s_t^2

Targets: the noise; v = a_t noise - s_t x0 (Salimans and Ho 2022, app. D); x0. Zero terminal SNR rescales the levels so
that the last holds no signal (Lin et al. 2024, alg. 1). Min-SNR (Hang et al. 2023, eq. 9) weights the error of x0 by
min(SNR, g); in the units of the target this is min(SNR, g)/SNR for the noise and min(SNR, g)/(SNR + 1) for v. It is
computed from a_t^2 and s_t^2 without dividing by either, so no level gives a NaN. No offset noise is added.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from training.process import per_sample
from training.processes.ddpm_settings import DIFFUSERS_NAME, DdpmSettings


def scaled_linear(steps: int, beta_start: float, beta_end: float) -> Tensor:
    """alphas_cumprod [steps], float64, of betas with evenly spaced square roots (the latent diffusion schedule)."""
    betas = torch.linspace(beta_start**0.5, beta_end**0.5, steps, dtype=torch.float64) ** 2
    return torch.cumprod(1 - betas, dim=0)


def rescale_to_zero_snr(alphas_cumprod: Tensor) -> Tensor:
    """Shift and scale a_t so that the last is 0 and the first stays as it was (Lin et al. 2024, algorithm 1)."""
    root = alphas_cumprod.sqrt()
    first, last = root[0].clone(), root[-1].clone()
    return ((root - last) * first / (first - last)) ** 2


@dataclass(frozen=True, kw_only=True)
class Ddpm(DdpmSettings):
    """The process of its settings."""

    @cached_property
    def alphas_cumprod(self) -> Tensor:
        """a_t^2 [steps], float64."""
        values = scaled_linear(self.steps, self.beta_start, self.beta_end)
        return rescale_to_zero_snr(values) if self.zero_terminal_snr else values

    def signal_and_noise(self, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """a_t and s_t as [B, 1, ...] in the dtype and on the device of `like`."""
        squared = self.alphas_cumprod.to(t.device)[t]
        return per_sample(squared.sqrt(), like), per_sample((1 - squared).sqrt(), like)

    def draw_t(self, uniform: Tensor) -> Tensor:
        return (uniform.double() * self.steps).long().clamp_(max=self.steps - 1)

    def corrupt(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        a, s = self.signal_and_noise(t, x0)
        return a * x0 + s * noise

    def target(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        if self.prediction == "epsilon":
            return noise
        if self.prediction == "x0":
            return x0
        a, s = self.signal_and_noise(t, x0)
        return a * noise - s * x0

    def weight(self, t: Tensor) -> Tensor:
        signal = self.alphas_cumprod.to(t.device)[t]
        if not self.min_snr_gamma:
            return torch.ones_like(signal).float()
        noise = 1 - signal
        # min(SNR, g) times s_t^2, so that nothing is divided by a noise level that may be 0
        clamped = torch.minimum(signal, self.min_snr_gamma * noise)
        if self.prediction == "epsilon":
            return (clamped / signal).float()  # signal > 0: zero terminal SNR is refused for epsilon
        # SNR + 1 = 1 / s_t^2, so min(SNR, g) / (SNR + 1) is `clamped` itself
        return (clamped if self.prediction == "v" else clamped / noise).float()

    def x0_hat(self, prediction: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        if self.prediction == "x0":
            return prediction
        a, s = self.signal_and_noise(t, x_t)
        return a * x_t - s * prediction if self.prediction == "v" else (x_t - s * prediction) / a

    def grid(self, count: int) -> Tensor:
        return self.draw_t((torch.arange(count, dtype=torch.float64) + 0.5) / count)

    def scheduler(self) -> dict[str, Any]:
        return {
            "num_train_timesteps": self.steps,
            "beta_start": self.beta_start,
            "beta_end": self.beta_end,
            "beta_schedule": "scaled_linear",
            "prediction_type": DIFFUSERS_NAME[self.prediction],
            "rescale_betas_zero_snr": self.zero_terminal_snr,
            # sampling starts at the last level, the one with the least signal, whatever the number of steps
            "timestep_spacing": "trailing",
            # the default clips at +-1, which is one standard deviation of these latents: pictures become blobs
            "clip_sample": False,
        }
