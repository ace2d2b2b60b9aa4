"""What recipes are tested with: a data set in its published layout, and the captions that come of it."""

from __future__ import annotations

import copy
import re
import runpy
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

from captioning.fill import FillCaptions
from captioning.truth import judge
from ingest.probe import ProbeMedia
from pipelines.spec import load
from shards.manifest import Sample, frame, samples, write_part
from shards.pack import PackShards
from shards.reader import read_split
from shards.stage import Context, Reject, Unit

UNSAYABLE = re.compile(
    r"\bnan\b|\bNone\b(?! of)|\bnull\b|\(\s*\)|___|[{}\[\]]|\s[.,]|,,|\.\.|  |\b(?:19|20)\d\d-\d\d", re.I
)


BUILD = runpy.run_path(str(Path(__file__).parents[2] / "shards" / "build_stage.py"))["build"]


@dataclass(frozen=True)
class Made:
    """What a recipe gave: its rows with captions, and its rejects."""

    rows: pl.DataFrame
    rejects: list[Reject]
    offered: int

    @property
    def samples(self) -> list[Sample]:
        return list(samples(self.rows))

    @property
    def reasons(self) -> dict[str, str]:
        return {reject.item: reject.reason for reject in self.rejects}

    @property
    def counts(self) -> dict[str, int]:
        return dict(Counter(reject.reason for reject in self.rejects))

    def said(self, ending: str) -> str:
        """The first caption of the one sample whose file ends so."""
        (sample,) = [sample for sample in self.samples if sample.media.uri.endswith(ending)]
        return sample.captions[0].text


def run_stage(stage: Any, ctx: Context) -> Made:
    """Every unit of a source, captioned by the template; accounts checked."""
    parts, rejects, offered = [], [], 0
    with stage.open(ctx) as worker:
        for unit in stage.units(ctx):
            result = worker.process(unit)
            assert result.accepted + len(result.rejects) == result.offered, unit.id
            parts.append(result.rows)
            rejects += result.rejects
            offered += result.offered
    rows = pl.concat(part for part in parts if part is not None).sort("key")
    rows.write_parquet(ctx.tmp / "part.parquet", compression="uncompressed")  # a part that nobody asks the hash of
    with FillCaptions().open(ctx) as filler:
        filled = filler.process(Unit(id="part", payload={"part": str(ctx.tmp / "part.parquet")}))
    assert not filled.rejects
    assert filled.rows is not None
    return Made(filled.rows, rejects, offered)


def pack_some(made: Made, folder: Path) -> None:
    """Some stills and clips of the rows whose files are there go through the shards."""
    there = [replace(one, split="train") for one in made.samples if Path(one.media.uri).exists()]
    if not there:
        return
    part = folder / "part.parquet"
    write_part(frame([*there[:3], *there[-1:]] if len(there) > 3 else there), part)
    with ProbeMedia().open(Context(root=folder, out=folder, tmp=folder, folder=folder)) as worker:
        probed = worker.process(Unit(id="part", payload={"part": str(part)}))
    assert probed.rejects == []
    assert probed.rows is not None
    for name, preset, media in (("images", "square-64", "png"), ("clips", "medisyn-clip", "mp4")):
        frames = pl.col("media").struct.field("frames")
        chosen = probed.rows.filter(frames == 1 if name == "images" else frames > 1)
        if chosen.height:
            write_part(chosen, folder / name / "part.parquet")
            BUILD(PackShards(preset=preset, media=media), folder / name, [folder / name / "part.parquet"])
            packed = [sample.key for sample in read_split(folder / name / "pack", "train")]
            assert sorted(packed) == sorted(chosen["key"])


@pytest.fixture
def context(tmp_path: Path) -> Context:
    work = tmp_path / "work"
    work.mkdir()
    return Context(root=work, out=work / "stage", tmp=work, folder=tmp_path, key=b"a key of the tests")


@pytest.fixture
def make(tmp_path: Path, context: Context) -> Callable[..., Made]:
    """make(recipe, **options): the recipe over the data set at `path` (default: set/), as a pipelines file has it."""

    def run(recipe: str, **options: Any) -> Made:
        given: Mapping[str, Any] = {"path": str(tmp_path / "set"), **options}
        text = f"version: 1\npipelines:\n  p:\n    root: out\n    stages:\n      one:\n        use: 'recipe:{recipe}'\n"
        (tmp_path / "pipelines.yaml").write_text(f"{text}        with: {given}\n")
        made = run_stage(load(tmp_path / "pipelines.yaml", "p").stages[0].stage, replace(copy.copy(context)))
        if options.get("check_files", True) and not (tmp_path / "shards" / recipe).exists():
            pack_some(made, tmp_path / "shards" / recipe)
        return made

    return run


@pytest.fixture(scope="session")
def radiograph() -> np.ndarray[Any, Any]:
    """A real chest radiograph of pydicom-data, 200 x 188, 16 bits."""
    from pydicom.data import get_testdata_file

    from shards.media import MediaReader

    path = str(get_testdata_file("RG1_J2KR.dcm", download=False))
    shown = MediaReader().dicom(path).dataset.pixel_array
    return np.ascontiguousarray(shown[::10, ::10])


@pytest.fixture
def picture(tmp_path: Path, radiograph: np.ndarray[Any, Any]) -> Callable[..., None]:
    """picture(path, mode): the radiograph as a file below set/, as 8-bit grey, RGBA, or 16 bits of 12 used."""

    def write(path: str, mode: str = "L") -> None:
        where = tmp_path / "set" / path
        where.parent.mkdir(parents=True, exist_ok=True)
        twelve = (radiograph.astype(np.float64) / radiograph.max() * 4095).astype(np.uint16)
        if mode == "16":
            Image.fromarray(twelve).save(where)
        else:
            Image.fromarray((twelve // 16).astype(np.uint8)).convert(mode).save(where)

    return write


def false_of(made: Made, vocabulary: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    """Every false or broken statement of the captions that we worded."""
    found = []
    for sample in made.samples:
        for caption in sample.captions:
            if caption.by != "source":
                found += [(caption.text, line) for line in judge(caption.text, sample, vocabulary)]
            if UNSAYABLE.search(caption.text):
                found.append((caption.text, "broken"))
    return found


@pytest.fixture
def lies() -> Callable[..., list[tuple[str, str]]]:
    return false_of
