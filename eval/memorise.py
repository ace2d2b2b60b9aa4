"""Does the model repeat its training pictures? Nearest neighbours, beside what unseen real pictures have.

A generated picture near a training picture means little by itself: neighbouring slices are alike. So its distance is
compared with that of held-out real pictures to the training set (their medians, and a threshold that 5 % of one half of
them undercut), with the distances inside the training set (share of authentic samples, Alaa et al. 2022, section 4.3),
and the threshold with copies that were planted (`eval.copies`). Where held-out pictures are close to the training set
by design, or far from it by a gap, the figures shift; they are to be read beside recall and false alarms.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.describe import Described, unit_thumbs
from eval.intervals import Groups, grouped_share
from eval.neighbours import Nearest, nearest, nearest_other
from eval.record import Copying, Estimate
from eval.stats import Features, Floats

ALARM_SHARE = 0.05  # of unseen real pictures that are flagged, by choice of the threshold
LEAST_HELD_OUT = 8
PIXELS = "pixels"  # name of the space of correlations


@dataclass(frozen=True, eq=False)
class Views:
    """One set of pictures as rows to be compared; in the space of pixels a mirrored view is tried too."""

    rows: Features
    mirrored: Features | None = None

    @classmethod
    def of(cls, described: Described, space: str) -> Views:
        """The rows of a described set in one space."""
        if space != PIXELS:
            return cls(described.features[space])
        return cls(unit_thumbs(described.small), unit_thumbs(described.small[:, :, ::-1]))

    def to(self, train: Features) -> Nearest:
        """The nearest training picture of each."""
        plain = nearest(self.rows, train)
        if self.mirrored is None:
            return plain
        turned = nearest(self.mirrored, train)
        better = turned.distance < plain.distance
        return Nearest(np.where(better, turned.place, plain.place), np.where(better, turned.distance, plain.distance))


def copying(
    space: str,
    train: Described,
    held_out: Described,
    generated: Described,
    plants: Mapping[str, Described],
    sources: Sequence[int],
) -> Copying:
    """The figures of one space, or of PIXELS. `plants` are copies of the training pictures at the places `sources`.

    Raises ValueError with fewer than LEAST_HELD_OUT held-out or two training pictures.
    """
    if len(held_out) < LEAST_HELD_OUT:
        raise ValueError(f"{len(held_out)} held-out pictures are too few to compare copies with: {LEAST_HELD_OUT}")
    rows = Views.of(train, space).rows
    own = nearest_other(rows)
    unseen = Views.of(held_out, space).to(rows).distance
    found = Views.of(generated, space).to(rows)
    half = len(unseen) // 2
    threshold = float(np.quantile(unseen[:half], ALARM_SHARE))
    recall = {}
    for kind, copies in plants.items():
        hits = Views.of(copies, space).to(rows)
        recognised = (hits.distance <= threshold) & _same_picture(hits, np.asarray(sources), rows)
        recall[kind] = share(recognised, copies.clusters)
    median, unseen_median = float(np.median(found.distance)), float(np.median(unseen))
    return Copying(
        space=space,
        train_n=len(train),
        generated_median=median,
        held_out_median=unseen_median,
        ratio=median / unseen_median if unseen_median > 0 else float("nan"),
        authentic_share=float((found.distance > own.distance[found.place]).mean()),
        threshold=threshold,
        flagged_share=share(found.distance <= threshold, generated.clusters),
        false_positive_rate=share(unseen[half:] <= threshold, held_out.clusters[half:]),
        planted_recall=recall,
    )


def closest(train: Described, generated: Described, count: int) -> list[tuple[int, int, float]]:
    """The `count` generated pictures most like a training picture: (generated, training, correlation), best first.

    Each training picture is shown once, so that one favourite does not fill the gallery.
    """
    found = Views.of(generated, PIXELS).to(unit_thumbs(train.small))
    correlation: Floats = 1 - found.distance**2 / 2  # of rows of unit length
    pairs: list[tuple[int, int, float]] = []
    shown: set[int] = set()
    for place in np.argsort(-correlation, kind="stable"):
        twin = int(found.place[place])
        if twin not in shown:
            shown.add(twin)
            pairs.append((int(place), twin, float(correlation[place])))
        if len(pairs) == count:
            break
    return pairs


def leaked(train: Described, held_out: Described) -> list[tuple[str, str]]:
    """Held-out pictures that equal a training picture at 64 px, as pairs of keys (held-out, training)."""
    near = nearest(unit_thumbs(held_out.small), unit_thumbs(train.small))
    return [
        (held_out.keys[place], train.keys[twin])
        for place, twin in enumerate(near.place.tolist())
        if np.array_equal(held_out.small[place], train.small[twin])
    ]


def share(hits: NDArray[np.bool_], groups: Groups) -> Estimate:
    """A share with its interval over groups."""
    found = grouped_share(hits, groups)
    low, high = (None if math.isnan(limit) else limit for limit in (found.low, found.high))
    return Estimate(value=found.value, low=low, high=high, n=len(hits))


def _same_picture(hits: Nearest, sources: NDArray[np.intp], rows: Features) -> NDArray[np.bool_]:
    """Whether the neighbour is the source, or a training picture that equals it."""
    return np.asarray((hits.place == sources) | (rows[hits.place] == rows[sources]).all(axis=1))
