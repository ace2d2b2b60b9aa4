"""The letters that publishers print into the corners of panels, read by comparing shapes with those of known typefaces.

It answers only where it is sure: a shape must be like one letter and clearly less like every other letter and digit, so
that the L and R of a radiograph are not taken for panels. What is not read is simply not known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from string import ascii_letters, digits

import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]

CORNER = 0.3  # of a panel's sides: where letters are looked for
_SIDE_PX = 24  # of a shape when it is compared
_BRIGHT, _DARK = 215, 40
_LIKE, _CLEARLY = 0.82, 0.06  # correlation with the best letter, and how far behind the next one must be
_SMALLEST_PX = 9
_LARGEST = 0.25  # of the panel's shorter side
_FAINTEST = 0.12  # share of its box that a letter fills
_MOST_BLOBS = 400  # of a corner; where there are more, it is noise
# letters that are the same shape in both cases
_SAME = {letter: letter.lower() for letter in "COPSUVWXZKJ"}


@cache
def _shapes() -> tuple[list[str], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Letters and digits in the typefaces that come with the libraries: names, shapes [N, pixels], aspects [N]."""
    from PIL import Image, ImageDraw, ImageFont

    names, shapes, aspects = [], [], []
    for character in ascii_letters + digits:
        drawings = []
        for stroke in (0, 2, 4):
            picture = Image.new("L", (160, 160))
            font = ImageFont.load_default(80)
            ImageDraw.Draw(picture).text((40, 20), character, fill=255, font=font, stroke_width=stroke)
            drawings.append(np.asarray(picture))
        for face in (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_TRIPLEX):
            for thickness in (6, 14):
                canvas = np.zeros((200, 200), np.uint8)
                cv2.putText(canvas, character, (40, 140), face, 3.5, 255, thickness, cv2.LINE_AA)
                drawings.append(canvas)
        for drawing in drawings:
            rows, columns = np.nonzero(drawing > 127)
            cut = drawing[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
            names.append(_SAME.get(character, character))
            shapes.append(_normal(cut).ravel())
            aspects.append(cut.shape[1] / cut.shape[0])
    return names, np.stack(shapes), np.asarray(aspects, np.float32)


def _normal(cut: Picture) -> npt.NDArray[np.float32]:
    shrunk = cv2.resize(cut, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA).astype(np.float32)
    shrunk = cv2.GaussianBlur(shrunk, (3, 3), 0.8)
    centred = shrunk - shrunk.mean()
    return np.asarray(centred / (np.linalg.norm(centred) + 1e-6), np.float32)


def letter_in(panel: Picture) -> str | None:
    """The letter in a corner of a panel [H, W] or [H, W, 3], in lower case; None where none is read, or several are."""
    light = panel if panel.ndim == 2 else panel.min(axis=2)
    dark = panel if panel.ndim == 2 else panel.max(axis=2)
    height, width = light.shape
    tall, wide = int(height * CORNER), int(width * CORNER)
    found = set()
    for rows in (slice(0, tall), slice(height - tall, height)):
        for columns in (slice(0, wide), slice(width - wide, width)):
            masks = (light[rows, columns] >= _BRIGHT, dark[rows, columns] <= _DARK)
            blobs = [blob for mask in masks for blob in _blobs(mask, min(height, width) * _LARGEST)]
            found |= {letter for blob in blobs if not _is_hole(blob, blobs) and (letter := _read(blob.inside))}
    return found.pop() if len(found) == 1 else None


@dataclass(frozen=True, slots=True)
class _Blob:
    """Something of one brightness and of the size of a letter."""

    left: int
    top: int
    inside: npt.NDArray[np.uint8]  # [h, w], 255 where it is

    @property
    def is_box(self) -> bool:
        """Whether its sides are full, as are those of a box around a letter."""
        sides = (self.inside[0], self.inside[-1], self.inside[:, 0], self.inside[:, -1])
        return all(side.mean() >= 0.75 * 255 for side in sides)


def _blobs(mask: npt.NDArray[np.bool_], largest_px: float) -> Iterator[_Blob]:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    for number in range(1, min(count, _MOST_BLOBS)):
        left, top, width, height, area = (int(value) for value in stats[number])
        edge = left == 0 or top == 0 or left + width == mask.shape[1] or top + height == mask.shape[0]
        if edge or not _SMALLEST_PX <= height <= largest_px or not 0.2 <= width / height <= 1.4:
            continue
        if area < _FAINTEST * width * height:
            continue
        inside = (labels[top : top + height, left : left + width] == number).astype(np.uint8) * 255
        yield _Blob(left, top, inside)


def _is_hole(blob: _Blob, blobs: list[_Blob]) -> bool:
    """Whether it is what an O or an 8 encloses, which looks like a D."""
    height, width = blob.inside.shape
    return any(
        not other.is_box
        and other.left < blob.left
        and other.top < blob.top
        and blob.left + width < other.left + other.inside.shape[1]
        and blob.top + height < other.top + other.inside.shape[0]
        for other in blobs
    )


def _read(inside: npt.NDArray[np.uint8]) -> str | None:
    names, shapes, aspects = _shapes()
    ratio = inside.shape[1] / inside.shape[0] / aspects
    likeness = np.where((ratio > 0.6) & (ratio < 1.6), shapes @ _normal(inside).ravel(), -1.0)
    name = names[int(likeness.argmax())]
    rival = max(float(like) for other, like in zip(names, likeness, strict=True) if other.lower() != name.lower())
    best = float(likeness.max())
    return name.lower() if name.isalpha() and best >= _LIKE and best - rival >= _CLEARLY else None
