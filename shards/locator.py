"""Which part of a media file a sample is, and how its stored values become display values.

The locator belongs to the key: the same CT slice in a brain and in a bone window is two samples. It travels in the
manifest as canonical JSON without empty fields, so that "the whole file as it is" is the empty string.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from shards.canonical import canonical_json

TIME = "time"  # the axis of a clip in NIfTI


@dataclass(frozen=True, kw_only=True, slots=True)
class Locator:
    """Part and view of one media file. Frames and slices count from 0."""

    frame_start: int | None = None  # first frame, for clips and single frames; of a volume, place in its stack
    frame_stop: int | None = None  # one past the last frame
    axis: str | None = None  # anatomical plane of a volume slice: axial, coronal or sagittal; of a clip in NIfTI: time
    slice: int | None = None  # index along the axis after reorientation to RAS
    step: int | None = None  # of a stack: each k-th slice, counted from the middle one
    volume: int | None = None  # index in the fourth dimension
    array: str | None = None  # key of an npz, path in an HDF5 file, column of a Parquet file
    row: int | None = None  # along axis 0 of an array, or of a table
    member: str | None = None  # name inside an archive
    byte_start: int | None = None
    byte_stop: int | None = None
    level: int | None = None  # of a slide's pyramid, from which a tile is read
    left: int | None = None  # of a tile, in pixels of level 0, or without a level of a part of a still picture; as are
    top: int | None = None  # the next three
    width: int | None = None
    height: int | None = None
    window: str | None = None  # name in shards.windows, or "header"
    low: float | None = None  # display black in modality units (percentile scaling of a series)
    high: float | None = None  # display white in modality units

    def text(self) -> str:
        """Canonical JSON of the fields that are set; empty for the whole file. Equal locators have equal texts."""
        fields = self._set()
        for name in fields.keys() & {"low", "high"}:
            fields[name] = float(fields[name]) + 0.0  # 80 is 80.0, and -0.0 is 0.0
        return canonical_json(fields) if fields else ""

    def _set(self) -> dict[str, Any]:
        return {name: value for name in self.__slots__ if (value := getattr(self, name)) is not None}

    @property
    def is_tile(self) -> bool:
        """Whether it names a tile of a slide."""
        return self.level is not None

    @property
    def is_part(self) -> bool:
        """Whether it names a part of a still picture (shards.part)."""
        sides = (self.left, self.top, self.width, self.height)
        return self.level is None and any(value is not None for value in sides)

    @property
    def over_time(self) -> bool:
        """Whether it names frames of a clip in NIfTI and not slices of a volume (shards.cine)."""
        return self.axis == TIME

    @property
    def in_container(self) -> bool:
        """Whether it names one of many pictures in a file, whose hash is then that of its own bytes."""
        return any(value is not None for value in (self.array, self.row, self.member, self.byte_start, self.byte_stop))

    def narrowed(self, first: int, stop: int) -> Locator:
        """Of its frames those from `first` to before `stop`, counted from its own first."""
        start = self.frame_start or 0
        return replace(self, frame_start=start + first, frame_stop=start + stop)

    def row_texts(self, rows: Iterable[int]) -> list[str]:
        """`text` at each of some rows."""
        head, _, tail = replace(self, row=0).text().rpartition('"row":0')
        return [f'{head}"row":{row}{tail}' for row in rows]

    def place(self) -> str:
        """`text` without the range of display: what a key is made of, since a series that grows shifts its range."""
        fields = {name: value for name, value in self._set().items() if name not in ("low", "high")}
        return canonical_json(fields) if fields else ""

    @classmethod
    def parse(cls, text: str) -> Locator:
        """Inverse of `text`."""
        return cls(**json.loads(text)) if text else cls()
