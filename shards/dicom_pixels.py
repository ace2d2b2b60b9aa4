"""The stored values of single frames, with every size checked before a decoder sees the data.

The layout is held against the bytes that are there; a compressed frame's own markers must say what the header says.
Decoding is pydicom's with one named codec for each transfer syntax, all of permissive licence, and libjpeg-turbo's for
lossless and 12-bit JPEG (shards.dicom_jpeg).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shards.codestream import Codestream, read_codestream
from shards.dicom_jpeg import LOSSLESS, read_jpeg
from shards.dicom_layout import Layout
from shards.foreign import foreign
from shards.intake import Skip
from shards.reasons import Reason

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_SYNTAX = "1.2.840.10008.1.2"
_NATIVE = {_SYNTAX, f"{_SYNTAX}.1", f"{_SYNTAX}.2", f"{_SYNTAX}.1.99"}
_RLE = f"{_SYNTAX}.5"
_PLUGINS = {  # one decoder each: others of pydicom's expand runs without a bound, or end the process on damaged data
    _RLE: "pylibjpeg",
    f"{_SYNTAX}.4.50": "pillow",
    f"{_SYNTAX}.4.51": "pillow",
    f"{_SYNTAX}.4.80": "pyjpegls",
    f"{_SYNTAX}.4.81": "pyjpegls",
    **{f"{_SYNTAX}.4.{n}": "pylibjpeg" for n in (90, 91, 201, 202, 203)},
}


def check_data(dataset: Dataset, layout: Layout) -> None:
    """Hold the layout against the bytes that are there; raises Skip(TRUNCATED) or Skip(CODEC_MISSING)."""
    with foreign():
        data = dataset[layout.keyword].value
    if not isinstance(data, bytes):
        raise Skip(Reason.CORRUPT, "pixel data of an odd type")
    if layout.syntax in _NATIVE:
        bits = layout.rows * layout.columns * layout.samples * layout.bits_allocated
        if layout.photometric == "YBR_FULL_422":
            bits = bits * 2 // 3  # two pixels share their chroma
        need = (bits * layout.frames + 7) // 8
        if len(data) < need:
            raise Skip(Reason.TRUNCATED, f"{len(data)} of {need} bytes of pixels")
    elif layout.syntax not in _PLUGINS and layout.syntax not in LOSSLESS and not layout.is_video:
        raise Skip(Reason.CODEC_MISSING, f"transfer syntax {layout.syntax}")


def read_frame(dataset: Dataset, layout: Layout, frame: int) -> npt.NDArray[Any]:
    """Stored values of one frame: [H, W], or RGB [H, W, 3] for colour but not for palettes. Raises Skip."""
    if layout.syntax not in _NATIVE:
        encoded = _encoded(dataset, layout, frame)
        stream = None if layout.syntax == _RLE else _checked_stream(encoded, layout)
        if layout.syntax in LOSSLESS or (stream is not None and stream.dct and stream.bits > 8):
            return read_jpeg(encoded, layout)
    values, photometric = _decoded(dataset, layout, frame)
    if values.shape[:2] != (layout.rows, layout.columns):
        raise Skip(Reason.CORRUPT, "the decoded frame has another size")
    if layout.samples == 3 and photometric != "RGB":
        raise Skip(Reason.UNSUPPORTED_PIXELS, photometric)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _decoded(dataset: Dataset, layout: Layout, frame: int) -> tuple[npt.NDArray[Any], str]:
    """pydicom's values of a frame and their photometric interpretation."""
    from pydicom.pixels import get_decoder
    from pydicom.uid import UID

    plugin = _PLUGINS.get(layout.syntax, "")
    with foreign():
        decoder = get_decoder(UID(layout.syntax))
        missing = bool(plugin) and plugin not in decoder.available_plugins
    if missing:
        raise Skip(Reason.CODEC_MISSING, f"{layout.syntax}: install medloom[medical], which brings {plugin}")
    with foreign():
        values, properties = decoder.as_array(dataset, index=frame, decoding_plugin=plugin)
    return np.asarray(values), str(properties["photometric_interpretation"])


def _encoded(dataset: Dataset, layout: Layout, frame: int) -> bytes:
    """The compressed bytes of one frame."""
    from pydicom.encaps import get_frame

    with foreign(Reason.TRUNCATED):  # fewer fragments than frames, or offsets behind the end
        offsets = (dataset.get("ExtendedOffsetTable"), dataset.get("ExtendedOffsetTableLengths"))
        encoded: bytes = get_frame(
            dataset[layout.keyword].value,
            frame,
            number_of_frames=layout.frames,
            extended_offsets=(offsets[0], offsets[1]) if offsets[0] and offsets[1] else None,
        )
    return encoded


def _checked_stream(encoded: bytes, layout: Layout) -> Codestream:
    """What a compressed frame says of itself, which must be what the header says."""
    stream = read_codestream(encoded)
    if stream is None:
        raise Skip(Reason.CORRUPT, "no size in the compressed frame")
    if (stream.width_px, stream.height_px, stream.components) != (layout.columns, layout.rows, layout.samples):
        raise Skip(Reason.CORRUPT, "the compressed frame has another size than the header")
    return stream
