"""Hash and sizes of media that a converter left unopened: one stage, so that millions of rows are listed first.

A row that already has its facts is passed on untouched. A file that is missing or cannot be read becomes a reject
here, before anything is packed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import polars as pl

from ingest.blank_files import check_shows
from shards.intake import Intake, Skip
from shards.manifest import Media, Sample, frame, read_part, samples
from shards.reasons import Reason
from shards.stage import Context, Contract, Kind, Result, Unit

if TYPE_CHECKING:
    from shards.media import MediaReader


@dataclass(frozen=True, kw_only=True)
class ProbeMedia:
    """Fills `media.sha256`, sizes, frames, rate and kind of the rows that lack them."""

    contract: ClassVar[Contract] = Contract(
        takes=(Kind.MANIFEST,), gives=Kind.MANIFEST, needs=("media",), adds=("media",), version=4
    )

    @contextmanager
    def open(self, ctx: Context) -> Iterator[ProbeWorker]:
        """A worker that keeps the media reader."""
        from shards.media import MediaReader

        yield ProbeWorker(ctx, MediaReader())


class ProbeWorker:
    """Opens the media of one part after another."""

    def __init__(self, ctx: Context, reader: MediaReader) -> None:
        self.ctx = ctx
        self.reader = reader

    def process(self, unit: Unit) -> Result:
        """The rows of a part with their facts."""
        intake = Intake(self.ctx)
        for sample in samples(in_file_order(read_part(unit.payload["part"]))):
            intake.take(sample.key, self._filled, sample)
        return intake.result(frame)

    def _filled(self, sample: Sample) -> list[Sample]:
        if is_probed(sample.media):
            return [sample]
        facts = self.reader.facts(sample.media.uri, sample.media.locator, sample.media.kind)
        if facts.kind == "dicom" and sample.media.kind != "dicom":  # its converter asked no gate (ingest.burned_in)
            raise Skip(Reason.BURNED_IN_TEXT_UNCHECKED, "a DICOM file; say so to its converter by `kind: dicom`")
        check_shows(self.reader, sample.media.uri, sample.media.locator, facts)
        media = replace(
            sample.media,
            kind=facts.kind,
            sha256=facts.sha256,
            width_px=facts.width_px,
            height_px=facts.height_px,
            frames=facts.frames,
            fps=facts.fps if facts.frames > 1 else None,
        )
        return [replace(sample, media=media)]


def in_file_order(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows as their media lie in their files, so that what is opened or inflated for one serves the next."""
    media = pl.col("media").struct
    number = r'"row":(\d+)'
    row = media.field("locator").str.extract(number).cast(pl.Int64)
    return rows.sort(media.field("uri"), media.field("locator").str.replace(number, ""), row, maintain_order=True)


def is_probed(media: Media) -> bool:
    """Whether all that pack needs to know is there; a rate is known only of what moves."""
    return None not in (media.sha256, media.width_px, media.height_px, media.frames)
