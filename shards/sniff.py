"""What a file is, from its first bytes. Names and extensions are never looked at.

Signatures are those of the formats' own specifications. DICOM without its Part 10 preamble is recognised by
evidence alone: a well-formed first element of group 0002 or 0008 (PS3.5 section 7.1), never by trying to parse.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass

from shards.intake import Skip
from shards.reasons import Reason

HEAD_BYTES = 1024  # what `sniff` wants to see

IMAGE, VIDEO, DICOM, NIFTI = "image", "video", "dicom", "nifti"
ECG, AUDIO, SLIDE = "ecg", "audio", "slide"
CONTAINER = "container"  # a file that holds many pictures (shards.containers)


@dataclass(frozen=True, slots=True)
class Sniffed:
    """What the bytes are: a kind of vocabulary.MEDIA_KINDS or CONTAINER, and the format's name for its decoder."""

    kind: str
    format: str  # of Pillow, of FFmpeg's demuxer, "nii" or "nii.gz", or DICOM's encoding where no preamble stands


_PREFIXES = (
    (b"\xff\xd8\xff", Sniffed(IMAGE, "JPEG")),
    (b"\x89PNG\r\n\x1a\n", Sniffed(IMAGE, "PNG")),
    (b"GIF87a", Sniffed(IMAGE, "GIF")),
    (b"GIF89a", Sniffed(IMAGE, "GIF")),
    (b"II*\0", Sniffed(IMAGE, "TIFF")),
    (b"MM\0*", Sniffed(IMAGE, "TIFF")),
    (b"II+\0", Sniffed(SLIDE, "BigTIFF")),
    (b"MM\0+", Sniffed(SLIDE, "BigTIFF")),
    (b"\x1a\x45\xdf\xa3", Sniffed(VIDEO, "matroska")),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", Sniffed(VIDEO, "asf")),
    (b"\0\0\x01\xba", Sniffed(VIDEO, "mpeg")),
    (b"\0\0\x01\xb3", Sniffed(VIDEO, "mpegvideo")),
    (b"FLV\x01", Sniffed(VIDEO, "flv")),
    (b"\0\0\0\x01\x67", Sniffed(VIDEO, "h264")),  # parameter sets of an elementary stream
    (b"\0\0\0\x01\x27", Sniffed(VIDEO, "h264")),
    (b"\0\0\0\x01\x09", Sniffed(VIDEO, "h264")),  # or an access unit delimiter
    (b"\0\0\0\x01\x40\x01", Sniffed(VIDEO, "hevc")),
    (b"\0\0\0\x01\x46\x01", Sniffed(VIDEO, "hevc")),
    (b"OggS\0", Sniffed(VIDEO, "ogg")),
    (b"fLaC", Sniffed(AUDIO, "flac")),
    (b"ID3", Sniffed(AUDIO, "mp3")),
    (b"\xff\xfb", Sniffed(AUDIO, "mp3")),  # MPEG-1 layer III, then MPEG-2; ISO/IEC 11172-3 2.4.1.3
    (b"\xff\xfa", Sniffed(AUDIO, "mp3")),
    (b"\xff\xf3", Sniffed(AUDIO, "mp3")),
    (b"\xff\xf2", Sniffed(AUDIO, "mp3")),
    (b"\x93NUMPY", Sniffed(CONTAINER, "npy")),
    (b"PK\x03\x04", Sniffed(CONTAINER, "zip")),
    (b"\x89HDF\r\n\x1a\n", Sniffed(CONTAINER, "hdf5")),
    (b"PAR1", Sniffed(CONTAINER, "parquet")),
)
_RIFF = {b"WEBP": Sniffed(IMAGE, "WEBP"), b"AVI ": Sniffed(VIDEO, "avi"), b"WAVE": Sniffed(AUDIO, "wav")}
_ISO_BOXES = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"}  # ISO/IEC 14496-12 and QuickTime, first box
_BMP_HEADER_BYTES = {12, 40, 52, 56, 64, 108, 124}
_VR = re.compile("A[EST]|CS|D[AST]|F[DL]|IS|L[OT]|O[BDFLVW]|PN|S[HLQSTV]|TM|U[CILNRSTV]")  # PS3.5 section 6.2

