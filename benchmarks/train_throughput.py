"""Samples a second of our training loop and of a bare loop of stock parts, on the same latents shards and network.

The bare loop is what a fine-tuning script does: `webdataset` shuffled through a buffer, `DDPMScheduler`, `EMAModel`,
AdamW, one `loss.item()` a step. It has neither resume nor a fixed order nor checks; ours has them, and this measures
what they cost. Rounds alternate, so that a busy machine slows both; the median counts.

    python benchmarks/train_throughput.py LATENTS VAE [--recipe msdm-demo] [--steps 60] [--rounds 3] [--threads 2]

LATENTS is the folder of an encode stage, VAE that of the train_vae stage it was encoded with.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from diffusers import DDPMScheduler
from diffusers.training_utils import EMAModel
from safetensors.torch import load

from shards.index import read_index
from shards.stage import Kind, Output
from training.conditions import collate
from training.denoising import Denoising
from training.loop import train
from training.model_folder import read_model
from training.processes.ddpm import Ddpm
from training.recipes import overridden, recipe_named
from training.sources import open_source
from training.world import World


def stock_batches(paths: list[str], fields: Any, batch: int) -> Iterator[tuple[torch.Tensor, dict[str, torch.Tensor]]]:
    """Endless shuffled batches through webdataset."""
    import webdataset

    samples = webdataset.WebDataset(paths, resampled=True).shuffle(1000)
    latents, conditions = [], []
    for sample in samples:
        tensors = load(sample["safetensors"])
        mean, std = tensors["latent/mean"].float(), tensors["latent/std"].float()
        latents.append(mean + std * torch.randn_like(mean))
        conditions.append({"text": tensors["caption/0/text"]})
        if len(latents) == batch:
            yield torch.stack(latents), collate(fields, conditions)
            latents, conditions = [], []


def bare_loop(
    net: Any, batches: Iterator[Any], process: Ddpm, null: dict[str, torch.Tensor], lr: float, steps: int
) -> None:
    """What a fine-tuning script does."""
    scheduler = DDPMScheduler(**process.scheduler())
    optimiser = torch.optim.AdamW(net.parameters(), lr=lr)
    average = EMAModel(net.parameters(), decay=0.999)
    for _ in range(steps):
        x0, condition = next(batches)
        noise, t = torch.randn_like(x0), torch.randint(0, 1000, (len(x0),))
        dropped = torch.rand(len(x0)) < 0.1
        text = torch.where(dropped[:, None, None], null["text"], condition["text"])
        mask = torch.where(dropped[:, None], null["text_mask"], condition["text_mask"])
        x_t = scheduler.add_noise(x0, noise, t)
        answer = net(x_t, t, encoder_hidden_states=text, encoder_attention_mask=mask).sample
        loss = torch.nn.functional.mse_loss(answer, scheduler.get_velocity(x0, noise, t))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        average.step(net.parameters())
        loss.item()


def timed(run: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor seconds."""
    wall, processor = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - processor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("latents", type=Path)
    parser.add_argument("vae", type=Path)
    parser.add_argument("--recipe", default="msdm-demo")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)

    recipe = recipe_named(given.recipe)
    vae, index = read_model(given.vae), read_index(given.latents)
    world = World(device=torch.device("cpu"))
    source = Output(stage="latents", kind=Kind.LATENTS, path=given.latents, content=index.content())
    opened = open_source(source, recipe.family, recipe.shape, vae, world.device)
    process = overridden(Ddpm(), recipe.diffusion)
    batch = recipe.loop.batch
    settings = replace(
        recipe.loop,
        samples=given.steps * batch,
        log_every_samples=10 * batch,
        checkpoint_every_samples=0,
        warmup_samples=0,
    )
    paths = [index.path(shard.path) for shard in index.of("train")]

    def ours() -> None:
        task = Denoising(opened.family, process, recipe.diffusion, null=opened.null, seed=0, device=world.device)
        data = opened.data(replace(settings, held_out_samples=0), world, accumulate=1, workers=1)
        with tempfile.TemporaryDirectory() as folder:
            train(
                task,
                data,
                settings,
                Path(folder),
                world,
                config={},
                stopping=lambda: False,
                on_progress=lambda *_: None,
            )

    def bare() -> None:
        net = opened.family.network(0).train()
        null = collate(opened.family.fields, [opened.null])
        with closing(stock_batches(paths, opened.family.fields, batch)) as batches:
            bare_loop(net, batches, process, null, recipe.loop.lr, given.steps)

    found: dict[str, list[tuple[float, float]]] = {"ours": [], "bare": []}
    for _ in range(given.rounds + 1):
        for name, run in (("ours", ours), ("bare", bare)):
            found[name].append(timed(run))
    for name, seconds in found.items():
        rates = [given.steps * batch / wall for wall, _ in seconds[1:]]  # the first round warms up
        work = [processor / given.steps for _, processor in seconds[1:]]
        line = {
            "loop": name,
            "samples_per_s": round(statistics.median(rates), 1),
            "processor_s_per_step": round(statistics.median(work), 4),
            "rounds": [round(rate, 1) for rate in rates],
        }
        print(json.dumps(line))


if __name__ == "__main__":
    main()
