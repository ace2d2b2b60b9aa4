"""What a store behind an fsspec url says of the files in it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CHANGED = ("mtime", "LastModified", "last_modified", "updated", "created")  # what fsspec's file systems call it


def store_of(url: str) -> tuple[Any, str]:
    """The file system of a url, which asks the store anew each time, and the path in it."""
    import fsspec

    system, path = fsspec.core.url_to_fs(url, use_listings_cache=False)
    return system, str(path).rstrip("/")


def entries(system: Any, folder: str) -> dict[str, Mapping[str, Any]]:
    """Name and description of all that lies in a folder, by name; raises what the file system raises.

    The empty object `folder/`, by which object stores mark a folder and which they list in it, is left out.
    """
    found = {str(info["name"]).strip("/"): info for info in system.ls(folder, detail=True)}
    found.pop(folder.strip("/"), None)
    return {path.rpartition("/")[2]: found[path] for path in sorted(found)}


def changed(info: Mapping[str, Any]) -> int | str:
    """When a file last changed, in nanoseconds since 1970; its ETag, or nothing, where the store gives no time."""
    value = next((info[name] for name in _CHANGED if info.get(name)), None)
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return (aware - EPOCH) // timedelta(microseconds=1) * 1000
    if isinstance(value, int | float):
        return int(value * 1e9)
    return str(info.get("ETag") or info.get("etag") or value or "")
