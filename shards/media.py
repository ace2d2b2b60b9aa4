"""One way to open any media: sniff, check against the limits, decode to display values, or raise Skip with a reason.

The kind is read off the bytes, never off the name. The file's hash is compared with the manifest before a pixel is
used, since flipped bits in a JPEG decode without an error. What was opened (a volume, a multi-frame object, the index
of a video) stays in a cache bounded in bytes, and the latest of them stays whatever its size, so that the slices of
one volume cost one read.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from shards import sniff
from shards.foreign import media_stream
from shards.frame_folder import folder_facts, read_folder
from shards.frame_listing import FrameFolders
from shards.frames import Facts, Frames, chosen_frames
from shards.intake import Skip
from shards.limits import MIB, Limits
from shards.locator import Locator
from shards.manifest import Media
from shards.part import check_no_part
from shards.reasons import Reason
from shards.recordings import RECORDINGS, Recording, open_recording, refined
from shards.sniff import CONTAINER, DICOM, HEAD_BYTES, IMAGE, NIFTI, SLIDE, VIDEO, Sniffed
from shards.uri import local_path

if TYPE_CHECKING:
    from shards.arrays import ArrayFile
    from shards.dicom import DicomImage
    from shards.nifti import Volume

__all__ = ["Facts", "Frames", "Limits", "MediaReader"]

_INSIDE = ("array", "row", "member", "byte_start", "byte_stop")  # parts of a locator that mean containers
_OPENED_FOR_FACTS = (NIFTI, VIDEO, CONTAINER, *RECORDINGS)  # opening them is how their sizes are known


@dataclass(frozen=True, slots=True)
class _Opened:
    """A file that was opened: its hash, what it is, and the decoder's object, or the bytes of an image."""

    sha256: str
    sniffed: Sniffed
    content: Any
    size_bytes: int


