"""Lossless JPEG (processes 14 and 14 SV1) and JPEG of 12 bits, through libjpeg-turbo 3.

GDCM reads them too, but ends the whole process on damaged data; this decoder raises an error. The values are equal.
Syntaxes: PS3.5 A.4.1; codes: ITU-T T.81 Annexes G and H.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from shards.dicom_layout import Layout
from shards.foreign import foreign
from shards.intake import Skip
from shards.reasons import Reason

LOSSLESS = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")


def read_jpeg(encoded: bytes, layout: Layout) -> npt.NDArray[Any]:
    """Stored values of a frame whose markers fit the layout: [H, W], or RGB [H, W, 3]. Raises Skip."""
    import imagecodecs

    if layout.samples == 3 and (layout.bits_stored > 8 or layout.photometric not in ("RGB", "YBR_FULL")):
        raise Skip(Reason.UNSUPPORTED_PIXELS, f"{layout.photometric} of {layout.bits_stored} bits in this JPEG")
    with foreign():
        values = np.asarray(imagecodecs.jpeg8_decode(encoded))
    if values.shape[:2] != (layout.rows, layout.columns) or layout.bits_allocated not in (8, 16):
        raise Skip(Reason.CORRUPT, "the decoded frame has another size")
    unused = layout.bits_allocated - layout.bits_stored  # bits above the stored ones say nothing, or the sign
    words = values.astype(f"u{layout.bits_allocated // 8}") << unused
    values = words.view(f"i{words.itemsize}" if layout.signed else words.dtype) >> unused
    if layout.photometric != "YBR_FULL":
        return values
    from pydicom.pixels import convert_color_space

    with foreign():
        return np.asarray(convert_color_space(values, "YBR_FULL", "RGB"))
