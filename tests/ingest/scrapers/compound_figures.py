"""Figures of several pictures as publishers make them, with the truth: where each panel lies, by its letter."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Picture = npt.NDArray[np.uint8]
Box = tuple[int, int, int, int]  # left, top, right, bottom
KINDS = ("scan", "film", "tissue", "scope", "photo", "noise", "chart")
LAYOUTS = ("row", "column", "grid", "grid by columns", "rows", "columns", "large left", "large top")


@dataclass(frozen=True)
class Figure:
    """One figure; `panels` in the order of their letters."""

    pixels: Picture
    panels: tuple[Box, ...]
    about: str


def content(kind: str, width: int, height: int, draw: np.random.Generator) -> Picture:
    """A picture that is like one of a kind: what matters here is what its edges look like."""
    coarse = draw.integers(0, 255, (max(2, height // 40), max(2, width // 40), 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), np.float32)
    rows, columns = np.mgrid[0:height, 0:width]
    inside = ((rows - height / 2) / (height * 0.42)) ** 2 + ((columns - width / 2) / (width * 0.42)) ** 2 < 1
    if kind == "scan":  # a body on black
        shown = np.where(inside[..., None], 60 + smooth[..., :1] * 0.6, 2)
    elif kind == "film":  # two bones with black between them
        bones = np.abs(np.abs(columns - width / 2) - width / 4) < width * 0.13
        shown = np.where(bones[..., None], 90 + smooth[..., :1] * 0.5, 3)
    elif kind == "tissue":  # on white
        shown = np.where((smooth[..., :1] > 110), [[[200, 120, 170]]] + smooth * 0.15, 252)
    elif kind == "scope":  # a round view on black
        shown = np.where(inside[..., None], [[[150, 60, 50]]] + smooth * 0.3, 5)
    elif kind == "chart":
        shown = np.full((height, width, 3), 255.0)
        shown[-height // 8 - 2 : -height // 8, width // 8 :] = 0
        shown[:, width // 8 : width // 8 + 2] = 0
        for bar in range(3):
            left = width // 4 + bar * width // 5
            shown[height // (2 + bar) : -height // 8, left : left + width // 9] = (60, 90, 160)
    else:
        shown = smooth * 0.8 + 20
    noise = 30 if kind == "noise" else 2
    shown = shown + draw.normal(0, noise, (height, width, 1))
    return np.clip(np.broadcast_to(shown, (height, width, 3)), 0, 255).astype(np.uint8)


def shares(count: int, draw: np.random.Generator, unequal: bool) -> list[float]:
    cuts = draw.uniform(0.6, 1.4, count) if unequal else np.ones(count)
    return list(cuts / cuts.sum())


def cells(layout: str, count: int, draw: np.random.Generator, unequal: bool) -> list[tuple[float, float, float, float]]:
    """(left, top, width, height) of each panel as shares of the figure, in the order of the letters."""
    found = []
    if layout in ("row", "column"):
        start = 0.0
        for share in shares(count, draw, unequal):
            found.append((start, 0.0, share, 1.0) if layout == "row" else (0.0, start, 1.0, share))
            start += share
        return found
    if layout in ("large left", "large top"):
        first = draw.uniform(0.4, 0.6)
        rest = cells("column" if layout == "large left" else "row", count - 1, draw, unequal)
        if layout == "large left":
            return [(0.0, 0.0, first, 1.0), *((first + a * (1 - first), b, c * (1 - first), d) for a, b, c, d in rest)]
        return [(0.0, 0.0, 1.0, first), *((a, first + b * (1 - first), c, d * (1 - first)) for a, b, c, d in rest)]
    across = 2 if count < 7 else 3
    down = -(-count // across)
    if layout in ("grid", "grid by columns"):
        widths, heights = shares(across, draw, unequal), shares(down, draw, unequal)
        places = [(r, c) for r in range(down) for c in range(across)]
        if layout == "grid by columns":
            places.sort(key=lambda place: (place[1], place[0]))
        for r, c in places[:count]:
            found.append((sum(widths[:c]), sum(heights[:r]), widths[c], heights[r]))
        return found
    top = 0.0  # each row (or column) is divided in its own way
    for number, share in enumerate(shares(down, draw, unequal)):
        inside = cells("row" if layout == "rows" else "column", min(across, count - number * across), draw, unequal)
        for a, b, c, d in inside:
            found.append((a, top, c, share) if layout == "rows" else (top, b, share, d))
        top += share
    return found


def figure(
    layout: str,
    count: int,
    draw: np.random.Generator,
    *,
    gap_px: int = 8,
    white: bool = True,
    unequal: bool = False,
    letters: str = "inside",
    kinds: Sequence[str] = ("scan", "photo"),
    margin_px: int = 0,
    lost_gaps: float = 0.0,
    size: tuple[int, int] = (900, 700),
    font: Any = None,
    quality: int = 88,
) -> Figure:
    """One figure. `letters`: none, inside, boxed, above; `lost_gaps` is the share of panels that touch a neighbour."""
    ground = 255 if white else 0
    width, height = size
    pixels = np.full((height, width, 3), ground, np.uint8)
    boxes: list[Box] = []
    if min(place[3] for place in cells(layout, count, np.random.default_rng(0), unequal=False)) * height < 120:
        letters = letters.replace("above", "inside")  # no room
    above = 34 if letters == "above" else 0
    for left, top, wide, tall in cells(layout, count, draw, unequal):
        half = 0 if draw.random() < lost_gaps else gap_px / 2
        box = (
            round(margin_px + left * (width - 2 * margin_px) + half * (left > 0.01)),
            round(margin_px + top * (height - 2 * margin_px) + half * (top > 0.01)) + above,
            round(margin_px + (left + wide) * (width - 2 * margin_px) - half * (left + wide < 0.99)),
            round(margin_px + (top + tall) * (height - 2 * margin_px) - half * (top + tall < 0.99)),
        )
        boxes.append(box)
        kind = str(draw.choice(list(kinds)))
        pixels[box[1] : box[3], box[0] : box[2]] = content(kind, box[2] - box[0], box[3] - box[1], draw)
    picture = Image.fromarray(pixels)
    if letters != "none":
        _write(picture, boxes, letters, font or ImageFont.load_default(20 if letters == "above" else 28), white)
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=quality)
    about = f"{layout}, {count} panels, gap {gap_px}, letters {letters}"
    return Figure(np.asarray(Image.open(data)), tuple(boxes), about)


def _write(picture: Image.Image, boxes: list[Box], letters: str, font: Any, white: bool) -> None:
    draw = ImageDraw.Draw(picture)
    for letter, (left, top, _, _) in zip(ascii_uppercase, boxes, strict=False):
        at = (left + 9, top + 7) if letters != "above" else (left + 2, top - 32)
        if letters == "boxed":
            a, b, c, d = draw.textbbox(at, letter, font=font)
            draw.rectangle((a - 4, b - 4, c + 4, d + 4), fill="white")
        dark = letters == "boxed" or (letters == "above" and white)
        draw.text(at, letter, fill="black" if dark else "white", font=font, stroke_width=1)
