"""Pictures of one value throughout: they show nothing, and those of several patients are equal byte for byte.

A collection of slices as PNG files, as cells of a Parquet file or as rows of an array holds the same black picture for
most of its patients. Equal pictures are one for curation, so each would tie all these patients into one group and one
split. Such a file is always small for its size in pixels, so that only small files need be decoded. Files without
compression are never small, and are not found; the values of arrays are looked at where they are hashed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shards.foreign import media_stream
from shards.intake import Skip
from shards.manifest import Media
from shards.reasons import Reason

if TYPE_CHECKING:
    from shards.frames import Facts
    from shards.media import MediaReader

HEAD_BYTES, PIXELS_A_BYTE = 1024, 25  # of files that hold one value: headers, and 64 pixels of a JPEG in 2 bytes or so
DETAIL = "one value throughout"
ROUNDED = 2  # of 255: by which a lossy codec may change one value


def check_shows(reader: MediaReader, uri: str, locator: str, facts: Facts) -> None:
    """Skip(BLANK) where a picture has one value throughout; raises Skip where it cannot be decoded."""
    if facts.is_flat:
        raise Skip(Reason.BLANK, DETAIL)
    if facts.kind != "image":
        return
    size_bytes = _size_bytes(uri) if facts.own_bytes is None else facts.own_bytes
    if size_bytes > HEAD_BYTES + facts.width_px * facts.height_px // PIXELS_A_BYTE:
        return
    pixels = reader.read(Media(uri=uri, kind="image", locator=locator)).pixels
    if (pixels.max(axis=(0, 1, 2)) - pixels.min(axis=(0, 1, 2))).max() <= ROUNDED:
        raise Skip(Reason.BLANK, DETAIL)


def _size_bytes(uri: str) -> int:
    with media_stream(uri) as stream:
        return stream.seek(0, 2)
