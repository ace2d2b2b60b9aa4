"""Curation of a NIH-like manifest: seconds and peak memory, by number of rows.

    python benchmarks/curate.py [--rows 1000000]

Rows are made in the shape of NIH ChestX-ray14 (3.6 images a patient, one study label an image, media opened), in
parts of 20,000. The peer is the least that any curation of a manifest must do: read every part and write it again.
"""

from __future__ import annotations

import argparse
import base64
import json
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from ingest.curate import Curate
from shards.manifest import SCHEMA, read_part, write_part
from shards.stage import Context, Kind, Output, Part
from shards.vocabulary import TERM_NAMES

PART_ROWS = 20_000
IMAGES_PER_PATIENT = 3.6


def ids(rng: np.random.Generator, count: int) -> list[str]:
    return [base64.b32encode(rng.bytes(17)).decode().lower()[:26] for _ in range(count)]


def part_rows(rng: np.random.Generator, patients: list[str], rows: int) -> pl.DataFrame:
    """One part of `rows` rows, each of a patient drawn from `patients`."""
    drawn = [patients[i] for i in rng.integers(0, len(patients), rows)]
    table = pl.DataFrame(
        {
            "name": ids(rng, rows),
            "patient": drawn,
            "source_id": ids(rng, rows),
            "sha256": [rng.bytes(32).hex() for _ in range(rows)],
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


def peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        manifest = make_manifest(root, rows)
        started = time.perf_counter()
        for part in manifest.parts:
            write_part(read_part(part.path), root / "copy" / part.path.name)
        copy_s = time.perf_counter() - started
        out = root / "curated"
        ctx = Context(root=root, out=out, tmp=root / "tmp", folder=root, key=b"benchmark key of no person")
        stage = Curate(allow_licenses=("CC0-1.0",), val_share=0.01)
        times = []
        for _ in range(2):
            started = time.perf_counter()
            result = stage.run([manifest], ctx)
            times.append(time.perf_counter() - started)
        print(
            json.dumps(
                {
                    "rows": rows,
                    "accepted": result.accepted,
                    "curate_s": round(times[0], 1),
                    "again_with_ledger_s": round(times[1], 1),
                    "read_and_write_only_s": round(copy_s, 1),
                    "ratio": round(times[0] / copy_s, 2),
                    "peak_gib": round(peak_gib(), 2),
                }
            )
        )


if __name__ == "__main__":
    main()
