"""Files inside zip and tar archives, read one at a time and never written: no name in an archive becomes a path."""

from __future__ import annotations

import mmap
import zipfile
from typing import BinaryIO

from shards.foreign import foreign
from shards.intake import Skip
from shards.limits import Limits
from shards.npy import check_member, open_zip
from shards.reasons import Reason
from shards.tar_scan import TarError, scan


class ZipMembers:
    """The members of a zip."""

    size_bytes = 0

    def __init__(self, stream: BinaryIO, limits: Limits) -> None:
        self._zip, self._limits = open_zip(stream), limits

    @property
    def is_npz(self) -> bool:
        """Whether all of it is arrays."""
        names = self._zip.namelist()
        return bool(names) and all(name.endswith(".npy") for name in names)

    def member(self, name: str) -> bytes:
        """The bytes of one; raises Skip."""
        try:
            info: zipfile.ZipInfo = self._zip.getinfo(name)
        except KeyError:
            raise Skip(Reason.MISSING_FILE, "the archive has no such member") from None
        check_member(info)
        self._limits.check_file(info.file_size, held=True)
        with foreign(), self._zip.open(info) as stream:
            data = stream.read(info.file_size)
        if len(data) < info.file_size:
            raise Skip(Reason.TRUNCATED, f"{len(data)} of {info.file_size} bytes")
        return data


class TarMembers:
    """The members of a tar that lies on a disk; links, devices and compressed tars are refused (shards.tar_scan)."""

    def __init__(self, stream: BinaryIO, limits: Limits) -> None:
        self._limits = limits
        with foreign(Reason.UNREADABLE):
            self._data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            self._members = {member.name: member for member in scan(self._data)}
        except TarError as error:
            cut = "cut off" in str(error)
            raise Skip(Reason.TRUNCATED if cut else Reason.CORRUPT, "the archive cannot be listed") from None
        self.size_bytes = 200 * len(self._members)

    def member(self, name: str) -> bytes:
        """The bytes of one; raises Skip."""
        if name not in self._members:
            raise Skip(Reason.MISSING_FILE, "the archive has no such member")
        found = self._members[name]
        self._limits.check_file(found.size_bytes, held=True)
        return self._data[found.offset : found.offset + found.size_bytes]
