"""Which files lie below a root, in a fixed order, one folder at a time: local paths, `package://` and fsspec urls.

A file is never opened here. Order: a folder's files by name, then its folders by name, so that each folder's files are
one run for `shards.units`. What memory holds is the names of one folder. Nothing outside the root is ever listed: a
link that leads out of it is an entry with the reason `path_escapes`, and hidden files are entries with `hidden`, so
every drop is counted by the unit in which it lies (DESIGN invariants 4 and 9).
"""

from __future__ import annotations

import fnmatch
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from shards import uri
from shards.reasons import Reason
from shards.remote import EPOCH, changed, entries, store_of
from shards.units import token

HIDDEN_NAMES = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini", "lost+found"})
A_FOLDER = "a folder"  # why a path is no file; a folder of frames is meant to be one


@dataclass(frozen=True, slots=True)
class Listed:
    """One file below the root, or why it is none."""

    path: str  # below the root, with `/`
    size_bytes: int = 0
    mtime_ns: int = 0  # 0: the file system does not say
    etag: str = ""  # where there is no mtime
    refused: str = ""  # a code of shards.reasons.Reason
    detail: str = ""

    @property
    def token(self) -> str:
        """What the file is known by before it is read."""
        return token(self.path, self.size_bytes, self.mtime_ns or self.etag) + self.refused

    @property
    def modified(self) -> datetime | None:
        """When it last changed, UTC, to the microsecond."""
        return EPOCH + timedelta(microseconds=self.mtime_ns // 1000) if self.mtime_ns else None


@dataclass(frozen=True, slots=True)
class Root:
    """Where a source's files lie: a folder, or one file seen as a folder that holds it alone."""

    folder: str  # local path, package:// or fsspec url, as the manifest will hold it
    only: str = ""  # the one file's name

    @classmethod
    def find(cls, where: str) -> Root:
        """The root at `where`; FileNotFoundError when there is neither a folder nor a file."""
        where = where.rstrip("/") or "/"
        local = uri.local_path(where)
        if local is None:
            system, path = _remote(where)
            is_folder, is_file = system.isdir(path), system.isfile(path)
        else:
            is_folder, is_file = local.is_dir(), local.is_file()
        if is_file and not is_folder:
            folder, _, name = where.rpartition("/")
            return cls(folder or "/", name)
        if not is_folder:
            raise FileNotFoundError(f"path: there is no folder and no file {where}; check the path or mount the disk")
        return cls(where)

    def uri(self, path: str) -> str:
        """Uri of the file at `path` below the root."""
        return uri.join(self.folder, path)

    def files(self, include: Sequence[str] = ()) -> Iterator[Listed]:
        """All files below the root, or those that match one of the `include` patterns (`*` also matches `/`).

        What does not match is not offered. Folders that cannot be read, links out of the root and hidden names
        come as refused entries; a hidden folder is one entry.
        """
        local = uri.local_path(self.folder)
        if self.only:
            found = iter([_one_local(str(local), self.only) if local is not None else _one_fsspec(self.uri(self.only))])
        else:
            found = _local(str(local)) if local is not None else _fsspec(self.folder)
        for entry in found:
            if not include or any(fnmatch.fnmatchcase(entry.path, pattern) for pattern in include):
                yield entry


def check_expected(root: Root, expected: Sequence[str]) -> None:
    """FileNotFoundError with what was expected and what was found unless a file fits each of some paths or patterns.

    A pattern is looked for among the first files of the listing only, so that a root of a million files answers soon.
    """
    lookup = Lookup(root)
    patterns = [name for name in expected if "*" in name]
    lacking = [name for name in expected if "*" not in name and lookup(name).refused == Reason.MISSING_FILE]
    seen = list(islice(root.files(patterns), 1)) if patterns else []
    if patterns and not seen:
        lacking += patterns
    if lacking:
        raise FileNotFoundError(
            f"path: {root.folder} is not laid out as expected: no {', '.join(lacking)}; found {first_names(root)}. "
            "Point `path` at the folder that holds them"
        )


def first_names(root: Root) -> str:
    """What lies in a folder, by the first files of its listing: some names, or `nothing`."""
    found = sorted({entry.path.partition("/")[0] for entry in islice(root.files(), 2000)})
    return ", ".join(found[:12]) + (" ..." if len(found) > 12 else "") or "nothing"


class Lookup:
    """Finds single files below a root that a table names; a link in a path counts where it leads."""

    def __init__(self, root: Root) -> None:
        self.root = root
        local = uri.local_path(root.folder)
        self._folder = None if local is None else str(local)
        self._real_root = "" if local is None else os.path.realpath(local)
        self._inside: dict[str, bool] = {}
        self._system: Any = None
        self._base = ""
        if local is None:
            self._system, self._base = _remote(root.folder)

    def __call__(self, path: str) -> Listed:
        """The file at `path` (relative, with `/`, no `..`), or why there is none."""
        if self._folder is None:
            try:
                return _described(path, self._system.info(f"{self._base}/{path}"))
            except (FileNotFoundError, NotADirectoryError):
                return Listed(path, refused=Reason.MISSING_FILE)
            except PermissionError as error:
                return Listed(path, refused=Reason.UNREADABLE, detail=error.strerror or "no permission")
        parent = path.rpartition("/")[0]
        if parent not in self._inside:
            self._inside[parent] = _is_inside(self._real_root, f"{self._folder}/{parent}")
        if not self._inside[parent]:
            return Listed(
                path, refused=Reason.PATH_ESCAPES, detail="a folder in it is a link that leads out of the root"
            )
        return _one_local(self._folder, path, self._real_root)


def _is_inside(real_root: str, path: str) -> bool:
    return os.path.commonpath((real_root, os.path.realpath(path))) == real_root


def _hidden(path: str) -> Listed:
    return Listed(path, refused=Reason.HIDDEN)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in HIDDEN_NAMES


def _local(root: str) -> Iterator[Listed]:
    """Depth first through real folders; a link is followed only to a file inside the root."""
    real_root = os.path.realpath(root)
    open_folders = [""]
    while open_folders:
        folder = open_folders.pop()
        where = os.path.join(root, folder) if folder else root  # noqa: PTH118  # paths of a million files stay text
        try:
            with os.scandir(where) as found:
                kinds = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in found]
        except OSError as error:
            yield Listed(f"{_readable(folder)}/", refused=Reason.UNREADABLE, detail=error.strerror or "")
            continue
        kinds.sort()
        prefix = f"{folder}/" if folder else ""
        for name, is_folder in kinds:
            if _is_hidden(name):
                yield _hidden(_readable(prefix + name) + ("/" if is_folder else ""))
            elif not is_folder:
                yield _one_local(root, prefix + name, real_root)
        open_folders += [prefix + name for name, is_folder in reversed(kinds) if is_folder and not _is_hidden(name)]


