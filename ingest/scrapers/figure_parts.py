"""The samples of one figure: its panels where picture and caption agree on them, else the figure as it is, and marked.

A panel's caption is its own part, with what stands before the first letter only where that cannot speak of another
panel: it names no second modality, and no place in the figure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ingest.scrapers.compound import MOST_PX, Box, has_panels, pair_panels
from ingest.scrapers.crawl import Found
from ingest.scrapers.modality_text import modalities_in, modality_of
from ingest.scrapers.panels import Panels, Part, speaks_of_panels
from shards import sniff
from shards.image import read_image
from shards.limits import Limits
from shards.locator import Locator

if TYPE_CHECKING:
    from ingest.scrapers.visit import Held

Cells = Mapping[str, str | None]
_PLACES = re.compile(
    r"\b(?:panels?|respectively|rows?|columns?|left to right|top to bottom|both|two|three|four|five|six"
    r"|(?:top|bottom|upper|lower|middle|left|right|first|second) (?:image|picture|view)s?)\b",
    re.IGNORECASE,
)
_WHOLE = Locator()


def marked(cells: Cells) -> dict[str, str | None]:
    """The cells of a figure that stays whole; `compound` where its caption speaks of panels."""
    return {**cells, "compound": "true" if speaks_of_panels(cells["caption"] or "") else None}


def parts_of(figure: Found, panels: Panels | None, held: Held) -> list[Found]:
    """What one fetched figure gives; raises Skip where it cannot be decoded."""
    data = held.read()
    found = sniff.sniff(data[: sniff.HEAD_BYTES])
    if found.kind != sniff.IMAGE:
        return [replace(figure, expand=None)]
    picture = read_image(data, found.format, _WHOLE, Limits()).pixels[0]
    if picture.shape[0] * picture.shape[1] > MOST_PX:
        return [replace(figure, expand=None)]
    paired = pair_panels(picture, panels) if panels is not None else None
    if paired is None:
        is_compound = figure.cells["compound"] or ("true" if has_panels(picture) else None)
        return [replace(figure, expand=None, cells={**figure.cells, "compound": is_compound})]
    assert panels is not None
    return [_panel(figure, panels, part, box) for part, box in paired]


def panel_cells(cells: Cells, panels: Panels, part: Part) -> dict[str, str | None]:
    """The cells of one panel, or of several that share a part of the caption."""
    caption = f"{panels.shared} {part.text}" if _is_for(panels.shared, part) else part.text
    letters = "".join(part.letters).upper()
    label = f"{cells['figure_label'] or ''}{letters}"
    known = {"caption": caption, "modality": modality_of(caption), "panel": letters, "figure_label": label}
    return {**cells, **known, "compound": "true" if len(part.letters) > 1 else None}


def _is_for(shared: str, part: Part) -> bool:
    """Whether what is said of the whole figure can be said of one panel."""
    return bool(shared) and not _PLACES.search(shared) and len(modalities_in(shared) | modalities_in(part.text)) <= 1


def _panel(figure: Found, panels: Panels, part: Part, box: Box) -> Found:
    letters = "".join(part.letters)
    region = Locator(left=box.left, top=box.top, width=box.width, height=box.height)
    cells = panel_cells(figure.cells, panels, part)
    return replace(figure, expand=None, name=f"{figure.name}/{letters}", cells=cells, region=region)
