"""One way to open any media: sniff, check against the limits, decode to display values, or raise Skip with a reason.

The kind is read off the bytes, never off the name. The file's hash is compared with the manifest before a pixel is
used, since flipped bits in a JPEG decode without an error. Volumes and multi-frame objects stay open in a cache
bounded in bytes, so that the slices of one volume cost one read.
"""

from __future__ import annotations

from shards.frames import Facts, Frames
from shards.limits import MIB, Limits
from shards.manifest import Media

__all__ = ["Facts", "Frames", "Limits", "MediaReader"]


class MediaReader:
    """Reads media for one worker; not for use by several threads at once."""

    def __init__(self, limits: Limits = Limits(), cache_bytes: int = 512 * MIB) -> None:
        self.limits = limits
        self.cache_bytes = cache_bytes

    def read(self, media: Media) -> Frames:
        """Display values of what `media.locator` selects; raises Skip (MEDIA_CHANGED where the hash differs)."""
        raise NotImplementedError

    def facts(self, uri: str, locator: str = "") -> Facts:
        """Hash, kind and sizes of what `locator` selects, from the header alone; raises Skip."""
        raise NotImplementedError
