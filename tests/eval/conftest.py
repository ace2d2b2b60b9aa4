"""Threads bounded for all tests of this floor, and real brain slices for those that need pictures."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

torch.set_num_threads(1)


@cache
def brain_slices(side_px: int) -> NDArray[np.uint8]:
    """Axial slices of the MNI brain as RGB [N, side, side, 3], every 2 mm, from foot to head."""
    import importlib.util

    import nibabel
    from PIL import Image

    spec = importlib.util.find_spec("nilearn")
    assert spec
    assert spec.origin
    path = Path(spec.origin).parent / "datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
    volume = np.asarray(nibabel.load(path).dataobj, dtype=np.float32)
    slices = []
    for number in range(30, 150, 2):
        plane = np.rot90(volume[:, :, number])
        shown = np.clip(plane / np.percentile(volume[::4, ::4, ::4], 99.5) * 255, 0, 255).astype(np.uint8)
        square = Image.fromarray(np.pad(shown, ((0, 0), (18, 18)))).resize((side_px, side_px), Image.Resampling.BICUBIC)
        slices.append(np.repeat(np.asarray(square)[..., None], 3, axis=2))
    return np.stack(slices)


@pytest.fixture
def brains() -> NDArray[np.uint8]:
    """60 axial slices at 64 px."""
    return brain_slices(64).copy()
