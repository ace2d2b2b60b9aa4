"""Slices and clips of volumes and slices of DICOM files, from recipes to shards: pixels and captions as they are."""

from __future__ import annotations

import io
import json
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import polars as pl
import pytest
from PIL import Image

from pipelines.pool import SerialPool
from pipelines.run import RunOptions, run
from pipelines.screen import Screen
from pipelines.spec import load
from shards.reader import read_split
from shards.verify import verify

SETS = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "layouts" / "volumes.py")))
PIPELINE = """
version: 1
pipelines:
  volumes:
    root: out
    key: {public: volumes}
    stages:
      ct_rate: {use: "recipe:ct_rate", with: {path: ct_rate, planes: [axial], every: 6, clip_every: 1, windows: [lung]}}
      rsna: {use: "recipe:rsna_ich", with: {path: rsna}}
      curate:
        use: "ingest.curate:Curate"
        from: [ct_rate, rsna]
        with: {allow_licenses: [CC-BY-NC-SA-4.0, LicenseRef-RSNA-ICH]}
      caption: {use: "captioning.fill:FillCaptions", from: [curate]}
      stills:
        use: "shards.pack:PackShards"
        from: [caption]
        with: {name: stills, preset: square-128, media: png, select: images}
      clips:
        use: "shards.pack:PackShards"
        from: [caption]
        with: {name: clips, preset: clip-8x128x128, media: mp4, select: clips}
"""


def packed(folder: Path) -> list[Any]:
    return [sample for split in ("train", "val", "test") if (folder / split).is_dir()
            for sample in read_split(folder, split)]  # fmt: skip


@pytest.mark.slow
def test_volumes_land_in_shards_as_slices_and_clips(tmp_path: Path) -> None:
    SETS.ct_rate(tmp_path / "ct_rate", {"train_1_a_1": {"labels": {"Emphysema": "1"}}})
    one = "ID_000000001"
    SETS.rsna(tmp_path / "rsna", {one: {}}, SETS.rsna_lines(one, ("any", "subdural")))
    (tmp_path / "pipelines.yaml").write_text(PIPELINE)
    report = run(load(tmp_path / "pipelines.yaml", "volumes", ()), RunOptions(), SerialPool, Screen(quiet=True))
    assert not report.failed
    assert pl.read_parquet(tmp_path / "out/caption/parts/*.parquet")["captions"].list.len().min() == 1
    for name in ("stills", "clips"):
        assert verify(tmp_path / "out" / name).good

    slices = {}
    for sample in packed(tmp_path / "out/stills"):
        record = json.loads(sample.members["json"])
        text = sample.members["txt"].decode()
        if record["source"] == "ct_rate":
            with Image.open(io.BytesIO(sample.members["png"])) as image:
                slices[json.loads(record["locator"])["slice"]] = np.asarray(image.convert("L"))
            assert "showing" not in text
        else:
            assert "subdural hemorrhage" in text
    assert set(slices) == {0, 6}
    for index, shown in slices.items():
        expected = SETS.windowed(SETS.hounsfield(SETS.BODY) - 2 * index, -600, 1500)
        assert np.abs(shown - expected).max() <= 1

    clips = packed(tmp_path / "out/clips")
    assert len(clips) == 1
    for clip in clips:
        record = json.loads(clip.members["json"])
        assert (record["source_frames"], record["frames"]) == (12, 8)
        first = next(
            int(step.split()[1]) for step in record["steps"] if "drawn by (seed, key)" in step and step[0] == "f"
        )
        with av.open(io.BytesIO(clip.members["mp4"]), format="mp4") as container:
            frames = np.stack([frame.to_ndarray(format="gray") for frame in container.decode(video=0)])
        assert frames.shape == (8, 128, 128)
        for place in (0, 7):
            expected = SETS.windowed(SETS.hounsfield(SETS.BODY) - 2 * (first + place), -600, 1500)
            assert np.abs(frames[place] - expected).mean() < 6, "lossy, and the slices that the record says"
        assert "from a scan with emphysema" in clip.members["txt"].decode()
        assert "slice sequence" in clip.members["txt"].decode()
