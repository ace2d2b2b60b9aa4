"""Which way a DICOM frame is laid out to be shown: in radiological convention, with square pixels.

A slice is stored the way the scanner or a converter chose, and its Image Orientation (Patient) says which way that is
(PS3.3 C.7.6.2.1.1). It is brought to the convention of shards.slices by exchanging rows and columns and by flips,
never by resampling, so that a slice is the same picture whether it comes as DICOM or NIfTI. What no convention covers
stays as stored: objects without an orientation, localizers and projections, projection X-ray, slices more than 45
degrees from every plane of the patient. Where no spacing is stated, Pixel Aspect Ratio makes the pixels square.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shards.dicom_groups import group, numbers, orientation, spacing_mm, text
from shards.dicom_layout import Layout
from shards.foreign import foreign
from shards.geometry import isotropic_size, resize
from shards.nifti import closest_ras

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_PROJECTION_XRAY = ("CR", "DX", "MG", "IO", "PX", "RF", "RG", "XA", "RTIMAGE")  # PS3.3 C.7.3.1.1.1
_FRAME_TYPES = ("CTImageFrameTypeSequence", "MRImageFrameTypeSequence", "PETFrameTypeSequence")
_NO_SLICE = ("LOCALIZER", "PROJECTION")
_MOST_TILT_COSINE = np.cos(np.radians(45.0)) - 1e-6
_ACROSS = ("front to back", "right to left", "right to left")  # by the axis that the plane is perpendicular to
_LEFT = ("anterior", "the patient's right", "the patient's right")
_UP = ("superior", "superior", "anterior")
_SOURCE = "(Image Orientation (Patient))"
_SQUARE_UP_TO = 4.0  # a pixel longer than this is an error of the header


@dataclass(frozen=True, slots=True)
class Turn:
    """Rows and columns exchanged, then flips."""

    transpose: bool = False
    flip_rows: bool = False
    flip_columns: bool = False
    words: tuple[str, ...] = ()

    def __call__(self, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A view of [H, W, ...], turned."""
        if self.transpose:
            pixels = pixels.swapaxes(0, 1)
        return pixels[:: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1]


@dataclass(frozen=True, slots=True)
class Arrangement:
    """How the chosen frames of an object are shown: each one's turn, and one size and spacing for all of them."""

    turns: tuple[Turn, ...]
    width_px: int
    height_px: int
    spacing_mm: tuple[float, float] | None  # between rows, between columns, as shown
    words: tuple[str, ...]  # on square pixels

    def show(self, place: int, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Display values [H, W] or [H, W, 3] of the frame that was chosen as the `place`-th, as they are shown."""
        turned = self.turns[place](pixels)
        return np.asarray(resize(np.ascontiguousarray(turned)[None], self.width_px, self.height_px)[0])


def arrange(dataset: Dataset, layout: Layout, chosen: range) -> Arrangement:
    """The arrangement of some frames of an object; without its pixels."""
    with foreign():
        turns = [Turn() if layout.is_video else turn_of(dataset, frame) for frame in chosen]
        spacing = spacing_mm(dataset, chosen[0])
        aspect = numbers(dataset, "PixelAspectRatio")  # vertical, horizontal size of a pixel: PS3.3 C.7.6.3.1.7
    if len({turn.transpose for turn in turns}) > 1 and layout.rows != layout.columns:
        turns = [Turn(words=("frames of different planes are shown as stored",))] * len(turns)
    exchanged = turns[0].transpose
    width_px, height_px = (layout.rows, layout.columns) if exchanged else (layout.columns, layout.rows)
    words: tuple[str, ...] = ()
    if spacing is not None:
        spacing = spacing[::-1] if exchanged else spacing
    elif len(aspect) == 2 and min(aspect) > 0 and not layout.is_video:
        width_px, height_px, words = _square(width_px, height_px, aspect[::-1] if exchanged else aspect)
    return Arrangement(tuple(turns), width_px, height_px, spacing, words)


def _square(width_px: int, height_px: int, aspect: tuple[float, ...]) -> tuple[int, int, tuple[str, ...]]:
    """(width, height, words) once pixels of this vertical and horizontal size are square; nothing shrinks."""
    name = f"pixel aspect {aspect[0]:g}:{aspect[1]:g} (vertical, horizontal)"
    if max(aspect) > _SQUARE_UP_TO * min(aspect):
        return width_px, height_px, (f"{name} is none: pixels taken as square",)
    width, height, _ = isotropic_size(width_px, height_px, (aspect[0], aspect[1]))
    same = (width, height) == (width_px, height_px)
    return width, height, () if same else (f"{name}: {width_px}x{height_px} to {width}x{height}",)


def turn_of(dataset: Dataset, frame: int) -> Turn:
    """What brings a frame to radiological convention; nothing where none is due."""
    cosines = orientation(dataset, frame)
    if cosines is None or not _is_slice(dataset, frame):
        return Turn()
    across, down = np.array(cosines[:3]), np.array(cosines[3:])
    normal = np.cross(across, down)
    lengths = [float(np.linalg.norm(vector)) for vector in (across, down, normal)]
    if not all(0.5 < length < 2.0 for length in lengths):
        return Turn()  # these are no directions
    axes = np.diag([-1.0, -1.0, 1.0]) @ np.stack([across, down, normal], axis=1)  # left, posterior -> right, anterior
    stored, falls = closest_ras(axes)
    plane = stored.index(2)  # the axis of the patient that the slice is perpendicular to
    if abs(axes[plane, 2]) < _MOST_TILT_COSINE * lengths[2]:
        return Turn(words=("more than 45 degrees from every plane of the patient: shown as stored",))
    columns, rows = (axis for axis in range(3) if axis != plane)  # of the picture: from + to - of these axes
    transpose = stored[columns] == 1
    flip_rows, flip_columns = not falls[rows], not falls[columns]
    words = []
    if transpose:
        words.append(f"rows and columns exchanged to lay {_ACROSS[plane]} across {_SOURCE}")
    if flip_rows:
        words.append(f"turned over top to bottom to put {_UP[plane]} up {_SOURCE}")
    if flip_columns:
        words.append(f"turned over left to right to put {_LEFT[plane]} on the left {_SOURCE}")
    return Turn(transpose, flip_rows, flip_columns, tuple(words))


def _is_slice(dataset: Dataset, frame: int) -> bool:
    """Whether a frame is a cut through the patient and not a projection or a scout."""
    frame_types = [text(group(dataset, frame, keyword), "FrameType") for keyword in _FRAME_TYPES]
    kinds = " ".join(kind or "" for kind in (text(dataset, "ImageType"), *frame_types))
    modality = (text(dataset, "Modality") or "").upper()
    return modality not in _PROJECTION_XRAY and not any(kind in kinds.upper() for kind in _NO_SLICE)
