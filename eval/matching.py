"""Training pictures that match held-out ones, one for one: the fair floor of a model that draws what captions ask for.

Held-out pictures are rarely a random part of all (the middle of a brain, one hospital), so training pictures at large
differ from them for reasons that no model is to blame for. Each held-out sample gets the unused training sample that
differs in the fewest named columns and attributes and then least in its numbers, in an order drawn from the seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from eval.filters import COLUMNS

UNLIKE = ("group", "license", "label_scope")  # columns that say nothing of what a picture shows


def matched(held_out: Sequence[Mapping[str, str]], train: Sequence[Mapping[str, str]], seed: int) -> NDArray[np.intp]:
    """Places in `train`, one for each of the facts in `held_out` in their order, none twice.

    Where there are fewer training samples, only as many places as there are of those come back.
    """
    names = sorted({name for facts in held_out for name in facts} - set(UNLIKE))
    numeric = [name for name in names if name not in COLUMNS and _all_numbers([*held_out, *train], name)]
    named = [name for name in names if name not in numeric]
    codes = {
        name: {value: code for code, value in enumerate(sorted({f.get(name, "") for f in (*held_out, *train)}))}
        for name in named
    }
    asked, there = (
        np.array([[codes[name][facts.get(name, "")] for name in named] for facts in some]) for some in (held_out, train)
    )
    spread = {name: max(np.ptp(_numbers(train, name)), 1e-9) for name in numeric}
    wanted, have = (
        np.array([_numbers(some, name) / spread[name] for name in numeric]).reshape(len(numeric), len(some)).T
        for some in (held_out, train)
    )
    draw = np.random.default_rng([seed, 2])
    order = draw.permutation(len(held_out))[: len(train)]
    tie = draw.random(len(train)) * 1e-9
    free = np.ones(len(train), bool)
    found = {}
    for place in order.tolist():
        # the numbers are shares of a range each, so their sum over a few never outweighs a column that differs
        cost = (there != asked[place]).sum(axis=1) * (len(numeric) + 1.0) + tie
        cost += np.abs(have - wanted[place]).sum(axis=1)
        found[place] = int(np.where(free, cost, np.inf).argmin())
        free[found[place]] = False
    return np.array([found[place] for place in sorted(found)], dtype=np.intp)


def _numbers(some: Sequence[Mapping[str, str]], name: str) -> NDArray[np.float64]:
    return np.array([float(facts[name]) for facts in some])


def _all_numbers(some: Sequence[Mapping[str, str]], name: str) -> bool:
    try:
        return bool(np.isfinite(_numbers(some, name)).all())
    except (KeyError, ValueError):
        return False
