"""The append-only ledger of splits, and which split the rows of one run belong to because of it.

What has once been given a split keeps it: groups, patients, studies, original ids and media are all in the ledger, by
their keyed numbers, so a later source cannot bring a known patient back on the other side. Newcomers that would join
two splits are refused. Settling the same rows again with the ledger that they led to gives the same answer, so a run
that was killed after the ledger was written ends as if nothing had happened. With another key nobody in it would be
known, and all would be drawn anew; so the ledger names its key, and another one is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from ingest.components import Labels, tied_rows
from ingest.identities import NONE, TIES, Numbers, numbers
from shards.atomic import atomic_path
from shards.vocabulary import SPLITS

Codes = npt.NDArray[np.int8]

LEDGER_NAME = "splits.parquet"
HELD_OUT = "held_out"  # entries of this kind are samples of the balanced evaluation set
WHAT, SPLIT = pl.Enum([*TIES, HELD_OUT]), pl.Enum(SPLITS)  # a byte each; in the file they read as text
LEDGER_SCHEMA = pl.Schema([("what", WHAT), ("number", pl.UInt64()), ("split", SPLIT)])
KEY_ID = "medloom.key"  # entry of the file's metadata
NO_SPLIT = -1
TRAIN, VAL, TEST = (SPLITS.index(name) for name in ("train", "val", "test"))
OFFICIAL = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validate", "validation", "dev", "development"), "val"),
    **dict.fromkeys(("test", "tests", "testing", "held-out", "held_out", "holdout"), "test"),
}
NONE_PUBLISHED = ("", "none", "null", "nan", "na", "n/a", "-", "unassigned")


def official_code() -> pl.Expr:
    """The split code that the column `official_split` names, NO_SPLIT where it names none."""
    codes = {name: SPLITS.index(split) for name, split in OFFICIAL.items()}
    return _official_name().replace_strict(codes, default=NO_SPLIT, return_dtype=pl.Int8)


def unknown_official() -> pl.Expr:
    """The text of `official_split` where it can be read neither as a split nor as none, else null.

    Numbers are among them: 1, 2, 3 are train, val, test in one data set and folds in the next.
    """
    return pl.when(~_official_name().is_in([*OFFICIAL, *NONE_PUBLISHED])).then("official_split")


def _official_name() -> pl.Expr:
    """Lower case, without what follows in "Training Set"."""
    name = pl.col("official_split").str.strip_chars().str.to_lowercase()
    return name.str.replace(r"[ _-]?(set|split)$", "")


def key_id(key: bytes) -> str:
    """Sixteen hexadecimal characters that tell two keys apart and say nothing of either."""
    return f"{numbers(key, 'ledger', pl.Series(['key']))[0]:016x}"


class Ledger:
    """Which split each known number has; read from one file, only ever added to."""

    def __init__(self, entries: pl.DataFrame) -> None:
        self.entries = entries
        self.held_out = entries.filter(pl.col("what") == HELD_OUT)["number"]
        self._known: tuple[Numbers, Codes] | None = None  # sorted, and their splits

    @classmethod
    def read(cls, path: Path, key: bytes, groups: pl.Series) -> Ledger:
        """The ledger at `path`, empty where there is none; ValueError where the file is something else.

        ValueError also where it was drawn with another `key`. One that does not say with which is taken where it knows
        any of `groups`, the numbers of this run's groups.
        """
        if not path.exists():
            return cls(pl.DataFrame(schema=LEDGER_SCHEMA))
        try:
            entries = pl.read_parquet(path)
            held = pl.read_parquet_metadata(path).get(KEY_ID)
        except pl.exceptions.ComputeError as error:
            raise ValueError(f"{path} is damaged; {_REMEDY}") from error
        try:
            ledger = cls(entries.select(LEDGER_SCHEMA.names()).cast(LEDGER_SCHEMA))
        except pl.exceptions.PolarsError as error:
            raise ValueError(f"{path} is no ledger of splits; {_REMEDY}") from error
        if held is None and entries.height and (ledger.look_up(groups.to_numpy()) == NO_SPLIT).all():
            raise ValueError(
                f"{path} does not say with which key it was drawn and knows no group of this run; {_REMEDY}"
            )
        if entries.height and held not in (None, key_id(key)):
            raise ValueError(
                f"{path} was drawn with another key ({held}; this run has {key_id(key)}), under which nobody in it is "
                "known: all splits would be drawn anew, and test patients would be trained on. Run with the key that "
                "drew it: each user has one of their own unless the pipelines file says `key: {file: PATH}`. Or remove "
                f"{path.name} to have all splits drawn anew with this key, and train from scratch as well"
            )
        return ledger

    def look_up(self, numbers: Numbers) -> Codes:
        """Split code [N] of each number, NO_SPLIT where it is not known."""
        if self._known is None:
            by_number = self.entries.filter(pl.col("what") != HELD_OUT).sort("number")
            codes = by_number["split"].to_physical().cast(pl.Int8)
            self._known = by_number["number"].to_numpy(), codes.to_numpy()
        known, splits = self._known
        if not known.size:
            return np.full(len(numbers), NO_SPLIT, dtype=np.int8)
        at = np.minimum(np.searchsorted(known, numbers), known.size - 1)
        return np.where((known[at] == numbers) & (numbers != NONE), splits[at], np.int8(NO_SPLIT))

    def extended(self, ties: Mapping[str, Numbers], splits: Codes, held_out: pl.Series) -> Ledger:
        """The ledger with the numbers of rows [N] that lie in `splits` [N], and with `held_out` samples by number.

        Entries are sorted by what they are, then by number. Whole-array steps, since hash tables of all rows are large.
        """
        names = dict(enumerate(SPLITS))
        tables = []
        for what, found in {**ties, HELD_OUT: held_out.to_numpy()}.items():
            codes = splits if what in ties else np.full(len(found), TEST, dtype=np.int8)
            old = self.entries.filter(pl.col("what") == what)
            new = (found != NONE) & ~_among(old["number"].to_numpy(), found)
            number, code = found[new], codes[new]
            order = np.argsort(number, kind="stable")
            number, code = number[order], code[order]
            again = number[1:] == number[:-1]
            assert np.array_equal(code[1:][again], code[:-1][again]), f"one {what} in two splits"
            first = np.append(np.ones(min(1, number.size), dtype=np.bool_), ~again)
            split = pl.Series("split", code[first]).replace_strict(names, return_dtype=SPLIT)
            added = pl.DataFrame({"number": number[first]}).select(
                pl.lit(what, dtype=WHAT).alias("what"), "number", split
            )
            tables.append(pl.concat([old, added]).sort("number"))
        return Ledger(pl.concat(tables))

    def write(self, path: Path, key: bytes) -> None:
        """Replace the file atomically; it names the `key` that it was drawn with."""
        with atomic_path(path) as temporary:
            self.entries.write_parquet(temporary, compression="zstd", statistics=False, metadata={KEY_ID: key_id(key)})


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


def _among(known: Numbers, numbers: Numbers) -> npt.NDArray[np.bool_]:
    """Whether each number [N] is one of `known`, which is sorted."""
    if not known.size:
        return np.zeros(len(numbers), dtype=np.bool_)
    found = known[np.minimum(np.searchsorted(known, numbers), known.size - 1)] == numbers
    return np.asarray(found, dtype=np.bool_)


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
