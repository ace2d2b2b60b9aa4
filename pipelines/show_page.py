"""Samples as a table on the terminal, and as one HTML page with their pictures that fetches nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.show import Selection
from pipelines.specimen import Specimen, label_words, view_words
from shards.atomic import write_bytes

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

MAX_CAPTION_CHARACTERS = 90
MAX_VALUES = 12  # of a column, where no sample fits a condition
TABLE_WIDTH = 140  # characters; on a narrower terminal each sample gets lines of its own
GROUP_CHARACTERS = 8  # of a keyed hash: enough to tell groups of one table apart


def told(selection: Selection, width: int) -> Iterator[RenderableType]:
    """The samples for a terminal of `width` characters, and how many there are."""
    if selection.specimens and width >= TABLE_WIDTH:
        yield table(selection)
    elif selection.specimens:
        yield "\n\n".join("\n  ".join(filter(None, _lines(specimen))) for specimen in selection.specimens) + "\n"
    if selection.samples and not selection.matching:
        yield f"none of {selection.samples:,} samples fits"
        for column, held in selection.held.items():
            more = " ..." if len(held) > MAX_VALUES else ""
            yield f"  {column} is one of {', '.join(held[:MAX_VALUES])}{more}" if held else f"  {column} is never known"
    else:
        yield f"{len(selection.specimens):,} of {selection.matching:,} samples"


def _lines(specimen: Specimen) -> list[str]:
    """One sample in a few lines, its captions whole."""
    sample = specimen.sample
    captions = [f"{caption.text} ({caption.by})" for caption in sample.captions] or ["no caption"]
    labels = "; ".join(map(label_words, sample.labels))
    belongs = ", ".join(filter(None, [sample.split, _group(sample.group), sample.license]))
    return [sample.key, _what(specimen), *captions, labels, belongs]


def table(selection: Selection) -> Table:
    """One row a sample; keys are never cut, since `medloom explain` takes them."""
    from rich.table import Table

    found = Table(show_lines=False)
    found.add_column("key", no_wrap=True, min_width=max(len(s.sample.key) for s in selection.specimens))
    for name in ("what", "caption", "by", "labels", "split", "group", "licence"):
        found.add_column(name)
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
    what, colon, digest = group.partition(":")
    return f"{what}{colon}{digest[:GROUP_CHARACTERS]}" + ("…" if len(digest) > GROUP_CHARACTERS else "")


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
