"""A folder of DICOM files in any nesting: one item a file, still or moving, with the facts that its header may give.

CT becomes one row for each named window. MR is scaled once a series: by the 0.5 and 99.5 percentiles over all files of
the same Series Instance UID in the same folder, whichever unit asks. Units never cut a folder of up to 2,048 files, so
a unit sees such series whole; in a longer folder each file is scaled by itself. Every file is decoded once here, so
that what cannot be shown is rejected here, by its reason. Of the header only allow-listed codes and numbers are kept
(shards.dicom_header), ids as keyed hashes, and no free text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

from ingest.file_units import check_excluded, folder_units
from ingest.listing import Root
from ingest.origin import check_source
from ingest.rights import Rights
from ingest.statements import FileFacts, check_specialty
from shards.stage import Context, Contract, Kind, Unit
from shards.units import Sizes
from shards.windows import check_window

if TYPE_CHECKING:
    from ingest.converters.dicom_rows import DicomWorker

WHOLE_FOLDER = 2048  # files of a folder that units do not cut


@dataclass(frozen=True, kw_only=True)
class DicomFolder:
    """Makes a manifest of DICOM files."""

    contract: ClassVar[Contract] = Contract(
        gives=Kind.MANIFEST, adds=("media", "labels", "attributes", "group", "license", "terms"), version=2
    )

    source: str  # plain name; each sample's key starts with it
    path: str  # folder, or one file
    rights: Rights
    include: tuple[str, ...] = ()  # patterns on the path; without any, all files are offered
    exclude: Mapping[str, str] = field(default_factory=dict)  # path -> reason code
    facts: tuple[FileFacts, ...] = ()  # by file pattern; they precede the header
    specialty: str | None = None  # of all files; else a default for each modality
    windows: tuple[str, ...] = ()  # for CT; else those that suit the body part
    scale: Literal["series", "header"] = "series"  # MR: percentiles of the series, or the header's window
    frames: Literal["clip", "stills", "both"] = "clip"  # of a cine; a stack of slices gives stills
    clip_frames: int = 0  # length of the clips that a cine is cut into; 0: one clip
    still_every: int = 1  # each k-th frame
    unit_files: int = 256
    url: str | None = None
    collection: str = ""  # the original collection where this is a derived one

    def __post_init__(self) -> None:
        check_source(self.source)
        check_excluded(self.exclude)
        check_specialty(self.specialty)
        for window in self.windows:
            check_window(window)
        if self.clip_frames < 0:
            raise ValueError(f"clip_frames must be 0 (one clip) or more, not {self.clip_frames}")
        for name in ("still_every", "unit_files"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")

    def units(self, ctx: Context) -> Iterator[Unit]:
        """Runs of files, folders of moderate size whole."""
        root = Root.find(ctx.resolve(self.path))
        sizes = Sizes(target=self.unit_files, folder_most=WHOLE_FOLDER)
        return folder_units(root, self.source, sizes, self.include, self.exclude, [entry.files for entry in self.facts])

    @contextmanager
    def open(self, ctx: Context) -> Iterator[DicomWorker]:
        """A worker that keeps the media reader."""
        from ingest.converters.dicom_rows import DicomWorker

        yield DicomWorker(self, ctx)
