"""Precision, recall, density and coverage: is what is generated real, and is all that is real generated?

Balls around samples reach to their k-th neighbour. Precision and recall after Kynkäänniemi et al. 2019, eqs. 1-2;
density and coverage, which one outlier cannot spoil, after Naeem et al. 2020, eqs. 4-5. Recall and coverage drop when
a model leaves modes out, while a Fréchet distance may hardly move.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.neighbours import distance_blocks, radius

NEIGHBOURS = 5  # Naeem et al. 2020, section 5


@dataclass(frozen=True)
class Prdc:
    """Four shares; density may exceed 1."""

    precision: float  # of generated samples inside some real ball
    recall: float  # of real samples inside some generated ball
    density: float  # real balls that hold a generated sample, over k
    coverage: float  # of real balls that hold some generated sample


def prdc(real: NDArray[np.floating], generated: NDArray[np.floating], k: int = NEIGHBOURS) -> Prdc:
    """The four numbers of features [n, d] and [m, d]; ValueError unless both sets have more than k samples."""
    real_radius, generated_radius = radius(real, k), radius(generated, k)
    recalled = np.zeros(len(real), bool)
    precise = 0
    inside = 0
    nearest_generated = np.full(len(real), np.inf)
    for columns, distances in distance_blocks(generated, real):
        in_real = distances < real_radius[None, :]
        precise += int(in_real.any(axis=1).sum())
        inside += int(in_real.sum())
        recalled |= (distances < generated_radius[columns, None]).any(axis=0)
        nearest_generated = np.minimum(nearest_generated, distances.min(axis=0))
    return Prdc(
        precision=precise / len(generated),
        recall=float(recalled.mean()),
        density=inside / (k * len(generated)),
        coverage=float((nearest_generated < real_radius).mean()),
    )
