"""The encode stage: pixel shards become latents shards, once, so that training reads no pixels and runs no encoder.

One unit a shard. It gives a shard of the same samples: what the family stores of each picture and of each of its
captions, unpadded, and the record of the pixel shard byte for byte. It is the code path of online training
(`Family.encode_pictures`, `encode_texts`). Its bytes depend on the shard, the autoencoder and the text encoder alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from shards.canonical import sha256_file, sha256_of
from shards.index import INDEX_NAME, DamagedIndexError, Shard, ShardSet, read_index, write_index
from shards.shard_plan import Place, committed, revise
from shards.stage import Context, Contract, Kind, Output, Part, Unit
from training.families.msdm_shape import MsdmShape
from training.inputs import one, picture_set, placed, text_of
from training.recipes import recipe_named
from training.text_source import TextSource

if TYPE_CHECKING:
    from training.encode_worker import EncodeWorker

NAME = "latents"
MEDIA = "safetensors"
SUFFIX = f".{MEDIA}"
EMPTY_CAPTION = "empty-caption-"  # begins the name of the file of a dropped caption's condition, beside index.json
MEMBERS_PER_SAMPLE = 2  # safetensors, json


@dataclass(frozen=True, kw_only=True)
class Encode:
    """Writes latents shards, `<split>/latents-000000.tar`, from a shard set and a trained autoencoder."""

    recipe: str = "msdm"
    text_encoder: str | None = None  # hub id, or a folder; None: the recipe's
    text_encoder_sha256: str | None = None  # of its weights
    text_encoder_revision: str | None = None  # of a hub id
    max_tokens: int | None = None  # longer captions are cut

    contract: ClassVar[Contract] = Contract(
        gives=Kind.LATENTS, takes=(Kind.SHARDS, Kind.CHECKPOINT), commits=(INDEX_NAME,), version=2
    )

    def __post_init__(self) -> None:
        self.source()

    def source(self) -> TextSource:
        """The text encoder to use."""
        return text_of(recipe_named(self.recipe), self)

    def shape(self, ctx: Context) -> MsdmShape:
        """The recipe's shape with this stage's text encoder."""
        return replace(recipe_named(self.recipe).shape, text=placed(self.source(), ctx))

    def identity(self, ctx: Context) -> Mapping[str, str]:
        """What decides the bytes beside the fields and the inputs."""
        return {"text_encoder": placed(self.source(), ctx).token()}

    def plan(self, inputs: Sequence[Output], ctx: Context) -> Sequence[Unit]:
        """One unit a shard of the input."""
        pixels, vae = one(inputs, Kind.SHARDS), one(inputs, Kind.CHECKPOINT)
        visible = committed(_previous(ctx.out), NAME)
        units = []
        for shard, number in numbered(picture_set(pixels).shards):
            place = Place(shard.split, NAME, number)
            make = partial(_unit, shard=shard, pixels=pixels, vae=vae)
            units.append(revise(place, visible.get((place.split, place.number)), make, ctx.is_fresh))
        return units

    @contextmanager
    def open(self, ctx: Context) -> Iterator[EncodeWorker]:
        """A worker that holds the encoders. On the CPU it uses one core, so that its sums are always the same."""
        import torch

        from training.encode_worker import EncodeWorker

        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield EncodeWorker(recipe_named(self.recipe).family, self.shape(ctx), ctx)
        finally:
            torch.set_num_threads(before)

    def commit(self, parts: Sequence[Part], ctx: Context) -> str:
        """Make the shards visible by writing `index.json`, then sweep tars that it does not list."""
        shards = tuple(_shard(part) for part in sorted(parts, key=lambda part: part.id) if part.rows)
        if not shards:
            raise ValueError(f"{ctx.out.name}: no sample was left to encode; `medloom status` shows why, by reason")
        empty = _empty_caption(parts, ctx)
        content = write_index(
            ShardSet(
                folder=str(ctx.out),
                name=NAME,
                media=MEDIA,
                shards=shards,
                encoding={
                    "family": recipe_named(self.recipe).family,
                    "image_px": self.shape(ctx).image_px,
                    "text": asdict(placed(self.source(), ctx)),
                    "empty_caption": {"path": empty.name, "sha256": sha256_file(empty)},
                },
                units=tuple(sorted(part.id for part in parts)),
            )
        )
        listed = {empty, *(ctx.out / shard.path for shard in shards)}
        for path in (*ctx.out.glob("*/*.tar"), *ctx.out.glob(f"{EMPTY_CAPTION}*")):
            if path not in listed:
                path.unlink()
        return content


def numbered(shards: Sequence[Shard]) -> list[tuple[Shard, int]]:
    """Each shard with its number in its split: that of its own name, or of its rank where names say nothing."""
    places = [Place.parse(f"{shard.split}-{Path(shard.path).stem}") for shard in shards]
    own = [(place.split, place.number) for place in places if place is not None]
    if len(set(own)) == len(shards):
        return [(shard, number) for shard, (_, number) in zip(shards, own, strict=True)]
    counts: dict[str, int] = {}
    found = []
    for shard in shards:
        found.append((shard, counts.setdefault(shard.split, 0)))
        counts[shard.split] += 1
    return found


def _unit(place: Place, *, shard: Shard, pixels: Output, vae: Output) -> Unit:
    return Unit(
        id=place.unit,
        payload={"shards": str(pixels.path), "shard": shard.path, "tar": place.tar, "vae": str(vae.path)},
        inputs=(shard.sha256, vae.content),
        size_bytes=shard.bytes,
        items=shard.samples,
    )


def empty_caption_name(facts: Mapping[str, str]) -> str:
    """Name of the file of the condition that encoders with these `facts` give the empty caption."""
    return f"{EMPTY_CAPTION}{sha256_of(dict(facts))[:16]}{SUFFIX}"


def _empty_caption(parts: Sequence[Part], ctx: Context) -> Path:
    """The file that the units of this set were encoded beside; what another configuration left is not looked at."""
    names = {file.path for part in parts for file in part.files if file.path.startswith(EMPTY_CAPTION)}
    if len(names) != 1:
        raise ValueError(
            f"{ctx.out.name}: its shards were encoded by {len(names)} text encoders, for one that is named by a hub id "
            f"may change; run with `--force {ctx.out.name}`"
        )
    return ctx.out / names.pop()


def _shard(part: Part) -> Shard:
    place = Place.parse(part.id)
    assert place is not None, part.id
    (tar,) = (file for file in part.files if not file.path.startswith(EMPTY_CAPTION))
    return Shard(
        path=tar.path,
        split=place.split,
        samples=part.rows // MEMBERS_PER_SAMPLE,
        bytes=tar.size_bytes,
        sha256=tar.sha256,
        index=f"parts/{part.id}.parquet",
        rows=part.content,
    )


def _previous(folder: Path) -> ShardSet | None:
    try:
        return read_index(folder)
    except (FileNotFoundError, DamagedIndexError):
        return None
