"""Named geometries with free sizes: what the packer does to every picture of a shard set.

`square-N` is the default: the longer side becomes N, black borders make it square, nothing is lost. `medisyn-1024`
and `medisyn-clip` are those of MediSyn (arXiv 2405.09806): longer side to 1,152, black to a square, centre crop of
1,024, which loses 64 pixels on every side; clips of 32 consecutive frames, 256 high, cropped or padded to 448.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from shards import geometry
from shards.geometry import Pixels
from shards.limits import Limits

SIZES = range(8, 8193)
FRAMES = range(2, 4097)
NAMES = "square-N, medisyn-N, clip-FxHxW, medisyn-clip or medisyn-clip-FxHxW"
MEDISYN_CLIP = "medisyn-clip-32x256x448"


@dataclass(frozen=True, kw_only=True, slots=True)
class Preset:
    """One geometry. `frames` is 1 for pictures; clips have exactly `frames` frames."""

    name: str
    how: Literal["fit", "medisyn", "height"]
    frames: int
    width_px: int
    height_px: int

    @property
    def is_clip(self) -> bool:
        """Whether it takes clips and not stills."""
        return self.frames > 1

    def words(self) -> tuple[str, ...]:
        """The geometry in words."""
        side = self.width_px * 9 // 8
        shape = f"{self.width_px}x{self.height_px}"
        steps = {
            "fit": ("pixels made square", f"fit into {shape}", f"pad black to {shape}"),
            "medisyn": (
                "pixels made square",
                f"longer side to {side}",
                f"pad black to {side}x{side}",
                f"centre crop {shape}",
            ),
            "height": ("pixels made square", f"height to {self.height_px}", f"crop or pad width to {self.width_px}"),
        }[self.how]
        clip = (f"{self.frames} consecutive frames, drawn by (seed, key)", "short clips end in black frames")
        return (*clip, *steps) if self.is_clip else steps

    def chosen(self, frames: int, seed: int, key: str) -> tuple[int, int]:
        """(first, one past the last) of the frames that this preset wants of a medium with `frames`."""
        first = geometry.first_frame(frames, self.frames, seed, key)
        return first, min(frames, first + self.frames)

    def apply(self, pixels: Pixels, spacing_mm: tuple[float, float] | None) -> tuple[Pixels, tuple[str, ...]]:
        """Frames [T, H, W(, 3)] of this preset's size, and what was done; T is at most `frames` on entry."""
        assert pixels.shape[0] <= self.frames, pixels.shape
        width, height = self.width_px, self.height_px
        if self.how == "height":
            out, scaled = geometry.scale_to_height(pixels, height, spacing_mm)
            out, cut = geometry.crop(out, min(width, out.shape[2]), height)
            out, padded = geometry.pad(out, width, height)
        elif self.how == "medisyn":
            side = width * 9 // 8
            out, scaled = geometry.fit(pixels, side, side, spacing_mm)
            out, padded = geometry.pad(out, side, side)
            out, cut = geometry.crop(out, width, height)
            padded, cut = (*padded, *cut), ()
        else:
            out, scaled = geometry.fit(pixels, width, height, spacing_mm)
            out, padded = geometry.pad(out, width, height)
            cut = ()
        out, longer = geometry.append_black(out, self.frames)
        return out, (*scaled, *cut, *padded, *longer)


def parse(name: str) -> Preset:
    """The preset of this name; ValueError says what names there are."""
    full = MEDISYN_CLIP if name == "medisyn-clip" else name
    still = re.fullmatch(r"(square|medisyn)-([0-9]{1,9})", full)
    clip = re.fullmatch(r"(clip|medisyn-clip)-([0-9]{1,9})x([0-9]{1,9})x([0-9]{1,9})", full)
    if still:
        side = _size(name, still[2])
        if still[1] == "medisyn" and side % 8:
            raise ValueError(f"preset {name!r}: MediSyn's border is an eighth of the side; use a multiple of 8")
        return Preset(
            name=name, how="medisyn" if still[1] == "medisyn" else "fit", frames=1, width_px=side, height_px=side
        )
    if clip:
        frames, height, width = int(clip[2]), _size(name, clip[3]), _size(name, clip[4])
        if frames not in FRAMES or height % 2 or width % 2:
            raise ValueError(
                f"preset {name!r}: a clip has {FRAMES[0]} to {FRAMES[-1]} frames, and H.264 needs even sizes"
            )
        if (size_bytes := frames * height * width * 3) > (most_bytes := Limits().max_total_bytes):
            raise ValueError(f"preset {name!r}: a clip of {size_bytes} bytes is held at once, at most {most_bytes}")
        return Preset(
            name=name, how="fit" if clip[1] == "clip" else "height", frames=frames, width_px=width, height_px=height
        )
    raise ValueError(f"there is no preset {name!r}: write {NAMES}, with numbers for the capital letters")


def _size(name: str, digits: str) -> int:
    if int(digits) not in SIZES:
        raise ValueError(f"preset {name!r}: a side has {SIZES[0]} to {SIZES[-1]} pixels")
    return int(digits)
