"""The append-only ledger of splits, and which split the rows of one run belong to because of it.

What has once been given a split keeps it: groups, patients, studies, original ids and media are all in the ledger, by
their keyed numbers, so a later source cannot bring a known patient back on the other side. Newcomers that would join
two splits are refused. Settling the same rows again with the ledger that they led to gives the same answer, so a run
that was killed after the ledger was written ends as if nothing had happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from ingest.components import Labels, tied_rows
from ingest.identities import NONE, TIES, Numbers
from shards.atomic import atomic_path
from shards.vocabulary import SPLITS

Codes = npt.NDArray[np.int8]

LEDGER_NAME = "splits.parquet"
LEDGER_SCHEMA = pl.Schema({"what": pl.String, "number": pl.UInt64, "split": pl.String})
HELD_OUT = "held_out"  # entries of this kind are samples of the balanced evaluation set
NO_SPLIT = -1
TRAIN, VAL, TEST = (SPLITS.index(name) for name in ("train", "val", "test"))
OFFICIAL = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validate", "validation", "dev", "development"), "val"),
    **dict.fromkeys(("test", "testing", "held-out", "held_out"), "test"),
}


def official_code() -> pl.Expr:
    """The split code that the column `official_split` names, NO_SPLIT where it names none."""
    codes = {name: SPLITS.index(split) for name, split in OFFICIAL.items()}
    name = pl.col("official_split").str.strip_chars().str.to_lowercase()
    return name.replace_strict(codes, default=NO_SPLIT, return_dtype=pl.Int8).fill_null(NO_SPLIT)


class Ledger:
    """Which split each known number has; read from one file, only ever added to."""

    def __init__(self, entries: pl.DataFrame) -> None:
        self.entries = entries
        by_number = entries.filter(pl.col("what") != HELD_OUT).sort("number")
        self._numbers = by_number["number"].to_numpy()
        codes = {name: code for code, name in enumerate(SPLITS)}
        self._splits = by_number["split"].replace_strict(codes, return_dtype=pl.Int8).to_numpy()
        self.held_out = entries.filter(pl.col("what") == HELD_OUT)["number"]

    @classmethod
    def read(cls, path: Path) -> Ledger:
        """The ledger at `path`, empty where there is none; ValueError where the file is something else."""
        if not path.exists():
            return cls(pl.DataFrame(schema=LEDGER_SCHEMA))
        try:
            entries = pl.read_parquet(path)
        except pl.exceptions.ComputeError as error:
            raise ValueError(f"{path} is damaged; {_REMEDY}") from error
        if entries.schema != LEDGER_SCHEMA or not entries["split"].is_in(SPLITS).all():
            raise ValueError(f"{path} is no ledger of splits; {_REMEDY}")
        return cls(entries)

    def look_up(self, numbers: Numbers) -> Codes:
        """Split code [N] of each number, NO_SPLIT where it is not known."""
        if not self._numbers.size:
            return np.full(len(numbers), NO_SPLIT, dtype=np.int8)
        at = np.minimum(np.searchsorted(self._numbers, numbers), self._numbers.size - 1)
        return np.where((self._numbers[at] == numbers) & (numbers != NONE), self._splits[at], NO_SPLIT).astype(np.int8)

    def extended(self, ties: Mapping[str, Numbers], splits: Codes, held_out: pl.Series) -> Ledger:
        """The ledger with the numbers of rows [N] that lie in `splits` [N], and with `held_out` samples by number."""
        names = dict(enumerate(SPLITS))
        tables = []
        for what, numbers in {**ties, HELD_OUT: held_out.to_numpy()}.items():
            codes = splits if what in ties else np.full(len(numbers), TEST, dtype=np.int8)
            old = self.entries.filter(pl.col("what") == what)
            new = pl.DataFrame({"number": numbers, "code": codes}).filter(pl.col("number") != NONE).unique()
            new = new.join(old, on="number", how="anti")
            assert not new["number"].is_duplicated().any(), f"one {what} in two splits"
            added = new.select(
                pl.lit(what).alias("what"),
                "number",
                pl.col("code").replace_strict(names, return_dtype=pl.String).alias("split"),
            )
            tables.append(pl.concat([old, added]).sort("number"))
        return Ledger(pl.concat(tables))

    def write(self, path: Path) -> None:
        """Replace the file atomically."""
        with atomic_path(path) as temporary:
            self.entries.write_parquet(temporary, compression="zstd", statistics=False)


_REMEDY = "bring back a copy of it, or remove it to have all splits drawn anew (then train from scratch as well)"


@dataclass(frozen=True, kw_only=True)
class Settled:
    """What is already decided for N rows."""

    splits: Codes  # [N], NO_SPLIT where the group is new and has no published split
    bridging: npt.NDArray[np.bool_]  # [N], would join two splits


def settle(ties: Mapping[str, Numbers], official: Codes, ledger: Ledger) -> Settled:
    """Splits of N rows as far as the ledger and the published splits decide them.

    A row whose own ties lie in two splits is bridging. The others are clustered by the ties that are new; a cluster
    that touches two splits, or one that is not its published split, is bridging as a whole. A new cluster with several
    published splits goes to the last of train, val and test: nobody's test set may leak into training.
    """
    known = np.stack([ledger.look_up(ties[what]) for what in TIES])
    lowest, highest = _range(known, axis=0)
    bridging = lowest < highest
    new = [np.where((codes == NO_SPLIT) & ~bridging, ties[what], NONE) for what, codes in zip(TIES, known, strict=True)]
    is_new = np.any([numbers != NONE for numbers in new], axis=0)
    cluster = tied_rows(new)
    own = np.where(bridging, NO_SPLIT, highest).astype(np.int8)
    low, high = _range_of_clusters(cluster, own)
    published_low, published_high = _range_of_clusters(cluster, np.where(is_new, official, NO_SPLIT).astype(np.int8))
    conflict = low < high
    published = published_high != NO_SPLIT
    conflict |= published & (high != NO_SPLIT) & ((published_low != high) | (published_high != high))
    splits = np.where(high != NO_SPLIT, high, published_high)[cluster]
    bridging |= conflict[cluster] & is_new
    return Settled(splits=np.where(bridging, NO_SPLIT, splits).astype(np.int8), bridging=bridging)


def _range(codes: Codes, axis: int) -> tuple[Codes, Codes]:
    """Lowest and highest known code along `axis`; both NO_SPLIT where none is known."""
    highest = codes.max(axis=axis)
    lowest = np.where(codes == NO_SPLIT, np.int8(len(SPLITS)), codes).min(axis=axis)
    return np.where(highest == NO_SPLIT, NO_SPLIT, lowest).astype(np.int8), highest


def _range_of_clusters(cluster: Labels, codes: Codes) -> tuple[Codes, Codes]:
    """Lowest and highest known code of each cluster, at the index of its label."""
    lowest = np.full(len(codes), len(SPLITS), dtype=np.int8)
    highest = np.full(len(codes), NO_SPLIT, dtype=np.int8)
    np.minimum.at(lowest, cluster, np.where(codes == NO_SPLIT, np.int8(len(SPLITS)), codes))
    np.maximum.at(highest, cluster, codes)
    return np.where(highest == NO_SPLIT, NO_SPLIT, lowest).astype(np.int8), highest
