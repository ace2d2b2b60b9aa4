"""The worker of LabelledVideo: from one video and its labels to frames and clips."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ingest.cells import REASON, Cells
from ingest.converters.folder_rows import file_rows
from ingest.converters.row_worker import RowWorker
from ingest.file_units import listed
from ingest.frame_labels import FRAME, agreed, lines, runs
from ingest.listing import Listed, Lookup, Root
from shards.intake import Skip
from shards.locator import Locator
from shards.manifest import Media
from shards.reasons import Reason
from shards.stage import Context, Reject, Result, Unit

if TYPE_CHECKING:
    from ingest.converters.labelled_video import LabelledVideo

BLACK_LEVEL = 13  # of 255


class LabelledWorker:
    """Turns videos into rows."""

    def __init__(self, stage: LabelledVideo, ctx: Context) -> None:
        self.stage = stage
        self.ctx = ctx
        kind = "frames" if stage.fps else "video"
        self.worker = RowWorker(stage, ctx, stage.path, kind=kind, probe=stage.probe, fps=stage.fps)
        self.cells = Cells.of(stage.parts, stage.join, ctx, self.worker.root.folder)

    def process(self, unit: Unit) -> Result:
        """The frames and clips of a unit's video; a video without labels is one reject."""
        rows, rejects = [], []
        for file in listed(unit):
            try:
                rows.append(self._rows(file))
            except Skip as skip:
                rejects.append(Reject(item=file.path, reason=skip.reason.value, detail=skip.detail))
        result = Result(rows=None)
        if rows:
            result = self.worker.result(pl.concat(rows))
        return Result(
            rows=result.rows,
            rejects=(*result.rejects, *rejects),
            offered=result.offered + len(rejects),
            accepted=result.accepted,
        )

    def _rows(self, file: Listed) -> pl.DataFrame:
        """Cells of one video's frames and clips."""
        stage = self.stage
        if file.refused:
            raise Skip(Reason.of(file.refused), file.detail)
        known = fields(file.path, stage.parts)
        video = stage.video.format(**known) if stage.video else file.path
        table = self._labels(known)
        parts = [*self._stills(table, video), *self._clips(table)]
        if not parts:
            raise Skip(Reason.BAD_ROW, "its labels speak of no frame that is taken")
        names = [name for name in table.columns if name != FRAME]
        cells = pl.DataFrame(
            [{**values, "locator": _part(start, stop).text(), "why": why} for start, stop, values, why in parts],
            schema={**dict.fromkeys(names, pl.String), "locator": pl.String, "why": pl.String},
        )
        whole = file_rows([file]).select(pl.all().repeat_by(cells.height).explode()).drop("refused")
        raw = whole.hstack(cells.select(name for name in names if name not in whole.columns))
        found = self.cells.complete(raw, stage.columns(), stage.path)
        item = pl.format("{} {}", pl.lit(video), pl.Series([_words(start, stop) for start, stop, _, _ in parts]))
        return found.with_columns(
            cells["locator"], path=pl.lit(video), name=item, **{REASON: pl.coalesce(cells["why"], REASON)}
        )

    def _labels(self, known: dict[str, str]) -> pl.DataFrame:
        stage, root = self.stage, self.worker.root
        tables = [(table, root.uri(table.table.format(**known))) for table in stage.tables]
        json = None if stage.json is None else (stage.json, root.uri(stage.json.file.format(**known)))
        try:
            return lines(tables, json)
        except FileNotFoundError:
            raise Skip(Reason.NO_METADATA, "its labels by frame are not there") from None
        except ValueError as error:
            raise Skip(Reason.BAD_ROW, f"its labels by frame: {type(error).__name__}") from None

    def _stills(self, table: pl.DataFrame, video: str) -> Iterator[tuple[int, int, dict[str, Any], str | None]]:
        if not self.stage.stills_every:
            return
        for row in table.filter(pl.col(FRAME) % self.stage.stills_every == 0).iter_rows(named=True):
            number = row.pop(FRAME)
            yield number, number + 1, row, self._blank(video, number)

    def _blank(self, video: str, number: int) -> str | None:
        """Why a still is not taken where it has to show something."""
        if not self.stage.min_foreground:
            return None
        self.ctx.check()
        media = Media(uri=self.worker.root.uri(video), kind=self.worker.kind, locator=_part(number, number + 1).text())
        try:
            pixels = self.worker.reader().read(media).pixels
        except Skip as skip:
            return f"{skip.reason.value}|{skip.detail}"
        return None if np.mean(pixels > BLACK_LEVEL) >= self.stage.min_foreground else f"{Reason.BLANK.value}|"

    def _clips(self, table: pl.DataFrame) -> Iterator[tuple[int, int, dict[str, Any], str | None]]:
        stage = self.stage
        if not stage.clip_frames:
            return
        names = [name for name in table.columns if name != FRAME]
        for first, last in runs(table, stage.constant):
            for start in range(first, last, stage.clip_every or stage.clip_frames):
                stop = min(start + stage.clip_frames, last)
                if stop - start >= stage.least_clip_frames and (stop - start == stage.clip_frames or start == first):
                    yield start, stop, agreed(table, start, stop, names), None


def fields(path: str, parts: Any) -> dict[str, str]:
    """What may stand in braces in the paths of labels: `name`, `stem`, and the parts of the path."""
    name = path.rpartition("/")[2]
    known = {"name": name, "stem": name.rpartition(".")[0] or name}
    for column, pattern in parts.items():
        match = re.search(pattern, {"path": path, **known}.get(column, ""))
        known |= {group: value or "" for group, value in match.groupdict().items()} if match else {}
    return known


def label_inputs(stage: LabelledVideo, ctx: Context, root: Root, path: str) -> list[str]:
    """What the label files of one video are known by before they are read."""
    known = fields(path, stage.parts)
    wanted = [table.table for table in stage.tables] + ([stage.json.file] if stage.json else [])
    lookup = Lookup(root)
    return [lookup(text.format(**known)).token for text in (*wanted, *([stage.video] if stage.video else []))]


def _part(start: int, stop: int) -> Locator:
    return Locator(frame_start=start, frame_stop=stop)


def _words(start: int, stop: int) -> str:
    return f"frame {start}" if stop == start + 1 else f"frames {start} to {stop - 1}"
