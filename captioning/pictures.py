"""Pictures as a vision-language model takes them: RGB, within a budget of pixels; of a clip some frames with times."""

from __future__ import annotations

import math

import cv2
import numpy as np

from captioning.questions import Shown
from shards.frames import Frames


def shown(frames: Frames, *, max_pixels: int, clip_frames: int) -> Shown:
    """A still, or up to `clip_frames` frames of a clip, each the middle of an equal share of it.

    Each picture has at most `max_pixels` in all; smaller ones stay as they are, since a model enlarges by itself.
    """
    count = frames.pixels.shape[0]
    kept = min(count, clip_frames)
    chosen = [(2 * number + 1) * count // (2 * kept) for number in range(kept)]
    pictures = tuple(_fitted(frames.pixels[index], max_pixels) for index in chosen)
    if count == 1:
        return Shown(pictures=pictures)
    return Shown(pictures=pictures, times_s=tuple(round(index / (frames.fps or 1.0), 2) for index in chosen))


def _fitted(picture: np.ndarray, max_pixels: int) -> np.ndarray:
    """One frame, [H, W] or [H, W, 3], as RGB of at most `max_pixels` in its own proportions."""
    height, width = picture.shape[:2]
    scale = math.sqrt(max_pixels / (height * width))
    if scale < 1:
        size = (max(1, int(width * scale)), max(1, int(height * scale)))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    if picture.ndim == 2:
        picture = np.repeat(picture[:, :, None], 3, axis=2)
    return np.ascontiguousarray(picture, dtype=np.uint8)
