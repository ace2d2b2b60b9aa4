"""The process by its equations, and against diffusers' own schedulers."""

from __future__ import annotations

import math

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler

from training.processes.ddpm import Ddpm

COMBINATIONS = [("epsilon", False), ("v", False), ("v", True), ("x0", False), ("x0", True)]


def some(steps: int = 1000, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """x0, noise [B, 2, 3, 3] and all noise levels, float64."""
    generator = torch.Generator().manual_seed(seed)
    t = torch.arange(steps)
    x0, noise = torch.randn(2, steps, 2, 3, 3, generator=generator, dtype=torch.float64)
    return x0, noise, t


@pytest.mark.parametrize(("prediction", "zero"), COMBINATIONS)
def test_same_process_as_diffusers(prediction: str, zero: bool) -> None:
    process = Ddpm(prediction=prediction, zero_terminal_snr=zero)
    stock = DDPMScheduler(**{k: v for k, v in process.scheduler().items() if k != "_class_name"})
    x0, noise, t = some()
    # diffusers computes its table in float32
    torch.testing.assert_close(process.alphas_cumprod, stock.alphas_cumprod.double(), rtol=0, atol=2e-6)
    torch.testing.assert_close(process.corrupt(x0, noise, t), stock.add_noise(x0, noise, t), rtol=0, atol=5e-3)
    if prediction == "v":
        torch.testing.assert_close(process.target(x0, noise, t), stock.get_velocity(x0, noise, t), rtol=0, atol=5e-3)


@pytest.mark.parametrize(("prediction", "zero"), COMBINATIONS)
def test_x0_is_read_back_from_a_perfect_answer(prediction: str, zero: bool) -> None:
    process = Ddpm(prediction=prediction, zero_terminal_snr=zero)
    x0, noise, t = some()
    answer = process.target(x0, noise, t)
    found = process.x0_hat(answer, process.corrupt(x0, noise, t), t)
    torch.testing.assert_close(found, x0, rtol=1e-7, atol=1e-7)


def test_variance_is_preserved_and_the_last_level_is_noise_alone() -> None:
    process = Ddpm(zero_terminal_snr=True)
    x0, noise, t = some()
    assert process.corrupt(x0, noise, t).var().item() == pytest.approx(1, abs=0.02)
    last = torch.full((3,), 999)
    assert torch.equal(process.corrupt(x0[:3], noise[:3], last), noise[:3])
    assert Ddpm(zero_terminal_snr=False).alphas_cumprod[-1] > 1e-4
    # the first level is left as it was
    plain = Ddpm(zero_terminal_snr=False).alphas_cumprod
    assert process.alphas_cumprod[0].item() == pytest.approx(plain[0].item(), rel=1e-12)
    assert (process.alphas_cumprod.diff() < 0).all()


@pytest.mark.parametrize("prediction", ["epsilon", "v", "x0"])
def test_min_snr_weights_the_error_of_x0_alike_whatever_is_predicted(prediction: str) -> None:
    gamma = 5.0
    process = Ddpm(prediction=prediction, zero_terminal_snr=False, min_snr_gamma=gamma)
    x0, noise, t = some()
    x_t = process.corrupt(x0, noise, t)
    target = process.target(x0, noise, t)
    answer = target + 0.1 * torch.randn(target.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    squared = ((answer - target) ** 2).flatten(1).mean(dim=1)
    of_x0 = ((process.x0_hat(answer, x_t, t) - x0) ** 2).flatten(1).mean(dim=1)
    snr = process.alphas_cumprod / (1 - process.alphas_cumprod)
    torch.testing.assert_close(process.weight(t).double() * squared, snr.clamp(max=gamma) * of_x0, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize(("prediction", "zero"), COMBINATIONS)
def test_without_min_snr_all_levels_count_alike(prediction: str, zero: bool) -> None:
    assert (Ddpm(prediction=prediction, zero_terminal_snr=zero).weight(torch.arange(1000)) == 1).all()


def test_every_level_is_drawn_equally_often_and_none_outside() -> None:
    process = Ddpm()
    uniform = (torch.arange(10_000, dtype=torch.float64) + 0.5) / 10_000
    assert torch.bincount(process.draw_t(uniform), minlength=1000).tolist() == [10] * 1000
    assert process.draw_t(torch.tensor([0.0, math.nextafter(1.0, 0.0)], dtype=torch.float64)).tolist() == [0, 999]


def test_grid_is_even_and_fixed() -> None:
    grid = Ddpm().grid(8)
    assert grid.tolist() == [62, 187, 312, 437, 562, 687, 812, 937]


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"prediction": "epsilon", "zero_terminal_snr": True}, "prediction: v"),
        ({"min_snr_gamma": 5.0, "zero_terminal_snr": True}, "keep one"),
        ({"min_snr_gamma": -1.0, "zero_terminal_snr": False}, "min_snr_gamma"),
        ({"beta_start": 0.5, "beta_end": 0.1}, "beta_start"),
        ({"prediction": "noise"}, "epsilon, v, x0"),
    ],
)
def test_contradictions_are_refused_with_a_way_out(settings: dict[str, object], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        Ddpm(**settings)  # type: ignore[arg-type]


def test_scheduler_does_not_clip_latents() -> None:
    scheduler = DDIMScheduler(**Ddpm().scheduler())
    assert scheduler.config.clip_sample is False
    scheduler.set_timesteps(20)
    assert int(scheduler.timesteps[0]) == 999
