"""The rows of each unit in files of their own, so that a unit reads its rows and no others.

The samples of a shard lie in nearly every part of a manifest, since they are placed by the hash of their group. So the
plan, which reads every part anyway, sorts their rows once: its work grows with the rows, not with rows times shards.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from shards.manifest import SCHEMA
from shards.stage import Part

BATCH_ROWS = 50_000  # held at a time; each batch adds one file to a unit


def write_rows(parts: Sequence[Part], wanted: pl.DataFrame, folder: Path) -> None:
    """Write rows of the parts as `<folder>/<unit>/<batch>.parquet`.

    `wanted` has the columns key, part (its number) and unit. Rows keep the order of the parts and inside them. What an
    earlier plan wrote is removed.
    """
    shutil.rmtree(folder, ignore_errors=True)
    of_part = {int(part[0]): rows for part, rows in wanted.select("part", "key", "unit").group_by("part")}
    held: list[pl.DataFrame] = []
    batch = 0
    for at in sorted(of_part):
        rows = pl.read_parquet(parts[at].path)
        held.append(rows.join(of_part[at].drop("part"), on="key", how="inner", maintain_order="left"))
        if sum(frame.height for frame in held) >= BATCH_ROWS:
            _write(held, folder, batch)
            held, batch = [], batch + 1
    _write(held, folder, batch)


def _write(held: Sequence[pl.DataFrame], folder: Path, batch: int) -> None:
    if not held:
        return
    for (unit, *_), rows in pl.concat(held).partition_by("unit", as_dict=True, include_key=False).items():
        (folder / str(unit)).mkdir(parents=True, exist_ok=True)
        rows.write_parquet(folder / str(unit) / f"{batch:06d}.parquet", compression="zstd", statistics=False)


def read_rows(folder: Path) -> pl.DataFrame:
    """The rows of one unit, as `write_rows` wrote them; they were checked when the plan read their parts."""
    frames = [pl.read_parquet(path) for path in sorted(folder.glob("*.parquet"))]
    assert frames, f"{folder}: a unit without rows"
    rows = pl.concat(frames)
    assert rows.schema == SCHEMA, folder
    return rows
