"""Encoding one shard: pictures in the order of their keys, a fixed number at a time, then all of its captions.

Memory holds the latents of one shard and the pixels of a few pictures. A picture that does not decode is a reject; one
of another size than the model's is a mistake in the pipeline and stops the stage.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from shards.atomic import write_bytes
from shards.canonical import canonical_json, sha256_hex
from shards.index import MEMBERS, Shard, read_index
from shards.intake import Intake, Skip
from shards.reader import DamagedSample, RawSample, ShardReader
from shards.reasons import Reason
from shards.stage import Context, OutputFile, Result, Unit, UserError
from shards.tar import write_shard
from training.batches import captions_of
from training.encode import MEDIA, empty_caption_name
from training.families.table import family_class
from training.family import Family
from training.latents import pack_condition, pack_latents
from training.model_folder import read_model
from training.pixels import decode_picture, square_of

PICTURES_AT_ONCE = 16
Seen = tuple[RawSample, NDArray[np.uint8]]


class EncodeWorker:
    """Encodes one shard after another with the same encoders."""

    def __init__(self, family: str, shape: Any, ctx: Context) -> None:
        self.family_name = family
        self.shape = shape
        self.ctx = ctx
        self.family: Family | None = None
        self.empty: OutputFile | None = None  # the condition of the empty caption

    def process(self, unit: Unit) -> Result:
        """Write the latents shard of one pixel shard; every sample is offered."""
        try:
            family = self.family = self.family or self._opened(Path(unit.payload["vae"]))
        except (ValueError, OSError) as error:  # of models; no sample was read yet
            raise UserError(str(error)) from error
        shards = read_index(unit.payload["shards"])
        (shard,) = [shard for shard in shards.shards if shard.path == unit.payload["shard"]]
        reader = ShardReader(shards, [shard], open_shards=1)
        intake = Intake(self.ctx)
        samples: list[RawSample] = []
        stored: list[dict[str, Tensor]] = []
        for start in range(0, shard.samples, PICTURES_AT_ONCE):
            numbers = range(start, min(start + PICTURES_AT_ONCE, shard.samples))
            seen = self._read(reader, shard, numbers, intake)
            if seen:
                stored += _rows(family.encode_pictures(self._pixels(seen)), len(seen))
                samples += [RawSample(sample.position, sample.key, _kept(sample)) for sample, _ in seen]
            self.ctx.on_progress(numbers.stop, shard.samples, unit.id)
        if not samples:
            return intake.result(lambda _: pl.DataFrame(schema=MEMBERS))
        captions = [[str(caption.get("text", "")) for caption in captions_of(sample)] for sample in samples]
        unique = sorted({text for texts in captions for text in texts})
        self.ctx.check()
        conditions = dict(zip(unique, family.encode_texts(unique), strict=True))
        found = sorted(zip(samples, stored, captions, strict=True), key=lambda each: each[0].key)
        members = (
            (sample.key, {MEDIA: pack_latents(latents, [conditions[text] for text in texts]), "json": _record(sample)})
            for sample, latents, texts in found
        )
        file, index = write_shard(self.ctx.out / unit.payload["tar"], members, folder=self.ctx.out)
        assert self.empty is not None
        intake.files += [file, self.empty]
        return intake.result(lambda _: index)

    def _opened(self, vae: Path) -> Family:
        """The family with its encoders; writes the condition of the empty caption, the same for all workers.

        What another configuration wrote has another name, and stays until a commit: its shards may be needed again.
        """
        model = read_model(vae)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        family: Family = family_class(self.family_name).on_autoencoder(self.shape, model, device)
        (empty,) = family.encode_texts([""])
        facts = {"vae": model.content, **family.text_identity()}
        data = pack_condition(empty, facts)
        path = self.ctx.out / empty_caption_name(facts)
        if not path.is_file() or path.read_bytes() != data:
            write_bytes(path, data)
        self.empty = OutputFile(path=path.name, size_bytes=len(data), sha256=sha256_hex(data))
        return family

    def _read(self, reader: ShardReader, shard: Shard, numbers: Sequence[int], intake: Intake) -> list[Seen]:
        keys = reader.opened(0).samples
        return [intake.rows.pop() for number in numbers if intake.take(keys[number][0], _decoded, reader, number)]

    def _pixels(self, seen: Sequence[Seen]) -> Tensor:
        pixels = [square_of(pixels, self.shape.image_px, sample.key) for sample, pixels in seen]
        return torch.from_numpy(np.stack(pixels))


def _decoded(reader: ShardReader, number: int) -> list[Seen]:
    try:
        key, members = reader.read(0, number)
        sample = RawSample(number, key, members)
        return [(sample, decode_picture(members, key))]
    except DamagedSample as damage:
        raise Skip(Reason.CORRUPT, str(damage)) from damage


def _kept(sample: RawSample) -> dict[str, bytes]:
    """The members without the picture."""
    return {extension: data for extension, data in sample.members.items() if extension in ("json", "txt")}


def _record(sample: RawSample) -> bytes:
    """The record of the pixel shard, or the caption where another program made that shard without one."""
    return sample.members.get("json") or canonical_json({"captions": captions_of(sample)}).encode()


def _rows(stored: dict[str, Tensor], count: int) -> list[dict[str, Tensor]]:
    on_cpu = {name: values.cpu() for name, values in stored.items()}
    return [{name: values[row] for name, values in on_cpu.items()} for row in range(count)]
