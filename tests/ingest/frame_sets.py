"""A set of frames in folders with labels in JSON, and the stage that reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image

from ingest.columns import LabelList
from ingest.converters.labelled_video import LabelledVideo
from ingest.frame_labels import FrameJson
from ingest.rights import Rights

CATEGORIES = {
    "instrument": {"0": "grasper", "1": "bipolar"},
    "phase": {"0": "preparation", "1": "carlot-triangle-dissection"},
}


def cholect50(folder: Path) -> None:
    """The published layout of CholecT50: frames of one video in a folder, triplets in JSON; frame 3 is black."""
    (folder / "videos/VID01").mkdir(parents=True)
    (folder / "labels").mkdir()
    for number in range(20):
        shade = 0 if number == 3 else 100 + number
        Image.new("RGB", (64, 32), (shade, shade // 2, shade)).save(folder / f"videos/VID01/{number:06d}.png")
    vector = [1, 0, 1.0, 0.1, 0.1, 0.2, 0.2, 2, 0, 1.0, 0.1, 0.1, 0.2, 0.2, 0]
    empty: list[Any] = []
    annotations = {str(number): [vector] if number % 2 == 0 else empty for number in range(20)}
    annotations["4"] = [vector, [*vector[:1], 1, *vector[2:]]]
    annotations["6"] = [[-1, -1, *vector[2:14], 0]]
    (folder / "labels/VID01.json").write_text(json.dumps({"categories": CATEGORIES, "annotations": annotations}))


def stage(folder: Path | str, **options: Any) -> LabelledVideo:
    """Converts it: a still of every frame, and clips of 8."""
    usual: dict[str, Any] = {
        "include": ("labels/*.json",),
        "video": "videos/{stem}",
        "json": FrameJson(
            file="labels/{stem}.json",
            columns={"instrument": 1, "phase": 14},
            names={"instrument": "categories.instrument", "phase": "categories.phase"},
        ),
        "label_lists": (LabelList(column="instrument", separator="|"),),
        "attribute_columns": {"phase": "phase"},
        "stills_every": 1,
        "clip_frames": 8,
        "fps": 1.0,
    }
    return LabelledVideo(
        source="cholect50",
        rights=Rights(license="CC-BY-NC-SA-4.0"),
        path=str(folder),
        modality="SURG",
        specialty="general surgery",
        label_scope="frames",
        **{**usual, **options},
    )
