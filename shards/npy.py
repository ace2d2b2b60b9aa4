"""Arrays in NumPy's own formats: .npy, and .npz, a zip of them.

Only plain numbers are read: a file with Python objects is a pickle, which runs code, and is refused by its header
(NEP 1; numpy.lib.format). Rows of a .npy and of a stored member are read where they lie. A deflated member has no
places: a small one is held inflated, a larger one is inflated onwards from the latest row, so rows in order cost one
pass and going back costs another.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import IO, BinaryIO

import numpy as np

from shards.arrays import Stored, Values
from shards.foreign import foreign
from shards.intake import Skip
from shards.kspace import Crop
from shards.limits import MIB, Limits
from shards.reasons import Reason

HELD_BYTES = 256 * MIB  # a deflated member up to this size is held
_MOST_HEADER_BYTES = 1 << 16
_LOCAL_HEADER_BYTES = 30  # of a zip's member, before its name (APPNOTE 4.3.7)
_MOST_RATIO = 1032  # of deflate: RFC 1951 spends at least 2 bits on 258 bytes


@dataclass(frozen=True, slots=True)
class Header:
    """The header of one .npy."""

    stored: Stored
    fortran: bool  # the first index changes fastest
    offset: int  # of the first value


def read_header(stream: IO[bytes], size_bytes: int) -> Header:
    """Parse the header at the start of a stream of that size; raises Skip."""
    with foreign():
        version = np.lib.format.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise Skip(Reason.UNSUPPORTED_PIXELS, f"npy version {version}")
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(stream, max_header_size=_MOST_HEADER_BYTES)
        offset = stream.tell()
    if dtype.hasobject:
        raise Skip(Reason.UNSUPPORTED_PIXELS, "Python objects (a pickle), which are never loaded")
    stored = Stored(tuple(int(n) for n in shape), dtype)
    if min(stored.shape, default=1) < 1:
        raise Skip(Reason.CORRUPT, f"an array of shape {stored.shape}")
    if offset + stored.size_bytes > size_bytes:
        raise Skip(Reason.TRUNCATED, f"{size_bytes} of {offset + stored.size_bytes} bytes")
    return Header(stored, bool(fortran), offset)


def _values(stream: IO[bytes], header: Header, start: int, stop: int, at: int, limits: Limits) -> Values:
    """Rows of an array whose header's first byte lies at `at`; the stream can seek."""
    stored = header.stored
    if header.fortran:  # a row lies in pieces all over the array
        limits.check_total(stored.size_bytes)
        stream.seek(at + header.offset)
        data = _exactly(stream, stored.size_bytes)
        return np.frombuffer(data, stored.dtype).reshape(stored.shape, order="F")[start:stop]
    stream.seek(at + header.offset + start * stored.row_bytes)
    return _shaped(_exactly(stream, (stop - start) * stored.row_bytes), stored)


def _shaped(data: bytes, stored: Stored) -> Values:
    return np.frombuffer(data, stored.dtype).reshape(-1, *stored.shape[1:])


