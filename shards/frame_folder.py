"""A folder of pictures as the frames of one video: CholecT50 and other sets that publish frames instead of videos.

Frame n is the picture file whose name ends in the number n (`VID01_000012.png` is frame 12): one that is not there does
not shift the others. What a range of frames is known by is the SHA-256 over the names and hashes of its files, so that
a changed frame is noticed and its neighbours are not. Hidden files and links are no frames.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np

from shards.foreign import media_stream
from shards.frames import Facts, Frames
from shards.image import read_image, size_of
from shards.intake import Skip
from shards.limits import Limits
from shards.locator import Locator
from shards.part import check_no_part
from shards.reasons import Reason
from shards.sniff import HEAD_BYTES, IMAGE, sniff
from shards.uri import join, local_path

KIND = "frames"
ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


def is_folder(uri: str) -> bool:
    """Whether `uri` is a folder on this machine."""
    path = local_path(uri)
    return path is not None and path.is_dir()


def folder_token(uri: str) -> str:
    """What changes when a picture of the folder is added, removed or written again; empty where it cannot be read."""
    path = local_path(uri)
    digest = hashlib.sha256()
    try:
        for entry in sorted(_pictures(str(path)), key=lambda entry: entry.name):
            status = entry.stat(follow_symlinks=False)
            digest.update(f"{entry.name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode(errors="surrogateescape"))
    except OSError:
        return ""
    return digest.hexdigest()


def frame_names(uri: str, limits: Limits) -> Mapping[int, str]:
    """Number and name of each frame, in order; raises Skip where there is none, or more than the limits allow.

    Names without a number and two names with the same one are refused: nobody can say which frame they are.
    """
    path = local_path(uri)
    assert path is not None
    try:
        names = _listing(str(path), path.stat().st_mtime_ns)
    except OSError as error:
        raise Skip(Reason.UNREADABLE, error.strerror or "") from None
    if not names:
        raise Skip(Reason.NO_PIXELS, "the folder holds no pictures")
    limits.check_frames(len(names))
    return names


@lru_cache(maxsize=4)
def _listing(path: str, mtime_ns: int) -> Mapping[int, str]:
    """The frames of a folder as it was at `mtime_ns`, read once for all stills and clips of it."""
    names: dict[int, str] = {}
    for entry in _pictures(path):
        digits = re.findall(r"[0-9]+", Path(entry.name).stem)
        if not digits:
            raise Skip(Reason.BAD_ROW, "the name of a frame holds no number")
        if names.setdefault(int(digits[-1]), entry.name) != entry.name:
            raise Skip(Reason.BAD_ROW, f"two frames of the folder have the number {int(digits[-1])}")
    return dict(sorted(names.items()))


def _pictures(path: str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(path) as entries:
        for entry in entries:
            hidden = entry.name.startswith(".")
            if not hidden and entry.name.lower().endswith(ENDINGS) and entry.is_file(follow_symlinks=False):
                yield entry


def _chosen(uri: str, view: Locator, limits: Limits, lacking: Reason = Reason.BAD_ROW) -> list[str]:
    """Names of the frames that a locator means, all where it names none; raises Skip, `lacking` where one is gone."""
    check_no_part(view, "a folder of frames")
    names = frame_names(uri, limits)
    if view.frame_start is None and view.frame_stop is None:
        return list(names.values())
    start = view.frame_start or 0
    stop = max(names) + 1 if view.frame_stop is None else view.frame_stop
    if not 0 <= start < stop:
        raise Skip(Reason.BAD_ROW, f"no frames {start} to {stop}")
    missing = next((number for number in range(start, stop) if number not in names), None)
    if missing is not None:
        raise Skip(lacking, f"the folder holds no frame {missing}")
    return [names[number] for number in range(start, stop)]


def folder_facts(uri: str, view: Locator, limits: Limits) -> Facts:
    """Hash and sizes of the chosen frames; raises Skip."""
    chosen = _chosen(uri, view, limits)
    digest = hashlib.sha256()
    sizes = set()
    for name in chosen:
        with media_stream(join(uri, name)) as stream:
            found = sniff(stream.read(HEAD_BYTES))
            if found.kind != IMAGE:
                raise Skip(Reason.NOT_RECOGNISED, "a frame is no picture")
            stream.seek(0)
            limits.check_file(stream.seek(0, 2), held=True)
            stream.seek(0)
            digest.update(f"{name} {hashlib.sha256(stream.read()).hexdigest()}\n".encode(errors="surrogateescape"))
            stream.seek(0)
            sizes.add(size_of(stream, found.format, Locator(), limits))
    if len(sizes) > 1:
        raise Skip(Reason.CORRUPT, f"frames of {len(sizes)} sizes")
    width_px, height_px = sizes.pop()
    return Facts(
        sha256=digest.hexdigest(), kind=KIND, width_px=width_px, height_px=height_px, frames=len(chosen), fps=None
    )


def read_folder(
    uri: str, view: Locator, sha256: str | None, limits: Limits, part: tuple[int, int] | None = None
) -> Frames:
    """The chosen frames, [T, H, W] or [T, H, W, 3], or of them `part` (first, stop).

    All of them are held against `sha256`, for that is what it is of. Raises Skip (MEDIA_CHANGED where it differs).
    """
    digest = hashlib.sha256()
    frames = []
    steps: dict[str, None] = {}
    # frames of which a hash was recorded were there once, and may come back
    for place, name in enumerate(_chosen(uri, view, limits, Reason.MISSING_FILE if sha256 else Reason.BAD_ROW)):
        with media_stream(join(uri, name)) as stream:
            data = stream.read()
        digest.update(f"{name} {hashlib.sha256(data).hexdigest()}\n".encode(errors="surrogateescape"))
        if part is not None and not part[0] <= place < part[1]:
            continue
        found = sniff(data[:HEAD_BYTES])
        if found.kind != IMAGE:
            raise Skip(Reason.NOT_RECOGNISED, "a frame is no picture")
        picture = read_image(data, found.format, Locator(), limits)
        frames.append(picture.pixels[0])
        limits.check_total(sum(frame.nbytes for frame in frames))
        steps |= dict.fromkeys(picture.steps)
    if sha256 is not None and digest.hexdigest() != sha256:
        raise Skip(Reason.MEDIA_CHANGED, "frames of the folder")
    if len({frame.shape[:2] for frame in frames}) > 1:
        raise Skip(Reason.CORRUPT, "frames of several sizes")
    if len({frame.ndim for frame in frames}) > 1:  # some grey, some colour
        frames = [frame if frame.ndim == 3 else np.repeat(frame[..., None], 3, axis=2) for frame in frames]
    return Frames(pixels=np.stack(frames), steps=tuple(steps))
