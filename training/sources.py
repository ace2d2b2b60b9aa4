"""What a denoiser learns from, opened: latents shards, or pixel shards that are encoded while training.

Both give the same batches to the same task. The text encoder of latents shards is the one that encoded them, by its
hash; it is not loaded, since captions come encoded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch

from shards.canonical import sha256_file
from shards.index import read_index
from shards.stage import Kind, Output
from training.batches import LatentReader, PictureReader
from training.conditions import Condition
from training.dataset import ShardData
from training.families.table import family_class
from training.family import Family
from training.inputs import picture_set
from training.latents import read_condition
from training.model_folder import Model
from training.settings import LoopSettings
from training.text_source import TextSource
from training.world import World


@dataclass(frozen=True)
class Source:
    """A shard set with the family that reads it. `shape` names the text encoder with the hash of its weights."""

    shards: Any
    reader: Any
    family: Family
    shape: Any
    null: Condition

    def data(self, settings: LoopSettings, world: World, *, accumulate: int, workers: int) -> ShardData[Any, Any]:
        """This rank's batches."""
        return ShardData(self.shards, self.reader, settings, world, accumulate=accumulate, workers=workers)


def open_source(source: Output, family_name: str, shape: Any, vae: Model, device: torch.device) -> Source:
    """Open latents shards or pixel shards; ValueError where they were not made for this recipe and autoencoder."""
    on_autoencoder = family_class(family_name).on_autoencoder
    if source.kind is Kind.SHARDS:
        family = on_autoencoder(shape, vae, device)
        (null,) = family.encode_texts([""])
        named = replace(shape, text=replace(shape.text, sha256=family.text_identity()["text_encoder_sha256"]))
        return Source(picture_set(source), PictureReader(shape.image_px), family, named, null)
    shards = read_index(source.path)
    empty = source.path / shards.encoding["empty_caption"]["path"]
    if not empty.is_file() or sha256_file(empty) != shards.encoding["empty_caption"]["sha256"]:
        raise ValueError(
            f"{source.stage} is damaged: {empty.name} is not what was written; encode again, "
            f"`medloom run ... --force {source.stage}`"
        )
    null, facts = read_condition(empty)
    if facts["vae"] != vae.content:
        raise ValueError(f"{source.stage} was encoded with another autoencoder than the one given: use one for both")
    if (shards.encoding["family"], shards.encoding["image_px"]) != (family_name, shape.image_px):
        raise ValueError(
            f"{source.stage} was encoded for {shards.encoding['family']} at {shards.encoding['image_px']} px and this "
            f"recipe is {family_name} at {shape.image_px} px: use one recipe for both"
        )
    text = replace(TextSource(**shards.encoding["text"]), sha256=facts["text_encoder_sha256"])
    named = replace(shape, text=text)
    family = on_autoencoder(named, vae, device, text_width=null["text"].shape[1])
    return Source(shards, LatentReader(family.fields), family, named, null)
