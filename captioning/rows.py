"""The template captioner over a table: what Python must word is worded once for each distinct cell.

A part has few distinct looks (media, modality, attributes) and few distinct lists of labels, however many rows it has.
These are worded in Python, as for one sample; then the words are taken to the rows by number, and the templates become
expressions of polars. The texts are those of `captioning.template.word`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import polars as pl

from captioning.filling import Template, fill_columns, name_of, required, slots_of, spoken
from captioning.phrasings import BITS, TEMPLATE_BIT, draws, orders
from captioning.picture import Form, Picture, picture_of
from captioning.pieces import Wordings, finding_words, look_words
from captioning.placing import ANSWERS
from captioning.statements import statements
from shards.attributes import decode
from shards.locator import TIME, Locator
from shards.manifest import Label, Media
from shards.phrasing import Slot
from shards.reasons import Reason

LOOK = ("modality", "kind", "frames", "fps", "frame_start", "frame_stop", "slice", "over_time", "window", "attributes")
_NUMBERS = dict.fromkeys(("frame_start", "frame_stop", "slice"), pl.Int64)
AT = pl.Struct({**_NUMBERS, "axis": pl.String, "window": pl.String})
KIND = ("template", "preposition", "series")  # what decides which templates a row may be worded by


def answer_rows(rows: pl.DataFrame, *, seed: int, least_facts: int) -> pl.DataFrame:
    """A text for each row of a manifest, or the reason why it has none, as `captioning.placing.ANSWERS`."""
    worded = word_rows(rows, seed)
    enough = pl.col("facts") >= least_facts
    return worded.select(
        "key",
        pl.when(enough).then("text").alias("text"),
        pl.lit([], dtype=ANSWERS["checks"]).alias("checks"),
        pl.when(~enough).then(pl.lit(Reason.NO_CAPTION.value)).alias("reason"),
        pl.when(~enough).then(pl.format("{} facts known beside the modality", "facts")).alias("detail"),
    )


def word_rows(rows: pl.DataFrame, seed: int) -> pl.DataFrame:
    """`key`, number of `facts` known beside the modality, and `text`, row by row."""
    if rows.is_empty():
        return pl.DataFrame(schema={"key": pl.String, "facts": pl.Int64, "text": pl.String})
    table, looks = _with_looks(_cells(rows, seed))
    table, said = _with_findings(table)
    facts = pl.Series(looks.facts).gather(table["look"]) + pl.Series(said.facts).gather(table["said"])
    kinds = {kind: orders(*kind) for kind in table.select(KIND).unique().iter_rows()}
    slots = slots_of(template for choices in kinds.values() for choice in choices for template in choice)
    table = table.select("row", "draw", *KIND, *(_column(slot, table, looks, said) for slot in slots))
    texts = []
    for kind, part in table.partition_by(KIND, as_dict=True).items():
        choices = kinds[kind]
        # captioning.phrasings.order_of
        order = pl.col("draw") // 2**TEMPLATE_BIT % (len(choices) // 2) * 2 + pl.col("draw") // 2 ** BITS["order"] % 2
        for (number,), same in part.with_columns(order=order).partition_by("order", as_dict=True).items():
            texts += _texts(same.drop("draw", "order", *KIND), choices[number])
    return pl.DataFrame({"key": rows["key"], "facts": facts, "text": pl.concat(texts).sort("row")["text"]})


@dataclass(frozen=True, slots=True)
class Worded:
    """The words of each distinct cell, and how many facts they hold."""

    words: list[Wordings]
    facts: list[int]

    def values(self, slot: Slot, wordings: int) -> pl.Series:
        """The words for `slot` of each cell, in each of `wordings` ways, one after another; null where unknown."""
        found = [
            spoken(slot, said[number % len(said)]) if (said := words.get(slot.field)) else None
            for words in self.words
            for number in range(wordings)
        ]
        return pl.Series(found, dtype=pl.String)


def _cells(rows: pl.DataFrame, seed: int) -> pl.DataFrame:
    media = pl.col("media").struct
    locator = media.field("locator")
    return (
        rows.select(
            "key",
            "labels",
            "template",
            "modality",
            "attributes",
            *(media.field(name) for name in ("kind", "frames", "fps")),
            pl.when(locator == "").then(pl.lit("{}")).otherwise(locator).str.json_decode(AT).alias("at"),
            pl.Series("draw", draws(seed, rows["key"].to_list())),
        )
        .unnest("at")
        .with_columns(slice=pl.col("slice").is_not_null(), over_time=pl.col("axis").eq_missing(TIME))
        .with_row_index("row")
    )


def _with_looks(table: pl.DataFrame) -> tuple[pl.DataFrame, Worded]:
    """`table` with the number of its look and what kind of picture it is, and the words of the looks."""
    looks = table.select(LOOK).unique(maintain_order=True).with_row_index("look")
    known = [_look(row) for row in looks.select(LOOK).iter_rows()]
    pictures = [picture for picture, _, _ in known]
    worded = Worded([words for _, words, _ in known], [facts for _, _, facts in known])
    looks = looks.with_columns(
        pl.Series("preposition", [picture.preposition for picture in pictures]),
        pl.Series("series", [picture.series for picture in pictures]),
        pl.Series("form", [picture.form.value for picture in pictures]),
        pl.Series("cut", [picture.cut for picture in pictures]),
    )
    return table.join(looks, on=LOOK, how="left", nulls_equal=True, maintain_order="left"), worded


@lru_cache(maxsize=65536)  # the parts of a data set look alike
def _look(cells: tuple[Any, ...]) -> tuple[Picture, Wordings, int]:
    """What kind of picture a row of LOOK means, its words, and how many facts they hold."""
    row = dict(zip(LOOK, cells, strict=True))
    at = Locator(
        frame_start=row["frame_start"],
        frame_stop=row["frame_stop"],
        slice=0 if row["slice"] else None,
        axis=TIME if row["over_time"] else None,
        window=row["window"],
    )
    media = Media(uri="", kind=row["kind"], locator=at.text(), frames=row["frames"], fps=row["fps"])
    attributes = decode(row["attributes"])
    picture = picture_of(row["modality"], media, attributes)
    return picture, *look_words(picture, attributes, row["window"])


def _with_findings(table: pl.DataFrame) -> tuple[pl.DataFrame, Worded]:
    """`table` with the number of what its labels say of such a picture, and the words of these."""
    cells = table.select("labels", "form", "cut", "modality").unique(["labels", "form", "cut"], maintain_order=True)
    worded = Worded([], [])
    for labels, form, cut, modality in cells.iter_rows():
        picture = Picture(form=Form(form), modality=modality, cut=cut)  # all that the units of labels depend on
        words, facts = finding_words(statements([Label(**label) for label in labels], picture))
        worded.words.append(words)
        worded.facts.append(facts)
    on = ["labels", "form", "cut"]
    cells = cells.select(on).with_row_index("said")
    return table.join(cells, on=on, how="left", nulls_equal=True, maintain_order="left"), worded


def _column(slot: Slot, table: pl.DataFrame, looks: Worded, said: Worded) -> pl.Series:
    """The words for `slot` of each row."""
    name = name_of(slot)
    if slot.field.endswith("findings"):
        return said.values(slot, 1).gather(table["said"]).alias(name)
    if slot.field not in BITS:
        return looks.values(slot, 1).gather(table["look"]).alias(name)
    drawn = table.select(pl.col("look") * 2 + pl.col("draw") // 2 ** BITS[slot.field] % 2).to_series()
    return looks.values(slot, 2).gather(drawn).alias(name)


def _texts(rows: pl.DataFrame, templates: Sequence[Template]) -> list[pl.DataFrame]:
    """`row` and `text` of rows that try `templates` in this order."""
    done = []
    unknown = frozenset(name for name in rows.columns if rows[name].null_count() == rows.height)
    for template in templates:
        if any(name_of(slot) in unknown for slot in required(template)):
            continue
        text = fill_columns(rows, template, unknown)
        fits = text.is_not_null()
        done.append(pl.DataFrame({"row": rows["row"], "text": text}).filter(fits))
        if fits.all():
            break
        rows = rows.filter(~fits)
    return done
