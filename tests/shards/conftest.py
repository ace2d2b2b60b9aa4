"""Shard sets of real tars with small members, for everything that does not care how a picture came about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import pytest

from shards.atomic import atomic_path
from shards.index import Shard, ShardSet, write_index
from shards.manifest import content_hash
from shards.tar import write_shard

MakeShards = Callable[..., ShardSet]


@pytest.fixture
def make_shards(tmp_path: Path) -> MakeShards:
    """make_shards({"train": [3, 2]}, folder="a") writes two tars and their index; members differ in length."""

    def make(sizes: Mapping[str, Sequence[int]], folder: str = "set") -> ShardSet:
        root = tmp_path / folder
        shards = []
        for split, counts in sorted(sizes.items()):
            for number, count in enumerate(counts):
                unit = f"{split}-x-{number:06d}"
                keys = [f"{split}-{number:04d}-{sample:05d}" for sample in range(count)]
                members = [
                    (
                        key,
                        {
                            "jpg": sha256(key.encode()).digest() * (1 + at % 23),
                            "txt": key.encode(),
                            "json": b"{}",
                        },
                    )
                    for at, key in enumerate(keys)
                ]
                file, rows = write_shard(root / split / f"x-{number:06d}.tar", members, folder=root)
                index = f"parts/{unit}.parquet"
                with atomic_path(root / index) as temporary:
                    rows.write_parquet(temporary)
                shards.append(
                    Shard(
                        path=file.path,
                        split=split,
                        samples=count,
                        bytes=file.size_bytes,
                        sha256=file.sha256,
                        index=index,
                        rows=content_hash(rows),
                    )
                )
        units = tuple(Path(shard.index).stem for shard in shards)
        made = ShardSet(
            folder=str(root), name="x", media="jpg", shards=tuple(shards), encoding={"by": "the tests"}, units=units
        )
        write_index(made)
        return made

    return make
