"""NIfTI volumes as slices: a file or a folder of them, cut in the planes that are asked for, by the affine.

One item is one slice of one plane. Display values are fixed once a volume (the 0.5 and 99.5 percentiles of all its
voxels, or a named CT window) and stand in each slice's locator, so that slices of one volume stay comparable. Nothing
is resampled or written here: a row points at a slice.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from ingest.converters.slabs import Slabs
from ingest.file_units import check_excluded, folder_units, listed
from ingest.listing import Listed, Root
from ingest.origin import Origin, check_source
from ingest.rights import Rights
from ingest.statements import (
    Facts,
    FileFacts,
    StatedLabel,
    Value,
    about,
    check_pattern,
)
from shards.attributes import encode
from shards.intake import Intake, Skip
from shards.locator import Locator
from shards.manifest import Media, Sample, frame
from shards.reasons import Reason
from shards.stage import Context, Contract, Kind, Result, Unit
from shards.units import Sizes
from shards.windows import check_window

if TYPE_CHECKING:
    from shards.media import MediaReader
    from shards.nifti import Volume

FOREGROUND_LEVEL = 13  # of 255: brighter than a twentieth of white, above the noise of air
MOST_TILT_DEGREES = 30.0  # of a volume's axes from the patient's; beyond it a slice is called oblique
NO_TILT_DEGREES = 1.0  # beyond it a slice has no single position along the axis
Plane = Literal["axial", "coronal", "sagittal"]


@dataclass(frozen=True, kw_only=True)
class NiftiVolumes:
    """Makes a manifest of the slices of NIfTI volumes."""

    contract: ClassVar[Contract] = Contract(
        gives=Kind.MANIFEST, adds=("media", "labels", "attributes", "group", "license", "terms"), version=2
    )

    source: str  # plain name; each sample's key starts with it
    path: str  # folder, or one file
    rights: Rights
    modality: str  # of all files; `facts` may differ
    specialty: str
    include: tuple[str, ...] = ("*.nii", "*.nii.gz")
    exclude: Mapping[str, str] = field(default_factory=dict)  # path -> reason code
    attributes: Mapping[str, Value] = field(default_factory=dict)
    labels: tuple[StatedLabel, ...] = ()
    facts: tuple[FileFacts, ...] = ()  # by file pattern
    planes: tuple[Plane, ...] = ("axial", "coronal", "sagittal")
    every: int = 1  # each k-th slice, counted from the middle one
    range_mm: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # plane -> first and last position
    volume: int = 0  # which one of a 4-D file
    windows: tuple[str, ...] = ()  # CT in HU: one row for each named window; else percentiles
    min_foreground: float = 0.02  # smallest share of pixels brighter than a twentieth of white
    most_anisotropy: float = 3.0  # of the spacings in a plane; across thicker slices no picture is made
    group_by: Literal["volume", "slab"] = "volume"  # slab: only with single_template
    single_template: bool = False  # the collection holds one anatomy, in one space: a template and its maps
    slabs: Slabs = field(default_factory=Slabs)
    space: str | None = None  # named anatomical space of the affine, such as MNI152
    patient: str | None = None  # regular expression with one (group) on the path; without it each file is a group
    official_split: Literal["train", "val", "test"] | None = None  # of all of it; slabs have their own
    url: str | None = None
    collection: str = ""  # the original collection where this is a derived one

    def __post_init__(self) -> None:
        check_source(self.source)
        check_excluded(self.exclude)
        self.everywhere  # noqa: B018  # checks modality, specialty and attributes
        for window in self.windows:
            check_window(window)
        if self.windows and self.modality != "CT":
            raise ValueError(f"windows are ranges of Hounsfield units, which {self.modality} has none of; remove them")
        for name in ("every", "most_anisotropy"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not self.planes:
            raise ValueError("planes is empty: name axial, coronal or sagittal")
        for plane, (first_mm, last_mm) in self.range_mm.items():
            if plane not in self.planes or first_mm > last_mm:
                raise ValueError(f"range_mm: {plane} {first_mm} to {last_mm} is no range of one of {list(self.planes)}")
        if not 0 <= self.min_foreground < 1:
            raise ValueError(f"min_foreground is a share of pixels, 0 to 1, not {self.min_foreground}")
        if self.group_by == "slab" and not self.single_template:
            raise ValueError(
                "group_by: slab would put one patient into two splits; it is allowed only where the collection holds "
                "one anatomy and `single_template: true` says so. For patients write `group_by: volume`"
            )
        if self.group_by == "slab" and self.official_split:
            raise ValueError("official_split: with slabs write `slabs: {held_out: {test: {axial: [10]}}}` instead")
        if self.single_template and self.patient:
            raise ValueError("patient: a template is no patient; remove `patient` or `single_template`")
        if self.patient is not None:
            check_pattern("patient", self.patient)
        encode({"space": self.space})

    @property
    def everywhere(self) -> FileFacts:
        """What is stated about all files."""
        return FileFacts(
            files="*",
            modality=self.modality,
            specialty=self.specialty,
            attributes=self.attributes,
            labels=self.labels,
        )

    def units(self, ctx: Context) -> Iterator[Unit]:
        """One unit a file, since one volume gives hundreds of rows."""
        root = Root.find(ctx.resolve(self.path))
        patterns = [entry.files for entry in self.facts]
        return folder_units(root, self.source, Sizes(target=1), self.include, self.exclude, patterns)

    @contextmanager
    def open(self, ctx: Context) -> Iterator[NiftiWorker]:
        """A worker that keeps the media reader."""
        yield NiftiWorker(self, ctx)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Shared:
    """One volume's facts and display scales."""

    file: Listed
    uri: str
    sha256: str
    facts: Facts
    patient: str | None
    views: tuple[Locator, ...]


