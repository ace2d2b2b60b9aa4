"""How the pixels of a DICOM object are laid out, as its header states it and as far as that is possible.

Image Pixel Module, PS3.3 C.7.6.3. Rows, columns, samples, bits and frames are held against each other and against the
limits here, once, so that no later step multiplies sizes that nobody has checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shards.dicom_groups import number, text
from shards.foreign import foreign
from shards.intake import Skip
from shards.limits import Limits
from shards.reasons import Reason

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

GREY = ("MONOCHROME1", "MONOCHROME2")
PALETTE = "PALETTE COLOR"
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")
_VIDEO = "1.2.840.10008.1.2.4.10"  # .100 to .108: MPEG-2, MPEG-4 and HEVC streams


@dataclass(frozen=True, slots=True)
class Layout:
    """Image Pixel Module (PS3.3 C.7.6.3), checked."""

    rows: int
    columns: int
    frames: int
    samples: int
    bits_allocated: int
    bits_stored: int
    signed: bool
    floating: bool
    photometric: str
    syntax: str
    keyword: str

    @property
    def is_video(self) -> bool:
        """Whether the pixel data are one MPEG or HEVC stream."""
        return self.syntax.startswith(_VIDEO) and len(self.syntax) == len(_VIDEO) + 1

    @property
    def frame_bytes(self) -> int:
        """Size of one decoded frame."""
        return self.rows * self.columns * self.samples * max(8, self.bits_allocated) // 8

    @property
    def stored_range(self) -> tuple[int, int]:
        """Least and greatest value that the stored bits can hold."""
        half = 1 << (self.bits_stored - 1)
        return (-half, half - 1) if self.signed else (0, 2 * half - 1)


def read_layout(dataset: Dataset, limits: Limits) -> Layout:
    """The layout that a header states; raises Skip where it is impossible, too large, or of no display values."""
    with foreign():
        rows, columns, frames, samples, allocated, stored, sign = (
            _whole(dataset, keyword, default)
            for keyword, default in (
                ("Rows", None),
                ("Columns", None),
                ("NumberOfFrames", 1),
                ("SamplesPerPixel", 1),
                ("BitsAllocated", None),
                ("BitsStored", -1),
                ("PixelRepresentation", 0),
            )
        )
        photometric = (text(dataset, "PhotometricInterpretation") or "").upper()
        keyword = next((k for k in ("FloatPixelData", "DoubleFloatPixelData") if k in dataset), "PixelData")
        syntax = str(dataset.file_meta.get("TransferSyntaxUID") or _guessed_syntax(dataset))
    frames = max(1, frames)
    floating = keyword != "PixelData"
    stored = allocated if floating or stored < 0 else stored
    if allocated not in (1, 8, 16, 32, 64) or not 1 <= stored <= allocated or samples not in (1, 3):
        raise Skip(Reason.UNSUPPORTED_PIXELS, f"{samples} samples of {stored} bits in {allocated}")
    layout = Layout(
        rows, columns, frames, samples, allocated, stored, sign == 1, floating, photometric, syntax, keyword
    )
    known = photometric in (*GREY, PALETTE, *COLOUR) and (samples == 3) == (photometric in COLOUR)
    if not known and not layout.is_video:
        raise Skip(Reason.UNSUPPORTED_PIXELS, f"{samples} samples of {photometric or 'no photometric interpretation'}")
    limits.check_frame(columns, rows)
    limits.check_frames(frames)
    limits.check_total(layout.frame_bytes)
    return layout


def _whole(dataset: Dataset, keyword: str, default: int | None) -> int:
    value = number(dataset, keyword)
    if value is None and dataset.get(keyword) in (None, "") and default is not None:
        return default
    if value is None or value != int(value):
        raise Skip(Reason.CORRUPT, f"{keyword} is missing or no whole number")
    return int(value)


def _guessed_syntax(dataset: Any) -> str:
    implicit, little = dataset.original_encoding
    return "1.2.840.10008.1.2" + ("" if implicit else ".1" if little else ".2")
