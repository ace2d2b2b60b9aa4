"""From a uri to bytes: plain paths, `file://`, `package://<package>/<path>` and whatever fsspec knows.

`package://` names a file inside an installed Python package without importing it, so that a manifest made from
package data is the same on every machine.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import BinaryIO, cast

PACKAGE = "package://"


@cache
def package_folder(name: str) -> Path:
    """Folder of an installed top-level package; ModuleNotFoundError says what to install."""
    spec = importlib.util.find_spec(name) if name.isidentifier() else None  # of a.b it would import a
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"{PACKAGE}{name}: no such package is installed; install the one that holds the data")
    return Path(next(iter(spec.submodule_search_locations)))


def local_path(uri: str) -> Path | None:
    """The path on this machine's disk, or None where the uri is remote."""
    if uri.startswith(PACKAGE):
        package, _, inside = uri.removeprefix(PACKAGE).partition("/")
        path = package_folder(package) / inside
        if ".." in path.parts:
            raise ValueError(f"{uri} leads out of its package; write the path without `..`")
        return path
    if uri.startswith("file://"):
        return Path(uri.removeprefix("file://"))
    return None if "://" in uri else Path(uri)


def open_binary(uri: str) -> BinaryIO:
    """Open for reading bytes; raises FileNotFoundError and OSError as `open` does."""
    path = local_path(uri)
    if path is not None:
        return path.open("rb")
    import fsspec

    return cast("BinaryIO", fsspec.open(uri, "rb").open())


def join(root: str, inside: str) -> str:
    """`inside` (a relative path with `/`) below `root`."""
    return f"{root.rstrip('/')}/{inside}" if inside else root
