"""What a file may claim before anything is allocated for it.

Every decoder compares the sizes in a header with these numbers first, so memory depends on the limits and not on
the input (DESIGN invariant 7): at most about twice `max_total_bytes` (a file and what is decoded from it) and one frame
of working space, beside the cache, which holds either its bound or one opened file.
"""

from __future__ import annotations

from dataclasses import dataclass

from shards.intake import Skip
from shards.reasons import Reason

MIB = 1 << 20
GIB = 1 << 30


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Upper bounds for one media file."""

    max_pixels: int = 100_000_000  # of one frame or slice
    max_frames: int = 200_000  # declared by one file; a volume counts slices times volumes
    max_rows: int = 50_000_000  # declared by one array
    max_total_bytes: int = 2 * GIB  # decoded values held at once, and files that are read whole
    max_file_bytes: int = 16 * GIB  # files that are streamed (videos)

    def __post_init__(self) -> None:
        for name in ("max_pixels", "max_frames", "max_rows", "max_total_bytes", "max_file_bytes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")

    def check_file(self, size_bytes: int, *, held: bool) -> None:
        """Refuse a file by its size; `held`: it is read whole. Raises Skip(TOO_LARGE)."""
        most_bytes = min(self.max_total_bytes, self.max_file_bytes) if held else self.max_file_bytes
        if size_bytes > most_bytes:
            raise Skip(Reason.TOO_LARGE, f"file of {size_bytes} bytes, at most {most_bytes}")

    def check_frame(self, width_px: int, height_px: int) -> None:
        """Refuse an empty or too large frame. Raises Skip(CORRUPT) or Skip(TOO_LARGE)."""
        if width_px < 1 or height_px < 1:
            raise Skip(Reason.CORRUPT, f"a frame of {width_px}x{height_px} pixels")
        if width_px * height_px > self.max_pixels:
            raise Skip(Reason.TOO_LARGE, f"{width_px}x{height_px} pixels a frame, at most {self.max_pixels}")

    def check_frames(self, frames: int) -> None:
        """Refuse a declared number of frames. Raises Skip(CORRUPT) or Skip(TOO_LARGE)."""
        if frames < 1:
            raise Skip(Reason.CORRUPT, f"{frames} frames")
        if frames > self.max_frames:
            raise Skip(Reason.TOO_LARGE, f"{frames} frames, at most {self.max_frames}")

    def check_rows(self, rows: int) -> None:
        """Refuse a declared number of rows of an array. Raises Skip(CORRUPT) or Skip(TOO_LARGE)."""
        if rows < 1:
            raise Skip(Reason.CORRUPT, f"{rows} rows")
        if rows > self.max_rows:
            raise Skip(Reason.TOO_LARGE, f"{rows} rows, at most {self.max_rows}")

    def check_total(self, total_bytes: int) -> None:
        """Refuse a number of decoded bytes. Raises Skip(TOO_LARGE)."""
        if total_bytes > self.max_total_bytes:
            raise Skip(Reason.TOO_LARGE, f"{total_bytes} bytes when decoded, at most {self.max_total_bytes}")
