"""Media that are drawn or cut from one file: electrocardiograms, sound, and tiles of slides, behind one small face.

An electrocardiogram or a sound has no pixels of its own. Its sizes in a manifest are those of a nominal drawing;
whoever packs it states the size that it is to be drawn at, so that lines are never resampled.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from shards import ecg_sheet, mel
from shards.audio import Sound, read_sound
from shards.dicom_waveform import is_ecg, read_ecg
from shards.ecg import Ecg
from shards.foreign import media_stream
from shards.frames import Frames
from shards.intake import Skip
from shards.limits import Limits
from shards.locator import Locator
from shards.reasons import Reason
from shards.slide import Slide, open_slide, read_tile
from shards.sniff import AUDIO, DICOM, ECG, IMAGE, SLIDE, Sniffed
from shards.uri import local_path
from shards.wfdb_record import read_header, read_signals, record_sha256

RECORDINGS = (ECG, AUDIO, SLIDE)
Size = tuple[int, int]  # width, height in pixels


def refined(found: Sniffed, head: bytes, view: Locator) -> Sniffed:
    """What a file is where its first bytes allow two answers: a waveform in DICOM, a TIFF of which a tile is asked."""
    if found.kind == DICOM:
        return Sniffed(ECG, "dicom") if is_ecg(head) else found
    if found.kind == IMAGE and found.format == "TIFF" and view.is_tile:
        return Sniffed(SLIDE, "TIFF")
    if found.kind == SLIDE and not view.is_tile:
        raise Skip(Reason.UNSUPPORTED_PIXELS, "a BigTIFF is read in tiles alone: use SlideTiles")
    if found.kind != SLIDE and view.is_tile:
        raise Skip(Reason.BAD_ROW, f"the locator names a tile, and the file is {found.format or found.kind}")
    return found


@dataclass(frozen=True, eq=False)
class Recording:
    """An opened file of one of RECORDINGS."""

    uri: str
    kind: str
    content: Ecg | Sound | Slide
    size_bytes: int

    def ecg(self) -> Ecg:
        """What was opened, where it is an electrocardiogram; else Skip."""
        if not isinstance(self.content, Ecg):
            raise Skip(Reason.NOT_RECOGNISED, f"{self.kind}, not an electrocardiogram")
        return self.content

    def sound(self) -> Sound:
        """What was opened, where it is a sound; else Skip."""
        if not isinstance(self.content, Sound):
            raise Skip(Reason.NOT_RECOGNISED, f"{self.kind}, not a sound")
        return self.content

    def slide(self) -> Slide:
        """What was opened, where it is a slide; else Skip."""
        if not isinstance(self.content, Slide):
            raise Skip(Reason.NOT_RECOGNISED, f"{self.kind}, not a slide")
        return self.content

    def size_px(self, view: Locator, limits: Limits) -> Size:
        """Width and height of what a locator selects, nominal where it is drawn; raises Skip."""
        if isinstance(self.content, Slide):
            _, _, _, width_px, height_px = self.content.region(view)
            limits.check_frame(width_px, height_px)
            return width_px, height_px
        if isinstance(self.content, Sound):
            mel.check_length(view, len(self.content.samples), self.content.rate_hz)
            return mel.NOMINAL_PX
        self.content.part(view)
        return ecg_sheet.NOMINAL_PX

    def read(self, view: Locator, target_px: Size | None, limits: Limits) -> Frames:
        """The picture; drawn at `target_px`, where it is drawn. Raises Skip."""
        if target_px is not None:
            limits.check_frame(*target_px)
        if isinstance(self.content, Slide):
            with media_stream(self.uri) as stream:
                return read_tile(stream, self.content, view, limits)
        if isinstance(self.content, Sound):
            return mel.draw_mel(self.content, view, target_px)
        return ecg_sheet.draw_sheet(self.content.part(view), target_px)


def open_recording(uri: str, stream: BinaryIO, found: Sniffed, limits: Limits) -> tuple[str, Recording]:
    """(sha256, the opened file); of a WFDB record the hash is over all of its files. Raises Skip."""
    if found.kind == SLIDE:
        sha256 = _sha256(stream)
        slide = open_slide(stream, limits)
        return sha256, Recording(uri, SLIDE, slide, slide.size_bytes)
    data = stream.read()
    if found.kind == AUDIO:
        sound = read_sound(data, found.format, limits)
        return hashlib.sha256(data).hexdigest(), Recording(uri, AUDIO, sound, sound.size_bytes)
    if found.format == "dicom":
        ecg = read_ecg(data, limits)
        return hashlib.sha256(data).hexdigest(), Recording(uri, ECG, ecg, ecg.size_bytes)
    header = read_header(data)
    files = {name: _beside(uri, name, limits) for name in header.files}
    ecg = read_signals(header, files, limits)
    return record_sha256(data, files), Recording(uri, ECG, ecg, ecg.size_bytes)


def _beside(uri: str, name: str, limits: Limits) -> bytes:
    """The bytes of a file beside `uri`; a link that leaves its folder is refused (DESIGN invariant 9)."""
    folder = uri.rpartition("/")[0]
    where = f"{folder}/{name}" if folder else name
    local = local_path(where)
    if local is not None:
        inside = os.path.realpath(local.parent)
        if os.path.commonpath((inside, os.path.realpath(local))) != inside:
            raise Skip(Reason.PATH_ESCAPES, "a signal file is a link that leads out of its folder")
        if not local.is_file() and Path(local).exists():
            raise Skip(Reason.NOT_RECOGNISED, "a signal file is no plain file")
    with media_stream(where) as stream:
        limits.check_file(stream.seek(0, 2), held=True)
        stream.seek(0)
        return stream.read()


def _sha256(stream: BinaryIO) -> str:
    """Of a stream in pieces; left at its start."""
    digest = hashlib.sha256()
    while piece := stream.read(1 << 23):
        digest.update(piece)
    stream.seek(0)
    return digest.hexdigest()
