"""`medloom sample`: pictures of a trained model as files that say how they were made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from training.schedulers import Method
from training.synthetic import write_sample


def sample(
    checkpoint: Path,
    prompts: Sequence[str],
    out: Path,
    *,
    number: int,
    steps: int,
    guidance: float,
    seed: int,
    method: Method,
    at_once: int | None = None,
) -> Iterator[Path]:
    """Draw `number` pictures for each prompt, seeds `seed`, `seed + 1`, ..., and yield each file when it is written.

    Files are `<prompt number>-<seed>.png` with their settings beside them as JSON; the same command writes the same
    bytes. `at_once` pictures are drawn together, None for what suits the device: it changes the speed, and a picture by
    rounding alone. Raises ValueError and FileNotFoundError as `training.sampling` does.
    """
    from training.sampling import load_checkpoint

    sampler = load_checkpoint(checkpoint, at_once=at_once)
    wanted = [(at, prompt, seed + offset) for at, prompt in enumerate(prompts) for offset in range(number)]
    for start in range(0, len(wanted), sampler.at_once):
        some = wanted[start : start + sampler.at_once]
        pictures = sampler.sample(
            [prompt for _, prompt, _ in some],
            [each for _, _, each in some],
            steps=steps,
            guidance=guidance,
            method=method,
        )
        for (at, prompt, each), pixels in zip(some, pictures, strict=True):
            path = out / f"{at}-{each}.png"
            settings = {
                "prompt": prompt,
                "seed": each,
                "steps": steps,
                "guidance": guidance,
                "method": method,
                "at_once": sampler.at_once,
                "model": sampler.model.content,
                "family": sampler.model.record["family"],
                "recipe": sampler.model.record["recipe"],
            }
            write_sample(path, pixels, settings)
            yield path
