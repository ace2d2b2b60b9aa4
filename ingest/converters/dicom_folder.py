"""A folder of DICOM files in any nesting: one item a file, still or moving, with the facts that its header may give.

CT becomes one row for each named window. MR is scaled once a series: by the 0.5 and 99.5 percentiles over all files of
the same Series Instance UID in the same folder, whichever unit asks. Units never cut a folder of up to 2,048 files, so
a unit sees such series whole; in a longer folder each file is scaled by itself. Every file is decoded once here, so
that what cannot be shown is rejected here, by its reason. Of the header only allow-listed codes and numbers are kept
(shards.dicom_header), ids as keyed hashes, and no free text. Tables may join on these ids: SOPInstanceUID,
SeriesInstanceUID, StudyInstanceUID and PatientID are columns beside `path`, `name` and `stem`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

from ingest.burned_in import check_evidence
from ingest.columns import row_contract
from ingest.converters.file_options import FileOptions
from shards.stage import Context, Contract, Unit
from shards.units import Sizes
from shards.windows import check_window

if TYPE_CHECKING:
    from ingest.converters.dicom_rows import DicomWorker

WHOLE_FOLDER = 2048  # files of a folder that units do not cut


@dataclass(frozen=True, kw_only=True)
class DicomFolder(FileOptions):
    """Makes a manifest of DICOM files. Without `specialty` each modality has its usual one."""

    contract: ClassVar[Contract] = row_contract(version=3)

    ids: ClassVar[tuple[str, ...]] = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "PatientID")

    include: tuple[str, ...] = ()  # patterns on the path; without any, all files are offered
    burned_in_text_checked: Mapping[str, str] = field(default_factory=dict)  # pattern -> what a person saw there
    windows: tuple[str, ...] = ()  # for CT; else those that suit the body part
    scale: Literal["series", "header"] = "series"  # MR: percentiles of the series, or the header's window
    frames: Literal["clip", "stills", "both"] = "clip"  # of a cine; a stack of slices gives stills
    clip_frames: int = 0  # length of the clips that a cine is cut into; 0: one clip
    still_every: int = 1  # each k-th frame
    unit_files: int = 256

    def __post_init__(self) -> None:
        FileOptions.__post_init__(self)
        check_evidence(self.burned_in_text_checked)
        for window in self.windows:
            check_window(window)
        if self.clip_frames < 0:
            raise ValueError(f"clip_frames must be 0 (one clip) or more, not {self.clip_frames}")
        for name in ("still_every", "unit_files"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")

    def units(self, ctx: Context) -> Iterator[Unit]:
        """Runs of files, folders of moderate size whole."""
        sizes = Sizes(target=self.unit_files, folder_most=WHOLE_FOLDER)
        return self.file_units(ctx, sizes, [*self.burned_in_text_checked])

    @contextmanager
    def open(self, ctx: Context) -> Iterator[DicomWorker]:
        """A worker that keeps the tables and the media reader."""
        from ingest.converters.dicom_rows import DicomWorker

        yield DicomWorker(self, ctx)
