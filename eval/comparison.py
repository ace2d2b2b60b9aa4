"""All figures from described sets: distances by row, verdicts, strata, copying, probe. No file, no model is touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.describe import Described
from eval.frechet import few
from eval.intervals import LEAST_GROUPS
from eval.memorise import LEAST_HELD_OUT, PIXELS, closest, copying, leaked
from eval.probe import probe
from eval.record import Copying, Probe, Row, Stratum, Summary, Verdict
from eval.scores import GENERATED, HELD_OUT, MATCHED, NOISE, OTHER, TRAIN, UNTRAINED, row, score, verdict
from eval.strata import strata, summaries

PAIRS_SOUGHT = 12


@dataclass(frozen=True, eq=False)
class Comparison:
    """What is compared; sets by seed are in the order of the held-out pictures, whose captions they were drawn for."""

    seeds: tuple[int, ...]
    min_fd_samples: int
    held_out: Described
    train: Described
    train_like: NDArray[np.intp]  # places of training pictures that match what is looked at
    matched: Mapping[int, NDArray[np.intp]]  # seed -> places of training pictures like the held-out ones
    others: Described | None
    generated: Mapping[int, Described]
    untrained: Mapping[int, Described]
    noise: Mapping[int, Described]
    sources: Sequence[int]  # training pictures that `plants` are copies of
    plants: Mapping[str, Described]
    strata: Mapping[str, Sequence[str]]  # column -> values of the held-out pictures
    train_strata: Mapping[str, Sequence[str]]  # the same of the training pictures
    probe: str | None
    held_out_values: Sequence[str]  # of the probe's attribute
    train_values: Sequence[str]  # the same at `train_like`


@dataclass(frozen=True)
class Figures:
    """What came out."""

    rows: list[Row]
    verdicts: list[Verdict]
    copying: list[Copying]
    closest: list[tuple[int, int, int, float]]  # seed, place, training place, correlation
    probe: Probe | None
    strata: list[Stratum]
    summaries: list[Summary]
    notes: list[str]


def compare(c: Comparison) -> Figures:
    """Every figure; sets that are too small for one leave a note instead."""
    said = []
    rows = [each for space in c.held_out.features for each in _rows(c, space)]
    cells = [
        cell
        for column, values in c.strata.items()
        for cell in strata(
            column,
            values,
            c.held_out,
            c.generated,
            untrained=c.untrained,
            floor={seed: _matched(c, column, seed) for seed in c.seeds},
            min_fd_samples=c.min_fd_samples,
        )
    ]
    pooled = _pooled(list(c.generated.values()))
    copies: list[Copying] = []
    if len(c.held_out) >= LEAST_HELD_OUT:
        copies = [
            copying(space, c.train, c.held_out, pooled, c.plants, c.sources) for space in (*c.held_out.features, PIXELS)
        ]
    else:
        said.append(f"copying was not measured: {len(c.held_out)} held-out pictures, {LEAST_HELD_OUT} are needed")
    if twins := leaked(c.train, c.held_out):
        said.append(
            f"{len(twins)} held-out pictures equal a training picture ({twins[0][0]} and {twins[0][1]}): "
            "the split leaks, and every figure is flattered"
        )
    n = len(c.held_out)
    pairs = [
        (c.seeds[place // n], place % n, twin, value) for place, twin, value in closest(c.train, pooled, PAIRS_SOUGHT)
    ]
    witness = None
    if c.probe:
        like = c.train.some(c.train_like)
        witness = probe(c.probe, (like, c.train_values), (c.held_out, c.held_out_values), c.generated)
    return Figures(
        rows=rows,
        verdicts=[verdict(space, rows) for space in c.held_out.features],
        copying=copies,
        closest=pairs,
        probe=witness,
        strata=cells,
        summaries=summaries(cells),
        notes=[*said, *_notes(c, rows)],
    )


def _matched(c: Comparison, column: str, seed: int) -> tuple[Described, list[str]]:
    """The matched training pictures of a seed, with their values of a column."""
    return c.train.some(c.matched[seed]), [c.train_strata[column][place] for place in c.matched[seed].tolist()]


def _rows(c: Comparison, space: str) -> list[Row]:
    """Result, floors, ceilings and other subjects in one space."""
    real = c.held_out
    n = len(real)

    def against(sets: Mapping[int, Described], name: str, role: str, *, thorough: bool = False) -> Row:
        scores = [
            score(
                each,
                real,
                space=space,
                seed=seed,
                min_fd_samples=c.min_fd_samples,
                thorough=thorough,
            )
            for seed, each in sets.items()
        ]
        return row(space, name, HELD_OUT, role, scores)

    like = {seed: c.train.some(_shuffled(c.train_like, seed)) for seed in c.seeds}
    drawn = {seed: each.some(range(min(n, len(each)))) for seed, each in like.items()}
    rows = [
        against(c.generated, GENERATED, "result", thorough=True),
        against({seed: c.train.some(c.matched[seed]) for seed in c.seeds}, MATCHED, "floor", thorough=True),
        against(drawn, TRAIN, "floor"),
    ]
    half = min(n, len(c.train_like) // 2)
    if half >= 2:
        scores = [
            score(
                each.some(range(half)),
                each.some(range(half, 2 * half)),
                space=space,
                seed=seed,
                min_fd_samples=c.min_fd_samples,
                thorough=False,
            )
            for seed, each in like.items()
        ]
        rows.append(row(space, TRAIN, TRAIN, "floor", scores))
    rows += [against(c.untrained, UNTRAINED, "ceiling"), against(c.noise, NOISE, "ceiling")]
    if c.others is not None:
        rows.append(against({c.seeds[0]: c.others}, OTHER, "other subjects"))
        scores = [
            score(
                each,
                c.others,
                space=space,
                seed=seed,
                min_fd_samples=c.min_fd_samples,
                thorough=False,
            )
            for seed, each in c.generated.items()
        ]
        rows.append(row(space, GENERATED, OTHER, "other subjects", scores))
    return rows


def _notes(c: Comparison, rows: Sequence[Row]) -> list[str]:
    n = len(c.held_out)
    said = [
        f"{space}: {few(n, values.shape[1])}"
        for space, values in c.held_out.features.items()
        if c.min_fd_samples <= n < values.shape[1]
    ]
    if n < c.min_fd_samples:
        said.append(f"{n} held-out pictures are below min_fd_samples ({c.min_fd_samples}): KID alone is given")
    if (groups := len(set(c.held_out.clusters))) < LEAST_GROUPS:
        said.append(
            f"the held-out pictures are of {groups} groups: too few for an interval of a distance, {LEAST_GROUPS} are "
            "needed"
        )
    fewer = {(each.sample, each.against): each.scores[0].n for each in rows if each.scores[0].n < n}
    said += [
        f"{sample} against {against}: {count} pictures a side, other rows have {n}; compare its KID, not its FD"
        for (sample, against), count in fewer.items()
    ]
    return said


def _shuffled(places: NDArray[np.intp], seed: int) -> NDArray[np.intp]:
    return np.random.default_rng([seed, 1]).permutation(places)


def _pooled(sets: Sequence[Described]) -> Described:
    features = {space: np.concatenate([each.features[space] for each in sets]) for space in sets[0].features}
    keys, clusters = (tuple(name for each in sets for name in getattr(each, names)) for names in ("keys", "clusters"))
    return Described(keys, features, np.concatenate([each.small for each in sets]), clusters)
