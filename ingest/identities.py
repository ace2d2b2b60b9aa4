"""What ties samples together, as 64-bit numbers: group, patient, study, id in the original collection, and the media.

Global questions (components, duplicates, splits) are asked over these numbers and not over text, so that some
million rows take a few hundred megabytes. All are keyed with the user's key: a group's number is the head of
HMAC-SHA256(key, group), which is also the order in which new groups are drawn for a split; the others are keyed BLAKE2b
(RFC 7693, section 2.9). Two different names share a number with a chance of 1e-5 in ten million, and then lie in
the same split.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

Numbers = npt.NDArray[np.uint64]

TIES = ("group", "patient", "study", "source_id", "media")  # what makes two samples lie in one split
NONE = 0  # the number of what is not known
NUMBER_BYTES = 8
# a slab is declared to be the unit of splitting although all slabs of a volume share patient, study and file
SLAB = "slab:"
# a picture with these in its locator lies in a file of many; its hash is that of its own bytes, wherever they lie
CONTAINER = r'"(array|row|member|byte_start)":'
# parts of a locator that say which part of a picture is shown, and how its values are
SHOWN = (
    *('"height":[^,}]*', '"high":[^,}]*', '"left":[^,}]*', '"low":[^,}]*', '"top":[^,}]*', '"width":[^,}]*'),
    '"window":"[^"]*"',
)


def numbers(key: bytes, what: str, values: pl.Series) -> Numbers:
    """The number of each value [N] of one kind of tie (one of TIES, or any other name); NONE where null or empty."""
    known = values.filter(values.is_not_null() & (values != "")).unique()
    digests = b"".join(map(_digester(key, what), known.to_list()))
    table = pl.DataFrame({"value": known, "number": np.frombuffer(digests, dtype=">u8").astype(np.uint64)})
    joined = values.to_frame("value").join(table, on="value", how="left", maintain_order="left")
    return joined["number"].fill_null(NONE).to_numpy()


def _digester(key: bytes, what: str) -> Callable[[str], bytes]:
    if what == "group":
        return lambda group: hmac.digest(key, group.encode(), "sha256")[:NUMBER_BYTES]
    short_key = hashlib.sha256(key).digest()  # BLAKE2b takes at most 64 bytes
    keyed = hashlib.blake2b(digest_size=NUMBER_BYTES, key=short_key, person=what.encode())

    def digest(value: str) -> bytes:
        copy = keyed.copy()
        copy.update(value.encode())
        return copy.digest()

    return digest


def read_ties(path: Path, key: bytes, *more: str | pl.Expr) -> pl.DataFrame:
    """The narrow view of one part: the five ties, `copy` (what is shown is the same), `key`, `clip`, and `more`.

    A copy is the same place in the same file, or the same bytes in containers, shown in the same range. `key` is a
    number that equal keys share, and others by a rare chance; it is not the same in all versions. `more` are columns
    and expressions over the manifest's columns. Rows keep the order of the part.
    """
    media = pl.col("media").struct
    rows = (
        pl.scan_parquet(path)
        .select(
            pl.col("key").hash(),
            "group",
            "patient",
            "study",
            "source_id",
            media.field("sha256"),
            media.field("locator"),
            is_clip().alias("clip"),
            *more,
        )
        .collect()
    )
    file = numbers(key, "media", rows["sha256"])
    shown = pl.concat_str(*(pl.col("locator").str.extract(f"({part})") for part in SHOWN), ignore_nulls=True)
    view = pl.when(pl.col("locator").str.contains(CONTAINER)).then(shown).otherwise("locator")
    viewed = rows.select(pl.when(view != "").then(pl.col("sha256") + pl.lit("\0") + view)).to_series()
    copy = np.where(rows.select(view == "").to_series().to_numpy(), file, numbers(key, "media", viewed))
    found = {what: numbers(key, what, rows[what]) for what in ("group", "patient", "study", "source_id")}
    found["media"] = file
    slab = rows["group"].str.starts_with(SLAB).to_numpy()
    for what in TIES[1:]:
        found[what] = np.where(slab, np.uint64(NONE), found[what])
    kept = rows.drop("group", "patient", "study", "source_id", "sha256", "locator")
    return kept.with_columns(*(pl.Series(what, values) for what, values in found.items()), pl.Series("copy", copy))


def is_clip() -> pl.Expr:
    """Whether a row of a manifest is a clip: more than one frame, as recorded or, before that, as its locator says."""
    media = pl.col("media").struct
    locator = media.field("locator")
    start, stop = (locator.str.extract(rf'"{name}":(\d+)').cast(pl.Int64) for name in ("frame_start", "frame_stop"))
    moving = media.field("kind").is_in(["video", "frames"]) & ~locator.str.contains('"slice":')
    by_locator = pl.when(stop.is_not_null()).then(stop - start.fill_null(0) > 1).otherwise(moving)
    return pl.when(media.field("frames").is_not_null()).then(media.field("frames") > 1).otherwise(by_locator)
