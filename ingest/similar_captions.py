"""Texts of sources that say the same of different pictures are marked, so that a trainer may weigh or drop them.

A caption that stands under a hundred pictures of a site ("Figure: see text for details", the name of a collection) is
no description of any of them, and one that differs by a number or the order of its words is the same one. Two texts are
alike where they have the same words of four letters and more, whatever their order, numbers and small words. Nothing is
dropped here: the text gets `similar:<number of pictures>` among its checks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ingest.curate import input_parts
from shards.canonical import sha256_of
from shards.stage import Context, Contract, Kind, Output, Result

if TYPE_CHECKING:
    import polars as pl

LEAST_WORDS = 3  # a text of fewer is a name, and equal names are no copies
WORD = r"\p{L}{4,}"


@dataclass(frozen=True, kw_only=True)
class MarkSimilarCaptions:
    """Marks the texts of sources that several pictures have in common."""

    contract: ClassVar[Contract] = Contract(takes=(Kind.MANIFEST,), gives=Kind.MANIFEST, version=1)

    pictures: int = 2  # at least so many have it

    def __post_init__(self) -> None:
        if self.pictures < 2:
            raise ValueError(f"pictures must be at least 2, not {self.pictures}: a text is similar to another's")

    def run(self, inputs: Sequence[Output], ctx: Context) -> Result:
        """Read the texts of all parts, then write the parts with their marks."""
        import polars as pl

        from shards.manifest import read_part, write_part

        parts = sorted(input_parts(inputs).items())
        found = [pl.Series("alike", [], dtype=pl.UInt64)]
        for number, (name, part) in enumerate(parts):
            ctx.check()
            ctx.on_progress(number, 2 * len(parts), f"reading {name}")
            texts = pl.read_parquet(part.path, columns=["captions"]).select(_alike("captions").alias("alike"))
            found.append(texts.select(pl.col("alike").list.unique()).explode("alike").drop_nulls()["alike"])
        alike = pl.concat(found)
        counts = alike.value_counts(name="pictures").filter(pl.col("pictures") >= self.pictures).sort("alike")
        contents = []
        total = 0
        for number, (name, part) in enumerate(parts):
            ctx.check()
            ctx.on_progress(len(parts) + number, 2 * len(parts), f"writing {name}")
            rows = _marked(read_part(part.path), counts)
            contents.append((name, write_part(rows, ctx.out / "parts" / f"{name}.parquet")))
            total += rows.height
        return Result(offered=total, accepted=total, content=sha256_of(contents))


def _alike(column: str) -> pl.Expr:
    """For each row the numbers that alike texts of sources share; null for a text that has none."""
    import polars as pl

    words = pl.element().struct.field("text").str.to_lowercase().str.extract_all(WORD).list.unique().list.sort()
    number = words.list.join(" ").hash()
    told = (words.list.len() >= LEAST_WORDS) & (pl.element().struct.field("by") == "source")
    return pl.col(column).list.eval(pl.when(told).then(number))


def _marked(rows: pl.DataFrame, counts: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    kind = rows.schema["captions"]
    flat = rows.select(pl.int_range(pl.len()).alias("row"), "captions", _alike("captions").alias("alike"))
    flat = flat.filter(pl.col("captions").list.len() > 0).explode("captions", "alike")
    flat = flat.join(counts, on="alike", how="left", maintain_order="left")
    checks = pl.col("captions").struct.field("checks")
    other = checks.list.eval(pl.element().filter(~pl.element().str.starts_with("similar:")))
    mark = pl.when(pl.col("pictures").is_not_null()).then(pl.concat_list(pl.format("similar:{}", "pictures")))
    marked = pl.concat_list(other, mark.otherwise(pl.lit([], dtype=pl.List(pl.String))))
    captions = flat.select("row", pl.col("captions").struct.with_fields(checks=marked))
    whole = captions.group_by("row", maintain_order=True).agg("captions")
    index = rows.with_row_index("row").with_columns(pl.col("row").cast(pl.Int64)).drop("captions")
    joined = index.join(whole, on="row", how="left", maintain_order="left").drop("row")
    none = pl.lit([], dtype=kind)
    return joined.with_columns(pl.col("captions").cast(kind).fill_null(none)).select(rows.columns)
