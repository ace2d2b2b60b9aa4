"""A folder of pictures as the frames of one video: CholecT50 and other sets that publish frames instead of videos.

Frames are the folder's picture files in the order of the numbers in their names. What a range of frames is known by is
the SHA-256 over the names and hashes of its files, so that a changed frame is noticed and its neighbours are not.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np

from shards.foreign import media_stream
from shards.frames import Facts, Frames, chosen_frames
from shards.image import read_image, size_of
from shards.intake import Skip
from shards.limits import Limits
from shards.locator import Locator
from shards.reasons import Reason
from shards.sniff import HEAD_BYTES, IMAGE, sniff
from shards.uri import join, local_path

KIND = "frames"
ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


def is_folder(uri: str) -> bool:
    """Whether `uri` is a folder on this machine."""
    path = local_path(uri)
    return path is not None and path.is_dir()


def frame_names(uri: str, limits: Limits) -> list[str]:
    """Names of the frames in order; raises Skip where there is none, or more than the limits allow."""
    path = local_path(uri)
    assert path is not None
    names = [entry.name for entry in Path(path).iterdir() if entry.name.lower().endswith(ENDINGS)]
    if not names:
        raise Skip(Reason.NO_PIXELS, "the folder holds no pictures")
    limits.check_frames(len(names))
    return sorted(names, key=lambda name: ([int(number) for number in re.findall(r"\d+", name)], name))


def folder_facts(uri: str, view: Locator, limits: Limits) -> Facts:
    """Hash and sizes of the chosen frames; raises Skip."""
    names = frame_names(uri, limits)
    chosen = [names[number] for number in chosen_frames(view, len(names))]
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
            digest.update(f"{name} {hashlib.sha256(stream.read()).hexdigest()}\n".encode())
            stream.seek(0)
            sizes.add(size_of(stream, found.format, limits))
    if len(sizes) > 1:
        raise Skip(Reason.CORRUPT, f"frames of {len(sizes)} sizes")
    width_px, height_px = sizes.pop()
    return Facts(
        sha256=digest.hexdigest(), kind=KIND, width_px=width_px, height_px=height_px, frames=len(chosen), fps=None
    )


def read_folder(uri: str, view: Locator, sha256: str | None, limits: Limits) -> Frames:
    """The chosen frames, [T, H, W] or [T, H, W, 3]; raises Skip (MEDIA_CHANGED where they are not those recorded)."""
    names = frame_names(uri, limits)
    digest = hashlib.sha256()
    frames = []
    steps: dict[str, None] = {}
    for number in chosen_frames(view, len(names)):
        with media_stream(join(uri, names[number])) as stream:
            data = stream.read()
        found = sniff(data[:HEAD_BYTES])
        if found.kind != IMAGE:
            raise Skip(Reason.NOT_RECOGNISED, "a frame is no picture")
        digest.update(f"{names[number]} {hashlib.sha256(data).hexdigest()}\n".encode())
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
