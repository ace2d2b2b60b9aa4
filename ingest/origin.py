"""Where a source's samples come from, and the keyed forms of the names that they had there.

A converter never writes a patient id, a study number or a path into the manifest: they become HMACs under the user's
key, each within its collection, so that "patient 1" of two collections stay two people while copies of one collection
in derived ones meet (DESIGN 2, `source_id`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ingest.rights import Rights
from shards.canonical import keyed_all, sample_key
from shards.locator import Locator
from shards.manifest import Terms
from shards.stage import Context

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_SOURCE = re.compile(r"[a-z0-9_]{1,37}")
# what stands where an id was taken out: two rows that hold it are not one patient
_NOBODY = re.compile(
    r"(?:un(?:known|k)|none|null|nan|n/?a|anon(?:ymi[sz]ed|ymous)?|de-?identified|removed|patient|nobody|no\^?name|x+|test"
    r"|anonymous\^patient|not\^given|-1?|0+)",
    re.IGNORECASE,
)
_PLAIN = re.compile(r"[0A-Za-z_]*[1-9][0-9A-Za-z_-]*")  # nearly every id: none is mended or names nobody
_WHOLE = re.compile(r"(\d+)\.0+")
NAMES_ITSELF = re.compile(r"[0-2](\.(0|[1-9]\d*)){2,}")  # a UID (PS3.5 9.1) is unique in the world


def check_source(source: str) -> None:
    """ValueError where `source` cannot start a sample's key."""
    if not _SOURCE.fullmatch(source):
        raise ValueError(f"source {source!r} must be 1 to 37 of a-z, 0-9 and _: choose a short plain name")


def known_id(cell: str | None) -> str | None:
    """An id as it is hashed: one spelling of a whole number (7 is 7.0), and None where it names nobody."""
    if cell is not None and _PLAIN.fullmatch(cell):
        return cell
    text = (cell or "").strip()
    if whole := _WHOLE.fullmatch(text):
        text = whole.group(1)
    return None if not text or _NOBODY.fullmatch(text) else text


@dataclass(frozen=True, kw_only=True)
class Origin:
    """One source in one run."""

    ctx: Context
    source: str
    collection: str  # the original collection; the source itself where it is no derived one
    rights: Rights
    terms: Terms = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "terms", self.rights.manifest_terms())

    def key(self, native_id: str, locator: str = "") -> str:
        """Key of a sample; the range of display of its values is no part of it."""
        return sample_key(self.source, native_id, Locator.parse(locator).place())

    def hashed(self, kind: str, native: str) -> str:
        """Keyed hash of an id of the collection; a UID counts for itself, wherever it is met."""
        return self.ctx.keyed(kind, self._within(native))

    def hashed_all(self, kind: str, natives: Iterable[str]) -> npt.NDArray[np.bytes_]:
        """`hashed` of each of many ids."""
        return keyed_all(self.ctx.key, kind, map(self._within, natives))

    def _within(self, native: str) -> str:
        itself = "." in native and NAMES_ITSELF.fullmatch(native)
        return native if itself else f"{self.collection}\0{native}"

    def group(self, what: str, native: str) -> str:
        """`<what>:<keyed hash>`, the unit of splitting."""
        return f"{what}:{self.hashed(what, native)}"
