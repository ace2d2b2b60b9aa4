"""Draws, terms, rates, averages, conditions: the small functions that the loop stands on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from training.conditions import Field, check, collate, drop
from training.ema import Ema
from training.loop import passed
from training.noise import normal, uniform
from training.settings import LoopSettings, ema_decay, learning_rate
from training.ssim import ssim
from training.terms import Term, due, measure

SETTINGS = LoopSettings(samples=1000, batch=10, lr=0.1, warmup_samples=100, decay="linear", ema_halflife_samples=50)


def test_noise_of_a_sample_depends_on_its_position_alone() -> None:
    together = normal(3, [5, 9, 2], (2, 4), "noise")
    assert torch.equal(normal(3, [9], (2, 4), "noise")[0], together[1])
    assert not torch.equal(normal(4, [9], (2, 4), "noise")[0], together[1])
    assert not torch.equal(normal(3, [9], (2, 4), "other")[0], together[1])
    many = normal(0, range(500), (8,), "noise")
    assert abs(many.mean()) < 0.05
    assert many.std().item() == pytest.approx(1, abs=0.05)
    assert uniform(0, range(2000), "t").mean().item() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("batch", [8, 12])
def test_a_term_is_due_once_in_each_of_its_intervals(batch: int) -> None:
    every = 100
    starts = [seen for seen in range(0, 1200, batch) if due(every, range(seen, seen + batch))]
    assert len(starts) == 12
    assert all(any(start <= multiple < start + batch for start in starts) for multiple in range(0, 1200, every))
    assert due(0, range(7, 15))


def test_terms_are_weighted_and_absent_when_not_due_or_without_weight() -> None:
    terms = [
        Term(name="a", weight=2.0, measure=lambda step: step),
        Term(name="b", weight=1.0, measure=lambda step: step * 0, every_samples=64),
        Term(name="c", weight=0.0, measure=lambda step: 1 / 0),
    ]
    step = torch.tensor([1.0, 3.0])
    assert {name: values.tolist() for name, values in measure(terms, step, range(8, 16)).items()} == {"a": [2.0, 6.0]}
    assert list(measure(terms, step, range(64, 72))) == ["a", "b"]


def test_rate_rises_then_falls_to_zero_by_samples() -> None:
    rates = [learning_rate(SETTINGS, seen) for seen in range(0, 1000, 10)]
    assert rates[0] == pytest.approx(0.01)
    assert max(rates) == rates[9] == pytest.approx(0.1)
    assert rates[-1] == pytest.approx(0.1 * 10 / 900)
    # half the batch, twice the steps: the same curve
    assert learning_rate(replace(SETTINGS, batch=5), 500) == learning_rate(SETTINGS, 500)
    assert learning_rate(replace(SETTINGS, decay="cosine"), 550) == pytest.approx(0.05)
    assert learning_rate(replace(SETTINGS, decay="constant", warmup_samples=0), 990) == 0.1


def test_average_has_the_half_life_it_says() -> None:
    decay = ema_decay(SETTINGS, 100_000)
    assert decay ** (50 / 10) == pytest.approx(0.5)
    assert ema_decay(SETTINGS, 10) < 1e-5  # the first random weights are soon forgotten
    assert ema_decay(replace(SETTINGS, ema_halflife_samples=0), 500) == 0


def test_average_follows_in_float32_and_copies_buffers() -> None:
    net = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1)).bfloat16()
    nn.init.constant_(net[0].weight, 1.0)
    ema = Ema(net)
    nn.init.constant_(net[0].weight, 2.0)
    net[1].running_mean.fill_(7)
    for _ in range(3):
        ema.update(net, 0.999)
    # 1 + 0.001 is not a bfloat16 number: kept in the weights' own type the average would never move
    assert ema.net[0].weight.item() == pytest.approx(2 - 0.999**3, rel=1e-6)
    assert ema.net[1].running_mean.item() == 7


def test_interval_is_passed_once() -> None:
    seen = [after for after in range(12, 200, 12) if passed(50, after - 12, after)]
    assert seen == [60, 108, 156]
    assert not passed(0, 0, 100)


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"samples": 4}, "one batch"),
        ({"lr": 0.0}, "lr"),
        ({"decay": "exponential"}, "decay"),
        ({"batch": 0}, "batch"),
        ({"betas": (0.9, 1.0)}, "betas"),
        ({"held_out_samples": -1}, "held_out_samples"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(changed: dict[str, object], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        replace(SETTINGS, **changed)  # type: ignore[arg-type]


def test_conditions_are_padded_masked_dropped_and_checked() -> None:
    field = Field("text", (4, 2))
    rows = [{"text": torch.ones(2, 2).half()}, {"text": torch.full((4, 2), 3.0).half()}]
    batch = collate([field], rows)
    assert batch["text"].tolist()[0] == [[1, 1], [1, 1], [0, 0], [0, 0]]
    assert batch["text_mask"].sum(dim=1).tolist() == [2, 4]
    null = collate([field], [{"text": torch.full((1, 2), 9.0)}])
    dropped = drop(batch, null, torch.tensor([False, True]))
    assert dropped["text"][1, 0].tolist() == [9, 9]
    assert dropped["text_mask"].sum(dim=1).tolist() == [2, 1]
    assert torch.equal(dropped["text"][0], batch["text"][0])
    for wrong in ({"text": torch.ones(5, 2)}, {"text": torch.ones(2, 3)}, {}):
        with pytest.raises(ValueError, match="encode stage"):
            check([field], wrong, "key")


def naive_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Wang et al. 2004, equation 13, window by window."""
    x = np.arange(11) - 5
    line = np.exp(-(x**2) / (2 * 1.5**2))
    window = np.outer(line, line) / np.outer(line, line).sum()
    c1, c2 = 0.01**2, 0.03**2
    found = []
    for top in range(a.shape[0] - 10):
        for left in range(a.shape[1] - 10):
            p, q = (picture[top : top + 11, left : left + 11] for picture in (a, b))
            mp, mq = (window * p).sum(), (window * q).sum()
            vp, vq = (window * (p - mp) ** 2).sum(), (window * (q - mq) ** 2).sum()
            pq = (window * (p - mp) * (q - mq)).sum()
            found.append((2 * mp * mq + c1) * (2 * pq + c2) / ((mp**2 + mq**2 + c1) * (vp + vq + c2)))
    return float(np.mean(found))


def test_ssim_is_the_published_formula(gray: np.ndarray) -> None:
    a = gray[:24, :30]
    b = np.clip(a + 0.1 * np.sin(np.arange(30)), 0, 1)
    tensors = [torch.from_numpy(picture)[None, None] for picture in (a, b)]
    assert ssim(*tensors, data_range=1.0).item() == pytest.approx(naive_ssim(a, b), abs=1e-9)
    assert ssim(tensors[0], tensors[0], data_range=1.0).item() == pytest.approx(1)
    # inside autocast its convolutions would be in bfloat16, where a variance is rounding alone
    black = torch.full((1, 3, 128, 128), -1.0)
    black[:, :, 32:96, 32:96] = torch.linspace(-1, 1, 64)
    noisy = black + 0.005 * torch.randn(black.shape, generator=torch.Generator().manual_seed(0))
    assert ssim(black, noisy, data_range=2.0).item() > 0.97
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(AssertionError, match="inside autocast"):
        ssim(black, noisy, data_range=2.0)
    # the range is part of the formula: the same pictures in -1..1 score the same only with its own range
    shifted = [2 * picture for picture in tensors]
    assert ssim(*shifted, data_range=2.0).item() == pytest.approx(naive_ssim(a, b), abs=1e-9)
