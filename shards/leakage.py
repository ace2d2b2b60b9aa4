"""Whether anything that identifies a person or a picture stands in two splits.

A global question, answered as a table query: for each identity (group, patient, study, id in the original collection,
source file, encoded picture) the values whose samples lie in more than one split. Slabs of one volume share their
patient and their file on purpose and say so in their group; they are remarked upon, not reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

PICTURE = "picture"  # the identity of the encoded bytes
IDENTITIES = {
    "group": "the same group",
    "patient": "the same patient",
    "study": "the same study",
    "source_id": "copies of one item of the original collection",
    "media_sha256": "the same source file",
    PICTURE: "the same picture, byte for byte",
}
SHARED_BY_SLABS = ("patient", "study", "source_id", "media_sha256")
COLUMNS = ("key", "split", *IDENTITIES)  # all of them texts
EXAMPLES = 3
SLAB_REMARK = (
    "{groups} groups are slabs of one volume: scores within one volume show fit and not generalisation to other people"
)


@dataclass(frozen=True, slots=True)
class Leak:
    """One value of one identity that lies in two or more splits."""

    identity: str
    value: str
    splits: tuple[str, ...]
    keys: tuple[str, ...]  # a few of its samples, of every split

    def text(self) -> str:
        """The leak as a sentence."""
        return f"{IDENTITIES[self.identity]} in {' and '.join(self.splits)}: {', '.join(self.keys)}"


def leaks(rows: pl.DataFrame) -> list[Leak]:
    """All leaks among rows with COLUMNS; an empty value identifies nothing."""
    found = []
    rows = rows.with_columns(slab=pl.col("group").str.starts_with("slab:"))
    for identity in IDENTITIES:
        shared = (
            rows.filter(pl.col(identity) != "")
            .group_by(identity)
            .agg(pl.col("split").n_unique(), pl.col("slab").all())
            .filter(pl.col("split") > 1)
        )
        if identity in SHARED_BY_SLABS:
            shared = shared.filter(~pl.col("slab"))
        examples = (
            rows.join(shared, on=identity, how="semi")
            .group_by(identity, "split")
            .agg(pl.col("key").sort().head(EXAMPLES))
            .sort(identity, "split")
            .group_by(identity, maintain_order=True)
            .agg("split", "key")
        )
        for value, splits, keys in examples.iter_rows():
            found.append(Leak(identity, value, tuple(splits), tuple(key for some in keys for key in some)))
    return found


def remarks(rows: pl.DataFrame) -> Sequence[str]:
    """What a reader of scores on these splits should know."""
    slabs = rows.filter(pl.col("group").str.starts_with("slab:"))["group"].n_unique()
    return [SLAB_REMARK.format(groups=slabs)] if slabs else []
