"""NIfTI-1 and NIfTI-2 volumes, turned to the closest RAS axes by permutation and flips alone.

Which side is right is read from the affine and from nothing else; a header that states no orientation is refused
rather than guessed. The axes are those of the permutation with the largest sum of |cosines|, which stays the same
when applied twice, also for oblique affines (a greedy choice does not: nibabel issue 1449). Lengths become mm by the
header's own unit. Format: NIfTI-1.1, https://nifti.nimh.nih.gov; NIfTI-2, 2011.
"""

from __future__ import annotations

import itertools
import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from shards.foreign import foreign
from shards.inflate import GZIP, inflate
from shards.intake import Skip
from shards.limits import Limits
from shards.reasons import Reason

HEADER_BYTES = 540  # of NIfTI-2, the longer one
_UNITS = {1: ("metres", 1e3), 2: ("mm", 1.0), 3: ("microns", 1e-3)}  # lowest three bits of xyzt_units -> name, in mm
_TIMES = {8: 1.0, 16: 1e-3, 24: 1e-6}  # next three bits -> in seconds
Affine = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Header:
    """What a NIfTI header states, held against the limits."""

    shape: tuple[int, int, int]  # voxels along the stored axes
    volumes: int
    dtype: np.dtype[Any]  # of one stored sample
    channels: int  # 1, or 3 and 4 for RGB24 and RGBA32
    offset: int  # of the first voxel, in bytes
    slope: float
    intercept: float
    affine: Affine  # [4, 4] stored voxel index -> mm in RAS+ world space
    unit: str  # of length in the file; empty where it states none, which is usual and means mm
    step_s: float | None  # from volume to volume; None where it is no time, or of no stated unit

    @property
    def data_bytes(self) -> int:
        """Size of all voxels as stored."""
        return int(np.prod(self.shape, dtype=object)) * self.volumes * self.channels * self.dtype.itemsize


