"""One shard from its rows: decode, shape, encode, and write the tar.

Media are decoded in the order in which they lie in their files, so that a volume is opened once; encoded members go
to a spool on disk, and the tar is then written in the order of keys: memory holds one sample, whatever a shard holds.
A member whose source, decoder, geometry and encoders are those of an earlier revision is copied from it, unless its
bytes are not the recorded ones; then it is made again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import polars as pl

from shards import codecs, presets
from shards.index import MEMBERS, DamagedTableError, read_table
from shards.intake import Intake, Skip
from shards.manifest import Sample, samples
from shards.media import MediaReader
from shards.reasons import Reason
from shards.record import MEMBER_FACTS, members, texts
from shards.shard_plan import Place
from shards.stage import Context, Result, Unit
from shards.tar import write_shard
from shards.unit_rows import read_rows

if TYPE_CHECKING:
    from shards.pack import PackShards


@dataclass(frozen=True, slots=True)
class Spooled:
    """One encoded member in the spool, and what its record will say."""

    sample: Sample
    offset: int
    size_bytes: int
    facts: dict[str, Any]  # MEMBER_FACTS


class PackWorker:
    """Packs one shard after another."""

    def __init__(self, stage: PackShards, ctx: Context) -> None:
        import cv2

        cv2.setNumThreads(1)  # one worker is one core, whatever the machine has
        self.stage = stage
        self.ctx = ctx
        self.preset = presets.parse(stage.preset)
        self.quality = codecs.check_quality(stage.media, stage.quality)
        self.reader = MediaReader()

    def process(self, unit: Unit) -> Result:
        """Write the unit's shard; every one of its rows is offered."""
        rows = _rows(Path(unit.payload["rows"]))
        earlier = Earlier(self.ctx.out, unit.payload["previous"], {one.key for one, _ in rows}, self.stage.media)
        intake = Intake(self.ctx)
        done: list[Spooled] = []
        with (self.ctx.tmp / "spool").open("w+b") as spool:
            for count, (sample, repeated) in enumerate(rows, start=1):
                if intake.take(sample.key, self._media, sample, repeated, earlier):
                    # written outside of the intake: a full disk fails the unit and rejects no sample
                    media, facts = intake.rows.pop()
                    done.append(Spooled(sample, spool.tell(), len(media), facts))
                    spool.write(media)
                self.ctx.on_progress(count, len(rows), unit.id)
            if not done:
                return intake.result(lambda _: pl.DataFrame(schema=MEMBERS))
            done.sort(key=lambda item: item.sample.key)
            tar = self.ctx.out / unit.payload["tar"]
            file, index = write_shard(tar, self._members(done, spool), folder=self.ctx.out)
        intake.files.append(file)
        return intake.result(lambda _: index)

    def _members(self, done: Sequence[Spooled], spool: BinaryIO) -> Iterator[tuple[str, dict[str, bytes]]]:
        for item in done:
            self.ctx.check()
            spool.seek(item.offset)
            media = spool.read(item.size_bytes)
            yield item.sample.key, members(item.sample, self.stage.media, media, item.facts)

    def _media(self, sample: Sample, repeated: bool, earlier: Earlier) -> Sequence[tuple[bytes, dict[str, Any]]]:
        self._check(sample, repeated)
        return [earlier.member(sample) or self._encode(sample)]

    def _check(self, sample: Sample, repeated: bool) -> None:
        media = sample.media
        if repeated:
            raise Skip(Reason.DUPLICATE_KEY)
        if sample.split is None:
            raise Skip(Reason.NO_SPLIT)
        if None in (media.sha256, media.width_px, media.height_px, media.frames):
            raise Skip(Reason.NO_MEDIA_FACTS)
        if (cast(int, media.frames) > 1) != self.preset.is_clip:
            raise Skip(Reason.WRONG_KIND, f"{media.frames} frames, preset {self.preset.name}")
        if not texts(sample):
            raise Skip(Reason.NO_CAPTION)

    def _encode(self, sample: Sample) -> tuple[bytes, dict[str, Any]]:
        count = cast(int, sample.media.frames)
        first, stop = self.preset.chosen(count, self.stage.seed, sample.key)
        target_px = (self.preset.width_px, self.preset.height_px)
        longer = count > stop - first
        frames = self.reader.read(sample.media, target_px, (first, stop) if longer else None)
        pixels, steps = frames.pixels, frames.steps
        if longer:
            steps = (*steps, f"frames {first} to {stop - 1} of {count}, counted from 0, drawn by (seed, key)")
            pixels = pixels[first:stop] if pixels.shape[0] == count else pixels  # not all kinds can be read in part
        if pixels.shape[0] != stop - first:
            raise Skip(Reason.MEDIA_CHANGED, f"{frames.pixels.shape[0]} frames, recorded are {count}")
        shaped, done = (pixels, ()) if frames.drawn else self.preset.apply(pixels, frames.spacing_mm)
        data, encoded = codecs.encode(
            shaped, self.stage.media, quality=self.quality, fps=frames.fps or sample.media.fps
        )
        return data, {
            "width_px": shaped.shape[2],
            "height_px": shaped.shape[1],
            "frames": shaped.shape[0],
            "fps": float(frames.fps or sample.media.fps or 0.0),
            "source_width_px": pixels.shape[2],
            "source_height_px": pixels.shape[1],
            "source_frames": count,
            "decoded_by": codecs.decoders(sample.media.kind),
            "steps": [*steps, *done, encoded],
        }


