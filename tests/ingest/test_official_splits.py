"""Published splits: cells and ranges of numbers that name them, and what the recipes set."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from ingest.converters.table_images import TableImages
from pipelines.spec import load

FIXED = runpy.run_path(str(Path(__file__).with_name("table_rows.py")))["FIXED"]
TABLE: dict[str, Any] = {**FIXED, "official_split": "fold"}


def splits(found: Any) -> dict[str, str | None]:
    return {sample.media.uri.rpartition("/")[2]: sample.official_split for sample in found.samples}


def recipe(folder: Path, name: str, **options: Any) -> Any:
    """The stage of a recipe over folder/set, as a pipelines file has it."""
    given = {"path": str(folder / "set"), **options}
    text = f"version: 1\npipelines:\n  p:\n    root: out\n    stages:\n      one:\n        use: 'recipe:{name}'\n"
    (folder / "pipelines.yaml").write_text(f"{text}        with: {given}\n")
    return load(folder / "pipelines.yaml", "p").stages[0].stage


def test_a_split_is_named_by_cells_and_by_ranges_of_numbers(convert: Any, tmp_path: Path) -> None:
    cells = ["1", "7", "8", "9", "10", "11", "08", "held back", ""]
    (tmp_path / "t.csv").write_text("file,fold\n" + "".join(f"{n}.png,{cell}\n" for n, cell in enumerate(cells)))
    found = convert(
        TableImages(**TABLE, split_names={"1..8": "train", "9": "val", "10..11": "test", "held back": "test"})
    )
    named = ["train", "train", "train", "val", "test", "test", "08", "test", None]
    assert splits(found) == {f"{n}.png": split for n, split in enumerate(named)}


def test_a_range_that_falls_is_refused() -> None:
    with pytest.raises(ValueError, match=r"split_names: '40\.\.1' is no range; write the smaller number first"):
        TableImages(**TABLE, split_names={"40..1": "train"})


def test_the_first_forty_videos_of_cholec80_are_for_training(tmp_path: Path, convert: Any) -> None:
    base = tmp_path / "set"
    for folder in ("videos", "phase_annotations", "tool_annotations"):
        (base / folder).mkdir(parents=True)
    tools = "Frame\tGrasper\tBipolar\tHook\tScissors\tClipper\tIrrigator\tSpecimenBag\n0\t1\t0\t0\t0\t0\t0\t0\n"
    for number in ("01", "40", "41", "80"):
        with av.open(str(base / f"videos/video{number}.mp4"), "w") as container:
            stream = container.add_stream("h264", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((32, 64, 3), 99, np.uint8), format="rgb24")))
            container.mux(stream.encode())
        (base / f"phase_annotations/video{number}-phase.txt").write_text("Frame\tPhase\n0\tPreparation\n")
        (base / f"tool_annotations/video{number}-tool.txt").write_text(tools)
    assert splits(convert(recipe(tmp_path, "cholec80"))) == {
        "video01.mp4": "train",
        "video40.mp4": "train",
        "video41.mp4": "test",
        "video80.mp4": "test",
    }


def test_chexpert_is_split_by_its_folders(tmp_path: Path, convert: Any) -> None:
    names = (
        "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,"
        "Lung Lesion,Edema,Consolidation,Pneumonia,Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,Fracture,"
        "Support Devices"
    )
    base = tmp_path / "set/CheXpert-v1.0-small"
    base.mkdir(parents=True)
    for folder in ("train", "valid"):
        line = f"CheXpert-v1.0-small/{folder}/patient00009/study1/{folder}.jpg,Female,71,Frontal,AP,,,,,,,,,,,,,,"
        (base / f"{folder}.csv").write_text(f"{names}\n{line}\n")
    found = [
        convert(recipe(tmp_path, "chexpert", table=f"CheXpert-v1.0-small/{folder}.csv", check_files=False))
        for folder in ("train", "valid")
    ]
    assert [splits(one) for one in found] == [{"train.jpg": "train"}, {"valid.jpg": "valid"}]
    assert len({one.samples[0].patient for one in found}) == 1


def test_the_folds_of_ptb_xl_are_its_splits(tmp_path: Path) -> None:
    named = recipe(tmp_path, "ptb_xl").named_splits()
    assert [named[str(fold)] for fold in range(1, 11)] == ["train"] * 8 + ["val", "test"]
