"""The loop by itself, on a task of one weight: the rate reaches the step, and operations are the deterministic ones."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from training.loop import InPrecision, deterministic, train
from training.settings import LoopSettings, learning_rate
from training.task import Preview
from training.world import World


@dataclass(frozen=True)
class Places:
    """A batch of nothing but positions."""

    positions: tuple[int, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(map(str, self.positions))


class Fall:
    """The loss is the weight itself, so its gradient is 1 at every step, and AdamW moves it by exactly the rate."""

    def __init__(self) -> None:
        self.net: nn.Module = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.net.weight)  # type: ignore[arg-type]
        self.steps: list[range] = []

    def losses(self, net: nn.Module, batch: Places, step: range) -> dict[str, Tensor]:
        self.steps.append(step)
        return {"height": net(torch.ones(len(batch.positions), 1))[:, 0]}

    def held_out(self, net: nn.Module, batch: Places) -> Tensor:
        raise AssertionError("there is nothing held out")

    def preview(self, net: nn.Module, batch: Places) -> Preview:
        raise AssertionError("there is nothing held out")

    def export(self, net: nn.Module, folder: Path) -> dict[str, Any]:
        return {}


class Halves:
    """Steps of 4 samples in two micro-batches."""

    def batches(self, samples_seen: int) -> Generator[Sequence[Places], None, None]:
        while True:
            yield [Places((samples_seen, samples_seen + 1)), Places((samples_seen + 2, samples_seen + 3))]
            samples_seen += 4

    def held_out(self) -> list[Places]:
        return []


def test_each_step_is_taken_at_the_rate_of_its_samples(tmp_path: Path) -> None:
    settings = LoopSettings(samples=40, batch=4, lr=0.1, warmup_samples=16, decay="linear")
    task, world = Fall(), World(device=torch.device("cpu"))
    train(
        task,
        Halves(),
        settings,
        tmp_path,
        world,
        config={},
        stopping=lambda: False,
        on_progress=lambda *_: None,
    )
    starts = range(0, 40, 4)
    fallen = sum(learning_rate(settings, seen) for seen in starts)
    assert task.net.weight.item() == pytest.approx(-fallen, rel=1e-5)  # type: ignore[operator]
    assert fallen < 0.7 * 10 * settings.lr  # it is not the same at every step
    assert task.steps == [range(seen, seen + 4) for seen in starts for _ in range(2)]


def test_bfloat16_is_for_the_network_alone() -> None:
    seen = []

    class Look(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            seen.append((torch.is_autocast_enabled("cpu"), super().forward(x).dtype))
            return super().forward(x)

    for precision in ("bf16", "fp32"):
        InPrecision(Look(2, 2), precision)(torch.ones(1, 2))  # type: ignore[arg-type]
        assert not torch.is_autocast_enabled("cpu")
    assert seen == [(True, torch.bfloat16), (False, torch.float32)]


def test_operations_that_have_no_deterministic_form_stop_the_run() -> None:
    with deterministic():
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.is_deterministic_algorithms_warn_only_enabled()
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("masked", [False, True])
def test_attention_over_many_places_has_the_same_gradients_twice(dtype: torch.dtype, masked: bool) -> None:
    """From 1,024 places on the faster backward pass adds up in an order that changes from run to run."""
    draw = np.random.default_rng(0)
    given = [torch.tensor(draw.normal(size=(4, 8, 2048, 64)), dtype=dtype, device="cuda") for _ in range(4)]
    mask = torch.tensor(draw.random((4, 1, 1, 2048)) > 0.3, device="cuda") if masked else None

    def gradients() -> list[Tensor]:
        q, k, v = (each.clone().requires_grad_() for each in given[:3])
        (scaled_dot_product_attention(q, k, v, attn_mask=mask) * given[3]).sum().backward()
        return [each.grad for each in (q, k, v) if each.grad is not None]

    with deterministic():
        first = gradients()
        for _ in range(10):
            assert all(torch.equal(a, b) for a, b in zip(first, gradients(), strict=True))
