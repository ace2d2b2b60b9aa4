"""The result by class: a good figure over all can hide a bad one for a rare modality (Simpson's paradox).

Cells below the smallest n of a Fréchet distance have KID alone, and below MIN_KID_SAMPLES nothing: a number there would
be read as one. The macro average counts every cell alike, whatever its size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from eval.describe import Described
from eval.record import Stratum, Summary, over_seeds
from eval.scores import score

MIN_KID_SAMPLES = 10


def strata(
    column: str,
    values: Sequence[str],
    held_out: Described,
    generated: Mapping[int, Described],
    *,
    min_fd_samples: int,
) -> list[Stratum]:
    """One row a space and value; `values` are those of the held-out samples, in their order and that of the others."""
    names = np.array(values)
    rows = []
    for space in held_out.features:
        for value in sorted(set(values)):
            places = np.flatnonzero(names == value)
            scores = []
            if len(places) >= MIN_KID_SAMPLES:
                real = held_out.features[space][places]
                scores = [
                    score(
                        drawn.features[space][places],
                        real,
                        space=space,
                        seed=seed,
                        min_fd_samples=min_fd_samples,
                        thorough=False,
                    )
                    for seed, drawn in generated.items()
                ]
            distances = [each.fd for each in scores if each.fd is not None]
            rows.append(
                Stratum(
                    space=space,
                    column=column,
                    value=value,
                    n=len(places),
                    fd=over_seeds(distances) if distances else None,
                    kid=over_seeds([each.kid for each in scores]) if scores else None,
                )
            )
    return rows


def summaries(rows: Sequence[Stratum]) -> list[Summary]:
    """Macro average and worst cell of each space and column, over the cells that have a KID."""
    found = []
    for space, column in dict.fromkeys((each.space, each.column) for each in rows):
        kids = {
            each.value: each.kid.mean
            for each in rows
            if (each.space, each.column) == (space, column) and each.kid is not None
        }
        if kids:
            worst = max(kids, key=lambda value: kids[value])
            found.append(
                Summary(
                    space=space,
                    column=column,
                    cells=len(kids),
                    macro_kid=sum(kids.values()) / len(kids),
                    worst=worst,
                    worst_kid=kids[worst],
                )
            )
    return found
