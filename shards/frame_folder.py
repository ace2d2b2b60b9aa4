"""A folder of pictures as the frames of one video: CholecT50 and other sets that publish frames instead of videos.

Which frames there are, `shards.frame_listing` says. What a range of frames is known by is the SHA-256 over the names
and hashes of its files, so that a changed frame is noticed and its neighbours are not, and the same frames are known by
the same hash on a disk and in a store.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from shards.foreign import media_stream
from shards.frame_listing import KIND
from shards.frames import Facts, Frames
from shards.image import read_image, size_of
from shards.intake import Skip
from shards.limits import Limits
from shards.locator import Locator
from shards.part import check_no_part
from shards.reasons import Reason
from shards.sniff import HEAD_BYTES, IMAGE, sniff
from shards.uri import join


def _chosen(names: Mapping[int, str], view: Locator, lacking: Reason = Reason.BAD_ROW) -> list[str]:
    """Names of the frames that a locator means, all where it names none; raises Skip, `lacking` where one is gone."""
    check_no_part(view, "a folder of frames")
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


def folder_facts(uri: str, names: Mapping[int, str], view: Locator, limits: Limits) -> Facts:
    """Hash and sizes of the chosen ones of a folder's frames, given by number and name; raises Skip."""
    chosen = _chosen(names, view)
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
    uri: str,
    names: Mapping[int, str],
    view: Locator,
    sha256: str | None,
    limits: Limits,
    part: tuple[int, int] | None = None,
) -> Frames:
    """The chosen frames, [T, H, W] or [T, H, W, 3], or of them `part` (first, stop).

    All of them are held against `sha256`, for that is what it is of. Raises Skip (MEDIA_CHANGED where it differs).
    """
    digest = hashlib.sha256()
    frames = []
    steps: dict[str, None] = {}
    # frames of which a hash was recorded were there once, and may come back
    for place, name in enumerate(_chosen(names, view, Reason.MISSING_FILE if sha256 else Reason.BAD_ROW)):
        with media_stream(join(uri, name)) as stream:
            limits.check_file(stream.seek(0, 2), held=True)
            stream.seek(0)
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
