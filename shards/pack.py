"""The pack stage: a manifest becomes shards of one media format and one geometry.

A unit is one shard, planned before any pixel is read. It depends on the rows of its samples and on the versions of
the encoders, never on where the files lie, on positions or on the number of workers. Its tar is written under a name
that nothing refers to yet; the rename of `index.json` in `commit` makes all of them visible at once. Versions of
decoders are no part of it: each record names them, and a member is copied only where they are those of today.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import polars as pl

from shards.canonical import canonical_json, sha256_of
from shards.index import INDEX_NAME, DamagedIndexError, Shard, ShardSet, read_index, write_index
from shards.lost_items import LostItems
from shards.manifest import SCHEMA, read_part
from shards.shard_plan import NAME, NO_SPLIT, Place, assign, committed, offered, revise, row_hashes
from shards.stage import Context, Contract, Kind, Output, Part, Unit
from shards.unit_rows import write_rows

if TYPE_CHECKING:
    from shards.pack_worker import PackWorker

MEMBERS_PER_SAMPLE = 3  # media, txt, json
ROWS_FOLDER = "rows"  # below the plan's folder for temporary files


@dataclass(frozen=True, kw_only=True)
class PackShards:
    """Writes WebDataset shards, `<split>/<name>-000000.tar`, from every sample of its manifests."""

    name: str = "medloom"
    preset: str = "square-512"  # square-N, medisyn-N, clip-FxHxW, medisyn-clip
    media: Literal["jpg", "png", "mp4"] = "jpg"
    quality: int | None = None  # JPEG 1..100 (95); x264 rate factor 0..51 (16); PNG takes none
    select: Literal["all", "images", "clips"] = "all"  # the rest is not offered, so that another pack stage takes it
    shard_samples: int = 1000
    seed: int = 0  # of the choice of frames
    repack: str = ""  # any new text forgets which sample lay in which shard

    contract: ClassVar[Contract] = Contract(
        gives=Kind.SHARDS, takes=(Kind.MANIFEST,), needs=("captions", "split"), commits=(INDEX_NAME,), version=3
    )

    def __post_init__(self) -> None:
        from shards import presets
        from shards.codecs import check_quality

        if not NAME.fullmatch(self.name):
            raise ValueError(f"name: {self.name!r} must match {NAME.pattern}; it becomes part of file names")
        preset = presets.parse(self.preset)
        if preset.is_clip != (self.media == "mp4"):
            wanted = "mp4" if preset.is_clip else "jpg or png"
            raise ValueError(f"media: {self.media} cannot hold what preset {self.preset!r} makes; write {wanted}")
        if self.select == ("images" if preset.is_clip else "clips"):
            raise ValueError(f"select: {self.select} leaves nothing for preset {self.preset!r}; leave `select` out")
        check_quality(self.media, self.quality)
        if not 1 <= self.shard_samples <= 100_000:
            raise ValueError(f"shard_samples: {self.shard_samples} must be 1 to 100000; 1000 is usual")

    def encoding(self) -> dict[str, Any]:
        """All that decides the bytes of a media member, besides its source and its decoder: else it is not copied."""
        from shards import codecs, presets

        return {
            "preset": self.preset,
            "media": self.media,
            "quality": codecs.check_quality(self.media, self.quality),
            "seed": self.seed if presets.parse(self.preset).is_clip else 0,
            "version": self.contract.version,
            "versions": codecs.versions(self.media),
        }

    def plan(self, inputs: Sequence[Output], ctx: Context) -> Sequence[Unit]:
        """One unit a shard; see shards.shard_plan."""
        previous = self._previous(ctx)
        held = offered(ctx.out, previous.units if previous else ())
        goes_on = previous is not None and (previous.name, previous.repack) == (self.name, self.repack)
        parts = [part for output in inputs for part in output.parts]
        lost = LostItems(ctx)
        rows = self._rows(parts, lost, ctx)
        placed = assign(
            rows.unique("key", keep="first", maintain_order=True), held if goes_on else held.clear(), self.shard_samples
        )
        encoding = self.encoding()
        same = previous is not None and dict(previous.encoding) == encoding and not ctx.forced
        copied = held if same else held.clear()
        # a key that stands in the inputs twice goes to its shard twice and is rejected there once
        table = (
            rows.drop("split", "group")
            .join(placed, on="key", how="left", maintain_order="left")
            .join(copied.select("key", "unit"), on="key", how="left", maintain_order="left")
            .sort("split", "number", "key", maintain_order=True)
        )
        visible = committed(previous, self.name)
        versions = canonical_json(encoding["versions"])
        units, stale = [], []
        for _, shard in table.group_by("split", "number", maintain_order=True):
            place = Place(shard["split"][0], self.name, shard["number"][0])
            make = partial(_unit, shard=shard, versions=versions, lost=lost, rows=ctx.tmp / ROWS_FOLDER)
            unit = revise(place, visible.get((place.split, place.number)), make, ctx.is_fresh)
            units.append(unit)
            if not ctx.dry and not ctx.is_fresh(unit):
                stale.append(shard.select("key", "part", unit=pl.lit(unit.id)))
        if stale:
            write_rows(parts, pl.concat(stale), ctx.tmp / ROWS_FOLDER)
        return units

    def _previous(self, ctx: Context) -> ShardSet | None:
        try:
            return read_index(ctx.out)
        except (FileNotFoundError, DamagedIndexError):
            return None

    def _rows(self, parts: Sequence[Part], lost: LostItems, ctx: Context) -> pl.DataFrame:
        """What the plan needs of every selected row: key, split, group, hash, part (its number), size_bytes."""
        from shards import presets

        most_frames = presets.parse(self.preset).frames
        frames = pl.col("media").struct.field("frames")
        wanted = {"all": pl.lit(value=True), "images": frames == 1, "clips": frames > 1}[self.select]
        found = [_slim(pl.DataFrame(schema=SCHEMA), 0, most_frames)]
        left_out = 0
        for at, part in enumerate(parts):
            rows = read_part(part.path)
            kept = rows.filter(wanted | frames.is_null())
            left_out += rows.height - kept.height
            lost.look(kept)
            found.append(_slim(kept, at, most_frames))
        if left_out:
            ctx.on_progress(0, 0, f"{left_out} samples that are not {self.select} are left to another pack stage")
        return pl.concat(found)

    @contextmanager
    def open(self, ctx: Context) -> Iterator[PackWorker]:
        """A worker that decodes, shapes, encodes and writes."""
        from shards.pack_worker import PackWorker

        yield PackWorker(self, ctx)

    def commit(self, parts: Sequence[Part], ctx: Context) -> str:
        """Make the shards visible by writing `index.json`, then sweep tars that it does not list."""
        from shards import presets

        shards = []
        for part in sorted(parts, key=lambda part: part.id):
            place = Place.parse(part.id)
            assert place is not None, part.id
            if part.rows:
                (tar,) = part.files
                shards.append(
                    Shard(
                        path=tar.path,
                        split=place.split,
                        samples=part.rows // MEMBERS_PER_SAMPLE,
                        bytes=tar.size_bytes,
                        sha256=tar.sha256,
                        index=f"parts/{part.id}.parquet",
                        rows=part.content,
                    )
                )
        if not shards:
            raise ValueError("no sample was left to pack; `medloom status` shows why, by reason")
        content = write_index(
            ShardSet(
                folder=str(ctx.out),
                name=self.name,
                media=self.media,
                shards=tuple(shards),
                preset=self.preset,
                steps=presets.parse(self.preset).words(),
                encoding=self.encoding(),
                repack=self.repack,
                units=tuple(sorted(part.id for part in parts)),
            )
        )
        listed = {ctx.out / shard.path for shard in shards}
        for path in ctx.out.glob("*/*.tar"):
            if path not in listed:
                path.unlink()
        return content


def _slim(rows: pl.DataFrame, part: int, most_frames: int) -> pl.DataFrame:
    media = pl.col("media").struct
    pixels = media.field("width_px").cast(pl.Int64) * media.field("height_px")
    return rows.select(
        "key",
        pl.col("split").fill_null(NO_SPLIT),
        "group",
        pl.Series("hash", row_hashes(rows), dtype=pl.String),
        pl.lit(part, dtype=pl.Int64).alias("part"),
        (pixels * media.field("frames").clip(upper_bound=most_frames)).fill_null(0).alias("size_bytes"),
    )


def _unit(place: Place, *, shard: pl.DataFrame, versions: str, lost: LostItems, rows: Path) -> Unit:
    copied = shard["unit"].drop_nulls().unique().sort()
    return Unit(
        id=place.unit,
        payload={
            "tar": place.tar,
            "rows": str(rows / place.unit),
            "previous": copied.to_list(),  # where encoded members may be copied from
        },
        inputs=(sha256_of(shard["hash"].to_list()), versions),
        size_bytes=int(shard["size_bytes"].sum()),
        items=shard.height,
        settled=lost.settled(place.unit),
    )