class MediaReader:
    """Reads media for one worker; not for use by several threads at once."""

    def __init__(self, limits: Limits | None = None, cache_bytes: int = 512 * MIB) -> None:
        self.limits = limits or Limits()
        self.cache_bytes = cache_bytes
        self.folders = FrameFolders()
        self._cache: OrderedDict[tuple[str, str], _Opened] = OrderedDict()
        self._held_bytes = 0

    def read(
        self, media: Media, target_px: tuple[int, int] | None = None, part: tuple[int, int] | None = None
    ) -> Frames:
        """Display values of what `media.locator` selects; raises Skip (MEDIA_CHANGED where the hash differs).

        `target_px` is the (width, height) at which what has no pixels of its own (ecg, audio) is drawn. `part` (first,
        stop) says which of the selected frames are wanted; where they cannot be read alone, all of them come.
        """
        view = _view(media.locator)
        if self.folders.is_folder(media.uri, media.kind):
            names = self.folders.names(media.uri, self.limits)
            return read_folder(media.uri, names, view, media.sha256, self.limits, part)
        opened = self._open(media.uri, view)
        kind, content = opened.sniffed.kind, opened.content
        if kind == CONTAINER:
            from shards.containers import read_inside

            sha256, decode = read_inside(content, view, self.limits)  # the hash is that of all the selected frames
            _check_hash(media, sha256)
            return decode()
        _check_whole(view, kind)
        _check_hash(media, opened.sha256)
        view = view if part is None else view.narrowed(*part)
        if kind in RECORDINGS:
            recording: Recording = content
            return recording.read(view, target_px, self.limits)
        if kind == IMAGE:
            from shards.image import read_image

            return read_image(content, opened.sniffed.format, view, self.limits)
        if kind == DICOM:
            from shards.dicom import read_frames

            return read_frames(content, view, self.limits)
        if kind == NIFTI:
            from shards.cine import read_nifti

            return read_nifti(content, view, self.limits)
        from shards.video import read_video

        with media_stream(media.uri) as stream:
            return read_video(stream, content, view, self.limits)

    def facts(self, uri: str, locator: str = "", kind: str = "") -> Facts:
        """Hash, kind and sizes of what `locator` selects, without decoding its pixels; raises Skip.

        The kind is found, and need only be given where it may be `frames`: a store is not asked of each file whether
        it is a folder.
        """
        view = _view(locator)
        if self.folders.is_folder(uri, kind):
            return folder_facts(uri, self.folders.names(uri, self.limits), view, self.limits)
        kept = self._cache.get(_key(uri, view))
        if kept is not None and kept.sniffed.kind in _OPENED_FOR_FACTS:
            return self._facts_of(kept, view)
        with media_stream(uri) as stream:
            found = self._look(stream, view)
            if found.kind in _OPENED_FOR_FACTS:
                return self._facts_of(self._open(uri, view), view)
            _check_whole(view, found.kind)
            sha256 = _sha256(stream)
            if found.kind == IMAGE:
                from shards.image import size_of

                width_px, height_px = size_of(stream, found.format, view, self.limits)
                return Facts(sha256=sha256, kind=IMAGE, width_px=width_px, height_px=height_px, frames=1)
            from shards.dicom_file import read_dataset
            from shards.dicom_header import facts_of
            from shards.dicom_layout import read_layout
            from shards.dicom_turn import arrange

            dataset = read_dataset(stream, found.format, self.limits, pixels=False)
            header = facts_of(dataset, self.limits)
            chosen = chosen_frames(view, header.frames)
            laid = arrange(dataset, read_layout(dataset, self.limits), chosen)
            self.limits.check_frame(laid.width_px, laid.height_px)
        return Facts(
            sha256=sha256,
            kind=DICOM,
            width_px=laid.width_px,
            height_px=laid.height_px,
            frames=len(chosen),
            fps=header.fps,
        )

    def volume(self, uri: str) -> Volume:
        """A NIfTI volume, for its slice counts, positions and percentiles (shards.slices); raises Skip."""
        opened = self._open(uri)
        if opened.sniffed.kind != NIFTI:
            raise Skip(Reason.NOT_RECOGNISED, f"{opened.sniffed.kind}, not a NIfTI volume")
        volume: Volume = opened.content
        return volume

    def arrays(self, uri: str) -> ArrayFile:
        """The arrays of a .npy, .npz or HDF5 file (shards.arrays); raises Skip."""
        opened = self._open(uri)
        if not hasattr(opened.content, "stored"):
            raise Skip(Reason.NOT_RECOGNISED, f"{opened.sniffed.format or opened.sniffed.kind}, not arrays")
        arrays: ArrayFile = opened.content
        return arrays

    def dicom(self, uri: str) -> DicomImage:
        """An opened DICOM object (shards.dicom); raises Skip."""
        opened = self._open(uri)
        if opened.sniffed.kind != DICOM:
            raise Skip(Reason.NOT_RECOGNISED, f"{opened.sniffed.kind}, not DICOM")
        image: DicomImage = opened.content
        return image

    def recording(self, uri: str, view: Locator | None = None) -> Recording:
        """An opened electrocardiogram, sound or, with a tile's locator, slide (shards.recordings); raises Skip."""
        opened = self._open(uri, view)
        if opened.sniffed.kind not in RECORDINGS:
            raise Skip(Reason.NOT_RECOGNISED, f"{opened.sniffed.kind}, not one of {', '.join(RECORDINGS)}")
        recording: Recording = opened.content
        return recording

    def series_percentiles(self, uris: Iterable[str], low: float = 0.5, high: float = 99.5) -> tuple[float, float]:
        """Display range of a DICOM series in modality units, padding left out; Skip for a file that does not open."""
        from shards.dicom import series_percentiles

        return series_percentiles((self.dicom(uri) for uri in uris), low, high)

    def _facts_of(self, opened: _Opened, view: Locator) -> Facts:
        content = opened.content
        if opened.sniffed.kind == CONTAINER:
            from shards.containers import facts_inside

            return facts_inside(content, view, self.limits)
        _check_whole(view, opened.sniffed.kind)
        if opened.sniffed.kind in RECORDINGS:
            width_px, height_px = content.size_px(view, self.limits)
            return Facts(sha256=opened.sha256, kind=content.kind, width_px=width_px, height_px=height_px, frames=1)
        if opened.sniffed.kind == NIFTI:
            from shards.cine import nifti_sizes

            frames, height_px, width_px, fps = nifti_sizes(content, view, self.limits)
            return Facts(
                sha256=opened.sha256, kind=NIFTI, width_px=width_px, height_px=height_px, frames=frames, fps=fps
            )
        return Facts(
            sha256=opened.sha256,
            kind=VIDEO,
            width_px=content.width_px,
            height_px=content.height_px,
            frames=len(chosen_frames(view, content.frames)),
            fps=content.fps,
        )

    def _look(self, stream: BinaryIO, view: Locator) -> Sniffed:
        """What a stream is; its length is held against the limits; left at its start."""
        size_bytes = stream.seek(0, 2)
        stream.seek(0)
        head = stream.read(HEAD_BYTES)
        found = refined(sniff.sniff(head), head, view)
        self.limits.check_file(size_bytes, held=found.kind not in (VIDEO, CONTAINER, SLIDE))
        stream.seek(0)
        return found

    def _open(self, uri: str, view: Locator | None = None) -> _Opened:
        """The opened file, from the cache or read now."""
        view = view or Locator()
        key = _key(uri, view)
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        if self._held_bytes > self.cache_bytes:  # one thing alone, which must not lie beside the next one
            self._cache.clear()
            self._held_bytes = 0
        with media_stream(uri) as stream:
            found = self._look(stream, view)
            if found.kind == VIDEO:
                from shards.video import open_video

                sha256 = _sha256(stream)
                content: Any = open_video(stream, self.limits)
                return self._keep(key, _Opened(sha256, found, content, content.size_bytes))
            if found.kind in RECORDINGS:
                sha256, content = open_recording(uri, stream, found, self.limits)
                opened = _Opened(sha256, found, content, content.size_bytes)
                return opened if found.format == "wfdb" else self._keep(key, opened)  # the key knows its header alone
            data = stream.read() if found.kind != CONTAINER else b""
        if found.kind == CONTAINER:
            from shards.containers import open_container

            content = open_container(uri, found.format, self.limits)
            return self._keep(key, _Opened("", found, content, content.size_bytes))
        sha256 = hashlib.sha256(data).hexdigest()
        if found.kind == IMAGE:  # opened anew each time: one file is one sample
            return _Opened(sha256, found, data, len(data))
        content = _OPENERS[found.kind](data, found, view, self.limits)
        return self._keep(key, _Opened(sha256, found, content, content.size_bytes))

    def _keep(self, key: tuple[str, str], opened: _Opened) -> _Opened:
        self._cache[key] = opened
        self._held_bytes += opened.size_bytes
        while self._held_bytes > self.cache_bytes and len(self._cache) > 1:
            self._held_bytes -= self._cache.popitem(last=False)[1].size_bytes
        return opened


