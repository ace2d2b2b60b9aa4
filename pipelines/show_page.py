"""Samples as a table on the terminal, and as one HTML page with their pictures that fetches nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.show import Selection
from pipelines.specimen import Specimen, label_words, view_words
from shards.atomic import write_bytes

if TYPE_CHECKING:
    from rich.table import Table

MAX_CAPTION_CHARACTERS = 90
GROUP_CHARACTERS = 8  # of a keyed hash: enough to tell groups of one table apart


def table(selection: Selection) -> Table:
    """One row a sample."""
    from rich.table import Table

    found = Table("key", "what", "caption", "by", "labels", "split", "group", "licence", show_lines=False)
    for specimen in selection.specimens:
        sample = specimen.sample
        caption = sample.captions[0] if sample.captions else None
        found.add_row(
            sample.key,
            _what(specimen),
            _cut(caption.text) if caption else "none",
            caption.by if caption else "",
            "; ".join(map(label_words, sample.labels)),
            sample.split or "",
            _group(sample.group),
            sample.license,
        )
    return found


def _group(group: str) -> str:
    what, _, digest = group.partition(":")
    return f"{what}:{digest[:GROUP_CHARACTERS]}" + ("…" if len(digest) > GROUP_CHARACTERS else "")


def _what(specimen: Specimen) -> str:
    media = specimen.sample.media
    size = f"{media.width_px}x{media.height_px}" if media.width_px else ""
    frames = f"{media.frames} frames" if specimen.is_clip else ""
    return ", ".join(filter(None, [f"{specimen.sample.modality} {size}".strip(), frames, view_words(specimen.sample)]))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_CAPTION_CHARACTERS else f"{text[: MAX_CAPTION_CHARACTERS - 1]}…"


def write_page(selection: Selection, where: Sequence[str], out: Path) -> None:
    """Write the page atomically."""
    from pipelines.report.gallery import card
    from pipelines.report.render import render
    from shards.media import MediaReader

    reader = MediaReader()
    page = render(
        "show.j2",
        title=f"{selection.path.resolve().name}, a {selection.what}",
        samples=selection.samples,
        matching=selection.matching,
        asked=", ".join(where),
        cards=[card(specimen, reader) for specimen in selection.specimens],
    )
    write_bytes(out, page.encode())
