"""A NIH-like table of MediSyn's size to captioned manifest parts: seconds and peak memory, against a pandas row loop.

    python benchmarks/table.py [--rows 5800000] [--peer-rows 50000]

The table has the columns and vocabulary of NIH ChestX-ray14 (836 combinations of findings, four pictures a patient). It
goes through the recipe `nih_chestxray14` and the template captioner with `medloom run` on local Ray, two workers; what
is measured is the whole command, from its start to the lock file, and the memory of all its processes (proportional set
size, so that shared pages count once). The peer reads 50,000 rows with pandas and words them in a loop over rows, which
is how such converters are usually written: the same facts, no licence, no keys, no checks. Files are not looked at by
either.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import polars as pl

FINDINGS = [
    "Infiltration", "Effusion", "Atelectasis", "Nodule", "Mass", "Pneumothorax", "Consolidation", "Pleural_Thickening",
    "Cardiomegaly", "Emphysema", "Edema", "Fibrosis", "Pneumonia", "Hernia",
]  # fmt: skip
PIPELINE = """\
version: 1
pipelines:
  table:
    root: root
    key: {{public: benchmark}}
    stages:
      rows: {{use: "recipe:nih_chestxray14", with: {{path: {folder}, check_files: false}}}}
      caption: {{use: "captioning.fill:FillCaptions", from: [rows]}}
"""


def write_table(path: Path, rows: int) -> None:
    draw = np.random.default_rng(0)
    combinations = ["No Finding"]
    combinations += [
        "|".join(sorted(draw.choice(FINDINGS, size=count, replace=False))) for count in draw.integers(1, 5, 835)
    ]
    patient = np.arange(rows) // 4 + 1
    found = np.where(draw.random(rows) < 0.54, 0, draw.integers(1, len(combinations), rows))
    age = np.repeat(draw.integers(1, 95, rows // 4 + 1), 4)[:rows]
    sex = np.repeat(draw.random(rows // 4 + 1) < 0.5, 4)[:rows]
    pl.DataFrame(
        {
            "Image Index": pl.Series(patient).cast(pl.String).str.zfill(8)
            + "_"
            + pl.Series(np.arange(rows) % 4).cast(pl.String).str.zfill(3)
            + ".png",
            "Finding Labels": pl.Series(combinations)[found],
            "Follow-up #": np.arange(rows) % 4,
            "Patient ID": patient,
            "Patient Age": age,
            "Patient Gender": np.where(sex, "M", "F"),
            "View Position": np.where(draw.random(rows) < 0.6, "PA", "AP"),
        }
    ).write_csv(path)


def tree_bytes(root: int) -> int:
    """Proportional set size of a process and all below it."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(folder.name))
    total, todo = 0, [root]
    while todo:
        process = todo.pop()
        todo += children.get(process, [])
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def ours(folder: Path) -> tuple[float, int]:
    """Seconds and peak bytes of the whole command."""
    (folder / "pipelines.yaml").write_text(PIPELINE.format(folder=folder))
    command = [str(Path(sys.executable).with_name("medloom")), "run", "table", "--workers", "2"]
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, env={**os.environ, "POLARS_MAX_THREADS": "1"})
    peak, done = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(1.0):
            peak = max(peak, tree_bytes(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    seconds = time.perf_counter() - started
    done.set()
    watcher.join()
    assert code == 0
    return seconds, peak


def pandas_loop(path: Path, rows: int) -> float:
    """Seconds for a caption of each row, worded in a loop."""
    import pandas as pd

    started = time.perf_counter()
    table = pd.read_csv(path, nrows=rows, dtype=str)
    records = []
    for _, row in table.iterrows():
        names = [name.replace("_", " ").lower() for name in row["Finding Labels"].split("|")]
        said = "none of the 14 labelled findings" if names == ["no finding"] else ", ".join(names)
        person = "man" if row["Patient Gender"] == "M" else "woman"
        view, age = row["View Position"], row["Patient Age"]
        caption = f"{view} chest radiograph of a {age}-year-old {person}, from a study with {said}."
        records.append({"path": f"images/{row['Image Index']}", "patient": row["Patient ID"], "caption": caption})
    pd.DataFrame(records).to_parquet(path.with_suffix(".peer.parquet"))
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=5_800_000)
    parser.add_argument("--peer-rows", type=int, default=50_000)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    try:
        table = folder / "Data_Entry_2017_v2020.csv"
        write_table(table, options.rows)
        seconds, peak = ours(folder)
        parts = list((folder / "root" / "caption" / "parts").glob("*.parquet"))
        rows = pl.scan_parquet(parts)
        captioned = rows.select((pl.col("captions").list.len() > 0).sum()).collect().item()
        print(
            f"medloom: {options.rows:,} rows, {captioned:,} captioned, {seconds:.1f} s, "
            f"{options.rows / seconds:,.0f} rows/s, peak {peak / 2**30:.2f} GiB"
        )
        for line in rows.select(pl.col("captions").list.first().struct.field("text")).head(3).collect().to_series():
            print(f"    {line}")
        peer = pandas_loop(table, options.peer_rows)
        print(f"pandas loop: {options.peer_rows:,} rows, {peer:.1f} s, {options.peer_rows / peer:,.0f} rows/s")
        print(f"ratio {options.rows / seconds / (options.peer_rows / peer):.1f}")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
