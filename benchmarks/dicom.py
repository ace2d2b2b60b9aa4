"""DICOM file to display-ready 8-bit frames: frames a second, against highdicom and against pydicom's own handlers.

    python benchmarks/dicom.py [--seconds 8]

Over the files of pydicom and pydicom-data that all three open, small enough to be read whole. Each way reads the file
from disk, decodes at most eight frames and maps them to 0..255: ours by MediaReader (the default display), highdicom by
`imread` and `get_frames` with VOI and presentation transforms where the file has a window, else with the same linear
range as ours, pydicom by `pixel_array`, `apply_modality_lut`, `apply_voi_lut` and the same scaling. What differs
by more than one grey level from highdicom is counted. The order of the three is turned from round to round.
"""

from __future__ import annotations

import argparse
import re
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import data_store  # type: ignore[import-untyped]
import highdicom
import numpy as np
import pydicom
from pydicom.pixels import apply_modality_lut, apply_voi_lut

from shards.intake import Skip
from shards.locator import Locator
from shards.manifest import Media
from shards.media import MediaReader

FOLDERS = (Path(pydicom.__file__).parent / "data" / "test_files", Path(next(iter(data_store.__path__))) / "data")
MOST_FRAMES, MOST_BYTES = 8, 8 << 20


def ours(path: Path, frames: int) -> tuple[Any, tuple[str, ...]]:
    view = Locator(frame_stop=frames) if frames > 1 else Locator()
    read = MediaReader().read(Media(uri=str(path), kind="dicom", locator=view.text()))
    return read.pixels, read.steps


def by_highdicom(path: Path, frames: int, ends: tuple[float, float] | None) -> Any:
    image = highdicom.imread(path)
    options = {"frame_numbers": list(range(1, frames + 1)), "apply_icc_profile": False}
    if ends is None and image.SamplesPerPixel == 1:
        shown = image.get_frames(**options, apply_voi_transform=True, voi_output_range=(0, 255))
    else:
        shown = image.get_frames(**options, apply_voi_transform=False, apply_presentation_lut=False)
        if ends is not None:
            shown = np.clip((shown - ends[0]) / (ends[1] - ends[0]), 0, 1) * 255
            shown = 255 - shown if image.PhotometricInterpretation == "MONOCHROME1" else shown
    return np.floor(np.asarray(shown, np.float64) + 0.5).astype(np.uint8)


def by_pydicom(path: Path, frames: int, ends: tuple[float, float] | None) -> Any:
    dataset = pydicom.dcmread(path)
    stored = dataset.pixel_array
    stored = stored[:frames] if getattr(dataset, "NumberOfFrames", 1) > 1 else stored[None]
    if dataset.SamplesPerPixel > 1:
        return stored
    values = apply_modality_lut(stored, dataset)
    if ends is None:
        values = apply_voi_lut(values, dataset)
        ends = float(values.min()), float(values.max())
    shown = np.clip((values - ends[0]) / max(ends[1] - ends[0], 1e-9), 0, 1) * 255
    shown = 255 - shown if dataset.PhotometricInterpretation == "MONOCHROME1" else shown
    return np.floor(shown + 0.5).astype(np.uint8)


def chosen() -> tuple[list[tuple[Path, int, tuple[float, float] | None]], int]:
    """Files that all three open: the path, how many frames, and the linear range where no window is stated.

    Also how many files we open and a peer does not.
    """
    found = []
    unread = 0
    for folder in FOLDERS:
        for path in sorted(folder.rglob("*")):
            if not path.is_file() or path.stat().st_size > MOST_BYTES:
                continue
            try:
                frames = min(MOST_FRAMES, MediaReader().facts(str(path)).frames)
                pixels, steps = ours(path, frames)
                match = next((m for step in steps if (m := re.match(r"linear from (\S+) to (\S+) ", step))), None)
                ends = None if match is None else (float(match[1]), float(match[2]))
                by_highdicom(path, frames, ends)
                by_pydicom(path, frames, ends)
            except Skip:
                continue
            except Exception:  # noqa: BLE001  # a peer that does not open a file is not compared on it
                unread += 1
                continue
            if not any(step.endswith("(Image Orientation (Patient))") for step in steps):
                found.append((path, len(pixels), ends))
    return found, unread


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=8.0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    files, unread = chosen()
    frames = sum(count for _, count, _ in files)
    differing = 0
    for path, count, ends in files:
        one, two = ours(path, count)[0], by_highdicom(path, count, ends)
        differing += one.shape != two.shape or int(np.abs(one.astype(int) - two).max()) > 1
    print(f"{unread} files that a peer does not open are left out")
    print(f"{len(files)} files, {frames} frames; more than one grey level from highdicom: {differing} files")
    ways: dict[str, Callable[[Path, int, tuple[float, float] | None], Any]] = {
        "medloom": lambda path, count, _: ours(path, count),
        "highdicom": by_highdicom,
        "pydicom": by_pydicom,
    }
    spent = dict.fromkeys(ways, 0.0)
    rounds = 0
    names = list(ways)
    while min(spent.values()) < options.seconds:
        names = [*names[1:], names[0]]
        for name in names:
            started = time.perf_counter()
            for path, count, ends in files:
                ways[name](path, count, ends)
            spent[name] += time.perf_counter() - started
        rounds += 1
    for name, seconds in spent.items():
        print(f"{name}: {frames * rounds / seconds:,.0f} frames/s")
    for peer in ("highdicom", "pydicom"):
        print(f"medloom against {peer}: {spent[peer] / spent['medloom']:.2f} times as fast")


if __name__ == "__main__":
    main()
