"""NIfTI volumes as slices and clips: a file or a folder of them, cut in the planes that are asked for, by the affine.

One item is one slice of one plane, or all slices of a plane as one clip. Display values are fixed once a volume (the
0.5 and 99.5 percentiles of all its voxels, or of a CT each named window) and stand in each row's locator, so that
slices of one volume stay comparable. Nothing is resampled or written here: a row points at a slice. What is said of a
file is true of the whole volume, so its labels have the scope series, study or patient.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

from ingest.columns import CaptionColumn, row_contract
from ingest.converters.file_options import NARROW, FileOptions
from ingest.converters.slabs import Slabs
from ingest.header_columns import HeaderColumns
from shards.attributes import encode
from shards.stage import Context, Contract, Unit
from shards.units import Sizes
from shards.windows import HEADER, check_window

if TYPE_CHECKING:
    from ingest.converters.nifti_rows import NiftiWorker

Plane = Literal["axial", "coronal", "sagittal"]


@dataclass(frozen=True, kw_only=True)
class NiftiVolumes(FileOptions):
    """Makes a manifest of the slices of NIfTI volumes."""

    contract: ClassVar[Contract] = row_contract(version=3)

    include: tuple[str, ...] = ("*.nii", "*.nii.gz")
    planes: tuple[Plane, ...] = ("axial", "coronal", "sagittal")
    every: int = 1  # each k-th slice, counted from the middle one
    clips: tuple[Plane, ...] = ()  # planes whose slices, from the lowest position to the highest, are one clip as well
    clip_every: int = 1  # each k-th slice of it, counted from the middle one
    range_mm: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # plane -> first and last position
    volume: int = 0  # which one of a 4-D file
    windows: tuple[str, ...] = ()  # of files that are CT in HU: one row for each named window; else percentiles
    header: HeaderColumns | None = None  # what tables say of the header, which must agree
    min_foreground: float = 0.02  # smallest share of pixels brighter than a twentieth of white
    most_anisotropy: float = 3.0  # of the spacings in a plane; across thicker slices no picture is made
    group_by: Literal["volume", "slab"] = "volume"  # slab: only with single_template
    single_template: bool = False  # the collection holds one anatomy, in one space: a template and its maps
    slabs: Slabs = field(default_factory=Slabs)
    space: str | None = None  # named anatomical space of the affine, such as MNI152
    all_split: Literal["train", "val", "test"] | None = None  # official split of all of it; slabs have their own

    def __post_init__(self) -> None:
        FileOptions.__post_init__(self)
        stated = [entry.modality for entry in self.facts]
        self.check_given()
        for words, scope in self.scopes():
            if scope in NARROW:
                raise ValueError(
                    f"{words} has the scope {scope}, but a file holds a whole volume, and nothing says which of its "
                    "slices show it; write `scope: series`, or study or patient"
                )
        for window in self.windows:
            if check_window(window) == HEADER:
                raise ValueError("windows: a NIfTI header holds no window; name one of shards.windows")
        if self.windows and "CT" not in (self.modality, *stated) and self.modality_column is None:
            raise ValueError(f"windows are ranges of Hounsfield units, which {self.modality} has none of; remove them")
        self._check_cuts()
        self._check_slabs()
        encode({"space": self.space})

    def _check_cuts(self) -> None:
        for name in ("every", "clip_every", "most_anisotropy"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        planes = (*self.planes, *self.clips)
        if not planes:
            raise ValueError("planes is empty: name axial, coronal or sagittal, or `clips` of them")
        for plane, (first_mm, last_mm) in self.range_mm.items():
            if plane not in planes or first_mm > last_mm:
                raise ValueError(f"range_mm: {plane} {first_mm} to {last_mm} is no range of one of {list(planes)}")
        if not 0 <= self.min_foreground < 1:
            raise ValueError(f"min_foreground is a share of pixels, 0 to 1, not {self.min_foreground}")
        bare = isinstance(self.caption, str) or (self.caption is not None and self.caption.wording == "{}")
        if bare and self.planes:
            column = self.caption.column if isinstance(self.caption, CaptionColumn) else self.caption
            raise ValueError(
                f"caption: the text in {column!r} is of the scan and not of one slice; write caption: {{column: "
                f'{column}, wording: "From a scan with this report: {{}}"}}'
            )

    def _check_slabs(self) -> None:
        if self.group_by == "slab" and not self.single_template:
            raise ValueError(
                "group_by: slab would put one patient into two splits; it is allowed only where the collection holds "
                "one anatomy and `single_template: true` says so. For patients write `group_by: volume`"
            )
        if self.group_by == "slab" and (self.all_split or self.official_split):
            raise ValueError("official_split: with slabs write `slabs: {held_out: {test: {axial: [10]}}}` instead")
        if self.group_by == "slab" and self.clips:
            raise ValueError("clips: a clip runs through slabs of all splits; remove `clips` or `group_by: slab`")
        if self.single_template and self.patient:
            raise ValueError("patient: a template is no patient; remove `patient` or `single_template`")
        if self.all_split and self.official_split:
            raise ValueError("all_split: `official_split` names a column with the split of each file; remove one")

    def units(self, ctx: Context) -> Iterator[Unit]:
        """One unit a file, since one volume gives hundreds of rows."""
        extra = [*self.header.columns().values()] if self.header is not None else []
        return self.file_units(ctx, Sizes(target=1), extra=extra)

    @contextmanager
    def open(self, ctx: Context) -> Iterator[NiftiWorker]:
        """A worker that keeps the tables and the media reader."""
        from ingest.converters.nifti_rows import NiftiWorker

        yield NiftiWorker(self, ctx)
