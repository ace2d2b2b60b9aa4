"""Reading the headers of tars that others wrote, without extracting or decompressing anything.

Knows ustar, GNU long names and base-256 sizes, and pax `path` and `size` (POSIX.1-2001); every header's checksum is
compared. Links, devices and sparse files are refused by name: a data set has no use for them, and they are how an
archive reaches outside itself. An archive without its two closing zero blocks is taken as cut off.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap

from shards.tar import BLOCK_BYTES, END

REGULAR = (b"0", b"\0", b"7")  # NUL: before POSIX; 7: contiguous
EXTENDED = (b"L", b"K", b"x")  # GNU long name, GNU long link, pax
READ = (*REGULAR, *EXTENDED, b"5", b"g")  # directories and global pax headers are passed over
REFUSED = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a FIFO",
    b"S": "a sparse file",
}
MAX_EXTENSION_BYTES = 1 << 20  # of a long name or a pax header
OCTAL = re.compile(rb"[0-7]{1,12}")
DECIMAL = re.compile(rb"[0-9]{1,19}")  # int() would take signs, underscores and any number of digits
PIECE_BYTES = 1 << 20
# the key of a member ends at the first dot after the last slash, as webdataset's base_plus_ext has it
KEY_AND_EXTENSION = re.compile(r"((?:.*/|)[^/.]+)\.([^/]*)", re.DOTALL)


class TarError(ValueError):
    """The archive cannot be used; the text says where and why."""


@dataclass(frozen=True, slots=True)
class Member:
    """One regular file in an archive."""

    name: str
    offset: int  # of its first byte
    size_bytes: int

    def key_and_extension(self) -> tuple[str, str]:
        """Key and extension by WebDataset's rule; TarError where the name has no extension."""
        found = KEY_AND_EXTENSION.fullmatch(self.name)
        if found is None or not found[2]:
            raise TarError(f"{self.name!r} has no extension, so no sample can be told from its name")
        return found[1], found[2]


def scan(data: bytes | mmap) -> Iterator[Member]:
    """The regular files of an archive in order; directories are passed over. Raises TarError at the first fault."""
    at, end = 0, len(data)
    long_name: str | None = None
    pax: dict[str, str] = {}
    while True:
        block = data[at : at + BLOCK_BYTES]
        if len(block) == BLOCK_BYTES and not any(block):
            _check_end(data, at, end)
            return
        kind, size = _kind_and_size(block, at, pax)
        name = _name(block, long_name, pax)
        if kind not in READ:
            raise TarError(
                f"{name!r} is {REFUSED.get(kind, f'of the unknown type {kind!r}')}; only regular files are read"
            )
        body = at + BLOCK_BYTES
        if body + size > end:
            raise TarError(f"the archive is cut off inside {name!r}: it ends {body + size - end} bytes early")
        at = body + size + -size % BLOCK_BYTES
        if kind in EXTENDED:  # says something about the next member
            content = data[body : body + min(size, MAX_EXTENSION_BYTES + 1)]
            if len(content) > MAX_EXTENSION_BYTES:
                raise TarError(f"the header before byte {body} claims a name of {size} bytes")
            long_name = _text(content.rstrip(b"\0")) if kind == b"L" else long_name
            pax = _pax(content, body) if kind == b"x" else pax
            continue
        if kind in REGULAR:
            yield Member(name, body, size)
        long_name, pax = None, {}


def _kind_and_size(block: bytes, at: int, pax: dict[str, str]) -> tuple[bytes, int]:
    if len(block) < BLOCK_BYTES:
        raise TarError(
            f"the archive is cut off {'inside a header' if block else 'before its end marker'}, at byte {at}"
        )
    size = _number(block[124:136], at, "size")
    if _number(block[148:156], at, "checksum") != sum(block[:148]) + 8 * ord(" ") + sum(block[156:]):
        raise TarError(f"the header at byte {at} is damaged (checksum)")
    kind = block[156:157]
    return kind, int(pax["size"]) if kind in REGULAR and "size" in pax else size


def _check_end(data: bytes | mmap, at: int, end: int) -> None:
    if data[at : at + len(END)] != END:
        raise TarError(f"the archive is cut off inside its end marker, at byte {at}")
    for start in range(at, end, PIECE_BYTES):
        if any(data[start : min(start + PIECE_BYTES, end)]):
            raise TarError(f"bytes follow the end marker at byte {at}")


def _number(field: bytes, at: int, what: str) -> int:
    if field[0] & 0x80:  # base 256, of GNU, for sizes from 8 GiB on
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    digits = field.strip(b" \0") or b"0"
    if not OCTAL.fullmatch(digits):
        raise TarError(f"the header at byte {at} is damaged ({what})")
    return int(digits, 8)


def _name(block: bytes, long_name: str | None, pax: dict[str, str]) -> str:
    if "path" in pax:
        return pax["path"]
    if long_name is not None:
        return long_name
    name = block[:100].split(b"\0", 1)[0]
    prefix = block[345:500].split(b"\0", 1)[0] if block[257:263] == b"ustar\0" else b""
    return _text(prefix + b"/" + name if prefix else name)


def _pax(data: bytes, at: int) -> dict[str, str]:
    """Records "<length> <keyword>=<value>\\n"; only the keywords that matter here are kept."""
    found = {}
    start = 0
    while start < len(data):
        digits = data[start : data.find(b" ", start, start + 20)]
        length = int(digits) if DECIMAL.fullmatch(digits) else 0
        if not len(digits) < length <= len(data) - start:
            raise TarError(f"the pax header at byte {at} is damaged")
        record = data[start + len(digits) + 1 : start + length]
        start += length
        keyword, equals, value = record.removesuffix(b"\n").partition(b"=")
        if not equals:
            raise TarError(f"the pax header at byte {at} is damaged")
        if keyword == b"size" and not DECIMAL.fullmatch(value):
            raise TarError(f"the pax header at byte {at} states no size")
        if keyword in (b"path", b"size"):
            found[keyword.decode()] = _text(value)
    return found


def _text(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise TarError(f"the name {name!r} is not UTF-8") from None
