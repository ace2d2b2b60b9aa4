"""Shrinking one picture by area: shards.shrink against cv2 INTER_AREA, on one core.

    python benchmarks/shrink.py

Pictures are a real photograph brought to the sizes of X-rays, photographs and scans, with noise on top, so that no
area is even. Printed: the least processor time of both, and by how much their results differ.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
from PIL import Image

from shards.shrink import shrink
from shards.uri import local_path

SIZES = (  # height, width, colour, longer side of the result
    (3000, 2500, False, 1024),
    (3000, 2500, False, 512),
    (2000, 1500, True, 1024),
    (1600, 1300, True, 1024),
    (1600, 1300, True, 512),
    (1200, 900, True, 1024),
    (512, 512, False, 384),
    (6000, 5000, True, 1024),
    (4096, 4096, True, 1024),
)


def least_ms(work: Callable[[], object], times: int = 9) -> float:
    """The shortest of so many runs, in milliseconds of processor time."""
    found = []
    for _ in range(times):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return 1000 * min(found)


def main() -> None:
    cv2.setNumThreads(1)
    draw = np.random.default_rng(0)
    with Image.open(str(local_path("package://skimage/data/retina.jpg"))) as image:
        whole = np.asarray(image.convert("RGB"))
    for height, width, is_colour, longer in SIZES:
        pixels = cv2.resize(whole, (width, height), interpolation=cv2.INTER_CUBIC)
        pixels = cv2.add(pixels, draw.integers(0, 20, pixels.shape, dtype=np.uint8))
        pixels = np.asarray(pixels if is_colour else np.ascontiguousarray(pixels[..., 1]), np.uint8)
        size = round(width * longer / max(height, width)), round(height * longer / max(height, width))
        peer = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        apart = np.abs(shrink(pixels, *size).astype(int) - peer)
        ours_ms = least_ms(partial(shrink, pixels, *size))
        peer_ms = least_ms(partial(cv2.resize, pixels, size, interpolation=cv2.INTER_AREA))
        print(
            f"{height}x{width} {'colour' if is_colour else 'grey'} to {size[1]}x{size[0]}: shrink {ours_ms:.2f} ms, "
            f"cv2 {peer_ms:.2f} ms; {100 * (apart > 0).mean():.2f} % of values differ, by {apart.max()} at most"
        )


if __name__ == "__main__":
    main()
