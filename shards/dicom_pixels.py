"""The stored values of single frames, with every size checked before a decoder sees the data.

Rows, columns, samples, bits and frames are held against the limits and against the bytes that are there; a compressed
frame's own markers must say what the header says. Decoding is pydicom's, with codecs of permissive licence alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shards.codestream import read_codestream
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
_RLE = "1.2.840.10008.1.2.5"
_RLE_PLUGIN = "pylibjpeg"  # writes no further than the frame; the other one expands whatever the runs say
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


def check_data(dataset: Dataset, layout: Layout) -> None:
    """Hold the layout against the bytes that are there; raises Skip(TRUNCATED) or Skip(CODEC_MISSING)."""
    from pydicom.pixels import get_decoder
    from pydicom.uid import UID

    if layout.is_video:
        return
    with foreign(Reason.CODEC_MISSING):
        decoder = get_decoder(UID(layout.syntax))
    if not decoder.is_available:
        raise Skip(Reason.CODEC_MISSING, f"{layout.syntax}: install {', '.join(decoder.missing_dependencies)}")
    if layout.syntax == _RLE and _RLE_PLUGIN not in decoder.available_plugins:
        raise Skip(Reason.CODEC_MISSING, f"{layout.syntax}: install pylibjpeg-rle")
    with foreign():
        data = dataset[layout.keyword].value
    if not isinstance(data, bytes):
        raise Skip(Reason.CORRUPT, "pixel data of an odd type")
    if decoder.is_native:
        bits = layout.rows * layout.columns * layout.samples * layout.bits_allocated
        if layout.photometric == "YBR_FULL_422":
            bits = bits * 2 // 3  # two pixels share their chroma
        need = (bits * layout.frames + 7) // 8
        if len(data) < need:
            raise Skip(Reason.TRUNCATED, f"{len(data)} of {need} bytes of pixels")


def read_frame(dataset: Dataset, layout: Layout, frame: int) -> npt.NDArray[Any]:
    """Stored values of one frame: [H, W], or RGB [H, W, 3] for colour but not for palettes. Raises Skip."""
    from pydicom.pixels import get_decoder
    from pydicom.uid import UID

    with foreign():
        decoder = get_decoder(UID(layout.syntax))
    if decoder.is_encapsulated:
        _check_encoded(dataset, layout, frame)
    with foreign():
        plugin = _RLE_PLUGIN if layout.syntax == _RLE else ""
        values, properties = decoder.as_array(dataset, index=frame, decoding_plugin=plugin)
    if values.shape[:2] != (layout.rows, layout.columns):
        raise Skip(Reason.CORRUPT, "the decoded frame has another size")
    if layout.samples == 3 and properties["photometric_interpretation"] != "RGB":
        raise Skip(Reason.UNSUPPORTED_PIXELS, str(properties["photometric_interpretation"]))
    return np.asarray(values).astype(values.dtype.newbyteorder("="), copy=False)


def _check_encoded(dataset: Dataset, layout: Layout, frame: int) -> None:
    """Hold one compressed frame against the layout."""
    from pydicom.encaps import get_frame

    offsets = (dataset.get("ExtendedOffsetTable"), dataset.get("ExtendedOffsetTableLengths"))
    with foreign(Reason.TRUNCATED):  # fewer fragments than frames, or offsets behind the end
        encoded = get_frame(
            dataset[layout.keyword].value,
            frame,
            number_of_frames=layout.frames,
            extended_offsets=(offsets[0], offsets[1]) if offsets[0] and offsets[1] else None,
        )
    if layout.syntax == _RLE:
        return
    stream = read_codestream(encoded)
    if stream is None:
        raise Skip(Reason.CORRUPT, "no size in the compressed frame")
    if (stream.width_px, stream.height_px, stream.components) != (layout.columns, layout.rows, layout.samples):
        raise Skip(Reason.CORRUPT, "the compressed frame has another size than the header")
    if stream.dct and stream.bits > 8:
        raise Skip(Reason.CODEC_MISSING, f"JPEG of {stream.bits} bits")