def _rows(folder: Path) -> list[tuple[Sample, bool]]:
    """The unit's samples in the order of their places in their files, and whether an earlier input has the key."""
    found: list[tuple[Sample, bool]] = []
    seen: set[str] = set()
    for sample in samples(read_rows(folder)):
        found.append((sample, sample.key in seen))
        seen.add(sample.key)
    return sorted(found, key=lambda item: _locality(item[0]))


def _locality(sample: Sample) -> tuple[Any, ...]:
    view = sample.media.view
    place = view.member or "", view.array or "", view.row or 0, view.top or 0
    inside = (*place, view.volume or 0, view.axis or "", view.slice or 0, view.frame_start or 0)
    return (sample.media.uri, *inside, view.byte_start or 0, sample.media.locator)


class Earlier:
    """Encoded members in earlier revisions of shards, by key."""

    def __init__(self, folder: Path, units: Sequence[str], wanted: Collection[str], media: str) -> None:
        self.media = media
        self.places: dict[str, dict[str, tuple[Path, int, int, str]]] = {}
        for unit in units:
            place = Place.parse(unit)
            assert place is not None, unit
            try:
                rows = read_table(folder / "parts" / f"{unit}.parquet")
            except (OSError, DamagedTableError):  # then all is made again
                continue
            tar = folder / place.tar
            for key, member, offset, size_bytes, sha256 in rows.iter_rows():
                if key in wanted:
                    self.places.setdefault(key, {})[member[len(key) + 1 :]] = (tar, offset, size_bytes, sha256)

    def member(self, sample: Sample) -> tuple[bytes, dict[str, Any]] | None:
        """Media member and its facts where an earlier one was made from the same source; else None."""
        whole = self._read(sample.key, "json")
        if whole is None:
            return None
        record = json.loads(whole)
        made_of = (record["media_sha256"], record["locator"], record["decoded_by"])
        if made_of != (sample.media.sha256, sample.media.locator, codecs.decoders(sample.media.kind)):
            return None
        media = self._read(sample.key, self.media)
        return None if media is None else (media, {name: record[name] for name in MEMBER_FACTS})

    def _read(self, key: str, extension: str) -> bytes | None:
        found = self.places.get(key, {}).get(extension)
        if found is None:
            return None
        tar, offset, size_bytes, sha256 = found
        try:
            with tar.open("rb") as handle:
                handle.seek(offset)
                data = handle.read(size_bytes)
        except OSError:
            return None
        return data if hashlib.sha256(data).hexdigest() == sha256 else None
