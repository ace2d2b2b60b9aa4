"""Inflating with a bound: a compressed stream never takes more memory or time than its reader allows.

200 kB of deflate can stand for 200 MB. `zlib` stops at the given length, where convenience functions do not. The stream
is fed in pieces that begin small in each member: zlib hands back a copy of what follows a member, so a file of many
small members would be copied once for each.
"""

from __future__ import annotations

import zlib

GZIP, RAW = 31, -15  # zlib's wbits for RFC 1952 and RFC 1951
MAX_MEMBERS = 1 << 17  # bgzip makes one for 64 KiB: 8 GiB
LEAST_BYTES, MOST_BYTES = 1 << 8, 1 << 20  # of a piece


def inflate(data: bytes, kind: int, most_bytes: int) -> tuple[bytes, bool]:
    """The first `most_bytes` of the stream and whether it went on; raises zlib.error where it is damaged.

    Gzip files of several members (pigz, bgzip) are joined, at most MAX_MEMBERS of them. A stream that is cut gives what
    it holds. Where the stream ends within the bound, its checksum has been verified.
    """
    view = memoryview(data)
    pieces: list[bytes] = []
    held = at = members = 0
    while at < len(view) and held <= most_bytes:
        members += 1
        if members > MAX_MEMBERS:
            raise zlib.error(f"more than {MAX_MEMBERS} members")
        engine = zlib.decompressobj(wbits=kind)
        size = LEAST_BYTES
        while not engine.eof and at < len(view) and held <= most_bytes:
            given = view[at : at + size]
            piece = engine.decompress(given, most_bytes + 1 - held)  # one more, to see whether it goes on
            at += len(given) - len(engine.unused_data) - len(engine.unconsumed_tail)
            pieces.append(piece)
            held += len(piece)
            size = min(2 * size, MOST_BYTES)
        if not engine.eof or kind == RAW:
            break
        at = _after_zeros(view, at)  # padding between and after members
    whole = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    return (whole[:most_bytes], True) if held > most_bytes else (whole, False)


def _after_zeros(view: memoryview, at: int) -> int:
    size = LEAST_BYTES
    while at < len(view):
        given = bytes(view[at : at + size])
        rest = given.lstrip(b"\0")
        at += len(given) - len(rest)
        if rest:
            break
        size = min(2 * size, MOST_BYTES)
    return at
