"""Picture files of one value throughout: they show nothing, and files of several patients are equal byte for byte.

A collection of slices as PNG files holds the same black file for most of its patients. Equal files are one picture for
curation, so each would tie all these patients into one group and one split. Such a file is always small for its size in
pixels, so that only small files need be decoded. Files without compression are never small, and are not found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shards.foreign import media_stream
from shards.intake import Skip
from shards.locator import Locator
from shards.manifest import Media
from shards.reasons import Reason

if TYPE_CHECKING:
    from shards.frames import Facts
    from shards.media import MediaReader

HEAD_BYTES, PIXELS_A_BYTE = 1024, 25  # of files that hold one value: headers, and 64 pixels of a JPEG in 2 bytes or so
ROUNDED = 2  # of 255: by which a lossy codec may change one value


def check_shows(reader: MediaReader, uri: str, locator: str, facts: Facts) -> None:
    """Skip(BLANK) where a picture file has one value throughout; raises Skip where it cannot be decoded."""
    if facts.kind != "image" or Locator.parse(locator).in_container:
        return
    with media_stream(uri) as stream:
        size_bytes = stream.seek(0, 2)
    if size_bytes > HEAD_BYTES + facts.width_px * facts.height_px // PIXELS_A_BYTE:
        return
    pixels = reader.read(Media(uri=uri, kind="image", locator=locator)).pixels
    if (pixels.max(axis=(0, 1, 2)) - pixels.min(axis=(0, 1, 2))).max() <= ROUNDED:
        raise Skip(Reason.BLANK, "one value throughout")
