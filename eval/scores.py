"""One set of features against another: every distance at one n, and the verdict over rows.

Kernel distances have no bias and stand alone at small n; a Fréchet distance below `min_fd_samples` says more about n
than about pictures, so it is left out there.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from eval.describe import Described
from eval.frechet import (
    LEAST_FOR_INFINITY,
    FewerSamplesThanDimensions,
    frechet_distance,
    frechet_infinity,
)
from eval.intervals import LEAST_GROUPS, half_sample_interval
from eval.kernel import cmmd, kid, permutation_p
from eval.prdc import NEIGHBOURS, prdc
from eval.record import Row, Score, Verdict, over_seeds

CLIP = "clip@"
GENERATED, UNTRAINED, NOISE = "generated", "untrained model", "noise"
HELD_OUT, TRAIN, OTHER = "held-out real", "training real", "real of other subjects"
MATCHED = "matched training real"  # see eval.matching
LEAST_PERMUTED = 1000  # samples a side up to which the permutation test's matrix is made


def score(
    sample: Described, against: Described, *, space: str, seed: int, min_fd_samples: int, thorough: bool
) -> Score:
    """`sample` against `against` in one space; `thorough` adds the interval and the extrapolation to infinite n."""
    n = min(len(sample), len(against))
    a, b = sample.features[space][:n], against.features[space][:n]
    groups = sample.clusters[:n], against.clusters[:n]
    values: dict[str, float] = {}
    with warnings.catch_warnings():
        # at n < d is where medical evaluations live; the record has a note of it
        warnings.simplefilter("ignore", FewerSamplesThanDimensions)
        if n >= min_fd_samples:
            values["fd"] = frechet_distance(a, b)
            if thorough and min(len(set(side)) for side in groups) >= LEAST_GROUPS:
                wide = a.astype(np.float64), b.astype(np.float64)
                found = half_sample_interval(frechet_distance, *wide, groups=groups, seed=seed)
                values |= {"fd_low": found.low, "fd_high": found.high}
            if thorough and n >= LEAST_FOR_INFINITY:
                values["fd_infinity"] = frechet_infinity(a, b, seed=seed).value
    distance = kid(a, b, seed=seed, groups=groups)
    values |= {"kid": distance.value, "kid_error": distance.error}
    if thorough and n <= LEAST_PERMUTED:
        values["kid_p"] = permutation_p(a, b, seed=seed)
    if space.startswith(CLIP):
        values["cmmd"] = cmmd(a, b, seed=seed, groups=groups).value
    if n > NEIGHBOURS:
        shares = prdc(b, a)
        values |= {name: getattr(shares, name) for name in ("precision", "recall", "density", "coverage")}
    return Score(seed=seed, n=n, **values)


def row(space: str, sample: str, against: str, role: str, scores: Sequence[Score]) -> Row:
    """Scores of several seeds as one row."""
    distances = [each.fd for each in scores if each.fd is not None]
    return Row(
        space=space,
        sample=sample,
        against=against,
        role=role,
        scores=tuple(scores),
        fd=over_seeds(distances) if len(distances) == len(scores) else None,
        kid=over_seeds([each.kid for each in scores]),
    )


def verdict(space: str, rows: Sequence[Row]) -> Verdict:
    """Result beside floor and ceilings in one space, by FD, or by KID where there is no FD."""
    own = {(each.sample, each.against): each for each in rows if each.space == space}
    result, untrained, noise = (own[name, HELD_OUT] for name in (GENERATED, UNTRAINED, NOISE))
    floor = own.get((MATCHED, HELD_OUT))
    figure = "fd" if result.fd is not None else "kid"
    ours, theirs, nothing = (getattr(each, figure) for each in (result, untrained, noise))
    shares = [ours.high / other.low if other.low > 0 else float("inf") for other in (theirs, nothing)]
    return Verdict(
        space=space,
        figure=figure,
        generated=ours,
        floor=getattr(floor, figure) if floor else None,
        untrained=theirs,
        noise=nothing,
        share_of_untrained=shares[0],
        share_of_noise=shares[1],
        at_most_half=max(shares) <= 0.5,
        ranges_overlap=ours.high >= min(theirs.low, nothing.low),
    )