@dataclass(frozen=True, slots=True)
class Volume:
    """All voxels, axes closest to right, anterior, superior (RAS+)."""

    stored: npt.NDArray[Any]  # [X, Y, Z, V] or [X, Y, Z, V, C] for colour; a view, in the stored type
    slope: float
    intercept: float
    affine: Affine  # [4, 4] index after reorientation -> mm
    spacing_mm: tuple[float, float, float]
    oblique_degrees: float  # largest angle between an axis and the world axis it is named for
    unit: str = "mm"  # of length in the file; empty where it states none
    ranges: dict[int, tuple[float, float]] = field(default_factory=dict, compare=False)  # by volume, once worked out

    @property
    def size_bytes(self) -> int:
        """Memory held."""
        return self.stored.nbytes

    @property
    def colour(self) -> bool:
        """Whether voxels are RGB and not numbers."""
        return self.stored.ndim == 5

    def values(self, part: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Some of `stored` in the units of the header's slope and intercept."""
        with np.errstate(invalid="ignore", over="ignore"):  # of values that are no numbers
            return np.asarray(part, np.float64) * self.slope + self.intercept


def read_header(head: bytes, limits: Limits, *, placed: bool = True) -> Header:
    """Parse the first HEADER_BYTES (inflated) of a file; raises Skip.

    Without `placed` no orientation is asked for, and the affine holds the spacings alone.
    """
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    second = head[4:8] == b"n+2\0"
    block = head[: 540 if second else 348]
    if len(block) < (540 if second else 348):
        raise Skip(Reason.TRUNCATED, "the header is cut")
    with foreign():
        header = (Nifti2Header if second else Nifti1Header)(binaryblock=block, check=False)
        shape = tuple(int(n) for n in header.get_data_shape())
        dtype = header.get_data_dtype()
        offset = int(header["vox_offset"])
        slope, intercept = header.get_slope_inter()
        unit, unit_mm = _UNITS.get(int(header["xyzt_units"]) & 7, ("", 1.0))
        spacings = np.asarray(header["pixdim"][1:5], np.float64)
        affine = _affine(header, unit_mm) if placed else np.diag([*spacings[:3] * unit_mm, 1.0])
        step_s = float(spacings[3]) * _TIMES.get(int(header["xyzt_units"]) & 56, np.nan)
    shape = (*shape, 1, 1, 1, 1)[: max(4, len(shape))]
    if min(shape) < 1:
        raise Skip(Reason.CORRUPT, f"a volume of shape {shape}")
    if any(n > 1 for n in shape[4:]):
        raise Skip(Reason.UNSUPPORTED_PIXELS, "vectors or tensors as voxels")
    sample, channels = _sample(dtype)
    limits.check_frames(shape[2] * shape[3])
    for first, second_axis in itertools.combinations(shape[:3], 2):
        limits.check_frame(first, second_axis)
    found = Header(
        shape=(shape[0], shape[1], shape[2]),
        volumes=shape[3],
        dtype=sample,
        channels=channels,
        offset=max(offset, len(block)),
        slope=1.0 if slope is None else float(slope),
        intercept=0.0 if intercept is None else float(intercept),
        affine=affine,
        unit=unit,
        step_s=step_s if 0 < step_s < np.inf else None,
    )
    limits.check_total(found.data_bytes + found.offset)
    if not np.isfinite([found.slope, found.intercept]).all() or found.offset > max(1 << 24, len(block)):
        raise Skip(Reason.CORRUPT, "slope, intercept or offset of the header")
    return found


def _sample(dtype: np.dtype[Any]) -> tuple[np.dtype[Any], int]:
    if dtype.names is not None and all(dtype[name] == np.uint8 for name in dtype.names):
        return np.dtype(np.uint8), len(dtype.names)  # RGB24, RGBA32
    if dtype.kind in "iuf" and dtype.itemsize <= 8:
        return dtype, 1
    raise Skip(Reason.UNSUPPORTED_PIXELS, f"voxels of type {dtype}")


def _affine(header: Any, unit_mm: float) -> Affine:
    """The sform, or else the qform, in mm; Skip where neither is given, both mirror each other, or it is flat."""
    codes = int(header["sform_code"]), int(header["qform_code"])
    if codes[0] <= 0 and codes[1] <= 0:
        raise Skip(Reason.NO_ORIENTATION, "neither sform nor qform is set")
    sform = np.asarray(header.get_sform(), np.float64) if codes[0] > 0 else None
    qform = np.asarray(header.get_qform(), np.float64) if codes[1] > 0 else None
    affine = qform if sform is None else sform
    assert affine is not None
    affine = np.diag([unit_mm, unit_mm, unit_mm, 1.0]) @ affine
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or spacing.min() < 1e-4 or spacing.max() > 1e4:  # a tenth of a micron, ten metres
        raise Skip(Reason.CORRUPT, "the affine")
    if abs(np.linalg.det(affine[:3, :3] / spacing)) < 1e-3:
        raise Skip(Reason.CORRUPT, "the affine is flat")
    both = sform is not None and qform is not None and np.isfinite(qform).all()
    if both and np.linalg.det(sform[:3, :3]) * np.linalg.det(qform[:3, :3]) < 0:  # type: ignore[index]
        raise Skip(Reason.NO_ORIENTATION, "sform and qform mirror each other")
    return affine


def closest_ras(affine: Affine) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """For the world axes right, anterior, superior: which stored axis is closest, and whether it runs the other way."""
    cosines = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    best, best_score = (0, 1, 2), -np.inf
    for candidate in itertools.permutations(range(3)):  # the identity comes first, so ties change nothing
        score = sum(abs(cosines[world, stored]) for world, stored in enumerate(candidate))
        if score > best_score + 1e-9:
            best, best_score = (candidate[0], candidate[1], candidate[2]), score
    flips = [bool(cosines[world, stored] < 0) for world, stored in enumerate(best)]
    return best, (flips[0], flips[1], flips[2])


def read_volume(data: bytes, compressed: bool, limits: Limits) -> Volume:
    """All voxels of a file given as its bytes; raises Skip."""
    header = header_of(data, compressed, limits)
    stored = read_stored(data, compressed, header)
    return to_ras(stored, header.affine, header.slope, header.intercept, header.unit)


def read_stored(data: bytes, compressed: bool, header: Header) -> npt.NDArray[Any]:
    """The values as they lie in a file given as its bytes, [i, j, k, V] or for colour [i, j, k, V, 3]; raises Skip."""
    need = header.offset + header.data_bytes
    try:
        plain = inflate(data, GZIP, need)[0] if compressed else data
    except zlib.error:
        raise Skip(Reason.CORRUPT, "the gzip stream is damaged") from None
    if len(plain) < need:
        raise Skip(Reason.TRUNCATED, f"{len(plain)} of {need} bytes")
    count = header.data_bytes // header.dtype.itemsize
    flat = np.frombuffer(plain, header.dtype, count, header.offset)
    if header.channels > 1:  # the channels of one voxel lie together
        shape = (header.channels, *header.shape, header.volumes)
        return np.moveaxis(flat.reshape(shape, order="F"), 0, -1)[..., :3]
    return flat.reshape((*header.shape, header.volumes), order="F")


def to_ras(
    stored: npt.NDArray[Any], affine: Affine, slope: float = 1.0, intercept: float = 0.0, unit: str = "mm"
) -> Volume:
    """A stored array [i, j, k, V(, C)] with its affine as a Volume; nothing is resampled and nothing is copied."""
    axes, flips = closest_ras(affine)
    turned = stored.transpose(*axes, *range(3, stored.ndim))
    placed = affine[:, [*axes, 3]]
    for axis, flip in enumerate(flips):
        if flip:
            turned = np.flip(turned, axis)
            placed[:3, 3] += placed[:3, axis] * (turned.shape[axis] - 1)
            placed[:3, axis] *= -1
    spacing = np.linalg.norm(placed[:3, :3], axis=0)
    cosines = np.clip(np.diag(placed[:3, :3]) / spacing, -1, 1)
    return Volume(
        stored=turned,
        slope=slope,
        intercept=intercept,
        affine=placed,
        spacing_mm=(float(spacing[0]), float(spacing[1]), float(spacing[2])),
        oblique_degrees=float(np.degrees(np.arccos(cosines.min()))),
        unit=unit,
    )


def header_of(data: bytes, compressed: bool, limits: Limits, *, placed: bool = True) -> Header:
    """The header of a file of which `data` is the whole or a beginning of a few kilobytes; raises Skip."""
    if not compressed:
        return read_header(data[:HEADER_BYTES], limits, placed=placed)
    try:
        return read_header(inflate(data[: 1 << 16], GZIP, HEADER_BYTES)[0], limits, placed=placed)
    except zlib.error:
        raise Skip(Reason.CORRUPT, "the gzip stream is damaged") from None
