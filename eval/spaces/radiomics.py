"""A space without weights: 73 texture and intensity figures of each picture, in the spirit of FRD.

Radiomics features order medical pictures as radiologists do and are steady at small n (Konz et al. 2024, arXiv
2412.01496). FRD scales them by the statistics of one of the compared sets, so its numbers change with that set; here
every figure has a fixed scale that brings it to about 0..1, so a picture has one row of features, whatever stands
beside it. First-order figures and grey-level co-occurrence follow the definitions of IBSI (arXiv 1612.07003), local
binary patterns Ojala et al. 2002 (rotation-invariant uniform).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from eval.spaces.space import Pictures, luma
from eval.stats import Features

GREY = 256
LEVELS = 16  # of the co-occurrence matrices, over the whole range 0..255
DISTANCES_PX = (1, 2, 4)
DIRECTIONS = ((0, 1), (1, 1), (1, 0), (1, -1))  # rows, columns; averaged, as a scan's in-plane rotation is arbitrary
PATTERN_RADII_PX = (1, 2)
RING = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))
PATTERN_STEP = 4  # grey levels by which a neighbour must be brighter: compression noise in black is no texture
DETAIL_LEVELS = 3
LEAST_PX = 2**DETAIL_LEVELS
AT_ONCE_PX = 4_000_000

Rows = NDArray[np.float64]


class Radiomics:
    """Histogram (13), co-occurrence (9 at each of 3 distances), patterns (10 at 2 radii), detail (9), colour (4)."""

    name = "radiomics"
    dimensions = 73
    facts: Mapping[str, str | int] = {"weights": "none", "resize": "none", "dtype": "float32", "version": 1}

    def features(self, pictures: Pictures) -> Features:
        """float32 [N, 73]; ValueError for pictures with a side below 8 px."""
        if min(pictures.shape[1:3]) < LEAST_PX:
            raise ValueError(f"pictures of {pictures.shape[2]} x {pictures.shape[1]} px are too small for texture")
        at_once = max(1, AT_ONCE_PX // (pictures.shape[1] * pictures.shape[2]))
        rows = [self._rows(pictures[start : start + at_once]) for start in range(0, len(pictures), at_once)]
        return np.concatenate(rows).astype(np.float32)

    def _rows(self, pictures: Pictures) -> Rows:
        grey = luma(pictures)
        levels = np.clip(np.rint(grey), 0, GREY - 1).astype(np.int64)
        parts = [first_order(levels)]
        parts += [co_occurrence(levels, distance) for distance in DISTANCES_PX]
        parts += [patterns(levels, radius) for radius in PATTERN_RADII_PX]
        parts += [detail(grey), colour(pictures, grey)]
        return np.concatenate(parts, axis=1)


def first_order(levels: NDArray[np.int64]) -> Rows:
    """13 figures of each histogram: mean, spread, skewness, kurtosis, entropy, uniformity, 5 percentiles, 2 spreads."""
    n = len(levels)
    counts = _counts(levels.reshape(n, -1), GREY)
    p = counts / counts.sum(axis=1, keepdims=True)
    grey = np.arange(GREY) / (GREY - 1)
    mean = p @ grey
    away = grey[None, :] - mean[:, None]
    variance = (p * away**2).sum(axis=1)
    sd = np.sqrt(variance)
    safe = np.where(sd > 0, sd, 1)
    skew = (p * away**3).sum(axis=1) / safe**3
    kurtosis = (p * away**4).sum(axis=1) / safe**4
    binned = p.reshape(n, 32, -1).sum(axis=2)
    cumulative = p.cumsum(axis=1)
    shares = (0.05, 0.25, 0.5, 0.75, 0.95)
    low, quarter, half, three_quarters, high = (
        (cumulative >= share - 1e-12).argmax(axis=1) / (GREY - 1) for share in shares
    )
    mad = (p * np.abs(away)).sum(axis=1)
    figures = [
        mean,
        sd,
        skew / (1 + np.abs(skew)),
        kurtosis / (3 + kurtosis),
        _entropy(binned) / 5,
        (binned**2).sum(axis=1),
        low,
        quarter,
        half,
        three_quarters,
        high,
        three_quarters - quarter,
        mad,
    ]
    return np.stack(figures, axis=1)


def co_occurrence(levels: NDArray[np.int64], distance_px: int) -> Rows:
    """9 figures of the symmetric co-occurrence matrix at one distance, averaged over four directions."""
    n, height, width = levels.shape
    coarse = levels * LEVELS // GREY
    matrix = np.zeros((n, LEVELS * LEVELS))
    for down, right in DIRECTIONS:
        dy, dx = down * distance_px, right * distance_px
        here = coarse[:, : height - dy, max(0, -dx) : width - max(0, dx)]
        there = coarse[:, dy:, max(0, dx) : width - max(0, -dx)]
        counts = _counts((here * LEVELS + there).reshape(n, -1), LEVELS * LEVELS)
        matrix += counts / counts.sum(axis=1, keepdims=True)
    square = matrix.reshape(n, LEVELS, LEVELS) / len(DIRECTIONS)
    p = (square + square.transpose(0, 2, 1)) / 2
    i, j = np.meshgrid(np.arange(LEVELS), np.arange(LEVELS), indexing="ij")
    top = LEVELS - 1

    def expect(values: NDArray[np.floating]) -> Rows:
        return np.asarray((p * values).sum(axis=(1, 2)))

    mean = expect(i.astype(float))
    both = (i + j)[None] - 2 * mean[:, None, None]
    variance = expect(i.astype(float) ** 2) - mean**2
    covariance = expect((i * j).astype(float)) - mean**2
    figures = [
        np.sqrt(expect((i - j).astype(float) ** 2)) / top,
        expect(np.abs(i - j).astype(float)) / top,
        expect(1 / (1 + (i - j) ** 2)),
        np.sqrt((p**2).sum(axis=(1, 2))),
        _entropy(p.reshape(n, -1)) / 8,
        np.where(variance > 1e-12, covariance / np.where(variance > 1e-12, variance, 1), 1.0),  # constant: 1, as IBSI
        np.cbrt((p * both**3).sum(axis=(1, 2))) / (2 * top),
        ((p * both**4).sum(axis=(1, 2))) ** 0.25 / (2 * top),
        p.max(axis=(1, 2)),
    ]
    return np.stack(figures, axis=1)


def patterns(levels: NDArray[np.int64], radius_px: int) -> Rows:
    """10 roots of shares: uniform patterns with 0 to 8 brighter neighbours, and all others.

    The eight neighbours stand on a square ring, so no grey level is interpolated. Roots make distances between
    histograms those of Hellinger, which a large empty background does not rule.
    """
    n, height, width = levels.shape
    r = radius_px
    centre = levels[:, r : height - r, r : width - r]
    brighter = [
        levels[:, r + dy * r : height - r + dy * r, r + dx * r : width - r + dx * r] >= centre + PATTERN_STEP
        for dy, dx in RING
    ]
    number = np.zeros(centre.shape, np.int64)
    changes = np.zeros(centre.shape, np.int64)
    for here, following in zip(brighter, [*brighter[1:], brighter[0]], strict=True):
        number += here
        changes += here != following
    code = np.where(changes <= 2, number, len(RING) + 1)
    counts = _counts(code.reshape(n, -1), len(RING) + 2)
    shares: Rows = np.sqrt(counts / counts.sum(axis=1, keepdims=True))
    return shares


def detail(grey: NDArray[np.float32]) -> Rows:
    """9 figures: energy of the Haar wavelet's three bands at three scales, log2(1 + root mean square) / 8."""
    figures = []
    approximation = grey.astype(np.float64)
    for _ in range(DETAIL_LEVELS):
        height, width = (side // 2 * 2 for side in approximation.shape[1:])
        even = approximation[:, :height, :width]
        a, b = even[:, ::2, ::2], even[:, ::2, 1::2]
        c, d = even[:, 1::2, ::2], even[:, 1::2, 1::2]
        approximation = (a + b + c + d) / 4
        bands = (a - b + c - d) / 4, (a + b - c - d) / 4, (a - b - c + d) / 4
        figures += [np.log2(1 + np.sqrt((band**2).mean(axis=(1, 2)))) / 8 for band in bands]
    return np.stack(figures, axis=1)


def colour(pictures: Pictures, grey: NDArray[np.float32]) -> Rows:
    """4 figures: mean and spread of blue and of red against brightness, over 128; all 0 for a grey picture."""
    figures = []
    for channel in (2, 0):
        away = pictures[..., channel].astype(np.float64) - grey
        figures += [away.mean(axis=(1, 2)) / 128, away.std(axis=(1, 2)) / 128]
    return np.stack(figures, axis=1)


def _counts(codes: NDArray[np.int64], kinds: int) -> Rows:
    """How often each of `kinds` codes stands in each row of [N, M]."""
    offset = np.arange(len(codes))[:, None] * kinds
    counted = np.bincount((codes + offset).ravel(), minlength=len(codes) * kinds)
    return counted.reshape(len(codes), kinds).astype(np.float64)


def _entropy(p: Rows) -> Rows:
    """Shannon entropy of each row in bits."""
    return np.asarray(-(p * np.log2(np.where(p > 0, p, 1))).sum(axis=1))
