"""A template with its fields filled: once for the words of one row, once for the columns of a table.

The two must give the same text, letter for letter; tests/captioning/test_rows.py compares them. In a table an unknown
field is null, and null spreads: to its bracket, which is then left out, or to the whole text, which does not fit then.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from captioning.wording import with_article
from shards.phrasing import Segment, Slot

if TYPE_CHECKING:
    import polars as pl

Template = tuple[Segment, ...]

# what brackets that were left out may leave behind, in the syntax that Python and Rust share
MENDED = (
    (r"\( *\)", ""),
    (r" {2,}", " "),
    (r" +([,.;:])", "${1}"),
    (r"[,;:](?: ?[,;:])+", ","),
    (r"[,;:]\.", "."),
    (r"\.(?: ?\.)+", "."),
)
UNTIDY = "|".join(pattern for pattern, _ in MENDED)  # where it is nowhere, nothing need be mended
EDGES = " .,;:"


def slots_of(templates: Iterable[Template]) -> list[Slot]:
    """The slots of some templates, each once."""
    found = (slot for template in templates for segment in template for slot in segment.slots)
    return list(dict.fromkeys(found))


def required(template: Template) -> list[Slot]:
    """The slots without which it does not fit."""
    return [slot for segment in template if not segment.optional for slot in segment.slots]


def name_of(slot: Slot) -> str:
    """Its column in a table."""
    return f"{slot.field}:{slot.helper}"


def spoken(slot: Slot, words: str) -> str:
    """`words` after the slot's helper."""
    return with_article(words) if slot.helper == "a" else words


def fill(template: Template, words: Mapping[str, str]) -> str | None:
    """The sentence, or None where the template does not fit: a field it needs is unknown, or it says nothing."""
    parts = []
    for segment in template:
        if all(slot.field in words for slot in segment.slots):
            parts += [
                spoken(piece, words[piece.field]) if isinstance(piece, Slot) else piece for piece in segment.pieces
            ]
        elif not segment.optional:
            return None
    text = "".join(parts)
    for pattern, mended in MENDED:
        text = re.sub(pattern, mended.replace("${1}", r"\1"), text)
    text = text.strip(EDGES)
    return f"{text[:1].upper()}{text[1:]}." if text else None


def fill_columns(table: pl.DataFrame, template: Template, unknown: frozenset[str]) -> pl.Series:
    """`fill` over the rows of a table that has the columns `name_of` of the template's slots; null where it fits not.

    Columns of `unknown` are null in every row, so that what needs them can be left out at once.
    """
    import polars as pl

    def joined(segment: Segment) -> pl.Expr:
        text = pl.concat_str(
            pl.col(name_of(piece)) if isinstance(piece, Slot) else pl.lit(piece) for piece in segment.pieces
        )
        return text.fill_null("") if segment.optional else text

    used = [one for one in template if not one.optional or unknown.isdisjoint(map(name_of, one.slots))]
    pieces = [*map(joined, used), pl.lit("")]
    texts = table.select(pl.concat_str(pieces).alias("text")).to_series()
    if len(texts) < table.height:  # it has no field
        texts = texts.extend_constant(texts[0], table.height - len(texts))
    if texts.str.contains(UNTIDY).any():
        for pattern, mended in MENDED:
            texts = texts.str.replace_all(pattern, mended)
    texts = texts.str.strip_chars(EDGES)
    sentence = pl.concat_str(pl.col("text").str.head(1).str.to_uppercase(), pl.col("text").str.slice(1), pl.lit("."))
    return texts.to_frame("text").select(pl.when(pl.col("text") != "").then(sentence)).to_series()
