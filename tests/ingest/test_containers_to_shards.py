"""One pipeline over files that hold many pictures: converted, curated, captioned, packed; they come out the same."""

from __future__ import annotations

import io
import json
import runpy
from collections import Counter
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from PIL import Image

from pipelines.pool import SerialPool
from pipelines.run import RunOptions, run
from pipelines.screen import Screen
from pipelines.spec import load
from shards.reader import read_split
from shards.verify import verify

LAYOUTS = runpy.run_path(str(Path(__file__).with_name("container_layouts.py")))

PIPELINE = r"""
version: 1
pipelines:
  containers:
    root: out
    key: {public: containers}
    stages:
      medmnist:
        use: "ingest.converters.array_files:ArrayFiles"
        with:
          source: pathmnist
          path: medmnist
          rights: &open {license: CC-BY-4.0}
          modality: SM
          specialty: pathology
          pictures: (?P<split>train|val|test)_images
          row_arrays: {class: "{split}_labels"}
          labels: [{column: class, name: adipose tissue, states: {"0": present, "1": unstated}}]
          official_split: split
          probe: true
      pcam:
        use: "ingest.converters.array_files:ArrayFiles"
        with:
          source: pcam
          path: pcam
          rights: *open
          modality: SM
          specialty: pathology
          include: ["*_x.h5"]
          parts: {name: "_split_(?P<split>train|valid|test)_x\\.h5$"}
          pictures: x
          row_arrays: {tumour: {array: y, file: "camelyonpatch_level_2_split_{split}_y.h5"}}
          row_table: "camelyonpatch_level_2_split_{split}_meta.csv"
          labels: [{column: tumour, name: metastatic tissue, states: {"1": present, "0": absent}}]
          group: wsi
          group_is: slide
          official_split: split
          split_names: {valid: val}
      fastmri:
        use: "ingest.converters.array_files:ArrayFiles"
        with:
          source: fastmri
          path: fastmri
          rights: *open
          modality: MR
          specialty: radiology
          pictures: kspace
          file_attributes: [acquisition]
          attribute_columns: {sequence: acquisition}
          group: path
      roco:
        use: "ingest.converters.hf_dataset:HuggingFace"
        with:
          source: roco
          path: roco
          rights: *open
          modality: CT
          specialty: radiology
          caption: caption
          official_split: split
          split_names: {validation: val}
      probe:
        use: "ingest.probe:ProbeMedia"
        from: [medmnist, pcam, fastmri, roco]
      curate:
        use: "ingest.curate:Curate"
        from: [probe]
        with: {allow_licenses: [CC-BY-4.0]}
      caption: {use: "captioning.fill:FillCaptions", from: [curate]}
      pack:
        use: "shards.pack:PackShards"
        from: [caption]
        with: {name: all, preset: square-64, media: png}
"""


@pytest.mark.slow
def test_pictures_in_containers_land_in_shards_as_they_are(tmp_path: Path) -> None:
    datasets.disable_progress_bars()
    for name in ("medmnist", "pcam", "fastmri"):
        (tmp_path / name).mkdir()
    slide, head = LAYOUTS["slide"](), LAYOUTS["head"]()
    splits = {"train": 12, "val": 3, "test": 4}
    tiles = {split: LAYOUTS["tiles"](slide, count, 64, count) for split, count in splits.items()}
    labels = {split: (np.arange(count) % 2).reshape(-1, 1) for split, count in splits.items()}
    LAYOUTS["medmnist"](tmp_path / "medmnist", "pathmnist_64", tiles, labels)
    LAYOUTS["pcam"](tmp_path / "pcam", slide, "train", 7)
    LAYOUTS["fastmri"](
        tmp_path / "fastmri" / "file1.h5", head[18:178, 26:206, 70:100:6].transpose(2, 1, 0), "AXT1", "p"
    )
    LAYOUTS["roco"](tmp_path / "roco", {"train": 5, "validation": 3, "test": 2})
    (tmp_path / "pipelines.yaml").write_text(PIPELINE)
    run(load(tmp_path / "pipelines.yaml", "containers", ()), RunOptions(), SerialPool, Screen(quiet=True))
    shards = tmp_path / "out" / "pack"
    assert verify(shards).good
    counts: Counter[tuple[str, str]] = Counter()
    whole: dict[tuple[str, int], Any] = {}
    for split in splits:
        for sample in read_split(shards, split):
            record = json.loads(sample.members["json"])
            counts[record["source"], split] += 1
            assert sample.members["txt"]
            if record["source"] == "pathmnist":
                view = json.loads(record["locator"])
                with Image.open(io.BytesIO(sample.members["png"])) as image:
                    whole[view["array"].removesuffix("_images"), view["row"]] = np.asarray(image)
    landed: Counter[str] = Counter()
    for (source, _), number in counts.items():
        landed[source] += number
    assert landed == {"pathmnist": 19, "pcam": 7, "fastmri": 5, "roco": 10}
    assert len([1 for source, _ in counts if source == "fastmri"]) == 1, "one volume lies in one split"
    assert counts["pathmnist", "test"] == 4
    for split, count in splits.items():
        for row in range(count):
            assert np.array_equal(whole[split, row], tiles[split][row])
