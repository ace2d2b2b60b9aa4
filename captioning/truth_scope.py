"""Which unit a sentence says something of, and which unit a label is true of: the scope rules of `captioning.truth`.

They are written a second time here, from the definitions of the scopes (docs/decisions/006), so that a mistake in what
the template captioner makes of them is no mistake of the check as well.
"""

from __future__ import annotations

import re
from functools import lru_cache

from shards.manifest import Media

PICTURE = "picture"  # the whole sample, every frame of it
ORDER = (PICTURE, "slice", "series", "study", "patient")  # slice: some frame or slice of a sample that has several
WHOLE_SERIES = {"video", "recording", "scan", "series"}
# "from a study with ...": what follows belongs to that unit, until words that speak of the picture again
_OPENS = r"\b(?:from|of|in) an? (?P<unit>study|patient|video|recording|scan|series) (?:with|showing|that shows)\b"
_SHOWS = r"(?:showing|shows?|with|depicting|depicts|demonstrating|demonstrates|revealing|reveals|displaying)"
_CLOSES = rf"[:;]|\.(?:\s|$)|,\s+(?:and\s+)?{_SHOWS}\b|\b(?:showing|depicting|demonstrating|revealing|displaying)\b"
UNIT = re.compile(rf"{_OPENS}|{_CLOSES}", re.IGNORECASE)
SEEN = re.compile(r"[^,:;.]*\b(?:seen|visible|evident|shown|noted|identified|visualised|visualized)\b", re.IGNORECASE)
OF_A_SLICE = re.compile(r"\bwith ((?:(?!\bwith\b)[^:;.])*?) in one of its slices\b", re.IGNORECASE)


def unit_said(text: str, at: int) -> str:
    """The unit of ORDER that `text` speaks of at the position `at`."""
    slices, turns = _units(text)
    if any(start <= at < stop for start, stop in slices):
        return "slice"
    unit = next((unit for start, unit in reversed(turns) if start <= at), PICTURE)
    if unit != PICTURE and SEEN.match(text, at):  # "from a study with edema, a fracture seen on a radiograph"
        return PICTURE
    return unit


@lru_cache(maxsize=64)  # a text is asked about at each of the findings that it names
def _units(text: str) -> tuple[list[tuple[int, int]], list[tuple[int, str]]]:
    """Where it speaks of some slice, and where it turns to another unit."""
    slices = [match.span(1) for match in OF_A_SLICE.finditer(text)]
    turns = []
    for match in UNIT.finditer(text):
        word = (match["unit"] or PICTURE).lower()
        turns.append((match.start(), "series" if word in WHOLE_SERIES else word))
    return slices, turns


def unit_true(scope: str, media: Media) -> str:
    """The narrowest unit of ORDER that a label of `scope` is known to be true of."""
    at = media.view
    chosen = at.frame_start is not None or at.frame_stop is not None
    if media.frames is not None:
        several = media.frames > 1
    elif at.frame_stop is not None:
        several = at.frame_stop - (at.frame_start or 0) > 1
    else:
        several = media.kind in {"video", "frames"} and at.slice is None
    if scope not in {"image", "frames", "slice"}:
        return scope
    if not several or (scope == "frames" and chosen):
        return PICTURE
    if scope == "slice" or chosen:  # true somewhere in the sample
        return "slice"
    return "series"  # the sample is all of its series
