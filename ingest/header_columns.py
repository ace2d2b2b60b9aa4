"""Columns that say what the header of a volume must say. A file whose header says otherwise is refused.

Some collections hold volumes whose spacing or rescale was lost on the way (CT-RATE before its files were mended): such
a file gives squashed pictures and windows of wrong tissue, and nothing in the file itself shows it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shards.intake import Skip
from shards.reasons import Reason

if TYPE_CHECKING:
    from shards.nifti import Volume

MOST_DIFFERENT = 0.01  # of two spacings, as a share
AIR_HU = (-1100.0, -700.0)  # air and lung
LEAST_AIR = 0.01  # share of a CT's voxels; a volume that is not in HU has none there
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")


@dataclass(frozen=True, kw_only=True)
class HeaderColumns:
    """Columns with facts of a volume. A blank cell says nothing."""

    spacing_xy_mm: str = ""  # of rows and columns of axial slices: a number, or a list of two in a text
    spacing_z_mm: str = ""
    slope: str = ""  # from stored values to HU; a header of slope 1 and intercept 0 must then hold HU already
    intercept: str = ""

    def __post_init__(self) -> None:
        if bool(self.slope) != bool(self.intercept):
            raise ValueError("header: slope and intercept belong together; name both columns, or neither")

    def columns(self) -> dict[str, str]:
        """{field: column} of those that are given."""
        fields = ("spacing_xy_mm", "spacing_z_mm", "slope", "intercept")
        return {name: column for name in fields if (column := getattr(self, name))}

    def check(self, cells: Mapping[str, str | None], volume: Volume) -> None:
        """Skip(HEADER_CONTRADICTS) where the cells and the volume differ, Skip(BAD_ROW) for a cell without a number."""
        numbers = {name: _numbers(name, cell) for name, cell in cells.items() if cell}
        x_mm, y_mm, z_mm = volume.spacing_mm
        for name, found in (("spacing_xy_mm", (x_mm, y_mm)), ("spacing_z_mm", (z_mm, z_mm))):
            for stated in numbers.get(name, ()):
                if all(abs(mm - stated) > MOST_DIFFERENT * stated for mm in found):
                    raise Skip(Reason.HEADER_CONTRADICTS, f"{name}: {stated:g} in the table, {found[0]:g} in the file")
        if "slope" in numbers and "intercept" in numbers:
            _check_rescale(numbers["slope"][0], numbers["intercept"][0], volume)


def _numbers(name: str, cell: str) -> list[float]:
    found = [float(number) for number in _NUMBER.findall(cell)]
    if not found:
        raise Skip(Reason.BAD_ROW, f"no number in the column of {name}")
    return found


def _check_rescale(slope: float, intercept: float, volume: Volume) -> None:
    own = volume.slope, volume.intercept
    if abs(own[0] - slope) < 1e-6 and abs(own[1] - intercept) < 1e-3:
        return
    said = f"the table rescales by {slope:g} and {intercept:g}"
    if own != (1.0, 0.0):
        raise Skip(Reason.HEADER_CONTRADICTS, f"{said}, the file by {own[0]:g} and {own[1]:g}")
    if not _holds_air(volume):
        raise Skip(Reason.HEADER_CONTRADICTS, f"{said}, and the file neither says so nor holds values in HU")


def _holds_air(volume: Volume) -> bool:
    low, high = AIR_HU
    thinned = volume.stored[..., :: max(1, volume.stored.shape[2] // 16), :]
    return bool(((thinned >= low) & (thinned <= high)).mean() >= LEAST_AIR)
