"""Connected components of a graph whose nodes are 64-bit numbers, in whole-array steps: hooking and pointer jumping.

The parallel algorithm of Shiloach and Vishkin (An O(log n) parallel connectivity algorithm, 1982): every root
that touches a lower one is hooked to it, then all paths are shortened. A few rounds do for tens of
millions of edges, where a loop over a union-find would take minutes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ingest.identities import NONE, Numbers

Labels = npt.NDArray[np.int64]


def components(nodes: int, ends: Labels, other_ends: Labels) -> Labels:
    """Label [nodes] of each node: the lowest node of its component. `ends[i]` and `other_ends[i]` are joined."""
    root = np.arange(nodes, dtype=np.int64)
    while ends.size:
        one, two = root[ends], root[other_ends]
        apart = one != two
        if not apart.any():
            break
        ends, other_ends, one, two = ends[apart], other_ends[apart], one[apart], two[apart]
        np.minimum.at(root, np.maximum(one, two), np.minimum(one, two))
        while not np.array_equal(shorter := root[root], root):
            root = shorter
    return root


def tied_rows(ties: Sequence[Numbers]) -> Labels:
    """Component [N] of each row, named by its first row; rows that share a number in any of `ties` are joined.

    The number NONE joins nothing.
    """
    rows = len(ties[0])
    edges = [_same_number(numbers) for numbers in ties]
    ends, other_ends = (np.concatenate([pair[side] for pair in edges]) for side in (0, 1))
    return components(rows, ends, other_ends)


def _same_number(numbers: Numbers) -> tuple[Labels, Labels]:
    """Each row that shares its number with an earlier one, and the first row that has it."""
    known = np.flatnonzero(numbers != NONE)
    order = np.argsort(numbers[known], kind="stable")
    ordered, row = numbers[known][order], known[order]
    is_first = np.ones(len(row), dtype=np.bool_)
    is_first[1:] = ordered[1:] != ordered[:-1]
    del known, order, ordered
    again, first = np.flatnonzero(~is_first), np.flatnonzero(is_first)
    return row[again], row[first[np.searchsorted(first, again) - 1]]
