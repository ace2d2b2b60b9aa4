"""Curation of a NIH-like manifest: seconds and peak memory, by number of rows.

    python benchmarks/curate.py [--rows 1000000] [--folder FOLDER]

Rows are made in the shape of NIH ChestX-ray14 (3.6 images a patient, one study label an image, media opened), in
parts of 20,000. The peer is the least that any curation of a manifest must do: read every part and write it again.
Each runs in a fresh process, whose peak is its own: the peer's says what the libraries and one part take.

Found on two busy cores: a million rows in 49 s (the peer: 25 s) and 0.55 GB; 5.8 million in 465 s (the peer: 200 s) and
1.68 GB, of which 0.26 GB are the peer's, too. Seconds change with the load, the peak does not.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from ingest.curate import Curate
from shards.manifest import SCHEMA, read_part, write_part
from shards.stage import Context, Kind, Output, Part
from shards.vocabulary import TERM_NAMES

PART_ROWS = 20_000
IMAGES_PER_PATIENT = 3.6
BASE32 = "abcdefghijklmnopqrstuvwxyz234567"


def ids(rng: np.random.Generator, count: int, letters: str = BASE32, length: int = 26) -> np.ndarray:
    """Random words [count] of `length` letters."""
    drawn = np.frombuffer(letters.encode(), dtype=np.uint8)[rng.integers(0, len(letters), (count, length))]
    return drawn.view(f"S{length}").ravel().astype(str)


def part_rows(rng: np.random.Generator, patients: np.ndarray, rows: int) -> pl.DataFrame:
    """One part of `rows` rows, each of a patient drawn from `patients`."""
    drawn = patients[rng.integers(0, len(patients), rows)]
    table = pl.DataFrame(
        {
            "name": ids(rng, rows),
            "patient": drawn,
            "source_id": ids(rng, rows),
            "sha256": ids(rng, rows, "0123456789abcdef", 64),
        }
    )
    yes = pl.struct(answer=pl.lit("yes"), evidence=pl.lit("the owner's page"))
    label = pl.struct(
        name=pl.lit("Cardiomegaly"), state=pl.lit("present"), scope=pl.lit("study"), origin=pl.lit("text-mined")
    )
    media = pl.struct(
        uri=pl.format("/data/nih/images/{}.png", "name"),
        kind=pl.lit("image"),
        locator=pl.lit(""),
        sha256="sha256",
        width_px=1024,
        height_px=1024,
        frames=1,
        fps=None,
    )
    return table.select(
        key=pl.format("nih-{}", "name"),
        media=media,
        captions=pl.lit([], dtype=SCHEMA["captions"]),
        modality=pl.lit("DX"),
        specialty=pl.lit("radiology"),
        patient="patient",
        study=None,
        source_id="source_id",
        group=pl.format("patient:{}", "patient"),
        labels=pl.concat_list(label),
        label_scope=pl.lit("study"),
        source=pl.lit("nih"),
        url=None,
        retrieved=None,
        license=pl.lit("CC0-1.0"),
        terms=pl.struct(**dict.fromkeys(TERM_NAMES, yes)),
        official_split=None,
        attributes=pl.lit('{"age":58.0,"sex":"male","view":"PA"}'),
        template=None,
        split=None,
    ).cast(dict(SCHEMA))


def make_manifest(folder: Path, rows: int) -> Output:
    rng = np.random.default_rng(0)
    patients = ids(rng, round(rows / IMAGES_PER_PATIENT))
    parts = []
    for number in range(-(-rows // PART_ROWS)):
        path = folder / "nih" / "parts" / f"part-{number:05d}.parquet"
        table = part_rows(rng, patients, min(PART_ROWS, rows - number * PART_ROWS))
        parts.append(Part(id=path.stem, path=path, content=write_part(table, path), rows=table.height))
    return Output(stage="nih", kind=Kind.MANIFEST, path=folder / "nih", content="", parts=tuple(parts))


def copy(manifest: Output, root: Path) -> int:
    """The peer."""
    for part in manifest.parts:
        write_part(read_part(part.path), root / "copy" / part.path.name)
    return sum(part.rows for part in manifest.parts)


def curate(manifest: Output, root: Path) -> int:
    ctx = Context(root=root, out=root / "curated", tmp=root / "tmp", folder=root, key=b"benchmark key of no person")
    return Curate(allow_licenses=("CC0-1.0",), val_share=0.01).run([manifest], ctx).accepted


def measure(work: Callable[[Output, Path], int], manifest: Output, root: Path) -> tuple[int, float, float]:
    """What `work` returns, its seconds, and the peak memory of this process in GB."""
    started = time.perf_counter()
    rows = work(manifest, root)
    seconds = time.perf_counter() - started
    status = Path("/proc/self/status").read_text()
    peak_kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    return rows, round(seconds, 1), round(peak_kib * 1024 / 1e9, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="for the parts; a temporary folder where it is not given")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        root = Path(name)
        manifest = make_manifest(root, arguments.rows)
        found: dict[str, float] = {"rows": arguments.rows}
        for what, work in (("read_and_write", copy), ("curate", curate), ("again_with_ledger", curate)):
            with multiprocessing.get_context("spawn").Pool(1) as fresh:
                rows, seconds, peak_gb = fresh.apply(measure, (work, manifest, root))
            assert rows == arguments.rows
            found |= {f"{what}_s": seconds, f"{what}_peak_gb": peak_gb}
        found["ratio"] = round(found["curate_s"] / found["read_and_write_s"], 2)
        print(json.dumps(found))


if __name__ == "__main__":
    main()
