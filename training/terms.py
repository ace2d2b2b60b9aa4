"""Losses as a weighted list: what is penalised is one axis of a system, apart from the model and the process.

A term looks at one step (for a denoiser: answer, target and estimate of the clean latents; for an autoencoder: picture
and reconstruction) and gives one number a sample, so that a bad sample can be named. A dear term need not be measured
at every step: `every_samples` says how often, and on the steps in between it is absent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from torch import Tensor

S = TypeVar("S")


@dataclass(frozen=True, kw_only=True)
class Term(Generic[S]):
    """One weighted loss; `measure` gives [B] from what the step computed."""

    name: str
    weight: float
    measure: Callable[[S], Tensor]
    every_samples: int = 0  # 0: at every step


def due(every_samples: int, step: range) -> bool:
    """Does a multiple of `every_samples` lie among the samples of the step?"""
    return every_samples == 0 or -step.start % every_samples < len(step)


def measure(terms: Sequence[Term[S]], seen: S, step: range) -> dict[str, Tensor]:
    """The terms that are due in `step`, by name: weight times measure of what was `seen` of it, [B] each."""
    return {
        term.name: term.weight * term.measure(seen) for term in terms if term.weight and due(term.every_samples, step)
    }


def mean_of(values: Tensor) -> Tensor:
    """[B, ...] to [B]: the mean over all but the first dimension."""
    return values.flatten(1).mean(dim=1)
