"""One sample and one batch of training data, from pixel shards or from latents shards.

A reader turns what lies in a shard into a sample and samples into a batch. Which of several captions is taken is drawn
by weight from (seed, position); a held-out sample always has its first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shards.draws import pick
from shards.reader import DamagedSample, RawSample
from training.conditions import Field, check, collate
from training.latents import EXTENSION, unpack_latents
from training.pixels import decode_picture, square_of


@dataclass(frozen=True)
class PictureBatch:
    """Pictures as they are seen, and their captions."""

    positions: tuple[int, ...]
    keys: tuple[str, ...]
    pixels: Tensor  # uint8 [B, H, W, 3]
    captions: tuple[str, ...]


@dataclass(frozen=True)
class LatentBatch:
    """Pictures and captions as the family's encoders left them."""

    positions: tuple[int, ...]
    keys: tuple[str, ...]
    stored: Mapping[str, Tensor]  # [B, ...] each
    condition: Mapping[str, Tensor]  # as `conditions.collate` makes it


@dataclass(frozen=True)
class Picture:
    """One sample of a pixel shard."""

    position: int
    key: str
    pixels: NDArray[np.uint8]
    caption: str


@dataclass(frozen=True)
class Latent:
    """One sample of a latents shard."""

    position: int
    key: str
    stored: Mapping[str, Tensor]
    condition: Mapping[str, Tensor]


def captions_of(sample: RawSample) -> list[dict[str, Any]]:
    """The captions in the `.json` of a sample, or its `.txt` where another program made the shard."""
    if "json" in sample.members:
        try:
            record = json.loads(sample.members["json"])
        except ValueError as error:
            raise DamagedSample(f"{sample.key}: its json does not parse") from error
        found = record.get("captions") if isinstance(record, dict) else None
        if isinstance(found, list) and found:
            return found
    return [{"text": sample.members.get("txt", b"").decode(errors="replace"), "weight": 1.0}]


def chosen(captions: Sequence[Mapping[str, Any]], seed: int | None, position: int) -> int:
    """Number of the caption to use: drawn by weight, or the first where `seed` is None."""
    if seed is None:
        return 0
    return pick([float(caption.get("weight", 1.0)) for caption in captions], seed, position)


@dataclass(frozen=True)
class PictureReader:
    """Reads pixel shards of square pictures."""

    image_px: int

    def read(self, sample: RawSample, seed: int | None) -> Picture:
        pixels = square_of(decode_picture(sample.members, sample.key), self.image_px, sample.key)
        captions = captions_of(sample)
        text = captions[chosen(captions, seed, sample.position)].get("text", "")
        return Picture(sample.position, sample.key, pixels, text)

    def collate(self, samples: Sequence[Picture]) -> PictureBatch:
        return PictureBatch(
            tuple(sample.position for sample in samples),
            tuple(sample.key for sample in samples),
            torch.from_numpy(np.stack([sample.pixels for sample in samples])),
            tuple(sample.caption for sample in samples),
        )


@dataclass(frozen=True)
class LatentReader:
    """Reads latents shards whose conditions have `fields`."""

    fields: tuple[Field, ...]

    def read(self, sample: RawSample, seed: int | None) -> Latent:
        if EXTENSION not in sample.members:
            raise DamagedSample(f"{sample.key}: it has no {EXTENSION} member")
        stored, conditions = unpack_latents(sample.members[EXTENSION], sample.key)
        condition = conditions[chosen(captions_of(sample), seed, sample.position)]
        check(self.fields, condition, sample.key)
        return Latent(sample.position, sample.key, stored, condition)

    def collate(self, samples: Sequence[Latent]) -> LatentBatch:
        return LatentBatch(
            tuple(sample.position for sample in samples),
            tuple(sample.key for sample in samples),
            {name: torch.stack([sample.stored[name] for sample in samples]) for name in samples[0].stored},
            collate(self.fields, [sample.condition for sample in samples]),
        )
