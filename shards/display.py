"""From modality values to display values 0..255: window functions, linear ranges and percentiles.

Every grey decoder ends here, so that CT in DICOM, CT in NIfTI and a 16-bit PNG are scaled by one piece of code.
Window functions are those of DICOM PS3.3 C.11.2.1.2 (linear) and C.11.2.1.3 (sigmoid, linear exact).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from shards.windows import Window

Values = npt.NDArray[np.floating[Any]]

CHUNK = 1 << 22  # values mapped at once, so that float64 working space stays small
LOW_PERCENTILE, HIGH_PERCENTILE = 0.5, 99.5
FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")


@dataclass(frozen=True, slots=True)
class Grey:
    """One mapping of modality values to 0..1, with the words for it."""

    low: float  # LINEAR and LINEAR_EXACT: black and white; SIGMOID: centre - width / 2 and centre + width / 2
    high: float
    wording: str
    sigmoid: bool = False

    def unit(self, values: Values) -> npt.NDArray[np.float64]:
        """Values [...] as float64 in 0..1; not-a-number becomes 0. A range of no width is a threshold."""
        x = np.nan_to_num(values.astype(np.float64), nan=-np.inf, posinf=np.inf, neginf=-np.inf)
        width = self.high - self.low
        if self.sigmoid:
            with np.errstate(over="ignore"):
                return np.asarray(1.0 / (1.0 + np.exp(-4.0 * (x - (self.low + self.high) / 2) / width)))
        if width <= 0:
            return np.asarray(x > self.low, np.float64)
        return np.asarray(np.clip((x - self.low) / width, 0.0, 1.0))

    def display(self, values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """Values [...] of any real type as uint8 0..255, rounded to the nearest level."""
        flat = np.ascontiguousarray(values).reshape(-1)
        shown = np.empty(flat.shape, np.uint8)
        for start in range(0, flat.size, CHUNK):
            piece = slice(start, start + CHUNK)
            shown[piece] = to_bytes(self.unit(flat[piece]))
        return shown.reshape(values.shape)


def to_bytes(unit: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """0..1 as 0..255, rounded half up."""
    return np.floor(unit * 255.0 + 0.5).astype(np.uint8)


def linear(low: float, high: float, wording: str = "") -> Grey:
    """Black at `low`, white at `high`, in modality units."""
    return Grey(low, high, wording or f"linear from {low:g} to {high:g}")


def window(centre: float, width: float, function: str = "LINEAR", wording: str = "") -> Grey:
    """A window of the given centre and width; ValueError for an unknown function or a width below its minimum."""
    wording = wording or f"window {centre:g}/{width:g} {function.lower()}"
    if function == "LINEAR" and width >= 1:
        # C.11.2.1.2.1: black up to c - 0.5 - (w - 1) / 2, white above c - 0.5 + (w - 1) / 2
        return Grey(centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2, wording)
    if function in FUNCTIONS and width > 0:  # files with a LINEAR width below 1 mean the exact one
        return Grey(centre - width / 2, centre + width / 2, wording, sigmoid=function == "SIGMOID")
    raise ValueError(f"window function {function} with width {width:g}")


def named(chosen: Window) -> Grey:
    """A window of shards.windows."""
    wording = f"window {chosen.name} {chosen.centre_hu:g}/{chosen.width_hu:g} HU"
    return window(chosen.centre_hu, chosen.width_hu, wording=wording)


def percentile_range(
    values: npt.NDArray[Any], counts: npt.NDArray[Any], low: float, high: float
) -> tuple[float, float]:
    """Percentiles (0..100) of sorted distinct `values` with their `counts`, by the nearest rank.

    Where both fall on one value (more background than 99 %), the extremes are given; (0, 0) without any value.
    """
    if not values.size:
        return 0.0, 0.0
    cumulated = np.cumsum(counts)
    ranks = np.array([low, high]) / 100.0 * cumulated[-1]
    first, last = np.minimum(np.searchsorted(cumulated, ranks), values.size - 1)
    if first == last:
        first, last = 0, values.size - 1
    return float(values[first]), float(values[last])