def _open_dicom(data: bytes, found: Sniffed, view: Locator, limits: Limits) -> Any:
    from shards.dicom import open_image

    return open_image(data, found.format, limits)


def _open_nifti(data: bytes, found: Sniffed, view: Locator, limits: Limits) -> Any:
    from shards.cine import open_cine
    from shards.nifti import read_volume

    return (open_cine if view.over_time else read_volume)(data, found.format == "nii.gz", limits)


_OPENERS: dict[str, Callable[[bytes, Sniffed, Locator, Limits], Any]] = {DICOM: _open_dicom, NIFTI: _open_nifti}


def _view(locator: str) -> Locator:
    """The parsed locator."""
    try:
        return Locator.parse(locator)
    except (TypeError, ValueError):
        raise Skip(Reason.BAD_ROW, "the locator cannot be read") from None


def _check_whole(view: Locator, kind: str) -> None:
    """Skip where a locator points into a container and the file is none, or to a part of what is no still picture."""
    if kind != IMAGE:
        check_no_part(view, kind)
    inside = [name for name in _INSIDE if getattr(view, name) is not None]
    if inside:
        raise Skip(Reason.BAD_ROW, f"locator {inside[0]} names a part of a container, and the file is none")


def _check_hash(media: Media, sha256: str) -> None:
    if media.sha256 is not None and media.sha256 != sha256:
        raise Skip(Reason.MEDIA_CHANGED, f"sha256 {sha256[:12]}, not {media.sha256[:12]}")


def _sha256(stream: BinaryIO) -> str:
    """SHA-256 of a stream in pieces; left at its start."""
    digest = hashlib.sha256()
    while piece := stream.read(8 * MIB):
        digest.update(piece)
    stream.seek(0)
    return digest.hexdigest()


def _key(uri: str, view: Locator) -> tuple[str, str]:
    """What an opened file is kept under: a TIFF is a picture or a slide in tiles, NIfTI a volume or a clip."""
    return uri, _token(uri) + (" in tiles" if view.is_tile else " over time" if view.over_time else "")


def _token(uri: str) -> str:
    """What changes when a local file is written again; empty for remote ones and those that are missing."""
    path = local_path(uri)
    try:
        status = Path(path).stat() if path is not None else None
    except OSError:
        status = None
    return f"{status.st_size}:{status.st_mtime_ns}" if status is not None else ""
