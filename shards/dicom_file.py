"""From the bytes of a DICOM file to its data set, with nothing believed and nothing inflated without a bound.

The file is read through pydicom's `read_dataset` and never with `force`: a file without the Part 10 preamble is
read only where its first element is evidence enough (shards.sniff) and its SOP class is a registered one. Objects
that are no pictures (PS3.4 B.5: segmentations, dose, structured reports, presentation states, waveforms,
documents) are turned away by SOP class before their pixels are looked at.
"""

from __future__ import annotations

import io
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO

from shards.foreign import foreign
from shards.inflate import RAW, inflate
from shards.intake import Skip
from shards.limits import Limits
from shards.reasons import Reason

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

_STORAGE = "1.2.840.10008.5.1.4.1.1."
_NOT_IMAGES = {  # UID, or the beginning of one before a further dot
    "1.2.840.10008.1.3.10": "directory",
    "1.2.840.10008.5.1.4.34": "radiotherapy instruction",
    "1.2.840.10008.5.1.4.38": "hanging protocol",
    "1.2.840.10008.5.1.4.39": "colour palette",
    "1.2.840.10008.5.1.4.43": "implant template",
    "1.2.840.10008.5.1.4.44": "implant template",
    "1.2.840.10008.5.1.4.45": "implant template",
    f"{_STORAGE}4.2": "spectroscopy",
    f"{_STORAGE}8": "overlay",
    f"{_STORAGE}9": "waveform or curve",
    f"{_STORAGE}10": "lookup table",
    f"{_STORAGE}11": "presentation state",
    f"{_STORAGE}66": "raw data, registration or segmentation",
    f"{_STORAGE}67": "real world value mapping",
    f"{_STORAGE}68": "surface",
    f"{_STORAGE}78": "refraction measurement",
    f"{_STORAGE}79": "grid measurement",
    f"{_STORAGE}80": "visual field measurement",
    f"{_STORAGE}88": "structured report or key object selection",
    f"{_STORAGE}90": "content assessment",
    f"{_STORAGE}104": "encapsulated document",
    f"{_STORAGE}200": "acquisition protocol",
    f"{_STORAGE}201": "inventory or approval",
    f"{_STORAGE}481.2": "radiotherapy dose",
    **{f"{_STORAGE}481.{n}": "radiotherapy object" for n in (*range(3, 23), 25)},  # .1, .23 and .24 are RT images
}
_BARE = {  # first bytes -> what the missing File Meta Information would have said
    "explicit little endian": "1.2.840.10008.1.2.1",
    "explicit big endian": "1.2.840.10008.1.2.2",
    "implicit little endian": "1.2.840.10008.1.2",
}
_DEFLATED = "1.2.840.10008.1.2.1.99"
_PIXEL_KEYWORDS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


def not_an_image(sop_class: str) -> str | None:
    """What an object of this SOP class is where it is no picture, else None."""
    parts = sop_class.split(".")
    return next(
        (_NOT_IMAGES[uid] for n in range(6, len(parts) + 1) if (uid := ".".join(parts[:n])) in _NOT_IMAGES), None
    )


def read_dataset(
    stream: BinaryIO, form: str, limits: Limits, *, pixels: bool, tags: list[str] | None = None
) -> FileDataset:
    """The data set of the file that `stream` holds from its start on; `form` is Sniffed.format. Raises Skip.

    `pixels`: with the pixel data, else up to them, and Skip(NO_PIXELS) where none follow. `tags`: keywords to keep.
    """
    from pydicom.dataset import FileDataset
    from pydicom.filereader import read_dataset as parse
    from pydicom.tag import Tag

    with foreign():
        stream, meta, implicit, little = _begun(stream, form, limits)
        start = stream.tell()
        body = parse(
            stream,
            implicit,
            little,
            stop_when=None if pixels else _at_pixels,
            specific_tags=None
            if tags is None
            else [Tag(name) for name in (*tags, "SpecificCharacterSet", "SOPClassUID")],
        )
        dataset = FileDataset(None, body, None, meta, implicit, little)
        dataset.set_original_encoding(implicit, little, body._character_set)
        sop_class = str(dataset.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID") or "")
    kind = not_an_image(sop_class)
    if kind is not None:
        raise Skip(Reason.NOT_AN_IMAGE, kind)
    with foreign():
        known = form not in _BARE or _is_registered(sop_class)
    if not known:
        raise Skip(Reason.NOT_RECOGNISED, "no DICOM preamble and no known SOP class")
    if pixels and not any(keyword in dataset for keyword in _PIXEL_KEYWORDS):
        stream.seek(start)
        with foreign():
            parse(stream, implicit, little, stop_when=_at_pixels)
        raise Skip(Reason.TRUNCATED if stream.read(1) else Reason.NO_PIXELS, sop_class)  # begun, but never ended
    if not pixels and not stream.read(1):
        raise Skip(Reason.NO_PIXELS, sop_class)
    return dataset


def parse_dataset(stream: BinaryIO, form: str, limits: Limits) -> FileDataset:
    """The whole data set of an object that need not be a picture, for readers of other kinds. Raises Skip."""
    from pydicom.dataset import FileDataset
    from pydicom.filereader import read_dataset as parse

    with foreign():
        stream, meta, implicit, little = _begun(stream, form, limits)
        body = parse(stream, implicit, little)
        dataset = FileDataset(None, body, None, meta, implicit, little)
        dataset.set_original_encoding(implicit, little, body._character_set)
    return dataset


def _begun(stream: BinaryIO, form: str, limits: Limits) -> tuple[BinaryIO, Any, bool, bool]:
    """(stream at the first element after the File Meta Information, that, implicit VR, little endian)."""
    meta = _file_meta(stream, form)
    syntax = str(meta.get("TransferSyntaxUID") or "")
    implicit, little = _encoding(stream, syntax)
    return (_inflated(stream, limits) if syntax == _DEFLATED else stream), meta, implicit, little


def _file_meta(stream: BinaryIO, form: str) -> Any:
    """File Meta Information (PS3.10 7.1); the stream is left at the first element after it."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.filereader import read_dataset as parse

    stream.seek(0 if form else 132)
    if form in _BARE:
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = _BARE[form]
        return meta
    return FileMetaDataset(parse(stream, False, True, stop_when=lambda tag, vr, length: tag >> 16 != 2))


def _encoding(stream: BinaryIO, syntax: str) -> tuple[bool, bool]:
    """(implicit VR, little endian) of what follows; looked at where no transfer syntax is stated (PS3.5 7.1)."""
    if syntax:
        return syntax == "1.2.840.10008.1.2", syntax != "1.2.840.10008.1.2.2"
    head = stream.read(6)
    stream.seek(-len(head), 1)
    explicit = head[4:6].isalpha() and head[4:6].isupper()
    return not explicit, not (explicit and head[:1] == b"\0")


def _inflated(stream: BinaryIO, limits: Limits) -> BinaryIO:
    """The rest of a deflated file (PS3.5 A.5) as a stream, at most as long as the limits allow."""
    try:
        plain, more = inflate(stream.read(), RAW, limits.max_total_bytes)
    except zlib.error:
        raise Skip(Reason.CORRUPT, "the deflated data set is damaged") from None
    if more:
        limits.check_total(limits.max_total_bytes + 1)
    return io.BytesIO(plain)


def _is_registered(uid: str) -> bool:
    from pydicom.uid import UID

    return uid.startswith(_STORAGE) and UID(uid).name != uid


def _at_pixels(tag: int, vr: str | None, length: int) -> bool:
    return tag >> 16 == 0x7FE0
