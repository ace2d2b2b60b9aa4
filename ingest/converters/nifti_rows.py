"""The worker of NiftiVolumes: from one volume to the rows of its slices and clips."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ingest.converters.file_descriptions import Described, FileDescriptions, FromHeader, refused
from ingest.file_units import listed
from ingest.listing import Listed
from shards import slices
from shards.attributes import encode
from shards.intake import Intake, Skip
from shards.locator import Locator
from shards.manifest import Media, Sample, frame
from shards.media import MediaReader
from shards.reasons import Reason
from shards.stage import Context, Result, Unit

if TYPE_CHECKING:
    from ingest.converters.nifti_volumes import NiftiVolumes
    from shards.nifti import Volume

FOREGROUND_LEVEL = 13  # of 255: brighter than a twentieth of white, above the noise of air
MOST_TILT_DEGREES = 30.0  # of a volume's axes from the patient's; beyond it a slice is called oblique
NO_TILT_DEGREES = 1.0  # beyond it a slice has no single position along the axis


@dataclass(frozen=True, kw_only=True, slots=True)
class _Shared:
    """One volume, what is known of it, and its display scales."""

    file: Listed
    uri: str
    sha256: str
    volume: Volume
    known: Described
    views: tuple[Locator, ...]


class NiftiWorker:
    """Cuts volumes into rows."""

    def __init__(self, stage: NiftiVolumes, ctx: Context) -> None:
        self.stage = stage
        self.ctx = ctx
        self.reader = MediaReader()
        extra = stage.header.columns() if stage.header is not None else {}
        self.described = FileDescriptions(stage, ctx, "nifti", extra)
        self.root = self.described.worker.root
        self.origin = self.described.worker.origin

    def process(self, unit: Unit) -> Result:
        """The slices of the unit's files; a file that cannot be read is one item."""
        intake = Intake(self.ctx)
        files = listed(unit)
        known = self.described.of(files, lambda file: FromHeader(source_id=file.path, group=file.path))
        for file in files:
            if file.path in known:
                shared = intake.enter(file.path, self._shared, file, known[file.path])
                if shared is not None:
                    self._cuts(intake, shared)
        return intake.result(frame)

    def _cuts(self, intake: Intake, shared: _Shared) -> None:
        """Offer each slice and clip; a volume of which nothing lies within the range is one item."""
        path, before = shared.file.path, intake.offered
        for plane, index in self._slices(shared.volume):
            intake.take(f"{path} {plane} {index}", self._slice_rows, shared, plane, index)
        for plane in self.stage.clips:
            intake.take(f"{path} {plane} clip", self._clip_rows, shared, plane)
        if intake.offered == before:
            intake.take(path, _out_of_range)

    def _slices(self, volume: Volume) -> Iterator[tuple[str, int]]:
        """(plane, index) of the slices that are offered."""
        for plane in self.stage.planes:
            for index in slices.stack(volume, plane, self.stage.every):
                if self._within(volume, plane, index):
                    yield plane, index

    def _within(self, volume: Volume, plane: str, index: int) -> bool:
        first_mm, last_mm = self.stage.range_mm.get(plane, (-math.inf, math.inf))
        return first_mm <= slices.slice_position_mm(volume, plane, index) <= last_mm

    def _shared(self, file: Listed, known: Described) -> _Shared:
        """What all slices of a volume have in common."""
        stage = self.stage
        refused(file)
        known.check()
        if stage.patient is not None and known.columns["patient"] is None:
            raise Skip(Reason.BAD_ROW, f"no patient in {stage.patient}")
        uri = self.root.uri(file.path)
        volume = self.reader.volume(uri)
        if stage.volume >= volume.stored.shape[3]:
            raise Skip(Reason.BAD_ROW, f"no volume {stage.volume} of {volume.stored.shape[3]}")
        if stage.header is not None:
            stage.header.check(known.cells, volume)
        views = [Locator(window=window) for window in stage.windows if known.columns["modality"] == "CT"]
        if not views:
            low, high = slices.volume_percentiles(volume, stage.volume)
            views = [Locator(low=low, high=high)]
        return _Shared(
            file=file,
            uri=uri,
            sha256=self.reader.facts(uri).sha256,
            volume=volume,
            known=known,
            views=tuple(views),
        )

    def _slice_rows(self, shared: _Shared, plane: str, index: int) -> list[Sample]:
        position_mm = slices.slice_position_mm(shared.volume, plane, index)
        if self.stage.group_by == "slab" and self.stage.slabs.in_gap(plane, position_mm):
            raise Skip(Reason.IN_GAP)
        return self._shown(shared, Locator(axis=plane, slice=index), position_mm)

    def _clip_rows(self, shared: _Shared, plane: str) -> list[Sample]:
        """A clip of the slices within the range; their places in the stack, where they are not all of it."""
        every = self.stage.clip_every
        whole = slices.stack(shared.volume, plane, every)
        places = [place for place, index in enumerate(whole) if self._within(shared.volume, plane, index)]
        if len(places) < 2:
            raise Skip(Reason.OUT_OF_RANGE, f"{len(places)} of {len(whole)} slices, of which there is no clip")
        part = Locator(axis=plane, step=every if every > 1 else None)
        if len(places) < len(whole):
            part = replace(part, frame_start=places[0], frame_stop=places[-1] + 1)
        return self._shown(shared, part, None)

    def _shown(self, shared: _Shared, part: Locator, position_mm: float | None) -> list[Sample]:
        """A part with each scale, where it shows anything."""
        volume, plane = shared.volume, part.axis or ""
        anisotropy = slices.anisotropy(volume, plane)
        if anisotropy > self.stage.most_anisotropy:
            raise Skip(Reason.THICK_SLICES, f"spacings differ by a factor of {anisotropy:.1f}")
        rows = []
        for scale in shared.views:
            view = replace(part, low=scale.low, high=scale.high, window=scale.window, volume=self.stage.volume or None)
            pixels = slices.read_slices(volume, view, self.reader.limits).pixels
            if np.mean(pixels > FOREGROUND_LEVEL) >= self.stage.min_foreground:
                rows.append(self._sample(shared, view, position_mm, pixels.shape))
        if not rows:
            raise Skip(Reason.BLANK)
        return rows

    def _sample(self, shared: _Shared, view: Locator, position_mm: float | None, shape: tuple[int, ...]) -> Sample:
        stage, origin, known, volume = self.stage, self.origin, shared.known, shared.volume
        assert view.axis is not None
        locator = view.text()
        said = dict(known.columns)
        if stage.all_split is not None:
            said["official_split"] = stage.all_split
        if stage.group_by == "slab" and position_mm is not None:
            number = stage.slabs.number(position_mm)
            said["group"] = origin.group("slab", f"{view.axis} {number}")
            said["official_split"] = stage.slabs.split(view.axis, number)
        straight = position_mm is not None and volume.oblique_degrees <= NO_TILT_DEGREES
        attributes = {
            **known.attributes,
            "plane": view.axis if volume.oblique_degrees <= MOST_TILT_DEGREES else "oblique",
            "position_mm": round(position_mm, 2) if straight and position_mm is not None else None,
            "space": stage.space,
            "window": view.window,
        }
        return Sample(
            key=origin.key(shared.file.path, locator),
            media=Media(
                uri=shared.uri,
                kind="nifti",
                locator=locator,
                sha256=shared.sha256,
                width_px=shape[2],
                height_px=shape[1],
                frames=shape[0],
            ),
            labels=known.labels,
            label_scope=known.scope("slice" if position_mm is not None else "series", stage.label_scope),
            retrieved=shared.file.modified,
            attributes=encode(attributes),
            **said,
        )


def _out_of_range() -> list[Sample]:
    raise Skip(Reason.OUT_OF_RANGE, "no slice of it")
