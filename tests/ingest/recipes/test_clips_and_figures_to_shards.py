"""CAMUS, PathVQA and PMC-OA from their recipes through curation into shards: pixels, rates, captions and licences."""

from __future__ import annotations

import io
import json
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import datasets
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

CONTAINERS = runpy.run_path(str(Path(__file__).parents[1] / "container_layouts.py"))
SETS = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "layouts" / "thin.py")))
PIPELINE = """
version: 1
pipelines:
  mixed:
    root: out
    key: {{public: mixed}}
    stages:
      camus: {{use: "recipe:camus", with: {{path: camus}}}}
      path_vqa: {{use: "recipe:path_vqa", with: {{path: path_vqa, probe: true}}}}
      pmc_oa: {{use: "recipe:pmc_oa", with: {{path: pmc_oa, licences: {licences}, probe: true}}}}
      curate:
        use: "ingest.curate:Curate"
        from: [camus, path_vqa, pmc_oa]
        with: {{allow_licenses: [CC-BY-NC-SA-4.0, LicenseRef-PathVQA, CC-BY-4.0]}}
      caption: {{use: "captioning.fill:FillCaptions", from: [curate]}}
      stills:
        use: "shards.pack:PackShards"
        from: [caption]
        with: {{name: stills, preset: square-128, media: png, select: images}}
      clips:
        use: "shards.pack:PackShards"
        from: [caption]
        with: {{name: clips, preset: medisyn-clip, media: mp4, select: clips}}
"""


def packed(folder: Path) -> list[tuple[dict[str, Any], Any]]:
    """(record, sample) of all splits."""
    found = [
        one for split in ("train", "val", "test") if (folder / split).is_dir() for one in read_split(folder, split)
    ]
    return [(json.loads(one.members["json"]), one) for one in found]


@pytest.mark.slow
def test_clips_and_figures_land_in_shards(tmp_path: Path) -> None:
    datasets.disable_progress_bars()
    patients = {
        number: {"split": split, "ef": 50 + number, "fps": 40 + number, "frames": 12 + number}
        for number, split in ((1, "train"), (2, "val"), (3, "test"))
    }
    SETS.camus(tmp_path / "camus", patients)
    CONTAINERS["path_vqa"](tmp_path / "path_vqa")
    names = [f"PMC{article}_f1_{number}.jpg" for article in (21, 22, 23) for number in (1, 2)]
    shown = SETS.pmc_oa(tmp_path / "pmc_oa", [{"image": name, "caption": f"Caption of {name}."} for name in names])
    (tmp_path / "licences.csv").write_text("pmcid,license\nPMC21,CC-BY-4.0\nPMC22,TDM\n")
    (tmp_path / "pipelines.yaml").write_text(PIPELINE.format(licences=tmp_path / "licences.csv"))
    report = run(load(tmp_path / "pipelines.yaml", "mixed", ()), RunOptions(), SerialPool, Screen(quiet=True))
    assert not report.failed
    for name in ("stills", "clips"):
        assert verify(tmp_path / "out" / name).good

    curated = pl.read_parquet(tmp_path / "out/curate/parts/*.parquet")
    figures = curated.filter(pl.col("source") == "pmc_oa")
    assert sorted(figures["media"].struct.field("uri").str.extract(r"([^/]*)$")) == names[:2], "the others have none"
    refused = pl.read_parquet(tmp_path / "out/curate/rejects/*.parquet").filter(reason="licence_not_allowed")
    why = [f"{licence} is not on the list" for licence in ("LicenseRef-PMC-unstated", "TDM") for _ in range(2)]
    assert sorted(refused["detail"]) == why

    clips = packed(tmp_path / "out/clips")
    assert len(clips) == 6
    for record, sample in clips:
        number = {50.0 + one: one for one in patients}[json.loads(record["attributes"])["ejection_fraction_percent"]]
        view = "2CH" if "two-chamber" in sample.members["txt"].decode() else "4CH"
        assert (record["source_frames"], record["fps"]) == (12 + number, 40.0 + number)
        assert record["split"] == patients[number]["split"]
        with av.open(io.BytesIO(sample.members["mp4"]), format="mp4") as container:
            assert float(container.streams.video[0].average_rate or 0) == 40.0 + number
            frames = np.stack([frame.to_ndarray(format="gray") for frame in container.decode(video=0)])
        assert frames.shape == (32, 256, 448)
        assert frames[12 + number :].max() <= 1, "short clips end in black frames"
        for place in (0, 11 + number):
            part = SETS.frames_of(number, view, 12 + number)[place]
            expected = np.asarray(Image.fromarray(part).resize((294, 256), Image.Resampling.BICUBIC), float)
            assert np.abs(frames[place, :, 77:371] - expected).mean() < 4, "the frame of the file, upright"
            assert frames[place, :, :70].max() <= 1

    stills = packed(tmp_path / "out/stills")
    by_source: dict[str, list[tuple[dict[str, Any], Any]]] = {}
    for record, sample in stills:
        by_source.setdefault(record["source"], []).append((record, sample))
    assert {source: len(found) for source, found in by_source.items()} == {"camus": 12, "path_vqa": 2, "pmc_oa": 2}
    for _, sample in by_source["camus"]:
        text = sample.members["txt"].decode()
        assert ("at end diastole" in text) != ("at end systole" in text)
    for record, sample in by_source["pmc_oa"]:
        text = sample.members["txt"].decode()
        name = text.partition("Caption of ")[2].strip().removesuffix(".")
        assert record["license"] == "CC-BY-4.0"
        with Image.open(io.BytesIO(sample.members["png"])) as image:
            whole = np.asarray(image.convert("RGB"), float)
        expected = np.asarray(Image.fromarray(shown[name]).resize((128, 100), Image.Resampling.BICUBIC), float)
        assert np.abs(whole[14:114] - expected).mean() < 3
    for _, sample in by_source["path_vqa"]:
        assert sample.members["txt"].decode().startswith("Question about a pathology image: ")
