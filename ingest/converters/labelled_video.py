"""Videos with labels by frame: every k-th frame with the label of its own line, and clips that never cross a change.

Surgical videos are labelled so (Cholec80: a phase for each frame, tools for each 25th; CholecT50: triplets in JSON over
frames at 1 per second). A clip lies within one run of the columns `constant`, and of the other columns it says only
what all lines inside it agree on, so its caption stays true however pack cuts it. Where neither patient, study nor
group is known, the frames of a video are one group.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from string import Formatter
from typing import TYPE_CHECKING, ClassVar

from ingest.columns import row_contract
from ingest.converters.listed_files import ListedFiles
from ingest.frame_labels import FrameJson, FrameTable
from ingest.listing import Lookup
from shards.stage import Context, Contract, Unit
from shards.units import Sizes

if TYPE_CHECKING:
    from ingest.converters.labelled_rows import LabelledWorker


@dataclass(frozen=True, kw_only=True)
class LabelledVideo(ListedFiles):
    """Makes a manifest of frames and clips of videos that are labelled by frame."""

    contract: ClassVar[Contract] = row_contract(version=3)

    include: tuple[str, ...]  # patterns of the videos, or of their label files where `video` says where the video is
    video: str = ""  # path of the video, or of the folder of its frames: "videos/{stem}"; default: the listed file
    tables: tuple[FrameTable, ...] = ()
    json: FrameJson | None = None
    constant: tuple[str, ...] = ()  # columns that change nowhere inside a clip
    stills_every: int = 25  # frames from one still to the next; 0: no stills
    clip_frames: int = 32  # 0: no clips
    clip_every: int = 0  # frames from the start of one clip to the next of its run; default: its length
    least_clip_frames: int = 8  # a shorter run gives no clip
    fps: float | None = None  # of a folder of frames
    min_foreground: float = 0.0  # smallest share of a frame's pixels that are not black; above 0 each is decoded
    probe: bool = True  # open every video for hashes and sizes

    def __post_init__(self) -> None:
        ListedFiles.__post_init__(self)
        self.check_given()
        if not self.tables and self.json is None:
            raise ValueError("tables or json must say where the labels by frame lie")
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

    def read_with(self, path: str, lookup: Lookup) -> list[str]:
        """What the labels of a video are known by, and the video where its labels are what is listed."""
        from ingest.converters.labelled_rows import label_inputs

        return label_inputs(self, lookup, path)

    def units(self, ctx: Context) -> Iterator[Unit]:
        """One unit a video.

        Raises FileNotFoundError where none of the videos has one of the files that are read with it.
        """
        from ingest.converters.labelled_rows import Beside

        beside = Beside(self, ctx)
        for unit in self.file_units(ctx, Sizes(target=1)):
            beside.look(unit)
            yield unit
        beside.check_found()

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
