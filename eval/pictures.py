"""Sets of pictures that are read when they are looked at: an evaluation may compare more than fits in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eval.spaces.space import Pictures


@dataclass(frozen=True)
class PictureSet:
    """Named pictures of one size; `load` gives one as uint8 [H, W, 3]."""

    keys: tuple[str, ...]
    load: Callable[[int], Pictures]

    def __len__(self) -> int:
        return len(self.keys)

    def batches(self, size: int) -> Iterator[Pictures]:
        """All of them in order, uint8 [at most size, H, W, 3] at a time."""
        for start in range(0, len(self), size):
            yield np.stack([self.load(place) for place in range(start, min(start + size, len(self)))])

    def some(self, places: Sequence[int]) -> PictureSet:
        """Those at `places`, in that order."""
        chosen = tuple(places)
        return PictureSet(tuple(self.keys[place] for place in chosen), lambda number: self.load(chosen[number]))


def stored(paths: Sequence[Path]) -> PictureSet:
    """Picture files."""

    def load(place: int) -> Pictures:
        from PIL import Image

        with Image.open(paths[place]) as picture:
            return np.asarray(picture.convert("RGB"))

    return PictureSet(tuple(path.stem for path in paths), load)


def noise(count: int, side_px: int, seed: int) -> PictureSet:
    """Pictures of independent uniform grey levels: what has learnt nothing at all would give."""

    def load(place: int) -> Pictures:
        draw = np.random.default_rng([seed, place])
        return draw.integers(0, 256, (side_px, side_px, 3), dtype=np.uint8)

    return PictureSet(tuple(f"noise-{seed}-{place}" for place in range(count)), load)