# WFDB's header(5): comments, then `name signals [rate ...]`, then `file format ...`
_WFDB = re.compile(
    rb"(?:(?:#[^\n]*)?\r?\n)*[A-Za-z0-9_-]+(?:/\d+)?[ \t]+\d+(?:[ \t]+[^\n]*)?\r?\n"
    rb"(?:(?:#[^\n]*)?\r?\n)*[^\s]+[ \t]+\d+[x:+ \t\r\n]"
)


def sniff(head: bytes) -> Sniffed:
    """What the first HEAD_BYTES of a file say it is; raises Skip(NOT_RECOGNISED)."""
    found = _sniff(head)
    if found is None:
        raise Skip(Reason.NOT_RECOGNISED, f"first bytes {head[:8].hex()}" if head else "the file is empty")
    return found


def _sniff(head: bytes) -> Sniffed | None:
    if head[128:132] == b"DICM":
        return Sniffed(DICOM, "")
    for prefix, sniffed in _PREFIXES:
        if head.startswith(prefix):
            return sniffed
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12])
    if head[4:8] in _ISO_BOXES:
        return Sniffed(VIDEO, "mov")
    if head[:2] == b"BM" and len(head) >= 18 and struct.unpack_from("<I", head, 14)[0] in _BMP_HEADER_BYTES:
        return Sniffed(IMAGE, "BMP")
    if _is_nifti(head):
        return Sniffed(NIFTI, "nii")
    if head[:3] == b"\x1f\x8b\x08" and _is_nifti(inflate_head(head)):
        return Sniffed(NIFTI, "nii.gz")
    if len(head) > 376 and head[0] == head[188] == head[376] == 0x47:  # ISO/IEC 13818-1 packets
        return Sniffed(VIDEO, "mpegts")
    if head[257:262] == b"ustar":  # POSIX.1-1988; older tars have no signature
        return Sniffed(CONTAINER, "tar")
    if _WFDB.match(head):
        return Sniffed(ECG, "wfdb")
    return _bare_dicom(head)


def inflate_head(head: bytes, most_bytes: int = HEAD_BYTES) -> bytes:
    """The first bytes of a gzip stream, as far as `head` reaches; empty where it is damaged."""
    try:
        return zlib.decompressobj(wbits=31).decompress(head, most_bytes)
    except zlib.error:
        return b""


def _is_nifti(head: bytes) -> bool:
    """NIfTI-1 or NIfTI-2 in one file. Pairs (.hdr, .img) and Analyze do not state a side and are not read."""
    return head[344:348] == b"n+1\0" or head[4:12] == b"n+2\0\r\n\x1a\n"


def _bare_dicom(head: bytes) -> Sniffed | None:
    """DICOM that starts with its first element: File Meta (group 0002) or the data set itself (group 0008)."""
    if len(head) < 16:
        return None
    vr = head[4:6].decode("latin-1")
    little, big = struct.unpack_from("<HH", head), struct.unpack_from(">HH", head)
    if _VR.fullmatch(vr):
        if little[0] == 0x0002:
            return Sniffed(DICOM, "meta")
        if little[0] == 0x0008:
            return Sniffed(DICOM, "explicit little endian")
        if big[0] == 0x0008:
            return Sniffed(DICOM, "explicit big endian")
        return None
    length, *following = struct.unpack_from("<IHH", head, 4) if little[0] == 0x0008 else (0,)
    if following and length <= 64 and length % 2 == 0 and len(head) >= 12 + length:
        next_group = struct.unpack_from("<H", head, 8 + length)[0]
        if next_group == 0x0008:  # two elements of group 0008 in a row
            return Sniffed(DICOM, "implicit little endian")
    return None
