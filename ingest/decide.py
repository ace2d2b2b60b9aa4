"""What becomes of each row, decided over all of them at once: refused, repeated, bridging, a copy, or kept in a split.

The order matters. Licences come first, so that what may not be used decides nothing. Bridging comes before copies, so
that where one copy would join two splits the other one stays. Copies go before the draw, so that the counts of the
held-out set are counts of what is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from ingest.components import tied_rows
from ingest.duplicates import SAID_AT_SOURCE, copies, repeated_keys
from ingest.held_out import draw, members
from ingest.identities import TIES, Numbers, numbers, read_ties
from ingest.licences import refusal
from ingest.quota import HeldOut
from ingest.splits import HELD_OUT, NO_SPLIT, TEST, Ledger, official_code, settle
from shards.reasons import Reason
from shards.stage import Context, Part, Reject


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What is kept, with split, component and held_out; what is not, and why; and the ledger that follows."""

    kept: pl.DataFrame
    rejects: list[Reject]
    ledger: Ledger


def gather(
    parts: Sequence[Part],
    ctx: Context,
    *,
    allow_licenses: Sequence[str],
    require_terms: Mapping[str, str | bool],
    respect_official: bool,
) -> pl.DataFrame:
    """The narrow table of all rows, numbered in `row`, each with the number of its `part`."""
    more = (
        "modality",
        "specialty",
        "license",
        "source",
        (official_code() if respect_official else pl.lit(NO_SPLIT, dtype=pl.Int8)).alias("official"),
        SAID_AT_SOURCE.alias("said"),
        refusal(allow_licenses, require_terms).alias("refusal"),
    )
    tables = []
    for number, part in enumerate(parts):
        ctx.check()
        ctx.on_progress(number, len(parts), f"reading {part.id}")
        ties = read_ties(part.path, ctx.key, *more)
        tables.append(ties.with_columns(pl.lit(number, dtype=pl.Int32).alias("part")))
    return pl.concat(tables).with_row_index("row")


def decide(rows: pl.DataFrame, ledger: Ledger, key: bytes, quota: HeldOut, val_share: float) -> Decision:
    """Decide over the table that `gather` gives."""
    rejects: list[Reject] = []

    def drop(reason: Reason, out: pl.DataFrame) -> pl.DataFrame:
        """The rows without those of `out`, which has the columns row and detail."""
        if out.is_empty():
            return rows
        named = rows.select("row", "key").join(out, on="row", how="inner", maintain_order="left")
        rejects.extend(
            Reject(item=item, reason=reason.value, detail=detail)
            for item, detail in named.select("key", "detail").iter_rows()
        )
        return rows.join(out, on="row", how="anti", maintain_order="left")

    refused = rows.filter(pl.col("refusal").is_not_null()).select("row", pl.col("refusal").alias("detail"))
    rows = drop(Reason.LICENCE_NOT_ALLOWED, refused).drop("refusal")
    rows = drop(Reason.DUPLICATE_KEY, repeated_keys(rows))
    settled = settle(_ties(rows), rows["official"].to_numpy(), ledger)
    rows = rows.with_columns(pl.Series("split", settled.splits))
    rows = drop(Reason.BRIDGES_SPLITS, rows.filter(pl.Series(settled.bridging)).select("row", detail=pl.lit("")))
    rows = rows.with_columns(pl.Series("component", tied_rows(list(_ties(rows).values()))))
    licensed = rows.select("component", *TIES)
    rows = drop(Reason.DUPLICATE, copies(rows))
    rows = rows.with_columns(pl.Series("split", draw(rows.rename({"group": "order"}), quota, val_share)))
    rows = _held_out(rows, ledger, key, quota)
    splits = rows.select("component", "split").unique()
    licensed = licensed.join(splits, on="component", how="inner", maintain_order="left")
    chosen = rows.filter("held_out")["number"]
    ledger = ledger.extended(_ties(licensed), licensed["split"].to_numpy(), chosen)
    return Decision(kept=rows, rejects=rejects, ledger=ledger)


def _ties(rows: pl.DataFrame) -> dict[str, Numbers]:
    return {what: rows[what].to_numpy() for what in TIES}


def _held_out(rows: pl.DataFrame, ledger: Ledger, key: bytes, quota: HeldOut) -> pl.DataFrame:
    """The rows with `held_out`, and with `number`, the keyed number of each sample's key, for those in test."""
    test = rows.filter(pl.col("split") == TEST).select("row", "key", "specialty", "clip")
    test = test.with_columns(pl.Series("number", numbers(key, HELD_OUT, test["key"]), dtype=pl.UInt64))
    chosen = members(test, quota, ledger.held_out)["row"]
    return rows.join(test.select("row", "number"), on="row", how="left", maintain_order="left").with_columns(
        pl.col("row").is_in(chosen.implode()).alias("held_out")
    )