def _readable(path: str) -> str:
    """The path itself where it is UTF-8, else with its odd bytes as backslash escapes."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _one_local(root: str, path: str, real_root: str = "") -> Listed:
    real_root = real_root or os.path.realpath(root)
    if (readable := _readable(path)) != path:
        return Listed(readable, refused=Reason.BAD_NAME)
    where = f"{root}/{path}"
    try:
        info = os.lstat(where)
        if stat.S_ISLNK(info.st_mode):
            if not _is_inside(real_root, where):
                return Listed(path, refused=Reason.PATH_ESCAPES, detail="a link that leads out of the root")
            info = os.stat(where)  # noqa: PTH116
            if stat.S_ISDIR(info.st_mode):
                return Listed(path, refused=Reason.DUPLICATE, detail="a link to a folder that is listed by itself")
    except (FileNotFoundError, NotADirectoryError):
        return Listed(path, refused=Reason.MISSING_FILE)
    except OSError as error:
        return Listed(path, refused=Reason.UNREADABLE, detail=error.strerror or "")
    if stat.S_ISDIR(info.st_mode):
        return Listed(path, refused=Reason.NOT_RECOGNISED, detail=A_FOLDER)
    if not stat.S_ISREG(info.st_mode):
        return Listed(path, refused=Reason.NOT_RECOGNISED, detail="a device, socket or pipe")
    return Listed(path, info.st_size, info.st_mtime_ns)


def _remote(where: str) -> tuple[Any, str]:
    if "::" in where:
        raise ValueError(f"path: {where} is a chain of urls, which is not read here; unpack the archive first")
    return store_of(where)


def _one_fsspec(where: str) -> Listed:
    system, path = _remote(where)
    return _described(path.rpartition("/")[2], system.info(path))


def _fsspec(where: str) -> Iterator[Listed]:
    """The same order over any fsspec file system, one `ls` a folder."""
    system, base = _remote(where)
    folders = [""]
    while folders:
        folder = folders.pop()
        here = f"{base}/{folder}" if folder else base
        prefix = f"{folder}/" if folder else ""
        try:
            found = entries(system, here)
        except PermissionError as error:
            yield Listed(f"{folder}/", refused=Reason.UNREADABLE, detail=error.strerror or "no permission")
            continue
        subfolders = []
        for name, info in found.items():
            is_folder = info["type"] == "directory"
            if _is_hidden(name):
                yield _hidden(prefix + name + ("/" if is_folder else ""))
            elif is_folder:
                subfolders.append(prefix + name)
            else:
                yield _described(prefix + name, info)
        folders += reversed(subfolders)


def _described(path: str, info: Mapping[str, Any]) -> Listed:
    """A remote file with its mtime, or with its ETag where the store gives no time; a folder is refused."""
    if info.get("type") == "directory":
        return Listed(path, refused=Reason.NOT_RECOGNISED, detail=A_FOLDER)
    size = int(info.get("size") or 0)
    when = changed(info)
    return Listed(path, size, when) if isinstance(when, int) else Listed(path, size, etag=when)
