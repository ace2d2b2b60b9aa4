"""The grey pipeline of DICOM for one frame: modality, values of interest, presentation, padding (PS3.3 C.11, C.7.5.1).

Stored values of up to 16 bits go through one table of all their values, made in float64, so the order of the steps
is written once and costs nothing a pixel. MONOCHROME1 is inverted last; padding (Pixel Padding Value and Range) is
left out of every statistic and shown black whatever the photometric interpretation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shards.dicom_groups import first_window, holder, number, rescale, text
from shards.dicom_layout import Layout
from shards.display import CHUNK, Grey, linear, named, to_bytes, window
from shards.foreign import foreign
from shards.intake import Skip
from shards.locator import Locator
from shards.reasons import Reason
from shards.windows import HEADER, WINDOWS

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Floats = npt.NDArray[np.float64]
LUNG_HU = -500.0  # lung is below, air far below


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A lookup table of DICOM (PS3.3 C.11.1.1): values below the first mapped one take the first entry."""

    first: int
    entries: Floats

    def __call__(self, values: Floats) -> Floats:
        index = np.clip(np.floor(values + 0.5) - self.first, 0, self.entries.size - 1)
        return np.asarray(self.entries[np.nan_to_num(index).astype(np.int64)])


@dataclass(frozen=True, slots=True, eq=False)
class Transform:
    """Stored values of one frame to display values."""

    slope: float
    intercept: float
    modality_table: Table | None
    voi: Grey | Table  # a table's entries lie in 0..1
    invert: bool
    padding: tuple[float, float] | None  # stored values, both ends included

    def modality(self, stored: npt.NDArray[Any]) -> Floats:
        """Stored values in modality units (HU in CT)."""
        values = np.asarray(stored, np.float64)
        return values * self.slope + self.intercept if self.modality_table is None else self.modality_table(values)

    def display(self, stored: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """Stored values [H, W] as 0..255."""
        if stored.dtype.kind in "iu" and stored.dtype.itemsize <= 2:
            unsigned = np.dtype(f"u{stored.dtype.itemsize}")
            every = np.arange(1 << (8 * stored.dtype.itemsize), dtype=unsigned).view(stored.dtype)
            return np.asarray(self._shown(every)[np.ascontiguousarray(stored).view(unsigned)])
        flat = np.ascontiguousarray(stored).reshape(-1)
        pieces = [self._shown(flat[start : start + CHUNK]) for start in range(0, flat.size, CHUNK)]
        return np.concatenate(pieces).reshape(stored.shape)

    def _shown(self, stored: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        values = self.modality(stored)
        unit = self.voi.unit(values) if isinstance(self.voi, Grey) else self.voi(values)
        if self.invert:
            unit = 1.0 - unit
        if self.padding is not None:
            unit = np.where(is_padding(stored, self.padding), 0.0, unit)
        return to_bytes(unit)


def is_padding(stored: npt.NDArray[Any], padding: tuple[float, float]) -> npt.NDArray[np.bool_]:
    """Which stored values are padding."""
    values = stored.astype(np.float64)
    return np.asarray((values >= padding[0]) & (values <= padding[1]))


def padding_range(dataset: Dataset, layout: Layout) -> tuple[float, float] | None:
    """Stored values that mean "no pixel here" (PS3.3 C.7.5.1.1.2), or None."""
    prefix = {"FloatPixelData": "Float", "DoubleFloatPixelData": "DoubleFloat"}.get(layout.keyword, "")
    value = number(dataset, f"{prefix}PixelPaddingValue")
    if value is None:
        return None
    limit = number(dataset, f"{prefix}PixelPaddingRangeLimit")
    ends = [_as_stored(end, layout) for end in (value, value if limit is None else limit)]
    return min(ends), max(ends)


def _as_stored(value: float, layout: Layout) -> float:
    """A value written with the wrong sign (US for SS and the reverse) as the pixels hold it."""
    if layout.floating:
        return value
    span = 1 << layout.bits_allocated
    if layout.signed and value >= span // 2:
        return value - span
    return value + span if not layout.signed and value < 0 else value


def transform(dataset: Dataset, layout: Layout, frame: int, voi: Grey | Table) -> Transform:
    """The pipeline of one frame with a given step for the values of interest."""
    with foreign():
        slope, intercept, _ = rescale(dataset, frame)
        tables = dataset.get("ModalityLUTSequence")
        table = _read_table(tables[0], layout.signed, dataset) if tables else None
        shape = text(dataset, "PresentationLUTShape")
    invert = shape == "INVERSE" if shape else layout.photometric == "MONOCHROME1"
    return Transform(slope, intercept, table, voi, invert, padding_range(dataset, layout))


def choose_voi(dataset: Dataset, layout: Layout, frame: int, view: Locator) -> tuple[Grey | Table | None, str]:
    """What maps modality values to 0..1 as stated by the locator, else the header; None where neither does.

    In this order: the locator's named CT window; its low and high; the header's first window where the locator says
    "header"; the header's first VOI LUT; the header's first window. Raises Skip where a CT window meets no HU.
    """
    if view.window in WINDOWS:
        if not _is_hounsfield(dataset, layout, frame):
            raise Skip(Reason.UNSUPPORTED_PIXELS, f"window {view.window} needs a CT image in Hounsfield units")
        chosen = named(WINDOWS[view.window])
        return chosen, chosen.wording
    if view.window not in (None, HEADER):
        raise Skip(Reason.BAD_ROW, f"window {view.window!r}: use one of {', '.join(WINDOWS)} or {HEADER}")
    if view.low is not None and view.high is not None:
        scale = linear(view.low, view.high)
        return scale, scale.wording
    with foreign():
        tables = holder(dataset, frame, "FrameVOILUTSequence").get("VOILUTSequence")
        stated = first_window(dataset, frame)
        if tables and not (view.window == HEADER and stated):
            table = _read_table(tables[0], _signed_modality(dataset, layout, frame), dataset)
            low, high = float(table.entries.min()), float(table.entries.max())
            unit = (table.entries - low) / max(high - low, 1.0)  # from the lowest entry to the highest, as viewers do
            return Table(table.first, unit), "VOI LUT of the header"
        if stated is not None:
            return window(stated.centre, stated.width, stated.function), _wording(stated.centre, stated.width, stated)
    return None, ""


def _is_hounsfield(dataset: Dataset, layout: Layout, frame: int) -> bool:
    """Whether modality values are HU: a CT slice with a stated rescale (PS3.3 C.8.2.1); a localizer is none.

    Where the stored bits cannot reach the values of lung and air, these have wrapped round to the brightest ones: some
    slices of the RSNA haemorrhage set are signed 12-bit values declared unsigned, with an intercept of 0.
    """
    with foreign():
        stated = holder(dataset, frame, "PixelValueTransformationSequence")
        units = text(stated, "RescaleType")  # US is "unspecified", which CT scanners write for HU
        localizer = "LOCALIZER" in (text(dataset, "ImageType") or "")
        rescaled = number(stated, "RescaleIntercept") is not None
        ct = text(dataset, "Modality") == "CT" and layout.photometric == "MONOCHROME2"
        slope, intercept, _ = rescale(dataset, frame)
    reaches_air = min(slope * stored_value + intercept for stored_value in layout.stored_range) <= LUNG_HU
    return ct and rescaled and reaches_air and not localizer and units in (None, "HU", "US")


def _wording(centre: float, width: float, stated: Any) -> str:
    name = "" if stated.function == "LINEAR" else f" {stated.function.lower()}"
    return f"window {centre:g}/{width:g}{name} of the header"


def _signed_modality(dataset: Dataset, layout: Layout, frame: int) -> bool:
    return (layout.signed or rescale(dataset, frame)[1] < 0) and not dataset.get("ModalityLUTSequence")


def _read_table(item: Dataset, signed: bool, dataset: Any) -> Table:
    """A Modality or VOI LUT item; ValueError where descriptor and data do not fit."""
    count, first, bits = (int(value) for value in item["LUTDescriptor"].value)
    count = count % 65536 or 65536
    if not signed:
        first %= 65536
    elif first >= 32768:
        first -= 65536
    data = item["LUTData"].value
    if isinstance(data, bytes):
        wide = "<u2" if dataset.original_encoding[1] else ">u2"
        entries = np.frombuffer(data, wide if len(data) >= 2 * count else np.uint8)
    else:
        entries = np.atleast_1d(np.asarray(data, np.int64)) % 65536
        if bits <= 8 and entries.size * 2 == count + count % 2:  # two entries a word
            entries = entries.astype("<u2").view(np.uint8)
    if entries.size < count:
        raise ValueError("a lookup table is shorter than it says")
    return Table(first, entries[:count].astype(np.float64))