def _exactly(stream: IO[bytes], count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise Skip(Reason.TRUNCATED, f"{len(data)} of {count} bytes")
    return data


class NpyFile:
    """One array; its name is empty."""

    size_bytes = 0

    def __init__(self, stream: BinaryIO, limits: Limits) -> None:
        size_bytes = stream.seek(0, 2)
        stream.seek(0)
        self._stream, self._limits = stream, limits
        self._header = read_header(stream, size_bytes)

    def names(self) -> list[str]:
        """The one name."""
        return [""]

    def stored(self, name: str) -> Stored:
        """What the header says."""
        if name:
            raise Skip(Reason.BAD_ROW, "a .npy file has one array without a name")
        return self._header.stored

    def rows(self, name: str, start: int, stop: int) -> Values:
        """Some rows along axis 0."""
        self.stored(name)
        with foreign(Reason.UNREADABLE):
            return _values(self._stream, self._header, start, stop, 0, self._limits)

    def crop(self) -> Crop | None:
        """None: nothing says it."""
        return None

    def attributes(self, names: Iterable[str]) -> Mapping[str, str]:
        """None."""
        return {}


class NpzFile:
    """The arrays of one .npz; a name is the member's without `.npy`."""

    def __init__(self, stream: BinaryIO, limits: Limits) -> None:
        self._stream, self._limits = stream, limits
        self._zip = open_zip(stream)
        found = [info for info in self._zip.infolist() if info.filename.endswith(".npy")]
        self._members = {info.filename.removesuffix(".npy"): info for info in found}
        deflated = [info.file_size for info in self._members.values() if info.compress_type != zipfile.ZIP_STORED]
        self.size_bytes = max((size for size in deflated if size <= HELD_BYTES), default=0)
        self._headers: dict[str, Header] = {}
        self._held: tuple[str, bytes] = "", b""
        self._onwards: tuple[str, IO[bytes], int] | None = None  # name, stream, number of the next row

    def names(self) -> list[str]:
        """In the order of the file."""
        return list(self._members)

    def stored(self, name: str) -> Stored:
        """What the header of an array says."""
        return self._header(name).stored

    def rows(self, name: str, start: int, stop: int) -> Values:
        """Some rows along axis 0."""
        header, info = self._header(name), self._members[name]
        if info.compress_type == zipfile.ZIP_STORED:
            with foreign(Reason.UNREADABLE):
                return _values(self._stream, header, start, stop, self._place(info), self._limits)
        if info.file_size <= HELD_BYTES or header.fortran:
            if self._held[0] != name:
                self._limits.check_total(info.file_size)
                self._held = name, self._inflated(info)
            return _values(io.BytesIO(self._held[1]), header, start, stop, 0, self._limits)
        with foreign():
            return self._inflated_rows(name, header, start, stop)

    def _header(self, name: str) -> Header:
        if name not in self._headers:
            if name not in self._members:
                raise Skip(Reason.NO_PIXELS, f"no array {name!r} among {', '.join(self._members)[:200]}")
            info = self._members[name]
            check_member(info)
            with foreign(), self._zip.open(info) as stream:
                self._headers[name] = read_header(stream, info.file_size)
        return self._headers[name]

    def _place(self, info: zipfile.ZipInfo) -> int:
        """Where a stored member's first byte lies: `zipfile` itself goes there by reading all before it."""
        self._stream.seek(info.header_offset)
        local = _exactly(self._stream, _LOCAL_HEADER_BYTES)
        name_bytes, extra_bytes = struct.unpack_from("<HH", local, 26)
        return info.header_offset + _LOCAL_HEADER_BYTES + int(name_bytes) + int(extra_bytes)

    def _inflated(self, info: zipfile.ZipInfo) -> bytes:
        with foreign(), self._zip.open(info) as stream:
            return _exactly(stream, info.file_size)

    def _inflated_rows(self, name: str, header: Header, start: int, stop: int) -> Values:
        if self._onwards is None or self._onwards[0] != name or self._onwards[2] > start:
            stream = self._zip.open(self._members[name])
            _exactly(stream, header.offset)
            self._onwards = name, stream, 0
        _, stream, at = self._onwards
        self._onwards = None  # whatever fails, its place is not known
        left = (start - at) * header.stored.row_bytes
        while left:
            left -= len(_exactly(stream, min(left, MIB)))
        data = _exactly(stream, (stop - start) * header.stored.row_bytes)
        self._onwards = name, stream, stop
        return _shaped(data, header.stored)

    def crop(self) -> Crop | None:
        """None: nothing says it."""
        return None

    def attributes(self, names: Iterable[str]) -> Mapping[str, str]:
        """None."""
        return {}


def open_zip(stream: BinaryIO) -> zipfile.ZipFile:
    """The directory of a zip; Skip where it is cut or damaged."""
    try:
        with foreign():
            return zipfile.ZipFile(stream)
    except Skip as skip:
        cut = "BadZipFile" in skip.detail  # the directory lies at the end
        raise Skip(Reason.TRUNCATED, "a zip without its directory") if cut else skip from None


def check_member(info: zipfile.ZipInfo) -> None:
    """Skip for a member of a zip that is encrypted, packed in an uncommon way, or lies about its size."""
    if info.flag_bits & 1:
        raise Skip(Reason.UNSUPPORTED_PIXELS, "an encrypted archive")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others inflate without a bound
        raise Skip(Reason.CODEC_MISSING, f"compression {info.compress_type} of a zip; pack it with deflate")
    if info.file_size > (info.compress_size + 8) * _MOST_RATIO:
        raise Skip(Reason.CORRUPT, f"{info.compress_size} bytes cannot inflate to {info.file_size}")
