"""What the tests of recordings share: a pack of samples."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from shards.manifest import Caption, Sample, frame, write_part
from shards.pack import PackShards
from shards.reader import read_split

BUILD = Path(__file__).parents[1] / "shards" / "build_stage.py"


def pack(folder: Path, samples: Sequence[Sample], preset: str) -> dict[str, tuple[npt.NDArray[np.uint8], Any]]:
    """Picture and record of each sample after it went through the pack stage, by key."""
    ready = [
        replace(one, split="train", captions=one.captions or (Caption(text="a recording", by="template@1"),))
        for one in samples
    ]
    part = folder / "manifest.parquet"
    write_part(frame(ready), part)
    build: Callable[..., dict[str, Any]] = runpy.run_path(str(BUILD))["build"]
    build(PackShards(preset=preset, media="png"), folder / preset, [part])
    found = {}
    for one in read_split(folder / preset / "pack", "train"):
        coded = np.frombuffer(one.members["png"], np.uint8)
        found[one.key] = cv2.imdecode(coded, cv2.IMREAD_UNCHANGED), json.loads(one.members["json"])
    return found
