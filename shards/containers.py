"""Files that hold many pictures, and the one that a locator names: arrays, Parquet cells, members of archives.

What is recorded of such a picture is its own: the hash is that of its bytes and not of the file's, so that two equal
pictures meet wherever they lie, and a changed row is one changed sample. The file stays open while it is in the
reader's cache; the stream closes with the last use of the container.
"""

from __future__ import annotations

import hashlib
import io
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any, BinaryIO

from shards import sniff
from shards.arrays import ArrayFile, ArrayPart, part_of
from shards.foreign import foreign
from shards.frames import Facts, Frames
from shards.intake import Skip
from shards.limits import Limits
from shards.locator import Locator
from shards.part import check_no_part
from shards.reasons import Reason
from shards.uri import open_binary


def open_container(uri: str, format_name: str, limits: Limits) -> Any:
    """An ArrayFile, or an object with `member(...)`, over a stream of its own; raises Skip."""
    with foreign(Reason.UNREADABLE):
        stream = open_binary(uri)
    try:
        opened = _OPENERS[format_name](stream, limits)
    except BaseException:
        stream.close()
        raise
    weakref.finalize(opened, stream.close)
    return opened


def _zip(stream: BinaryIO, limits: Limits) -> Any:
    from shards.archives import ZipMembers
    from shards.npy import NpzFile

    members = ZipMembers(stream, limits)
    return NpzFile(stream, limits) if members.is_npz else members


def _npy(stream: BinaryIO, limits: Limits) -> Any:
    from shards.npy import NpyFile

    return NpyFile(stream, limits)


def _hdf5(stream: BinaryIO, limits: Limits) -> Any:
    from shards.hdf5 import Hdf5File

    return Hdf5File(stream, limits)


def _parquet(stream: BinaryIO, limits: Limits) -> Any:
    from shards.parquet_cells import ParquetCells

    return ParquetCells(stream, limits)


def _tar(stream: BinaryIO, limits: Limits) -> Any:
    from shards.archives import TarMembers

    return TarMembers(stream, limits)


_OPENERS: dict[str, Callable[[BinaryIO, Limits], Any]] = {
    "npy": _npy,
    "zip": _zip,
    "hdf5": _hdf5,
    "parquet": _parquet,
    "tar": _tar,
}


def facts_inside(container: Any, view: Locator, limits: Limits) -> Facts:
    """Hash and sizes of what `view` names; raises Skip."""
    part = _part(container, view, limits)
    if isinstance(part, ArrayPart):
        height_px, width_px = part.size_px
        return Facts(
            sha256=part.sha256(),
            kind=part.kind,
            width_px=width_px,
            height_px=height_px,
            frames=part.values.shape[0],
            is_flat=part.is_flat(),
        )
    from shards.image import size_of

    width_px, height_px = size_of(io.BytesIO(part), _picture_format(part), view, limits)
    sha256 = hashlib.sha256(part).hexdigest()
    return Facts(sha256=sha256, kind=sniff.IMAGE, width_px=width_px, height_px=height_px, frames=1, own_bytes=len(part))


def read_inside(container: Any, view: Locator, limits: Limits) -> tuple[str, Callable[[], Frames]]:
    """Hash of what `view` names, and how it is decoded, so that the hash is compared first; raises Skip."""
    part = _part(container, view, limits)
    if isinstance(part, ArrayPart):
        return part.sha256(), lambda: part.show(view)
    from shards.image import read_image

    alone = replace(view, array=None, row=None, member=None)
    return hashlib.sha256(part).hexdigest(), lambda: read_image(part, _picture_format(part), alone, limits)


def _part(container: Any, view: Locator, limits: Limits) -> ArrayPart | bytes:
    from shards.parquet_cells import ParquetCells

    if view.byte_start is not None or view.byte_stop is not None:
        raise Skip(Reason.BAD_ROW, "byte ranges are not read here; name the member")
    if isinstance(container, ParquetCells):
        if view.array is None or view.row is None:
            raise Skip(Reason.BAD_ROW, "a Parquet file needs `array`, its column, and `row` in the locator")
        return container.member(view.array, view.row)
    if hasattr(container, "member"):
        if view.member is None:
            raise Skip(Reason.BAD_ROW, "an archive needs `member` in the locator")
        found: bytes = container.member(view.member)
        return found
    file: ArrayFile = container
    check_no_part(view, "an array")
    return part_of(file, view, limits)


def _picture_format(data: bytes) -> str:
    """Pillow's name for the format of some bytes; Skip where they are no still picture."""
    found = sniff.sniff(data[: sniff.HEAD_BYTES])
    if found.kind != sniff.IMAGE:
        raise Skip(Reason.UNSUPPORTED_PIXELS, f"{found.kind} in a container, where pictures are read; unpack it")
    return found.format
