"""Pictures drawn for an evaluation, as files that say what made them. What an interrupted run drew is used again.

A file is taken over only if the settings in its own text chunk are those that are asked for now, so no list beside the
files can go stale. A picture's seed is a function of (seed of the run, place of its prompt): the same noise for every
prompt would make a whole run look alike.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from training.synthetic import write_picture

SEEDS_APART = 1_000_000  # prompts that one seed of a run has room for


class PictureSampler(Protocol):
    """What draws: `training.sampling.Sampler`."""

    def sample(
        self, prompts: Sequence[str], seeds: Sequence[int], *, steps: int, guidance: float, method: Any
    ) -> NDArray[np.uint8]:
        """One picture [H, W, 3] for each pair of prompt and seed."""
        ...


@dataclass(frozen=True)
class Draw:
    """One picture to be drawn."""

    path: Path
    prompt: str
    seed: int
    settings: Mapping[str, Any]  # all that decides its pixels, `prompt` and `seed` among them


@dataclass
class Drawn:
    """The generated pictures of an evaluation by seed of the run, each in the order of the prompts."""

    trained: dict[int, list[Draw]] = field(default_factory=dict)
    untrained: dict[int, list[Draw]] = field(default_factory=dict)


def picture_seed(run_seed: int, place: int) -> int:
    """Seed of the picture for the prompt at `place`."""
    return run_seed * SEEDS_APART + place


def plan_draws(folder: Path, prompts: Sequence[str], run_seed: int, common: Mapping[str, Any]) -> list[Draw]:
    """One draw a prompt: `<folder>/<place>-<run seed>.png`."""
    draws = []
    for place, prompt in enumerate(prompts):
        seed = picture_seed(run_seed, place)
        path = folder / f"{place}-{run_seed}.png"
        draws.append(Draw(path, prompt, seed, {**common, "prompt": prompt, "seed": seed}))
    return draws


def draw_missing(
    sampler: PictureSampler,
    draws: Sequence[Draw],
    *,
    batch: int,
    before_batch: Callable[[], None],
    on_batch: Callable[[int], None],
) -> int:
    """Draw and write what is not there yet; returns how many were taken over. `before_batch` may raise to stop."""
    missing = [draw for draw in draws if written_settings(draw.path) != dict(draw.settings)]
    on_batch(len(draws) - len(missing))
    for start in range(0, len(missing), batch):
        before_batch()
        some = missing[start : start + batch]
        settings = some[0].settings
        pictures = sampler.sample(
            [draw.prompt for draw in some],
            [draw.seed for draw in some],
            steps=settings["steps"],
            guidance=settings["guidance"],
            method=settings["method"],
        )
        for draw, pixels in zip(some, pictures, strict=True):
            write_picture(draw.path, pixels, draw.settings)
        on_batch(len(some))
    return len(draws) - len(missing)


def written_settings(path: Path) -> dict[str, Any] | None:
    """The settings in the text chunk of a whole picture file; None where there is no such file."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            picture.load()
            found = json.loads(getattr(picture, "text", {}).get("settings", "null"))
    except (OSError, ValueError, SyntaxError):
        return None
    return found if isinstance(found, dict) else None


def sweep_others(folder: Path, wanted: Sequence[Path]) -> None:
    """Remove pictures of earlier settings from a folder."""
    kept = set(wanted)
    for path in folder.glob("*.png"):
        if path not in kept:
            path.unlink()
