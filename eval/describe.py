"""All that later figures need of a set of pictures, gathered in one pass over it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.pictures import PictureSet
from eval.resize import resize
from eval.spaces.space import Pictures, Space, luma
from eval.stats import Features

SMALL_PX = 64  # what the probe sees
THUMB_PX = 32  # what is correlated


@dataclass(frozen=True, eq=False)
class Described:
    """Features by space, and small copies of the pictures."""

    keys: tuple[str, ...]
    features: Mapping[str, Features]
    small: Pictures  # uint8 [N, 64, 64, 3]
    groups: tuple[str, ...] = ()  # pictures of one group depend on each other; empty: none do

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def clusters(self) -> tuple[str, ...]:
        """What each picture is a part of: its group, else itself."""
        return self.groups or self.keys

    def some(self, places: Sequence[int] | NDArray[np.intp]) -> Described:
        """Those at `places`."""
        chosen = np.asarray(places, dtype=np.intp)
        features = {space: values[chosen] for space, values in self.features.items()}
        keys, groups = (tuple(names[place] for place in chosen) if names else () for names in (self.keys, self.groups))
        return Described(keys, features, self.small[chosen], groups)


def describe(
    pictures: PictureSet,
    spaces: Sequence[Space],
    batch: int,
    on_batch: Callable[[int], None] = lambda done: None,
    *,
    groups: Sequence[str] = (),
) -> Described:
    """Features and small copies of a set of at least one picture; `on_batch` is told how many were just done."""
    features: dict[str, list[Features]] = {space.name: [] for space in spaces}
    small = []
    for pixels in pictures.batches(batch):
        for space in spaces:
            features[space.name].append(space.features(pixels))
        shrunk = resize(pixels, SMALL_PX).round().permute(0, 2, 3, 1).numpy()
        small.append(shrunk.astype(np.uint8))
        on_batch(len(pixels))
    tables = {name: np.concatenate(parts) for name, parts in features.items()}
    return Described(pictures.keys, tables, np.concatenate(small), tuple(groups))


def unit_thumbs(small: Pictures) -> Features:
    """Brightness at 32 px, mean taken off, unit length [N, 1024]; the product of two rows is their correlation.

    A constant picture correlates with nothing: its row is 0.
    """
    fold = small.shape[1] // THUMB_PX
    grey = luma(small).reshape(len(small), THUMB_PX, fold, THUMB_PX, fold).mean(axis=(2, 4)).reshape(len(small), -1)
    away = grey - grey.mean(axis=1, keepdims=True)
    length = np.linalg.norm(away, axis=1, keepdims=True)
    rows: Features = np.where(length > 1e-3, away / np.maximum(length, 1e-3), 0).astype(np.float32)
    return rows