class NiftiWorker:
    """Cuts volumes into rows."""

    def __init__(self, stage: NiftiVolumes, ctx: Context) -> None:
        from shards.media import MediaReader

        self.stage = stage
        self.ctx = ctx
        self.root = Root.find(ctx.resolve(stage.path))
        self.reader: MediaReader = MediaReader()
        self.origin = Origin(
            ctx=ctx, source=stage.source, collection=stage.collection or stage.source, rights=stage.rights
        )

    def process(self, unit: Unit) -> Result:
        """The slices of the unit's files; a file that cannot be read is one item."""
        intake = Intake(self.ctx)
        for file in listed(unit):
            volume = intake.enter(file.path, self._volume, file)
            if volume is not None:
                self._slices(intake, file, volume)
        return intake.result(frame)

    def _volume(self, file: Listed) -> Volume:
        if file.refused:
            raise Skip(Reason.of(file.refused), file.detail)
        volume = self.reader.volume(self.root.uri(file.path))
        if self.stage.volume >= volume.stored.shape[3]:
            raise Skip(Reason.BAD_ROW, f"no volume {self.stage.volume} of {volume.stored.shape[3]}")
        return volume

    def _slices(self, intake: Intake, file: Listed, volume: Volume) -> None:
        """Offer each slice of each plane."""
        from shards import slices

        stage = self.stage
        shared = intake.enter(file.path, self._shared, file, volume)
        if shared is None:
            return
        for plane in stage.planes:
            count = slices.slice_count(volume, plane)
            first_mm, last_mm = stage.range_mm.get(plane, (-math.inf, math.inf))
            for index in range(count // 2 % stage.every, count, stage.every):
                if first_mm <= slices.slice_position_mm(volume, plane, index) <= last_mm:
                    intake.take(f"{file.path} {plane} {index}", self._rows, shared, volume, plane, index)

    def _shared(self, file: Listed, volume: Volume) -> _Shared:
        """What all slices of a volume have in common."""
        from shards import slices

        stage = self.stage
        uri = self.root.uri(file.path)
        patient = None
        if stage.patient is not None:
            match = re.search(stage.patient, file.path)
            if match is None:
                raise Skip(Reason.BAD_ROW, "the path holds no patient as `patient` describes it")
            patient = match.group(1)
        views = [Locator(window=window) for window in stage.windows]
        if not views:
            low, high = slices.volume_percentiles(volume, stage.volume)
            views = [Locator(low=low, high=high)]
        return _Shared(
            file=file,
            uri=uri,
            sha256=self.reader.facts(uri).sha256,
            facts=about(file.path, stage.facts, stage.everywhere),
            patient=patient,
            views=tuple(views),
        )

    def _rows(self, shared: _Shared, volume: Volume, plane: str, index: int) -> list[Sample]:
        import numpy as np

        from shards import slices

        stage = self.stage
        position_mm = slices.slice_position_mm(volume, plane, index)
        if slices.anisotropy(volume, plane) > stage.most_anisotropy:
            raise Skip(Reason.THICK_SLICES, f"spacings differ by a factor of {slices.anisotropy(volume, plane):.1f}")
        if stage.group_by == "slab" and stage.slabs.in_gap(plane, position_mm):
            raise Skip(Reason.IN_GAP)
        rows = []
        for scale in shared.views:
            view = replace(scale, axis=plane, slice=index, volume=stage.volume or None)
            pixels = slices.read_slices(volume, view, self.reader.limits).pixels
            if np.mean(pixels > FOREGROUND_LEVEL) >= stage.min_foreground:
                rows.append(self._sample(shared, volume, view, position_mm, pixels.shape[1], pixels.shape[2]))
        if not rows:
            raise Skip(Reason.BLANK)
        return rows

    def _sample(
        self, shared: _Shared, volume: Volume, view: Locator, position_mm: float, height_px: int, width_px: int
    ) -> Sample:
        stage, origin, facts = self.stage, self.origin, shared.facts
        assert view.axis is not None
        assert facts.modality is not None
        assert facts.specialty is not None
        locator = view.text()
        group = origin.group("series", shared.file.path)
        split: str | None = stage.official_split
        if shared.patient is not None:
            group = origin.group("patient", shared.patient)
        elif stage.group_by == "slab":
            number = stage.slabs.number(position_mm)
            group = origin.group("slab", f"{view.axis} {number}")
            split = stage.slabs.split(view.axis, number)
        attributes = {
            **facts.attributes,
            "plane": view.axis if volume.oblique_degrees <= MOST_TILT_DEGREES else "oblique",
            "position_mm": round(position_mm, 2) if volume.oblique_degrees <= NO_TILT_DEGREES else None,
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
                width_px=width_px,
                height_px=height_px,
                frames=1,
            ),
            modality=facts.modality,
            specialty=facts.specialty,
            patient=None if shared.patient is None else origin.hashed("patient", shared.patient),
            source_id=origin.hashed("source_id", shared.file.path),
            group=group,
            labels=facts.labels,
            label_scope=facts.scope("slice"),
            source=stage.source,
            url=stage.url,
            retrieved=shared.file.modified,
            license=stage.rights.license,
            terms=origin.terms,
            official_split=split,
            attributes=encode(attributes),
        )
