"""How a listing is cut into units, so that one new file changes one unit and not all that follow it.

A unit starts where the hash of a name is the smallest among a given number of entries before and behind it: the
local-extremum form of content-defined chunking (Bjørner, Blass, Gurevich, "Content-dependent chunking for differential
compression, the local maximum approach", J. Comput. Syst. Sci. 76, 2010). Against a rolling hash with forced cuts it
gives a bound: no boundary sees further than that number of entries, so an inserted name changes at most three
neighbouring units, and nearly always one. Folders of moderate size stay whole: a folder is often a series or a patient.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, groupby, islice
from typing import Protocol, TypeVar

from shards.canonical import sha256_hex

NO_START = 1 << 64  # above every hash: no unit starts here


class HasPath(Protocol):
    """An entry of a listing, known by its path below the root, with `/`."""

    @property
    def path(self) -> str: ...


Entry = TypeVar("Entry", bound=HasPath)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """How many entries a unit has."""

    target: int = 256  # the mean
    folder_most: int = 0  # a folder of at most this size is never cut; 0: where folders end does not matter

    def __post_init__(self) -> None:
        if self.target < 1:
            raise ValueError(f"a unit must have at least 1 entry, not {self.target}")

    @property
    def radius(self) -> int:
        """Entries on either side among which the first one of a unit has the smallest hash."""
        return (self.target - 1) // 2

    @property
    def least(self) -> int:
        """Fewest entries of a unit, but for a shorter listing and for pieces that are cut again."""
        return self.radius + 1

    @property
    def most(self) -> int:
        """Entries above which a unit is cut again, with half the radius, wherever a unit may start."""
        return 4 * self.target


def token(path: str, size_bytes: int, changed: int | str) -> str:
    """What a file is known by before it is read; `changed` is its mtime in nanoseconds, or an ETag."""
    return f"{path}|{size_bytes}|{changed}"


def unit_id(source: str, first: str) -> str:
    """Id of the unit of `source` whose first entry has the path `first`."""
    return f"{source}-{sha256_hex(_bytes(first))[:20]}"


def chunks(entries: Iterable[Entry], sizes: Sizes) -> Iterator[list[Entry]]:
    """Cut entries with unique paths, each folder's files in one run, into the lists of units.

    Every entry comes out once and in order; what is held at a time is one unit and what its boundaries look at.
    """
    for piece in _pieces(_starts(entries, sizes.folder_most), sizes.radius, sizes.most):
        yield [entry for _, entry in piece]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(_bytes(text), digest_size=8).digest(), "big")


def _starts(entries: Iterable[Entry], folder_most: int) -> Iterator[tuple[int, Entry]]:
    """Each entry with its hash where a unit may start: at a folder's first file, in a long folder at every file."""
    for folder, files in groupby(entries, key=lambda entry: entry.path.rpartition("/")[0]):
        head = list(islice(files, folder_most + 1))
        if len(head) > folder_most:
            for entry in chain(head, files):
                yield _hash(entry.path), entry
        else:
            yield _hash(folder), head[0]
            for entry in head[1:]:
                yield NO_START, entry


def _pieces(anchored: Iterable[tuple[int, Entry]], radius: int, most: int) -> Iterator[list[tuple[int, Entry]]]:
    for piece in _between_minima(anchored, radius):
        if len(piece) > most and radius > 0:
            yield from _pieces(piece, radius // 2, most)
        else:
            yield piece


def _between_minima(anchored: Iterable[tuple[int, Entry]], radius: int) -> Iterator[list[tuple[int, Entry]]]:
    """Cut before each entry whose hash is the smallest of the 2 * radius + 1 around it; the earlier one of equals.

    The ends count as cuts: nothing within `radius` of them is cut, so no piece is shorter than radius + 1.
    """
    piece: list[tuple[int, Entry]] = []  # all since the last cut
    start = 0  # index of its first
    rising: deque[tuple[int, int]] = deque()  # (hash, index) in the window, hashes rising: the first is the minimum
    for index, (value, entry) in enumerate(anchored):
        piece.append((value, entry))
        while rising and rising[-1][0] > value:
            rising.pop()
        if value != NO_START:
            rising.append((value, index))
        if rising and rising[0][1] < index - 2 * radius:
            rising.popleft()
        centre = index - radius
        if centre > radius and rising and rising[0][1] == centre:
            yield piece[: centre - start]
            piece, start = piece[centre - start :], centre
    if piece:
        yield piece
