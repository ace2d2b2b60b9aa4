"""The result by class: a good figure over all can hide a bad one for a rare modality (Simpson's paradox).

Each cell stands beside its own floor, the matched training pictures of the same class, and its own ceiling, what the
untrained network drew for the same prompts: classes differ in how far apart real pictures are, so the worst one has the
largest share of its ceiling and not the largest distance. Cells below the smallest n of a Fréchet distance have KID
alone, and below MIN_KID_SAMPLES nothing: a number there would be read as one. The macro average counts every cell
alike, whatever its size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from eval.describe import Described
from eval.kernel import kid
from eval.record import Range, Stratum, Summary, over_seeds
from eval.scores import score

MIN_KID_SAMPLES = 10


def strata(
    column: str,
    values: Sequence[str],
    held_out: Described,
    generated: Mapping[int, Described],
    *,
    untrained: Mapping[int, Described],
    floor: Mapping[int, tuple[Described, Sequence[str]]],
    min_fd_samples: int,
) -> list[Stratum]:
    """One row a space and value; `values` are those of the held-out samples, in their order and that of the drawn ones.

    `floor` has matched training pictures with values of their own.
    """
    names = np.array(values)
    rows = []
    for space in held_out.features:
        for value in sorted(set(values)):
            places = np.flatnonzero(names == value)
            real = held_out.some(places)
            enough = len(places) >= MIN_KID_SAMPLES
            scores = [
                score(drawn.some(places), real, space=space, seed=seed, min_fd_samples=min_fd_samples, thorough=False)
                for seed, drawn in generated.items()
                if enough
            ]
            distances = [each.fd for each in scores if each.fd is not None]
            figure = over_seeds([each.kid for each in scores]) if scores else None
            ceiling = {seed: drawn.some(places) for seed, drawn in untrained.items()}
            alike = {seed: some.some(_of(value, theirs)) for seed, (some, theirs) in floor.items()}
            beside = _kid(ceiling, real, space) if enough else None
            rows.append(
                Stratum(
                    space=space,
                    column=column,
                    value=value,
                    n=len(places),
                    fd=over_seeds(distances) if distances else None,
                    kid=figure,
                    floor_kid=_kid(alike, real, space) if enough else None,
                    untrained_kid=beside,
                    share_of_untrained=figure.mean / beside.mean if figure and beside and beside.mean > 0 else None,
                )
            )
    return rows


def _of(value: str, values: Sequence[str]) -> NDArray[np.intp]:
    return np.flatnonzero(np.array(values) == value)


def _kid(sets: Mapping[int, Described], real: Described, space: str) -> Range | None:
    """KID over the seeds; None where a set is too small. It has no bias at any n, so the sizes need not be equal."""
    if not sets or min(map(len, sets.values())) < MIN_KID_SAMPLES:
        return None
    return over_seeds([kid(some.features[space], real.features[space], seed=seed).value for seed, some in sets.items()])


def summaries(rows: Sequence[Stratum]) -> list[Summary]:
    """Macro average and worst cell of each space and column, over the cells that have a KID."""
    found = []
    for space, column in dict.fromkeys((each.space, each.column) for each in rows):
        kids = {
            each.value: (each.kid.mean, each.share_of_untrained)
            for each in rows
            if (each.space, each.column) == (space, column) and each.kid is not None
        }
        if kids:
            shares = {value: share for value, (_, share) in kids.items() if share is not None}
            ranked = shares or {value: mean for value, (mean, _) in kids.items()}
            worst = max(ranked, key=lambda value: ranked[value])
            found.append(
                Summary(
                    space=space,
                    column=column,
                    cells=len(kids),
                    macro_kid=sum(mean for mean, _ in kids.values()) / len(kids),
                    worst=worst,
                    worst_kid=kids[worst][0],
                    worst_share=shares.get(worst),
                )
            )
    return found
