"""The evaluation stage: draws pictures for held-out captions and says how far they are from real ones.

Every figure stands beside what two sets of real pictures give (floor) and what an untrained network and noise give
(ceiling), at one n and over several seeds. Options choose pictures and spaces; what is measured is not optional.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

from eval.filters import check_column
from eval.spaces.table import check_names, weights_place
from shards.stage import Context, Contract, Kind, Output, Result

Method = Literal["ddim", "dpm++"]
LEAST_FD_SAMPLES = 2


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """A trained model and the shards with its splits in; `metrics.json`, `metrics.md`, `grid.json` and pictures out."""

    spaces: tuple[str, ...] = ("radiomics", "mobilenetv2-imagenet")
    weights: Mapping[str, str] = field(default_factory=dict)  # space -> file or folder
    weights_sha256: Mapping[str, str] = field(default_factory=dict)  # space whose weights have no known hash -> SHA-256
    split: Literal["test", "val"] = "test"  # held-out pictures, whose captions are the prompts
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # column or attribute -> values to look at
    other_where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # real pictures of other subjects
    samples: int = 1000  # at most so many held-out pictures; every figure is at this n
    train_samples: int = 20_000  # at most so many training pictures are searched for neighbours
    seeds: tuple[int, ...] = (0, 1, 2)  # one picture a prompt and seed
    steps: int | None = None  # None: the model's recipe
    guidance: float | None = None  # None: the model's recipe
    method: Method = "ddim"
    probe: str | None = None  # attribute that a small classifier is to recognise in generated pictures
    strata: tuple[str, ...] = ("modality",)  # columns or attributes by which the result is split
    min_fd_samples: int = 50  # below it KID alone is given
    batch: int = 32  # pictures that are described together
    at_once: int | None = None  # pictures that are drawn together; None: 4 on a CPU, 32 on a GPU

    contract: ClassVar[Contract] = Contract(gives=Kind.REPORT, takes=(Kind.CHECKPOINT, Kind.SHARDS), version=3)

    def __post_init__(self) -> None:
        check_names(self.spaces, self.weights, self.weights_sha256)
        for option in ("where", "other_where"):
            for name, values in getattr(self, option).items():
                check_column(name, option)
                if not values:
                    raise ValueError(f"{option}: {name} has no values; list at least one, or leave it out")
        for name in self.strata:
            check_column(name, "strata")
        if self.probe is not None:
            check_column(self.probe, "probe")
        if len(set(self.seeds)) < len(self.seeds) or not self.seeds or min(self.seeds) < 0:
            raise ValueError("seeds: list different whole numbers from 0 on, three or more to see a range")
        for name, least in (("samples", 2), ("train_samples", 2), ("batch", 1), ("min_fd_samples", LEAST_FD_SAMPLES)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}: {getattr(self, name)} is too small; {least} is the least")
        if (self.steps is not None and self.steps < 1) or (self.guidance is not None and self.guidance < 0):
            raise ValueError("steps must be at least 1 and guidance at least 0; leave them out for the recipe's")
        if self.at_once is not None and self.at_once < 1:
            raise ValueError(f"at_once: {self.at_once} must be 1 or more; leave it out for what suits the device")
        if self.method not in get_args(Method):
            raise ValueError(f"method: {self.method!r} is none of {', '.join(get_args(Method))}")

    def identity(self, ctx: Context) -> Mapping[str, str]:
        """The hashes of the weights behind the names of the spaces, and of the files that say how they are used."""
        from eval.spaces.weights import weights_files

        found = {}
        for name in self.spaces:
            place = weights_place(name, self.resolved(ctx))
            for number, file in enumerate(weights_files(name, place) if place else ()):
                found[f"{name}: {file.name}" if number else name] = ctx.file_hash(str(file))
        return found

    def resolved(self, ctx: Context) -> dict[str, str]:
        """`weights` with relative paths read from where the pipelines file lies."""
        return {name: ctx.resolve(place) for name, place in self.weights.items()}

    def run(self, inputs: Sequence[Output], ctx: Context) -> Result:
        """Draw, describe, compare, write; pictures that an interrupted run drew are used again."""
        from eval.evaluation import evaluate

        return evaluate(self, inputs, ctx)
