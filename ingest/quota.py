"""How many pairs of each specialty are held out for evaluation; an option of the stage, so it imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Pairs to hold out from each specialty; the defaults are MediSyn's (arXiv 2405.09806)."""

    images: int = 125
    clips: int = 100

    def __post_init__(self) -> None:
        if self.images < 0 or self.clips < 0:
            raise ValueError("held_out counts pairs of each specialty: write 0 or more for images and clips")

    def by_kind(self) -> tuple[tuple[bool, int], ...]:
        """(whether clips, count) for images and for clips."""
        return (False, self.images), (True, self.clips)
