"""Pictures for the benchmarks of captions: radiographs without text, each noise on a ground of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from shards.canonical import sha256_file
from shards.manifest import Media, Sample


def noise_films(folder: Path, first: int, stop: int, pixels: int) -> list[Sample]:
    """Rows of the pictures `first` to `stop`, of `pixels` a side, which are written below `folder`."""
    rows = []
    for number in range(first, stop):
        path = folder / f"{number:05}.png"
        noise = np.random.default_rng(number).integers(0, 16, (pixels, pixels)) + number % 240
        Image.fromarray(noise.astype(np.uint8)).save(path, compress_level=1)
        media = Media(
            uri=str(path), kind="image", sha256=sha256_file(path), width_px=pixels, height_px=pixels, frames=1
        )
        rows.append(
            Sample(
                key=f"bench-{number:05}",
                media=media,
                modality="CR",
                specialty="radiology",
                group=f"image:{number}",
                label_scope="image",
                source="bench",
                license="CC0-1.0",
            )
        )
    return rows
