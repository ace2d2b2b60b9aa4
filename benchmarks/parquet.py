"""Rows a CPU second out of a Hugging Face Parquet set: this project's converter and plain `load_dataset` iteration.

    python benchmarks/parquet.py [--rows 20000] [--rounds 3]

A set in the layout of ROCOv2 (JPEG of 128 px in the cell, id, caption, list of concepts; row groups of 100), written by
`datasets` itself into four files. Compared: `HuggingFace` to manifest parts (captions, labels, keys, groups, licence),
with and without reading every picture for its hash and size, against iterating `load_dataset(..., streaming=True)` with
the pictures left encoded (`decode=False`) and with the default, which decodes them. CPU time of the process with all
its threads, since cores may be shared; best of the rounds, so that imports are left out.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from PIL import Image

from ingest.columns import LabelList
from ingest.converters.hf_dataset import HuggingFace
from ingest.rights import Rights
from shards.stage import Context
from shards.uri import local_path

FILES = 4


def make(folder: Path, rows: int) -> None:
    """Write the set; its pictures are cut from a real fundus photograph."""
    with Image.open(str(local_path("package://skimage/data/retina.jpg"))) as image:
        whole = np.asarray(image.convert("RGB"))
    rng = np.random.default_rng(0)
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "image_id": datasets.Value("string"),
            "caption": datasets.Value("string"),
            "cui": datasets.Sequence(datasets.Value("string")),
        }
    )

    def cut() -> dict[str, Any]:
        top, left = rng.integers(0, whole.shape[0] - 128), rng.integers(0, whole.shape[1] - 128)
        buffer = io.BytesIO()
        Image.fromarray(whole[top : top + 128, left : left + 128]).save(buffer, "JPEG", quality=90)
        return {"bytes": buffer.getvalue(), "path": None}

    for number in range(FILES):
        ids = range(number, rows, FILES)
        columns = {
            "image": [cut() for _ in ids],
            "image_id": [f"ROCOv2_2023_train_{row:06d}" for row in ids],
            "caption": [f"Fundus photograph number {row} with a small haemorrhage near the disc." for row in ids],
            "cui": [["C0016835", f"C{row % 997:07d}"] for row in ids],
        }
        name = f"data/train-{number:05d}-of-{FILES:05d}.parquet"
        (folder / "data").mkdir(exist_ok=True)
        datasets.Dataset.from_dict(columns, features=features).to_parquet(str(folder / name), batch_size=100)


def convert(folder: Path, work: Path, probe: bool) -> int:
    """Rows of the manifest that the converter made."""
    stage = HuggingFace(
        source="roco",
        path=str(folder),
        rights=Rights(license="CC-BY-NC-SA-4.0"),
        modality="OP",
        specialty="ophthalmology",
        caption="caption",
        source_id="image_id",
        official_split="split",
        label_lists=(LabelList(column="cui", form="json"),),
        probe=probe,
    )
    ctx = Context(root=work, out=work, tmp=work, folder=work, key=b"benchmark")
    made = 0
    with stage.open(ctx) as worker:
        for unit in stage.units(ctx):
            made += worker.process(unit).accepted
    return made


def iterate(folder: Path, decode: bool) -> int:
    """Rows that the peer gave."""
    rows = datasets.load_dataset(str(folder), split="train", streaming=True)
    if not decode:
        rows = rows.cast_column("image", datasets.Image(decode=False))
    return sum(1 for row in rows if row["caption"] and row["image"])


def best(rounds: int, rows: int, run: Callable[[], int]) -> float:
    """Rows a CPU second of the fastest round."""
    seconds = []
    for _ in range(rounds):
        start = time.process_time()
        assert run() == rows
        seconds.append(time.process_time() - start)
    return rows / min(seconds)


def main() -> None:
    """Make the set, run all four in turn, print rows a CPU second."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory() as folder:
        data, work = Path(folder) / "set", Path(folder) / "work"
        data.mkdir()
        work.mkdir()
        make(data, options.rows)
        runs: dict[str, Callable[[], int]] = {
            "converter, to manifest parts": lambda: convert(data, work, probe=False),
            "converter, with hash and size of each picture": lambda: convert(data, work, probe=True),
            "load_dataset iteration, pictures left encoded": lambda: iterate(data, decode=False),
            "load_dataset iteration, as it is (decodes)": lambda: iterate(data, decode=True),
        }
        for name, run in runs.items():
            print(f"{best(options.rounds, options.rows, run):10,.0f} rows/CPU s  {name}")


if __name__ == "__main__":
    main()
