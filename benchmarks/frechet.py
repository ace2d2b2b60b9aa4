"""Fréchet distance: our way beside the three that published tools use, in one run on the same features.

    python benchmarks/frechet.py            two minutes on two cores
    python benchmarks/frechet.py --large    500 and 3000 samples in 2048 dimensions too (half an hour)

Peers: the matrix square root of S1 S2 (pytorch-fid, clean-fid, MONAI, through scipy), and the eigenvalues of S1 S2
(torch-fidelity, torchmetrics). Features are synthetic with the decaying spectrum of real ones. `identical` is the
distance of a set to itself, which must be 0.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import sqrtm

from eval.frechet import FewerSamplesThanDimensions, frechet_distance

Array = NDArray[np.float64]
SIZES = [(64, 1280), (100, 2048), (1000, 768)]
LARGE = [(500, 2048), (3000, 2048)]


def features(n: int, d: int, seed: int, shift: float = 0.0) -> Array:
    """Non-negative features, standard deviation falling with the dimension."""
    rng = np.random.default_rng(seed)
    made: Array = np.maximum(rng.normal(size=(n, d)) * np.arange(1, d + 1) ** -0.5 + shift, 0)
    return made.astype(np.float32).astype(np.float64)


def with_trace(a: Array, b: Array, cross: Callable[[Array, Array], float]) -> float:
    one, two = np.cov(a.T), np.cov(b.T)
    apart = a.mean(axis=0) - b.mean(axis=0)
    return float(apart @ apart + np.trace(one) + np.trace(two) - 2 * cross(one, two))


def symmetric(s1: Array, s2: Array) -> float:
    """From eigenvalues of S1^(1/2) S2 S1^(1/2)."""
    values, vectors = np.linalg.eigh(s1)
    half = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    inner = half @ s2 @ half
    return float(np.sqrt(np.clip(np.linalg.eigvalsh((inner + inner.T) / 2), 0, None)).sum())


def root(a: Array, b: Array) -> float:
    return with_trace(a, b, lambda s1, s2: float(np.trace(np.asarray(sqrtm(s1 @ s2)).real)))


def eigenvalues(a: Array, b: Array) -> float:
    return with_trace(a, b, lambda s1, s2: float(np.sqrt(np.linalg.eigvals(s1 @ s2).astype(complex)).real.sum()))


WAYS: dict[str, Callable[[Array, Array], float]] = {
    "singular values (ours)": frechet_distance,
    "eigh of S1^(1/2) S2 S1^(1/2)": lambda a, b: with_trace(a, b, symmetric),
    "eigvals of S1 S2": eigenvalues,
    "scipy sqrtm of S1 S2": root,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true", help="500 and 3000 samples in 2048 dimensions too")
    warnings.simplefilter("ignore", FewerSamplesThanDimensions)
    warnings.filterwarnings("ignore", message="Matrix is singular")
    print("| n, d | way | distance | relative to ours | identical | seconds |\n|" + " --- |" * 6)
    for n, d in SIZES + (LARGE if parser.parse_args().large else []):
        a, b = features(n, d, 0), features(n, d, 1, 0.02)
        ours = frechet_distance(a, b)
        for name, way in WAYS.items():
            started = time.perf_counter()
            value = way(a, b)
            seconds = time.perf_counter() - started
            same = way(a, a)
            print(f"| {n}, {d} | {name} | {value:.7f} | {value / ours - 1:+.1e} | {same:+.1e} | {seconds:.3f} |")


if __name__ == "__main__":
    main()
