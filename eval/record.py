"""The record of an evaluation, `metrics.json`: every figure with its n, seeds, floor, ceiling and making.

It holds no time, no path of a machine and no random name, and floats have six significant digits, so that the same
evaluation writes the same bytes. The schema is these dataclasses; a change of meaning raises SCHEMA.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

SCHEMA = 1
SIGNIFICANT_DIGITS = 6


@dataclass(frozen=True, kw_only=True)
class Range:
    """A figure over the seeds."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A figure with its 95 % interval over groups or prompts; the limits are None where these are too few."""

    value: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, kw_only=True)
class SpaceFacts:
    """A feature space as it was used."""

    name: str
    metric: str  # "FID" for the Inception weights alone, else "FD"
    dimensions: int
    facts: Mapping[str, str | int]


@dataclass(frozen=True, kw_only=True)
class Score:
    """One set against another, at one seed, `n` samples a side."""

    seed: int
    n: int
    fd: float | None = None  # None below `min_fd_samples`
    fd_low: float | None = None  # sampling noise at this n, from halves of the groups; None where these are few
    fd_high: float | None = None
    fd_infinity: float | None = None
    kid: float
    kid_error: float | None = None
    kid_p: float | None = None  # permutation test; too small where samples are slices of one volume
    cmmd: float | None = None  # in CLIP spaces
    precision: float | None = None
    recall: float | None = None
    density: float | None = None
    coverage: float | None = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """One kind of pictures against one kind of real ones, in one space."""

    space: str
    sample: str
    against: str
    role: str  # "result", "floor", "ceiling" or "other subjects"
    scores: tuple[Score, ...]
    fd: Range | None
    kid: Range


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Where the result lies between what is real and what has learnt nothing."""

    space: str
    figure: str  # "fd", or "kid" where there are too few samples
    generated: Range
    floor: Range | None
    untrained: Range
    noise: Range
    share_of_untrained: float  # largest of the generated over the smallest of the untrained
    share_of_noise: float
    at_most_half: bool
    ranges_overlap: bool


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """How like held-out pictures some others are, pair by pair."""

    ssim: Estimate
    psnr_db: Estimate
    ms_ssim: Estimate | None  # from 176 px on


@dataclass(frozen=True, kw_only=True)
class Fidelity:
    """How well the autoencoder gives back held-out pictures."""

    stratum: str
    n: int
    ssim: Estimate
    psnr_db: Estimate
    ms_ssim: Estimate | None  # from 176 px on
    untrained: Likeness | None = None  # what an autoencoder gives back that has learnt nothing
    neighbour: Likeness | None = None  # a matched real training picture in the place of each


@dataclass(frozen=True, kw_only=True)
class Copying:
    """Are generated pictures nearer to training pictures than unseen real ones are?"""

    space: str
    train_n: int
    generated_median: float  # distance to the nearest training picture
    held_out_median: float
    ratio: float  # below 1: nearer than unseen real pictures
    authentic_share: float
    threshold: float  # what is no farther is flagged: the 5 % quantile of one half of the held-out ones
    flagged_share: Estimate
    false_positive_rate: Estimate  # of the other half of the held-out ones
    planted_recall: Mapping[str, Estimate]  # kind of planted copy -> share that is found


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A generated picture and the training picture that it is most like."""

    generated: str  # path below the stage's folder
    train_key: str
    train: str  # path below the stage's folder
    correlation: float


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A classifier trained on real pictures and asked what generated ones show."""

    attribute: str
    classes: tuple[str, ...]
    train_n: int
    chance: float  # share of the most frequent class among the prompts
    real: Estimate  # accuracy on held-out real pictures: the most that can be asked of generated ones
    generated: Estimate
    by_seed: tuple[Estimate, ...]
    confusion: Mapping[str, Mapping[str, int]]  # asked for -> named -> generated pictures


@dataclass(frozen=True, kw_only=True)
class Stratum:
    """The result in one cell. Small cells have no Fréchet distance."""

    space: str
    column: str
    value: str
    n: int
    fd: Range | None
    kid: Range | None  # None below `MIN_KID_SAMPLES`
    floor_kid: Range | None = None  # of matched training pictures of this cell; None where they are too few
    untrained_kid: Range | None = None
    share_of_untrained: float | None = None  # mean KID over the untrained one


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The cells of one column together: plain mean over them, and the one with the largest share of the untrained."""

    space: str
    column: str
    cells: int
    macro_kid: float
    worst: str
    worst_kid: float
    worst_share: float | None = None


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What was asked for, and the held-out sample whose caption that is."""

    key: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Record:
    """The whole."""

    statement: str  # what the figures may be taken for
    fit_only: bool  # the held-out pictures are of volumes that were trained on
    model: Mapping[str, Any]
    settings: Mapping[str, Any]
    data: Mapping[str, Any]
    versions: Mapping[str, str]
    prompts: tuple[Prompt, ...]  # in the order of the numbers in the names of the pictures
    spaces: tuple[SpaceFacts, ...]
    rows: tuple[Row, ...]
    verdicts: tuple[Verdict, ...]
    autoencoder: tuple[Fidelity, ...]
    copying: tuple[Copying, ...]
    closest_pairs: tuple[Pair, ...]
    probe: Probe | None
    strata: tuple[Stratum, ...]
    summaries: tuple[Summary, ...]
    notes: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """Plain values for JSON: floats to six significant digits, what is not finite as null."""
        plain: dict[str, Any] = _plain(asdict(self))
        return {"schema": SCHEMA, **plain}


def over_seeds(values: list[float]) -> Range:
    """Mean, smallest and largest."""
    return Range(mean=math.fsum(values) / len(values), low=min(values), high=max(values))


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{SIGNIFICANT_DIGITS}g}") if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value
