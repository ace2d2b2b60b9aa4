"""Inflating with a bound: a compressed stream never takes more memory than its reader allows.

200 kB of deflate can stand for 200 MB. `zlib` stops at the given length, where convenience functions do not.
"""

from __future__ import annotations

import zlib

GZIP, RAW = 31, -15  # zlib's wbits for RFC 1952 and RFC 1951


def inflate(data: bytes, kind: int, most_bytes: int) -> tuple[bytes, bool]:
    """The first `most_bytes` of the stream and whether it went on; raises zlib.error where it is damaged.

    Gzip files of several members (pigz, bgzip) are joined. A stream that is cut gives what it holds. Where the
    stream ends within the bound, its checksum has been verified.
    """
    pieces: list[bytes] = []
    held = 0
    while data and held <= most_bytes:
        engine = zlib.decompressobj(wbits=kind)
        piece = engine.decompress(data, most_bytes + 1 - held)  # one more, to see whether it goes on
        pieces.append(piece)
        held += len(piece)
        if not engine.eof or kind == RAW:
            break
        data = engine.unused_data.lstrip(b"\0")  # padding between and after members
    whole = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    return (whole[:most_bytes], True) if held > most_bytes else (whole, False)
