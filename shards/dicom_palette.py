"""Palette colour (PS3.3 C.7.6.3.1.5, C.7.6.3.1.6 and C.7.9): stored values to RGB.

Plain tables are read here, in the byte order of the file and with any number of entries; segmented ones are expanded
by pydicom. 16-bit entries give their high byte, and 8-bit entries that were written as words are taken as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shards.foreign import foreign

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_CHANNELS = ("Red", "Green", "Blue")


def expand_palette(stored: npt.NDArray[Any], dataset: Dataset) -> npt.NDArray[np.uint8]:
    """Stored values [H, W] as RGB [H, W, 3]; raises Skip(CORRUPT) where the tables do not fit."""
    with foreign():
        count, first, bits = (int(value) for value in dataset["RedPaletteColorLookupTableDescriptor"].value)
        count = count % 65536 or 65536
        if stored.dtype.kind == "u":
            first %= 65536
        if "RedPaletteColorLookupTableData" in dataset:
            channels = [_plain(dataset, name, count) for name in _CHANNELS]
        else:
            channels = _segmented(dataset, first, count)
        table = np.stack(channels, axis=1).astype(np.int64)
        if bits > 8 and table.max() > 255:
            table = table >> 8
        return table.astype(np.uint8)[np.clip(stored.astype(np.int64) - first, 0, len(table) - 1)]


def _plain(dataset: Any, name: str, count: int) -> npt.NDArray[np.uint16]:
    data = dataset[f"{name}PaletteColorLookupTableData"].value
    if len(data) >= 2 * count:
        order = "<u2" if dataset.original_encoding[1] else ">u2"
        return np.frombuffer(data, order, count).astype(np.uint16)
    if dataset.original_encoding[1] is False and len(data) > 1:  # bytes inside words
        data = np.frombuffer(data[: len(data) // 2 * 2], ">u2").astype("<u2").tobytes()
    return np.frombuffer(data, np.uint8, count).astype(np.uint16)


def _segmented(dataset: Any, first: int, count: int) -> list[npt.NDArray[np.uint16]]:
    from pydicom.pixels import apply_color_lut

    entries = np.asarray(apply_color_lut(np.arange(first, first + count), dataset))
    if entries.dtype == np.uint8 and count > 256:
        raise ValueError("a segmented palette of more than 256 entries of 8 bits")
    return [entries[:, channel].astype(np.uint16) for channel in range(3)]
