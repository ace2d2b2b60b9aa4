"""Sampling: reproducible by prompt and seed, the same as a bare stock loop, and marked as synthetic."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from shards.stage import Output
from training.noise import normal
from training.sample_command import sample
from training.sampling import load_checkpoint

PROMPTS = ["Colour fundus photograph of the retina.", "Microscopy of stained colon tissue.", "retina ."]


def test_a_picture_depends_on_prompt_and_seed_alone(model: Output) -> None:
    sampler = load_checkpoint(model.path)
    prompts = [PROMPTS[number % 3] for number in range(11)]
    together = sampler.sample(prompts, range(11), steps=3, guidance=2.0)
    assert together.shape == (11, 32, 32, 3)
    assert together.dtype == np.uint8
    again = load_checkpoint(model.path / "model")
    for number in (0, 7, 10):
        assert np.array_equal(again.sample([prompts[number]], [number], steps=3, guidance=2.0)[0], together[number])
    assert not np.array_equal(again.sample([prompts[0]], [1], steps=3, guidance=2.0)[0], together[0])
    assert not np.array_equal(again.sample([prompts[1]], [0], steps=3, guidance=2.0)[0], together[0])
    assert not np.array_equal(again.sample([prompts[0]], [0], steps=3, guidance=1.0)[0], together[0])


def test_how_many_are_drawn_at_once_changes_no_picture_beyond_rounding(model: Output, tmp_path: Path) -> None:
    prompts = [PROMPTS[number % 3] for number in range(5)]
    drawn = [
        load_checkpoint(model.path, at_once=at_once).sample(prompts, range(5), steps=3, guidance=2.0).astype(int)
        for at_once in (1, 3, 8)
    ]
    assert drawn[0].std() > 1
    assert max(np.abs(drawn[0] - each).max() for each in drawn[1:]) <= 1
    assert load_checkpoint(model.path, torch.device("cpu")).at_once == 4
    with pytest.raises(ValueError, match="at_once: 0"):
        load_checkpoint(model.path, at_once=0)
    options = {"number": 1, "steps": 1, "guidance": 1.0, "seed": 0, "method": "ddim", "at_once": 2}
    (path,) = sample(model.path, PROMPTS[:1], tmp_path, **options)  # type: ignore[arg-type]
    assert json.loads(path.with_suffix(".json").read_text())["at_once"] == 2


# diffusers 0.42 turns tensors into arrays in a way that numpy 2 will stop to support
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
@pytest.mark.parametrize("method", ["ddim", "dpm++"])
def test_a_bare_stock_loop_draws_the_same_picture(model: Output, bert: Path, method: str) -> None:
    from diffusers import AutoencoderKL, DDIMScheduler, DPMSolverMultistepScheduler, UNet2DConditionModel
    from transformers import AutoModel, AutoTokenizer

    folder = model.path / "model"
    unet = UNet2DConditionModel.from_pretrained(folder / "unet").eval()
    vae = AutoencoderKL.from_pretrained(folder / "vae").eval()
    scheduler_class = {"ddim": DDIMScheduler, "dpm++": DPMSolverMultistepScheduler}[method]
    scheduler = scheduler_class.from_pretrained(folder / "scheduler")
    tokenizer, text = AutoTokenizer.from_pretrained(bert), AutoModel.from_pretrained(bert).eval()
    tokens = tokenizer(["", PROMPTS[0]], padding="max_length", max_length=16, return_tensors="pt")
    latents = normal(0, [5], (4, 8, 8), "sample")
    scheduler.set_timesteps(6)
    with torch.no_grad():
        hidden = text(**tokens).last_hidden_state * tokens["attention_mask"][..., None]
        for t in scheduler.timesteps:
            mask = tokens["attention_mask"]
            inputs = {"encoder_hidden_states": hidden, "encoder_attention_mask": mask}
            without, given = unet(torch.cat([latents, latents]), t, **inputs).sample.chunk(2)
            latents = scheduler.step(without + 2.0 * (given - without), t, latents).prev_sample
        stock = vae.decode(latents / vae.config.scaling_factor).sample[0]
    stock = ((stock.clamp(-1, 1) + 1) * 127.5).round().permute(1, 2, 0).numpy()
    (ours,) = load_checkpoint(model.path).sample([PROMPTS[0]], [5], steps=6, guidance=2.0, method=method)
    assert np.abs(stock - ours).max() <= 1  # embeddings are kept in float16
    assert ours.std() > 1


def test_files_say_that_they_are_synthetic_and_how_they_were_made(model: Output, tmp_path: Path) -> None:
    paths = list(sample(model.path, PROMPTS[:2], tmp_path, number=2, steps=2, guidance=1.5, seed=7, method="ddim"))
    assert [path.name for path in paths] == ["0-7.png", "0-8.png", "1-7.png", "1-8.png"]
    with Image.open(paths[1]) as picture:
        text = picture.text
        pixels = np.asarray(picture)
    assert text["synthetic"] == "true"
    assert "trainedAlgorithmicMedia" in text["digitalSourceType"]
    settings = json.loads(paths[1].with_suffix(".json").read_text())
    assert settings["synthetic"] is True
    assert (settings["prompt"], settings["seed"], settings["steps"]) == (PROMPTS[0], 8, 2)
    assert settings["model"] == model.content
    again = load_checkpoint(model.path).sample([settings["prompt"]], [8], steps=2, guidance=1.5)
    assert np.array_equal(again[0], pixels)
    before = paths[1].read_bytes()
    list(sample(model.path, PROMPTS[:2], tmp_path, number=2, steps=2, guidance=1.5, seed=7, method="ddim"))
    assert paths[1].read_bytes() == before


def test_what_cannot_be_sampled_says_why(model: Output, vae: Output, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="finished train stage"):
        load_checkpoint(tmp_path)
    with pytest.raises(ValueError, match="autoencoder alone"):
        load_checkpoint(vae.path)
    broken = tmp_path / "broken"
    shutil.copytree(model.path / "model", broken)
    weights = broken / "unet" / "diffusion_pytorch_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(ValueError, match=r"damaged: unet/diffusion_pytorch_model\.safetensors"):
        load_checkpoint(broken)
    sampler = load_checkpoint(model.path)
    with pytest.raises(ValueError, match="ddim, dpm"):
        sampler.sample(PROMPTS[:1], [0], steps=1, guidance=1.0, method="euler")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="one seed for each prompt"):
        sampler.sample(PROMPTS[:1], [0, 1], steps=1, guidance=1.0)
