"""What stops a run: a loss that is no number, weights that drifted apart, another rank; the last sound state stays."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from shards.stage import Cancelled
from training.loop import Diverged, train
from training.settings import LoopSettings
from training.task import Preview
from training.world import World


@dataclass(frozen=True)
class Numbers:
    """A batch of plain numbers."""

    positions: tuple[int, ...]
    keys: tuple[str, ...]
    values: Tensor


@dataclass
class Line:
    """Learns y = 3x; the sample at `bad` gives a number whose loss, or whose gradient alone, is not finite."""

    net: nn.Module
    bad: int
    in_gradient: bool = False

    def losses(self, net: nn.Module, batch: Numbers, step: range) -> dict[str, Tensor]:
        error = (net(batch.values[:, None])[:, 0] - 3 * batch.values) ** 2
        if self.bad not in batch.positions:
            return {"error": error}
        hit = torch.tensor([position == self.bad for position in batch.positions])
        poison = (net(batch.values[:, None])[:, 0] * 0).sqrt() if self.in_gradient else torch.tensor(float("nan"))
        return {"error": torch.where(hit, error + poison, error)}

    def held_out(self, net: nn.Module, batch: Numbers) -> Tensor:
        raise AssertionError("there is nothing held out")

    def preview(self, net: nn.Module, batch: Numbers) -> Preview:
        raise AssertionError("there is nothing held out")

    def export(self, net: nn.Module, folder: Path) -> dict[str, Any]:
        return {}


class Count:
    """0, 1, 2, ... in batches of 4, two micro-batches each."""

    def batches(self, samples_seen: int) -> Generator[Sequence[Numbers], None, None]:
        while True:
            some = [range(samples_seen, samples_seen + 2), range(samples_seen + 2, samples_seen + 4)]
            yield [
                Numbers(tuple(r), tuple(f"key-{n}" for n in r), torch.tensor([float(n % 5) for n in r])) for r in some
            ]
            samples_seen += 4

    def held_out(self) -> list[Numbers]:
        return []


ALONE = World(device=torch.device("cpu"))


def run(task: Line, folder: Path, world: World = ALONE) -> nn.Module:
    settings = LoopSettings(samples=40, batch=4, lr=0.1, checkpoint_every_samples=8)
    return train(task, Count(), settings, folder, world, config={}, stopping=lambda: False, on_progress=lambda *_: None)


class Drifting(World):
    """Another rank whose weights are no longer those of this one."""

    def gather(self, value: Any) -> list[Any]:
        return [value, value + 1e-3] if isinstance(value, float) else [value, value]


class Leaving(World):
    """Another rank that wants to stop, where this one was not asked."""

    def sum(self, values: Tensor) -> Tensor:
        values[0] += 1
        return values


def test_ranks_that_drifted_apart_save_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the weights of the ranks have drifted apart: nothing was saved"):
        run(Line(nn.Linear(1, 1), bad=-1), tmp_path, Drifting(device=torch.device("cpu")))
    assert not (tmp_path / "checkpoints").exists()


def test_all_ranks_save_and_stop_when_one_is_asked_to(tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        run(Line(nn.Linear(1, 1), bad=-1), tmp_path, Leaving(device=torch.device("cpu")))
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["000000000004"]


def test_a_bad_sample_is_named_and_the_state_before_it_is_kept(tmp_path: Path) -> None:
    torch.manual_seed(0)
    with pytest.raises(Diverged, match=r"after 20 samples, at the positions 22 \(key-22\)\. .*lower lr"):
        run(Line(nn.Linear(1, 1), bad=22), tmp_path)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["000000000008", "000000000016"]
    # without the bad sample the same run goes on from there
    average = run(Line(nn.Linear(1, 1), bad=-1), tmp_path)
    assert all(torch.isfinite(weight).all() for weight in average.parameters())


def test_where_the_gradient_alone_is_bad_all_samples_of_the_step_are_named(tmp_path: Path) -> None:
    with pytest.raises(Diverged, match=r"positions 4 \(key-4\), 5 \(key-5\), 6 \(key-6\), 7 \(key-7\)"):
        run(Line(nn.Linear(1, 1), bad=6, in_gradient=True), tmp_path)


def test_the_loop_leaves_torch_as_it_found_it(tmp_path: Path) -> None:
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    run(Line(nn.Linear(1, 1), bad=-1), tmp_path)
    assert (torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark) == before
