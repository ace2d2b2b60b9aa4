"""Texts that a model gave to many different pictures. A model that has collapsed says one thing whatever it is shown.

They are found in two passes over the parts of a stage, one part in memory at a time. The first keeps counts of the
texts that may have a large share: a summary of CANDIDATES counters loses no text that has more than one in CANDIDATES
(Misra and Gries 1982; merged as by Agarwal et al. 2012). The second counts the pictures of these alone. Pictures are
told apart by a hash of what they are; above SKETCH of them their number is estimated from the smallest hashes
(Bar-Yossef et al. 2002), with a standard error of 1.6 %. So memory is the same for any number of rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

MANY = 20  # pictures that may share a text, however few there are
SHARE = 0.05  # of the pictures that the model captioned
CANDIDATES = 256
SKETCH = 4096
_HASHES = 2.0**64


@dataclass(frozen=True, kw_only=True, slots=True)
class Repeated:
    """A text that a model gave to more pictures than it should."""

    text: str
    pictures: int
    of: int  # pictures that the model captioned


@dataclass(slots=True)
class Distinct:
    """How many different pictures were seen."""

    smallest: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.uint64))  # hashes, rising

    def see(self, hashes: np.ndarray) -> None:
        """Count the pictures with these hashes, uint64."""
        self.smallest = np.unique(np.concatenate([self.smallest, hashes]))[:SKETCH]

    def __len__(self) -> int:
        """Their number, exact below SKETCH."""
        full = len(self.smallest) == SKETCH
        return round((SKETCH - 1) * _HASHES / float(self.smallest[-1])) if full else len(self.smallest)


def repeated(parts: Sequence[Path], by: str) -> list[Repeated]:
    """The texts that the captioner `by` gave to more than MANY pictures and SHARE of them; the most frequent first."""
    counts: dict[str, int] = {}
    every = Distinct()
    for said in _said(parts, by):
        every.see(said["picture"].to_numpy())
        counts = _merged(counts, dict(said["text"].value_counts(name="pictures").iter_rows()))
    least = max(MANY, SHARE * len(every))
    of_text = {text: Distinct() for text in counts}
    for said in _said(parts, by) if len(every) > MANY else ():
        for (text,), rows in (
            said.filter(pl.col("text").is_in(list(of_text))).partition_by("text", as_dict=True).items()
        ):
            of_text[text].see(rows["picture"].to_numpy())
    found = [Repeated(text=text, pictures=len(seen), of=len(every)) for text, seen in of_text.items()]
    return sorted((one for one in found if one.pictures > least), key=lambda one: (-one.pictures, one.text))


def _said(parts: Sequence[Path], by: str) -> Iterator[pl.DataFrame]:
    """Part by part `picture`, a hash, and `text`: what the captioner said of which picture, each once."""
    media = pl.col("media").struct
    picture = pl.concat_str(
        pl.coalesce(media.field("sha256"), media.field("uri")), media.field("locator"), separator=" "
    )
    for part in parts:
        rows = pl.scan_parquet(part).select(picture.hash().alias("picture"), "captions").explode("captions")
        rows = rows.unnest("captions").filter(pl.col("by") == by, pl.col("text") != "")
        yield rows.select("picture", "text").unique().collect()


def _merged(counts: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    """The sum of two summaries, cut to CANDIDATES counters by taking from each what the first to go had."""
    found = {text: counts.get(text, 0) + more.get(text, 0) for text in {**counts, **more}}
    cut = sorted(found.values(), reverse=True)[CANDIDATES] if len(found) > CANDIDATES else 0
    return {text: count - cut for text, count in found.items() if count > cut}
