"""Videos with labels by frame: every k-th frame with the label of its own line, and clips that never cross a change.

Surgical videos are labelled so (Cholec80: a phase for each frame, tools for each 25th; CholecT50: triplets in JSON over
frames at 1 per second). A clip lies within one run of the columns `constant`, and of the other columns it says only
what all lines inside it agree on, so its caption stays true however pack cuts it. Where neither patient, study nor
group is known, the frames of a video are one group.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from string import Formatter
from typing import TYPE_CHECKING, ClassVar

from ingest.columns import RowOptions
from ingest.file_units import check_excluded, folder_units, listed
from ingest.frame_labels import FrameJson, FrameTable
from ingest.listing import Lookup, Root, check_expected
from ingest.table_file import JoinTable, check_parts
from shards.stage import Context, Contract, Kind, Unit
from shards.units import Sizes

if TYPE_CHECKING:
    from ingest.converters.labelled_rows import LabelledWorker


@dataclass(frozen=True, kw_only=True)
class LabelledVideo(RowOptions):
    """Makes a manifest of frames and clips of videos that are labelled by frame."""

    contract: ClassVar[Contract] = Contract(
        gives=Kind.MANIFEST, adds=("media", "captions", "labels", "attributes", "group", "license", "terms"), version=2
    )

    path: str  # folder
    include: tuple[str, ...]  # patterns of the videos, or of their label files where `video` says where the video is
    video: str = ""  # path of the video, or of the folder of its frames: "videos/{stem}"; default: the listed file
    exclude: Mapping[str, str] = field(default_factory=dict)  # path -> reason code
    tables: tuple[FrameTable, ...] = ()
    json: FrameJson | None = None
    parts: Mapping[str, str] = field(default_factory=dict)  # column -> expression whose (?P<named>groups) are columns
    join: tuple[JoinTable, ...] = ()  # of whole videos
    constant: tuple[str, ...] = ()  # columns that change nowhere inside a clip
    stills_every: int = 25  # frames from one still to the next; 0: no stills
    clip_frames: int = 32  # 0: no clips
    clip_every: int = 0  # frames from the start of one clip to the next of its run; default: its length
    least_clip_frames: int = 8  # a shorter run gives no clip
    fps: float | None = None  # of a folder of frames
    min_foreground: float = 0.0  # smallest share of a frame's pixels that are not black; above 0 each is decoded
    expects: tuple[str, ...] = ()  # paths or patterns below `path` that must be there
    probe: bool = True  # open every video for hashes and sizes

    def __post_init__(self) -> None:
        RowOptions.__post_init__(self)
        check_parts(self.parts)
        check_excluded(self.exclude)
        if not self.tables and self.json is None:
            raise ValueError("tables or json must say where the labels by frame lie")
        if self.modality is None or self.specialty is None:
            raise ValueError("modality and specialty must be given: SURG and general surgery, for one")
        if not self.stills_every and not self.clip_frames:
            raise ValueError("stills_every and clip_frames are both 0: nothing would be made")
        if min(self.stills_every, self.clip_frames, self.clip_every) < 0 or self.least_clip_frames < 2:
            raise ValueError(
                "stills_every, clip_frames and clip_every must not be negative; a clip has 2 frames or more"
            )
        check_braces(self)
        if not 0 <= self.min_foreground < 1:
            raise ValueError(f"min_foreground is a share of pixels, 0 to 1, not {self.min_foreground}")

    def label_paths(self) -> list[str]:
        """Paths of a video and of its labels, with names in braces."""
        paths = [*(table.table for table in self.tables), self.json.file if self.json else "", self.video]
        return [path for path in paths if path]

    def units(self, ctx: Context) -> Iterator[Unit]:
        """One unit a video; its tables, the joined ones and those that word labels count, too."""
        from ingest.cells import Cells, names_inputs
        from ingest.converters.labelled_rows import label_inputs

        root = Root.find(ctx.resolve(self.path))
        check_expected(root, self.expects)
        known = Cells.of(self.parts, self.join, ctx, root.folder).inputs(ctx)
        known += names_inputs(self, ctx, root.folder)
        lookup = Lookup(root)
        for unit in folder_units(root, self.source, Sizes(target=1), self.include, self.exclude):
            labels = [token for file in listed(unit) for token in label_inputs(self, lookup, file.path)]
            yield replace(unit, inputs=(*unit.inputs, *known, *labels))

    @contextmanager
    def open(self, ctx: Context) -> Iterator[LabelledWorker]:
        """A worker that keeps the media reader."""
        from ingest.converters.labelled_rows import LabelledWorker

        yield LabelledWorker(self, ctx)


def check_braces(stage: LabelledVideo) -> None:
    """ValueError where a path of labels has a name in braces that no path of a video gives."""
    groups = {name for pattern in stage.parts.values() for name in re.compile(pattern).groupindex}
    for path in stage.label_paths():
        try:
            names = {name for _, name, _, _ in Formatter().parse(path) if name is not None}
        except ValueError as error:
            raise ValueError(f"{path!r} cannot be read: {error}; write a name in braces: {{stem}}") from error
        if unknown := sorted(names - groups - {"name", "stem"}):
            raise ValueError(f"{path!r} holds {unknown}, which no group of parts names; use {{stem}} or {{name}}")
