"""Which pictures a folder of frames holds, on this machine's disk or at an fsspec url.

Frame n is the picture file whose name ends in the number n (`VID01_000012.png` is frame 12): one that is not there does
not shift the others. Hidden files, links and folders are no frames. A folder is listed once for all its stills and
clips: on a disk for as long as its mtime stands, in a store, where folders have none, for as long as its worker lives.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from shards.foreign import foreign
from shards.intake import Skip
from shards.limits import Limits
from shards.reasons import Reason
from shards.remote import changed, entries, store_of
from shards.uri import local_path

KIND = "frames"
ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
MOST_KEPT = 4  # listings


def folder_token(uri: str) -> str:
    """What changes when a picture of the folder is added, removed or written again; empty where it cannot be read."""
    digest = hashlib.sha256()
    try:
        for name, size_bytes, when in sorted(_states(uri)):
            digest.update(f"{name}\0{size_bytes}\0{when}\n".encode(errors="surrogateescape"))
    except (OSError, Skip):
        return ""
    return digest.hexdigest()


class FrameFolders:
    """The folders of frames that one worker reads; for one thread."""

    def __init__(self) -> None:
        self._remote: OrderedDict[str, Mapping[int, str]] = OrderedDict()  # url -> frames, the latest last

    def is_folder(self, uri: str, kind: str) -> bool:
        """Whether `uri` is a folder; a store is only asked where the media are said to be of the kind `frames`."""
        path = local_path(uri)
        if path is not None:
            return path.is_dir()
        if kind != KIND or uri in self._remote:
            return kind == KIND
        with foreign(Reason.UNREADABLE):
            system, where = store_of(uri)
            return bool(system.isdir(where))

    def names(self, uri: str, limits: Limits) -> Mapping[int, str]:
        """Number and name of each frame, in order; raises Skip where there is none, or more than the limits allow.

        Names without a number and two names with the same one are refused: nobody can say which frame they are.
        """
        path = local_path(uri)
        try:
            names = self._listed(uri) if path is None else _listing(str(path), path.stat().st_mtime_ns)
        except OSError as error:
            raise Skip(Reason.UNREADABLE, error.strerror or "") from None
        if not names:
            raise Skip(Reason.NO_PIXELS, "the folder holds no pictures")
        limits.check_frames(len(names))
        return names

    def _listed(self, url: str) -> Mapping[int, str]:
        if url not in self._remote:
            self._remote[url] = _numbered(name for name, _, _ in _remote_pictures(url))
            if len(self._remote) > MOST_KEPT:
                self._remote.popitem(last=False)
        self._remote.move_to_end(url)
        return self._remote[url]


@lru_cache(maxsize=MOST_KEPT)
def _listing(path: str, mtime_ns: int) -> Mapping[int, str]:
    """The frames of a folder as it was at `mtime_ns`."""
    return _numbered(entry.name for entry in _pictures(path))


def _numbered(pictures: Iterable[str]) -> Mapping[int, str]:
    names: dict[int, str] = {}
    for name in pictures:
        digits = re.findall(r"[0-9]+", Path(name).stem)
        if not digits:
            raise Skip(Reason.BAD_ROW, "the name of a frame holds no number")
        if names.setdefault(int(digits[-1]), name) != name:
            raise Skip(Reason.BAD_ROW, f"two frames of the folder have the number {int(digits[-1])}")
    return dict(sorted(names.items()))


def _states(uri: str) -> Iterator[tuple[str, int, int | str]]:
    """Name, size and last change of each picture."""
    path = local_path(uri)
    if path is None:
        yield from _remote_pictures(uri)
        return
    for entry in _pictures(str(path)):
        status = entry.stat(follow_symlinks=False)
        yield entry.name, status.st_size, status.st_mtime_ns


def _pictures(path: str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(path) as found:
        for entry in found:
            if _is_picture(entry.name) and entry.is_file(follow_symlinks=False):
                yield entry


def _remote_pictures(url: str) -> list[tuple[str, int, int | str]]:
    """Name, size and last change of each picture of a folder in a store, by one listing; raises Skip."""
    with foreign(Reason.UNREADABLE):
        system, folder = store_of(url)
        found = entries(system, folder)
    return [
        (name, int(info.get("size") or 0), changed(info))
        for name, info in found.items()
        if _is_picture(name) and info["type"] == "file"
    ]


def _is_picture(name: str) -> bool:
    return not name.startswith(".") and name.lower().endswith(ENDINGS)
