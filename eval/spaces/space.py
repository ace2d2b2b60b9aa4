"""What a feature space is: pictures in, one row of numbers each out, and a record of exactly what made them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from eval.stats import Features

Pictures = NDArray[np.uint8]  # [N, H, W, 3], 0..255


class Space(Protocol):
    """One space. The features of a picture depend on that picture alone, never on what else is in the batch."""

    name: str  # with the first 8 digits of the weights' SHA-256 behind an @, where there are weights
    dimensions: int
    facts: Mapping[str, str | int]  # for the record: weights, resize, input size, dtype

    def features(self, pictures: Pictures) -> Features:
        """float32 [N, dimensions] of uint8 pictures [N, H, W, 3]."""
        ...


def luma(pictures: Pictures) -> NDArray[np.float32]:
    """Brightness [N, H, W] in 0..255 by the weights of ITU-R BT.601; a grey picture keeps its values."""
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    return pictures.astype(np.float32) @ weights
