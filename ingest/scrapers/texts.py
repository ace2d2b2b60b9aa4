"""What every text from the web goes through: its language is told, it is neither too short nor too long for a caption.

A text of a few letters says nothing that the picture could be known by; a page's whole prose is no caption, so of a
long text the sentences from its beginning are kept that fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ingest.columns import CaptionColumn
from ingest.scrapers.language import language_of
from ingest.source_text import sentences
from shards.intake import Skip
from shards.reasons import Reason

if TYPE_CHECKING:
    from ingest.scrapers.options import ScraperOptions

LANGUAGE = "language"  # column that every scraper has


def settled(cells: Mapping[str, str | None], options: ScraperOptions) -> dict[str, str | None]:
    """The cells of one picture with its caption fitted and its language told; Skip where the options leave it out."""
    found = dict(cells)
    column = options.caption.column if isinstance(options.caption, CaptionColumn) else options.caption
    if column is not None:
        found[column] = fitted(found.get(column) or "", options.shortest_caption, options.longest_caption)
        if found.get(LANGUAGE) is None:
            found[LANGUAGE] = language_of(found[column] or "")
    if options.languages and found.get(LANGUAGE) not in options.languages:
        raise Skip(Reason.EXCLUDED_BY_NAME, f"language {found.get(LANGUAGE) or 'unknown'}")
    for name, kept in options.only.items():
        if found.get(name) not in kept:
            raise Skip(Reason.EXCLUDED_BY_NAME, f"{name} is not one of those that are kept")
    return found


def fitted(text: str, shortest: int, longest: int) -> str | None:
    """The text on one line, of at least and at most so many characters; None where nothing fits."""
    text = " ".join(text.split())
    if len(text) < shortest:
        return None
    if len(text) <= longest:
        return text
    kept = ""
    for sentence in sentences(text):
        if len(kept) + len(sentence) + 1 > longest:
            break
        kept = f"{kept} {sentence}".strip()
    return kept if len(kept) >= shortest else None
