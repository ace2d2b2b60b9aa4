"""What becomes of each row, decided over all of them at once: refused, repeated, bridging, a copy, or kept in a split.

The order matters. Licences come first, so that what may not be used decides nothing. Bridging comes before copies, so
that where one copy would join two splits the other one stays. Copies go before the draw, so that the counts of the
held-out set are counts of what is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from ingest.components import tied_rows
from ingest.duplicates import copies, repeated_keys
from ingest.gather import KeysOf
from ingest.held_out import draw, members
from ingest.identities import TIES, Numbers, numbers
from ingest.quota import HeldOut
from ingest.splits import HELD_OUT, TEST, Ledger, settle
from shards.reasons import Reason
from shards.stage import Reject


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What is kept, with split, component and held_out; what is not, and why; and the ledger that follows."""

    kept: pl.DataFrame
    rejects: list[Reject]
    ledger: Ledger


def decide(rows: pl.DataFrame, keys: KeysOf, ledger: Ledger, key: bytes, quota: HeldOut, val_share: float) -> Decision:
    """Decide over the table that `gather` gives; `key` is the user's, `keys` names rows."""
    rejects: list[Reject] = []

    def drop(reason: Reason, out: pl.DataFrame) -> pl.DataFrame:
        """The rows without those of `out`, which has the columns row and detail."""
        if out.is_empty():
            return rows
        out = out.sort("row")
        rejects.extend(
            Reject(item=item, reason=reason.value, detail=detail)
            for item, detail in zip(keys(out["row"]), out["detail"], strict=True)
        )
        return rows.filter(~pl.col("row").is_in(out["row"].implode()))

    refused = rows.filter(pl.col("refusal").is_not_null()).select("row", pl.col("refusal").alias("detail"))
    rows = drop(Reason.LICENCE_NOT_ALLOWED, refused).drop("refusal")
    rows = drop(Reason.DUPLICATE_KEY, repeated_keys(rows, keys)).drop("key")
    settled = settle(_ties(rows), rows["official"].to_numpy(), ledger)
    rows = rows.with_columns(pl.Series("split", settled.splits))
    rows = drop(Reason.BRIDGES_SPLITS, rows.filter(pl.Series(settled.bridging)).select("row", detail=pl.lit("")))
    del settled
    rows = rows.with_columns(pl.Series("component", tied_rows(list(_ties(rows).values())), dtype=pl.UInt32))
    licensed = rows.select("component", *TIES)
    rows = drop(Reason.DUPLICATE, copies(rows, keys)).drop("copy", "said")
    rows = rows.with_columns(pl.Series("split", draw(rows.rename({"group": "order"}), quota, val_share)))
    rows = rows.drop(TIES)
    rows, chosen = _held_out(rows, keys, ledger, key, quota)
    splits = rows.select("component", "split").unique()
    licensed = licensed.join(splits, on="component", how="inner", maintain_order="left").drop("component")
    ledger = ledger.extended(_ties(licensed), licensed["split"].to_numpy(), chosen)
    return Decision(kept=rows, rejects=rejects, ledger=ledger)


def _ties(rows: pl.DataFrame) -> dict[str, Numbers]:
    return {what: rows[what].to_numpy() for what in TIES}


def _held_out(
    rows: pl.DataFrame, keys: KeysOf, ledger: Ledger, key: bytes, quota: HeldOut
) -> tuple[pl.DataFrame, pl.Series]:
    """The rows with `held_out`, and the keyed numbers of the samples that are."""
    test = rows.filter((pl.col("split") == TEST) & ~pl.col("derived")).select("row", "specialty", "clip")
    test = test.with_columns(pl.Series("number", numbers(key, HELD_OUT, keys(test["row"])), dtype=pl.UInt64))
    chosen = members(test, quota, ledger.held_out)
    return rows.with_columns(held_out=pl.col("row").is_in(chosen["row"].implode())), chosen["number"]
