"""What the loop trains and where its batches come from: all that `training.loop` knows of models and data.

An autoencoder and a denoiser of any family are both tasks, so there is one loop. The unit of progress is the sample;
`samples_seen` counts those of all ranks together.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn


class Batch(Protocol):
    """Some samples of one step on one rank; all random draws for a sample are seeded by its position."""

    @property
    def positions(self) -> Sequence[int]: ...
    @property
    def keys(self) -> Sequence[str]: ...


B = TypeVar("B", bound=Batch)
B_contra = TypeVar("B_contra", bound=Batch, contravariant=True)
B_co = TypeVar("B_co", bound=Batch, covariant=True)


@dataclass(frozen=True)
class Preview:
    """A picture [H, W, 3] that shows how far training is."""

    pixels: NDArray[np.uint8]
    what: str


class Task(Protocol[B_contra]):
    """Something to train. `net` holds the weights; `losses` and `held_out` are given it, wrapped or averaged."""

    net: nn.Module

    def losses(self, net: nn.Module, batch: B_contra, step: range) -> dict[str, Tensor]:
        """The weighted loss terms by name, [B] each; the loss of a sample is their sum.

        `step` holds the samples of the whole step, of all ranks and micro-batches: which terms are due depends on it.
        """
        ...

    def held_out(self, net: nn.Module, batch: B_contra) -> Tensor:
        """Validation loss [B]: noise and noise level depend on the sample alone."""
        ...

    def preview(self, net: nn.Module, batch: B_contra) -> Preview:
        """How far training is, shown on some held-out samples."""
        ...

    def export(self, net: nn.Module, folder: Path) -> dict[str, Any]:
        """Write the model below `folder` in its published layout; returns what goes into `medloom.json`."""
        ...


class Data(Protocol[B_co]):
    """Batches of one rank in the global order."""

    def batches(self, samples_seen: int) -> Generator[Sequence[B_co], None, None]:
        """The micro-batches of each step from `samples_seen` on, without end."""
        ...

    def held_out(self) -> Sequence[B_co]:
        """This rank's share of the held-out samples, equally many on each rank; empty where there are none."""
        ...
