"""Whether a body is whole, told by its own last bytes.

Needed where the answer has no length and ends with its connection (RFC 9112 6.3, the last case): a server that dies
half-way looks then like one that has finished. Formats that have no mark at their end cannot be told.
"""

from __future__ import annotations

import re
import struct

TAIL_BYTES = 1024  # what `has_end` wants to see; trailing padding and comments fit
_ROOT = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<[?!][^>]*>\s*)*<([A-Za-z_][^\s/>]*)")
_BRACKETS = {b"{": b"}", b"[": b"]"}


def has_end(head: bytes, tail: bytes, size: int) -> bool | None:
    """Whether a body of `size` bytes with these first and last ones has its end; None where its format has no mark."""
    if head.startswith(b"\xff\xd8\xff"):
        return b"\xff\xd9" in tail  # End of Image; within the scan 0xff is followed by 0 or a restart marker
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return b"IEND\xae\x42\x60\x82" in tail
    if head.startswith((b"GIF87a", b"GIF89a")):
        return tail.rstrip(b"\0").endswith(b";")
    if head.startswith(b"RIFF") and len(head) >= 12:
        return size >= 8 + int(struct.unpack_from("<I", head, 4)[0])
    if head[:1] in _BRACKETS:
        return tail.rstrip().endswith(_BRACKETS[head[:1]])
    root = _ROOT.match(head)
    if root is not None:
        return re.search(rb"</" + re.escape(root[1]) + rb"\s*>", tail, re.I) is not None
    return None
