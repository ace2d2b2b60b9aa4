"""The worker of LabelledVideo: from one video and its labels to frames and clips."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ingest.cells import REASON, Cells, offered
from ingest.converters.folder_rows import file_rows
from ingest.converters.row_worker import RowWorker
from ingest.describe import mapped
from ingest.file_units import listed
from ingest.frame_labels import FRAME, agreed, lines, runs
from ingest.listing import A_FOLDER, Listed, Lookup, Root, first_names
from ingest.origin import known_id
from shards.frame_listing import folder_token
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
        self.ctx = ctx
        self.own_group = stage.group is not None
        self.stage = stage if self.own_group else replace(stage, group="path", group_is="video")
        kind = "frames" if stage.fps else "video"
        self.worker = RowWorker(self.stage, ctx, stage.path, kind=kind, probe=stage.probe, fps=stage.fps)
        self.cells = Cells.of(stage.parts, stage.join, ctx, self.worker.root.folder)
        self.lookup = Lookup(self.worker.root)

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
        video = self._video(_path(stage.video, known) if stage.video else file.path)
        table = self._labels(known)
        parts = [*self._stills(table), *self._clips(table)]
        if not parts:
            raise Skip(Reason.BAD_ROW, "its labels speak of no frame that is taken")
        names = [name for name in table.columns if name != FRAME]
        cells = pl.DataFrame([values for _, _, values in parts], schema=dict.fromkeys(names, pl.String))
        whole = file_rows([file]).select(pl.all().repeat_by(len(parts)).explode()).drop("refused")
        raw = whole.hstack(cells.select(name for name in names if name not in whole.columns))
        found = self.cells.complete(raw, stage.columns(), stage.path)
        own = mapped(found["group"], known_id) if self.own_group else pl.lit(None, dtype=pl.String)
        found = found.with_columns(group=pl.coalesce(own, pl.lit(video)))
        places = [(start, stop) for start, stop, _ in parts]
        found = found.with_columns(
            pl.Series("locator", [_part(*place).text() for place in places]),
            pl.Series("name", [f"{video} {_words(*place)}" for place in places]),
            path=pl.lit(video),
        )
        chosen = found.with_columns(chosen=offered(stage))["chosen"]
        taken = [place for place, is_chosen in zip(places, chosen, strict=True) if is_chosen]
        why = pl.Series("why", self._blank(video, taken), dtype=pl.String)
        found = found.filter(chosen)
        return found.with_columns(pl.coalesce(why, REASON).alias(REASON))

    def _video(self, path: str) -> str:
        """`path` where a video, or a folder of frames whose names can be read, lies there; raises Skip."""
        found = look_up(self.lookup, path)
        if found.detail == A_FOLDER and self.worker.kind == "frames":
            reader = self.worker.reader()
            reader.folders.names(self.worker.root.uri(path), reader.limits)
        elif found.refused:
            raise Skip(Reason.of(found.refused), found.detail or "its video")
        return path

    def _labels(self, known: dict[str, str]) -> pl.DataFrame:
        stage = self.stage
        tables = [(table, self._label_file(table.table, known)) for table in stage.tables]
        json = None if stage.json is None else (stage.json, self._label_file(stage.json.file, known))
        try:
            return lines(tables, json)
        except FileNotFoundError:
            raise Skip(Reason.NO_METADATA, "its labels by frame are not there") from None
        except ValueError as error:
            raise Skip(Reason.BAD_ROW, f"its labels by frame: {type(error).__name__}") from None

    def _label_file(self, path: str, known: dict[str, str]) -> str:
        """Where a file of labels lies; raises Skip where there is none inside the root."""
        found = look_up(self.lookup, _path(path, known))
        if found.refused == Reason.MISSING_FILE:
            raise Skip(Reason.NO_METADATA, "its labels by frame are not there")
        if found.refused:
            raise Skip(Reason.of(found.refused), f"its labels by frame: {found.detail}")
        return self.worker.root.uri(found.path)

    def _stills(self, table: pl.DataFrame) -> Iterator[tuple[int, int, dict[str, Any]]]:
        if not self.stage.stills_every:
            return
        for row in table.filter(pl.col(FRAME) % self.stage.stills_every == 0).iter_rows(named=True):
            number = row.pop(FRAME)
            yield number, number + 1, row

    def _clips(self, table: pl.DataFrame) -> Iterator[tuple[int, int, dict[str, Any]]]:
        stage = self.stage
        if not stage.clip_frames:
            return
        names = [name for name in table.columns if name != FRAME]
        for first, last in runs(table, stage.constant):
            for start in range(first, last, stage.clip_every or stage.clip_frames):
                stop = min(start + stage.clip_frames, last)
                if stop - start >= stage.least_clip_frames and (stop - start == stage.clip_frames or start == first):
                    yield start, stop, agreed(table, start, stop, names)

    def _blank(self, video: str, places: list[tuple[int, int]]) -> list[str | None]:
        """Why a still or clip is not taken where each of its frames has to show something; each is decoded once."""
        if not self.stage.min_foreground:
            return [None] * len(places)
        shown: dict[int, bool] = {}
        return [self._why_blank(video, start, stop, shown) for start, stop in places]

    def _why_blank(self, video: str, start: int, stop: int, shown: dict[int, bool]) -> str | None:
        if any(number not in shown for number in range(start, stop)):
            self.ctx.check()
            uri = self.worker.root.uri(video)
            media = Media(uri=uri, kind=self.worker.kind, locator=_part(start, stop).text())
            try:
                pixels = self.worker.reader().read(media).pixels
            except Skip as skip:
                return f"{skip.reason.value}|{skip.detail}"
            for number, frame in enumerate(pixels, start):
                bright = frame > BLACK_LEVEL if frame.ndim == 2 else frame.max(axis=2) > BLACK_LEVEL
                shown[number] = bool(np.mean(bright) >= self.stage.min_foreground)
        return None if all(shown[number] for number in range(start, stop)) else f"{Reason.BLANK.value}|"


def fields(path: str, parts: Any) -> dict[str, str]:
    """What may stand in braces in the paths of labels: `name`, `stem`, and the parts of the path."""
    name = path.rpartition("/")[2]
    known = {"name": name, "stem": name.rpartition(".")[0] or name}
    for column, pattern in parts.items():
        match = re.search(pattern, {"path": path, **known}.get(column, ""))
        known |= {group: value or "" for group, value in match.groupdict().items()} if match else {}
    return known


def label_inputs(stage: LabelledVideo, lookup: Lookup, path: str) -> list[str]:
    """What the label files of one video are known by before they are read; of a folder, its listing."""
    known = fields(path, stage.parts)
    tokens = []
    for text in stage.label_paths():
        try:
            found = look_up(lookup, _path(text, known))
        except Skip as skip:  # a reject when the unit is processed
            tokens.append(f"{text}|{skip.reason.value}")
            continue
        tokens.append(found.token)
        if found.detail == A_FOLDER:
            tokens.append(folder_token(lookup.root.uri(found.path)))
    return tokens


class Beside:
    """Keeps account of which files that belong to a video, its labels and perhaps the video, no listed file has."""

    def __init__(self, stage: LabelledVideo, ctx: Context) -> None:
        self.stage = stage
        self.lookup = Lookup(Root.find(ctx.resolve(stage.path)))
        self.lacking = dict.fromkeys(stage.label_paths(), "")  # path with names in braces -> the first that is missing

    def look(self, unit: Unit) -> None:
        """Note the files beside those of a unit."""
        for file in listed(unit):
            known = fields(file.path, self.stage.parts)
            for text in [] if file.refused else list(self.lacking):
                try:
                    path = _path(text, known)
                except Skip:  # a reject when the unit is processed
                    continue
                if look_up(self.lookup, path).refused == Reason.MISSING_FILE:
                    self.lacking[text] = self.lacking[text] or path
                else:
                    del self.lacking[text]

    def check_found(self) -> None:
        """FileNotFoundError where no listed file has one of them, with the first that was looked for."""
        for text, path in self.lacking.items():
            if path:
                root = self.lookup.root
                raise FileNotFoundError(
                    f"path: there is no file {text!r} of any video; the first was looked for at {root.uri(path)}, and "
                    f"{root.folder} holds {first_names(root)}. Correct the path, or point `path` at the folder that "
                    "holds them"
                )


def look_up(lookup: Lookup, path: str) -> Listed:
    """The file or folder at a path that was put together."""
    if ".." in path.split("/"):
        return Listed(path, refused=Reason.PATH_ESCAPES, detail="its path holds `..`")
    return lookup(path)


def _path(text: str, known: dict[str, str]) -> str:
    """A path with its braces filled; raises Skip where `parts` do not fit the video's own path."""
    try:
        return text.format(**known)
    except KeyError as error:
        raise Skip(Reason.BAD_ROW, f"parts do not fit its path: no {error.args[0]!r}") from None


def _part(start: int, stop: int) -> Locator:
    return Locator(frame_start=start, frame_stop=stop)


def _words(start: int, stop: int) -> str:
    return f"frame {start}" if stop == start + 1 else f"frames {start} to {stop - 1}"
