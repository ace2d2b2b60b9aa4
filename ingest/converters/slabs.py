"""Splitting one volume into slabs: the only split there is where a collection holds a single anatomy.

Slabs are counted in mm of the volume's own space along the axis of each plane, so all maps of one template fall into
the same slabs. What this cannot do must be said with every score: neighbouring slices look alike, and a slice of one
plane contains lines of pixels that lie in slabs held out in another plane. Scores over slabs show fit to one volume,
not generalisation to other people.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from shards.vocabulary import SPLITS

PLANES = ("axial", "coronal", "sagittal")


@dataclass(frozen=True, kw_only=True)
class Slabs:
    """How a single volume is divided, and which slabs are kept from training."""

    slab_mm: float = 20.0  # slab k of a plane reaches from k * slab_mm up to (k + 1) * slab_mm
    gap_mm: float = 4.0  # left out on both sides of each slab that is held out
    held_out: Mapping[str, Mapping[str, tuple[float, ...]]] = field(default_factory=dict)
    # split -> plane -> positions in mm: the slab around each position goes to that split, all others to train

    def __post_init__(self) -> None:
        if self.slab_mm <= 0 or not 0 <= self.gap_mm < self.slab_mm:
            raise ValueError(
                f"slab_mm must be above 0 and gap_mm in 0 to slab_mm, not {self.slab_mm} and {self.gap_mm}"
            )
        taken: dict[tuple[str, int], str] = {}
        for split, planes in self.held_out.items():
            if split not in SPLITS or split == "train":
                raise ValueError(f"held_out: slabs go to val or test, not {split!r}")
            for plane, positions in planes.items():
                if plane not in PLANES:
                    raise ValueError(f"held_out: there is no plane {plane!r}; write {', '.join(PLANES)}")
                for position_mm in positions:
                    place = plane, self.number(position_mm)
                    if taken.setdefault(place, split) != split:
                        raise ValueError(
                            f"held_out: the {plane} slab at {position_mm} mm is in {taken[place]} and {split}"
                        )

    def number(self, position_mm: float) -> int:
        """Number of the slab that holds a position."""
        return math.floor(position_mm / self.slab_mm)

    def split(self, plane: str, number: int) -> str | None:
        """The official split of a slab; None where no slab is held out, so that the ledger decides."""
        for split, planes in self.held_out.items():
            if any(self.number(position) == number for position in planes.get(plane, ())):
                return split
        return "train" if self.held_out else None

    def in_gap(self, plane: str, position_mm: float) -> bool:
        """Whether a slice lies too close to a slab of another split.

        Where slabs are held out by name, the slices next to them are left out of the others. Where the ledger will
        decide later, every border may become one between splits, so both sides of each are left out.
        """
        number = self.number(position_mm)
        above_mm = position_mm - number * self.slab_mm
        near = [
            beside for beside, mm in ((number - 1, above_mm), (number + 1, self.slab_mm - above_mm)) if mm < self.gap_mm
        ]
        if not self.held_out:
            return bool(near)
        others = {self.split(plane, beside) for beside in near} - {self.split(plane, number)}
        return bool(others - {"train"})
