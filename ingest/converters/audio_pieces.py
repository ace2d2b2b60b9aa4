"""Sound recordings in pieces: the cycles that a text beside each recording marks, or pieces of a stated length.

ICBHI 2017 writes one line a breathing cycle beside `101_1b1_Al_sc_Meditron.wav`: start and end in seconds, crackles,
wheezes. Such a line is a sample, with the cells of its line as columns beside those of the path and of joined tables.
Without texts, a recording longer than `piece_s` is cut into equal parts, so that no stub is left at its end. All pieces
of a file are one group where no patient is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

from ingest.columns import row_contract
from ingest.converters.file_pieces import FilePieces, Piece
from ingest.listing import Lookup, Root
from shards.foreign import media_stream
from shards.intake import Skip
from shards.locator import Locator
from shards.reasons import Reason
from shards.stage import Context, Contract

if TYPE_CHECKING:
    from ingest.converters.file_pieces import PieceWorker
    from shards.audio import Sound
    from shards.media import MediaReader

SOUNDS = ("*.wav", "*.flac", "*.mp3", "*.WAV", "*.FLAC", "*.MP3")
START, END = "start", "end"
MOST_TEXT_BYTES = 1 << 20
LATE_S = 0.1  # by which the end of a line may lie behind the end of the recording


@dataclass(frozen=True, kw_only=True)
class AudioPieces(FilePieces):
    """Makes a manifest of recordings below a folder, cut into cycles or pieces."""

    contract: ClassVar[Contract] = row_contract(version=1)

    include: tuple[str, ...] = SOUNDS
    group: str | None = "path"
    cycles: str = ""  # ending of the text beside each recording: .txt
    cycle_columns: tuple[str, ...] = (START, END, "crackles", "wheezes")  # of its lines; `start` and `end` in seconds
    separator: str = "\t"
    piece_s: float | None = None  # longest piece where there are no cycles; without it a recording stays whole

    def __post_init__(self) -> None:
        FilePieces.__post_init__(self)
        if self.cycles and not {START, END} <= set(self.cycle_columns):
            raise ValueError(f"cycle_columns must name `{START}` and `{END}`, in seconds")
        if self.cycles and self.piece_s is not None:
            raise ValueError("piece_s: the lines of `cycles` say where to cut; remove one of the two")
        if self.cycles and not self.cycles.startswith("."):
            raise ValueError(f"cycles is the ending of a file beside each recording, such as .txt, not {self.cycles!r}")
        if self.piece_s is not None and not 0.1 <= self.piece_s <= 60:
            raise ValueError(f"piece_s must be 0.1 to 60, the longest that is drawn in one picture; not {self.piece_s}")

    def beside(self, path: str) -> str:
        """The text of a recording."""
        return path.rpartition(".")[0] + self.cycles if self.cycles else ""

    @contextmanager
    def open(self, ctx: Context) -> Iterator[PieceWorker]:
        """A worker that keeps the tables and the decoded recording."""
        from ingest.converters.file_pieces import PieceWorker

        yield PieceWorker(self, ctx, "audio", AudioCutter(self, ctx).pieces)


class AudioCutter:
    """Cuts recordings as the stage says."""

    def __init__(self, stage: AudioPieces, ctx: Context) -> None:
        self.stage = stage
        self.root = Root.find(ctx.resolve(stage.path))
        self.lookup = Lookup(self.root)

    def pieces(self, path: str, reader: MediaReader) -> list[Piece]:
        """The pieces of one recording; raises Skip where it or its text cannot be read."""
        sound = reader.recording(self.root.uri(path)).sound()
        if self.stage.cycles:
            lines = self._lines(self.stage.beside(path))
            return [self._cycle(number, line, sound) for number, line in enumerate(lines, start=1)]
        total_s = len(sound.samples) / sound.rate_hz
        count = 1 if self.stage.piece_s is None else -(-total_s // self.stage.piece_s)
        edges = [round(len(sound.samples) * place / count) for place in range(int(count) + 1)]
        return [_piece(sound, start, stop, whole=count == 1) for start, stop in pairwise(edges)]

    def _lines(self, path: str) -> list[list[str]]:
        found = self.lookup(path)
        if found.refused:
            why = Reason.NO_METADATA if found.refused == Reason.MISSING_FILE else Reason.of(found.refused)
            raise Skip(why, f"no {self.stage.cycles} beside it")
        with media_stream(self.root.uri(path)) as stream:
            data = stream.read(MOST_TEXT_BYTES + 1)
        if len(data) > MOST_TEXT_BYTES:
            raise Skip(Reason.TOO_LARGE, f"a text of cycles of more than {MOST_TEXT_BYTES} bytes")
        lines = data.decode("utf-8-sig", "replace").splitlines()
        found_lines = [[cell.strip() for cell in line.split(self.stage.separator)] for line in lines if line.strip()]
        if not found_lines:
            raise Skip(Reason.NO_METADATA, f"its {self.stage.cycles} has no line")
        return found_lines

    def _cycle(self, number: int, line: Sequence[str], sound: Sound) -> Piece:
        """One line as a piece; refused where it does not say a part of the recording."""
        names = self.stage.cycle_columns
        cells: dict[str, str | None] = {name: cell or None for name, cell in zip(names, line, strict=False)}
        cells = {**dict.fromkeys((*names, "duration_s")), **cells}
        words = f"line {number}"
        if len(line) != len(names):
            return Piece(words=words, cells=cells, refused=f"bad_row|{len(line)} cells, not {len(names)}")
        try:
            start_s, end_s = float(cells[START] or "nan"), float(cells[END] or "nan")
        except ValueError:
            start_s = end_s = float("nan")
        total_s = len(sound.samples) / sound.rate_hz
        if not 0 <= start_s < end_s <= total_s + LATE_S:
            return Piece(words=words, cells=cells, refused="bad_row|start and end are no part of the recording")
        start, stop = round(start_s * sound.rate_hz), min(round(end_s * sound.rate_hz), len(sound.samples))
        if start >= stop:
            return Piece(words=words, cells=cells, refused="bad_row|start and end are no part of the recording")
        cells["duration_s"] = f"{(stop - start) / sound.rate_hz:.3f}"
        return Piece(locator=Locator(frame_start=start, frame_stop=stop), words=words, cells=cells)


def _piece(sound: Sound, start: int, stop: int, *, whole: bool) -> Piece:
    seconds = {START: start / sound.rate_hz, END: stop / sound.rate_hz, "duration_s": (stop - start) / sound.rate_hz}
    return Piece(
        locator=Locator() if whole else Locator(frame_start=start, frame_stop=stop),
        words="" if whole else f"from {start}",
        cells={name: f"{value:.3f}" for name, value in seconds.items()},
    )
