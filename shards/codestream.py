"""The size that a compressed picture states itself, read from its first markers before any decoder allocates for it.

A DICOM header and the JPEG inside can disagree, and the decoder believes the JPEG: sixty bytes may ask for gigabytes.
Markers: JPEG ITU-T T.81 Annex B, JPEG-LS T.87 Annex C, JPEG 2000 T.800 Annex A.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_JPEG_FRAMES = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})  # SOF0..SOF15 and SOF55 of JPEG-LS
_DCT = frozenset({0xC0, 0xC1, 0xC2})


@dataclass(frozen=True, slots=True)
class Codestream:
    """What the markers state."""

    width_px: int
    height_px: int
    components: int
    bits: int  # a sample, of the first component
    dct: bool = False  # JPEG by cosine transform: more than 8 bits need a decoder of their own


def read_codestream(data: bytes) -> Codestream | None:
    """The size in a JPEG, JPEG-LS or JPEG 2000 picture; None where no size is found."""
    try:
        if data[:2] == b"\xff\xd8":
            return _jpeg(data)
        start = data.find(b"\xff\x4f\xff\x51")  # SOC and SIZ; behind a few boxes in a JP2 file
        return None if start < 0 else _jpeg2000(data, start)
    except struct.error:
        return None


def _jpeg(data: bytes) -> Codestream | None:
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker in (0x01, 0xFF) or 0xD0 <= marker <= 0xD8:  # fill bytes and markers without a length
            at += 1 if marker == 0xFF else 2
            continue
        if marker in _JPEG_FRAMES:
            bits, height, width, components = struct.unpack_from(">BHHB", data, at + 4)
            return Codestream(width, height, components, bits, dct=marker in _DCT)
        at += 2 + int(struct.unpack_from(">H", data, at + 2)[0])
    return None


def _jpeg2000(data: bytes, start: int) -> Codestream:
    right, bottom, left, top = struct.unpack_from(">IIII", data, start + 8)
    components, bits = struct.unpack_from(">HB", data, start + 40)
    return Codestream(right - left, bottom - top, components, (bits & 0x7F) + 1)
