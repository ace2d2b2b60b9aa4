"""The random numbers of training as tensors: each depends on (seed, position of the sample, use) alone.

So a resumed run draws what the interrupted one would have drawn, and a run on n ranks what a run on one draws
(`shards.draws`: counter-based, Salmon et al. 2011). They are drawn on the CPU and moved, since the generators of
accelerators differ between devices.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from shards.draws import draw


def normal(seed: int, positions: Sequence[int], shape: Sequence[int], what: str) -> Tensor:
    """Standard normal numbers [B, *shape], float32, one row a position."""
    rows = np.empty((len(positions), *shape), dtype=np.float32)
    for row, position in zip(rows, positions, strict=True):
        draw(seed, position, what).standard_normal(out=row, dtype=np.float32)
    return torch.from_numpy(rows)


def uniform(seed: int, positions: Sequence[int], what: str) -> Tensor:
    """Uniform numbers [B] in [0, 1), float64."""
    return torch.tensor([draw(seed, position, what).random() for position in positions], dtype=torch.float64)
