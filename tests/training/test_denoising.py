"""The task of denoising: frozen validation draws, dropped captions, and terms that reach the network."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from shards.index import read_index
from shards.stage import Output
from training.batches import LatentBatch, LatentReader
from training.conditions import collate
from training.denoising import Denoised, Denoising, absolute_error, squared_error
from training.model_folder import read_model
from training.processes.ddpm import Ddpm
from training.recipes import DiffusionChoice, recipe_named
from training.sources import Source, open_source
from training.world import World

CPU = torch.device("cpu")
STEP = range(8)


@pytest.fixture(scope="module")
def opened(latents: Output, vae: Output) -> Source:
    return open_source(latents, "msdm", recipe_named("msdm-tiny").shape, read_model(vae.path), CPU)


def task(opened: Source, seed: int = 0, **choice: Any) -> Denoising:
    return Denoising(opened.family, Ddpm(), DiffusionChoice(**choice), null=opened.null, seed=seed, device=CPU)


def batch_of(opened: Source) -> LatentBatch:
    settings = replace(recipe_named("msdm-tiny").loop, batch=8)
    (batch,) = opened.data(settings, World(device=CPU), accumulate=1, workers=1).held_out()
    assert isinstance(batch, LatentBatch)
    return batch


def rows(batch: LatentBatch, some: slice) -> LatentBatch:
    stored = {name: value[some] for name, value in batch.stored.items()}
    condition = {name: value[some] for name, value in batch.condition.items()}
    return LatentBatch(batch.positions[some], batch.keys[some], stored, condition)


def test_validation_loss_of_a_sample_depends_on_the_weights_alone(opened: Source) -> None:
    first, other = task(opened), task(opened, seed=1, caption_dropout=0.9)
    batch = batch_of(opened)
    first.net.eval()
    with torch.no_grad():
        losses = first.held_out(first.net, batch)
        torch.manual_seed(123)
        assert torch.equal(first.held_out(first.net, batch), losses)
        assert torch.equal(other.held_out(first.net, batch), losses)  # no caption is dropped, and the seed is another's
        halves = [first.held_out(first.net, rows(batch, some)) for some in (slice(0, 4), slice(4, 8))]
        torch.testing.assert_close(torch.cat(halves), losses)
        next(first.net.parameters()).add_(0.1)
        assert not torch.equal(first.held_out(first.net, batch), losses)


def test_a_training_step_repeats_by_position_and_not_by_seed_of_torch(opened: Source) -> None:
    each, batch = task(opened), batch_of(opened)
    torch.manual_seed(1)
    first = each.losses(each.net, batch, STEP)["latent_l2"]
    torch.manual_seed(2)
    assert torch.equal(each.losses(each.net, batch, STEP)["latent_l2"], first)
    moved = LatentBatch(tuple(p + 100 for p in batch.positions), batch.keys, batch.stored, batch.condition)
    assert not torch.equal(each.losses(each.net, moved, STEP)["latent_l2"], first)


def test_dropped_captions_leave_what_the_empty_caption_gives(opened: Source) -> None:
    batch = batch_of(opened)
    without = collate(opened.family.fields, [opened.null] * 8)
    empty = LatentBatch(batch.positions, batch.keys, batch.stored, without)
    always = task(opened, caption_dropout=1 - 1e-12)
    never = task(opened, caption_dropout=0.0)
    dropped = always.losses(always.net, batch, STEP)["latent_l2"]
    torch.testing.assert_close(dropped, never.losses(never.net, empty, STEP)["latent_l2"])
    assert not torch.allclose(dropped, never.losses(never.net, batch, STEP)["latent_l2"])


def test_the_pixel_term_reaches_the_network_through_the_frozen_decoder(opened: Source) -> None:
    each = task(opened, pixel_weight=1.0, pixel_every_samples=64)
    batch = batch_of(opened)
    assert "pixel_l1" not in each.losses(each.net, batch, range(8, 16))
    terms = each.losses(each.net, batch, range(64, 72))
    terms["pixel_l1"].mean().backward()
    assert any(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in each.net.parameters())
    family: Any = opened.family
    assert all(weight.grad is None for weight in family.vae.parameters())


def test_the_noise_level_weighs_the_loss_of_its_sample(opened: Source) -> None:
    prediction = torch.tensor([3.0, 3.0, 1.0]).reshape(3, 1, 1, 1).expand(3, 4, 8, 8)
    step = Denoised(
        prediction, torch.zeros(3, 4, 8, 8), torch.tensor([0.0, 2.0, 5.0]), prediction, lambda: prediction, lambda x: x
    )
    assert squared_error(step).tolist() == [0, 18, 5]
    assert absolute_error(step).tolist() == [0, 6, 5]

    class Heavier(Ddpm):
        def weight(self, t: torch.Tensor) -> torch.Tensor:
            return 3 * super().weight(t)

    plain, heavier = task(opened), task(opened)
    heavier.process = Heavier()
    batch = batch_of(opened)
    losses = [each.losses(plain.net, batch, STEP)["latent_l2"] for each in (plain, heavier)]
    torch.testing.assert_close(losses[1], 3 * losses[0])


def test_a_term_is_measured_in_every_micro_batch_of_a_step_or_in_none(opened: Source) -> None:
    """64 lies in the second half of the step 60 to 68: both halves, on whatever rank, have to know."""
    each, batch = task(opened, pixel_weight=1.0, pixel_every_samples=64), batch_of(opened)
    for some in (slice(0, 4), slice(4, 8)):
        assert "pixel_l1" in each.losses(each.net, rows(batch, some), range(60, 68))
        assert "pixel_l1" not in each.losses(each.net, rows(batch, some), range(68, 76))


def test_a_changed_empty_caption_is_refused(latents: Output, vae: Output, tmp_path: Path) -> None:
    copied = tmp_path / "latents"
    shutil.copytree(latents.path, copied)
    (empty,) = copied.glob("empty-caption-*")
    data = bytearray(empty.read_bytes())
    data[-1] ^= 1
    empty.write_bytes(data)
    changed = replace(latents, path=copied)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"empty-caption-\w+\.safetensors is not what was written; encode again"):
            open_source(changed, "msdm", recipe_named("msdm-tiny").shape, read_model(vae.path), CPU)
        empty.unlink(missing_ok=True)


def test_shards_encoded_for_another_length_of_text_are_refused(opened: Source, latents: Output) -> None:
    from shards.reader import read_split

    (field,) = opened.family.fields
    reader = LatentReader((replace(field, shape=(2, field.shape[1])),))
    with pytest.raises(ValueError, match="encode stage"):
        reader.read(next(read_split(read_index(latents.path), "train")), None)
