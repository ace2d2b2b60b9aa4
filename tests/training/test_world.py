"""Many ranks: the same samples, the same losses, the same weights as one."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from shards.index import read_index
from shards.loader import FREE_DAMAGED
from shards.stage import Cancelled, Output, UserError
from training.batches import PictureReader
from training.dataset import ShardData
from training.descendants import descendants
from training.launch import torchrun_command
from training.log import read_log
from training.settings import LoopSettings
from training.train import Train
from training.train_vae import TrainVae
from training.world import World

SETTINGS = LoopSettings(samples=160, batch=8, lr=1e-3, held_out_samples=6)
CPU = torch.device("cpu")


def data(pictures: Output, world: World, accumulate: int = 1, workers: int = 1) -> Any:
    reader = PictureReader(32)
    return ShardData(read_index(pictures.path), reader, SETTINGS, world, accumulate=accumulate, workers=workers)


def steps(pictures: Output, size: int, count: int = 7, seen: int = 0, **more: int) -> list[dict[int, tuple[str, str]]]:
    """position -> (key, caption) of each step over all ranks."""
    found: list[dict[int, tuple[str, str]]] = [{} for _ in range(count)]
    for rank in range(size):
        batches = data(pictures, World(device=CPU, rank=rank, size=size), **more).batches(seen)
        for step in found:
            for batch in next(batches):
                step.update(zip(batch.positions, zip(batch.keys, batch.captions, strict=True), strict=True))
        batches.close()
    return found


def test_samples_do_not_depend_on_ranks_micro_batches_threads_or_restarts(pictures: Output) -> None:
    one = steps(pictures, 1)
    assert [sorted(step) for step in one[:2]] == [list(range(8)), list(range(8, 16))]
    assert len({key for step in one[:5] for key, _ in step.values()}) == 40  # an epoch takes every sample once
    assert len({text for step in one for _, text in step.values()}) > 10  # other captions than the first are drawn
    assert steps(pictures, 2) == one
    assert steps(pictures, 2, accumulate=2, workers=3) == one
    assert steps(pictures, 4, count=2, seen=40) == one[5:7]


def test_held_out_samples_are_shared_out_equally(pictures: Output) -> None:
    ranks = [data(pictures, World(device=CPU, rank=rank, size=4)).held_out() for rank in range(4)]
    assert [sum(len(batch.keys) for batch in rank) for rank in ranks] == [1, 1, 1, 1]  # 4 of 6: equally many
    (whole,) = data(pictures, World(device=CPU)).held_out()
    assert len(whole.keys) == 6
    assert all(text == "Colour fundus photograph of the retina." or "tissue" in text for text in whole.captions)
    assert not any(text.startswith("Picture") for text in whole.captions)  # always the first caption


def test_two_seeds_are_looked_at_on_the_same_held_out_samples(pictures: Output) -> None:
    def keys(seed: int) -> list[str]:
        settings = replace(SETTINGS, seed=seed)
        shards, reader, world = read_index(pictures.path), PictureReader(32), World(device=CPU)
        (batch,) = ShardData(shards, reader, settings, world, accumulate=1, workers=1).held_out()
        return list(batch.keys)

    assert keys(0) == keys(1)
    assert keys(0) != sorted(keys(0))


def test_a_batch_that_cannot_be_shared_is_refused_before_anything_is_read(pictures: Output) -> None:
    with pytest.raises(ValueError, match="multiple of 6"):
        data(pictures, World(device=CPU, size=2), accumulate=3)
    settings = replace(SETTINGS, batch=64)
    with pytest.raises(ValueError, match="fewer than one global batch"):
        ShardData(read_index(pictures.path), PictureReader(32), settings, World(device=CPU), accumulate=1, workers=1)


@pytest.mark.parametrize("workers", [1, 4])
def test_threads_count_damaged_samples_together(make_shards: Any, workers: int) -> None:
    """Each of them comes to a part of an epoch, and alone would find too few to stop at."""

    def spoilt(count: int) -> Output:
        def change(number: int, members: dict[str, bytes]) -> dict[str, bytes]:
            return {**members, "png": b"no picture"} if number < count else members

        found: Output = make_shards(f"spoilt-{count}-{workers}", change=change)
        return found

    assert len(steps(spoilt(FREE_DAMAGED), 1, count=10, workers=workers)) == 10  # two epochs
    with pytest.raises(UserError, match=f"{FREE_DAMAGED + 1} of 40 samples are damaged"):
        steps(spoilt(FREE_DAMAGED + 1), 1, count=5, workers=workers)


@pytest.mark.slow
@pytest.mark.long
def test_two_processes_learn_what_one_learns(runner: Any, latents: Output, vae: Output, model: Output) -> None:
    told: list[int] = []
    both = runner.job(
        Train(recipe="msdm-tiny", samples=64, processes=2, accumulate=2),
        [latents, vae],
        "two",
        on_progress=lambda done, total, what: told.append(done),
    )
    ours, theirs = ([line for line in read_log(each.path) if "loss" in line] for each in (model, both))
    assert [line["samples"] for line in theirs] == [line["samples"] for line in ours] == list(range(8, 65, 8))
    assert [line["loss"] for line in theirs] == pytest.approx([line["loss"] for line in ours], abs=1e-5)
    looks = [[line["val_loss"] for line in read_log(each.path) if "val_loss" in line] for each in (model, both)]
    assert looks[1] == pytest.approx(looks[0], abs=1e-4)
    # that the ranks' weights are equal is checked at every checkpoint by the loop itself
    assert list((both.path / "checkpoints").iterdir())


@pytest.mark.slow
@pytest.mark.long
def test_two_processes_stop_in_order_when_asked(runner: Any, latents: Output, vae: Output) -> None:
    stage = Train(recipe="msdm-tiny", samples=80_000, processes=2)
    out = runner.root / "stopped"
    begun = time.monotonic()

    def asked() -> bool:
        return len(read_log(out)) > 3 or time.monotonic() > begun + 60

    with pytest.raises(Cancelled):
        runner.job(stage, [latents, vae], "stopped", is_cancelled=asked)
    (saved,) = (out / "checkpoints").iterdir()
    assert int(saved.name) >= 32


@pytest.mark.slow
@pytest.mark.long
def test_what_stops_one_of_several_processes_is_said(runner: Any, pictures: Output) -> None:
    """As one process says it: what is wrong, and what to do."""
    with pytest.raises(ValueError, match=r"^\S+ is 32 x 32 px and the recipe learns .*: pack with `preset: square-64`"):
        runner.job(TrainVae(recipe="msdm-demo", processes=2), [pictures], "said")


def kill_rank(rank: int, out: Path) -> None:
    """End one of the processes that train, once they do."""
    until = time.monotonic() + 60
    while len(read_log(out)) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    for each in descendants(os.getpid()):
        with suppress(OSError):
            if f"\0RANK={rank}\0".encode() in Path(f"/proc/{each.number}/environ").read_bytes():
                os.kill(each.number, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.long
def test_what_was_printed_is_kept_where_one_of_several_processes_dies(
    runner: Any, latents: Output, vae: Output
) -> None:
    out = runner.root / "died"
    killer = threading.Thread(target=kill_rank, args=(1, out))
    killer.start()
    with pytest.raises(UserError, match=r"one of 2 processes ended .*printed\.log"):
        runner.job(Train(recipe="msdm-tiny", samples=80_000, processes=2), [latents, vae], "died")
    killer.join()
    assert "SIGKILL" in (out / "printed.log").read_text()


def test_workers_start_through_the_installed_command() -> None:
    command = torchrun_command(Path("/x/spec.json"), 3)
    assert Path(command[0]).name == "torchrun"
    assert "--no-python" in command
    assert [Path(command[-3]).name, *command[-2:]] == ["medloom", "train-worker", "/x/spec.json"]
