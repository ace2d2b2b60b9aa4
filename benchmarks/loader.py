"""Samples a second out of one set of shards: this project's loader and stock webdataset, raw bytes, one process.

    python benchmarks/loader.py [--samples 8000] [--size 256] [--rounds 3]

Shards of 1,000 JPEGs (quality 95, cut from a real fundus photograph) with text and record. Both read every member of
every sample once a round, from a warm page cache, and count its bytes. webdataset runs without decoding, in the order
of the files and with its shuffle buffer of 1,000; ours in its shuffled order, with and without comparing every member
with its SHA-256. Then the cost of resuming: time to the first batch from the start and from the billionth sample.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import webdataset
from PIL import Image

from shards import codecs
from shards.index import Shard, ShardSet, write_index
from shards.loader import StreamLoader
from shards.manifest import content_hash
from shards.tar import write_shard
from shards.uri import local_path

SHARD_SAMPLES = 1000
BATCH = 64


def make(folder: Path, samples: int, side_px: int) -> list[str]:
    """Write the shards; returns their paths."""
    with Image.open(str(local_path("package://skimage/data/retina.jpg"))) as image:
        whole = np.asarray(image.convert("RGB"))
    rng = np.random.default_rng(0)
    shards = []
    record = b'{"key":"' + b"x" * 1200 + b'"}'
    for number in range(-(-samples // SHARD_SAMPLES)):

        def members(number: int = number) -> Iterator[tuple[str, dict[str, bytes]]]:
            for at in range(min(SHARD_SAMPLES, samples - number * SHARD_SAMPLES)):
                top, left = rng.integers(0, whole.shape[0] - side_px), rng.integers(0, whole.shape[1] - side_px)
                cut = whole[None, top : top + side_px, left : left + side_px]
                jpeg, _ = codecs.encode(cut, "jpg", quality=95)
                yield f"k{number:04d}-{at:05d}", {"jpg": jpeg, "txt": b"A fundus photograph.", "json": record}

        file, rows = write_shard(folder / "train" / f"x-{number:06d}.tar", members(), folder=folder)
        index = f"train-x-{number:06d}.parquet"
        rows.write_parquet(folder / index)
        shards.append(
            Shard(
                path=file.path,
                split="train",
                samples=rows.height // 3,
                bytes=file.size_bytes,
                sha256=file.sha256,
                index=index,
                rows=content_hash(rows),
            )
        )
    write_index(ShardSet(folder=str(folder), name="x", media="jpg", shards=tuple(shards)))
    return [str(folder / shard.path) for shard in shards]


def ours(folder: Path, samples: int, check: bool) -> tuple[int, int]:
    """(samples, bytes) of one epoch."""
    loader = StreamLoader(folder, "train", 0, BATCH, check=check)
    seen = size = 0
    for batch in loader:
        for sample in batch:
            seen += 1
            size += sum(map(len, sample.members.values()))
        if loader.state + BATCH > samples:
            return seen, size
    raise AssertionError


def theirs(urls: list[str], shuffle: int) -> tuple[int, int]:
    """(samples, bytes) of one pass of webdataset."""
    data = webdataset.WebDataset(urls, shardshuffle=len(urls) if shuffle else False, seed=0, empty_check=False)
    seen = size = 0
    for sample in data.shuffle(shuffle) if shuffle else data:
        seen += 1
        size += sum(len(value) for name, value in sample.items() if not name.startswith("__"))
    return seen, size


def rate(run: Callable[[], tuple[int, int]], rounds: int) -> str:
    """Best of some rounds."""
    best, mib = 0.0, 0.0
    for _ in range(rounds):
        started = time.perf_counter()
        seen, size = run()
        taken = time.perf_counter() - started
        if seen / taken > best:
            best, mib = seen / taken, size / taken / 2**20
    return f"{best:>10,.0f} samples/s {mib:>8,.0f} MiB/s"


def first_batch(folder: Path, start: int) -> str:
    started = time.perf_counter()
    next(iter(StreamLoader(folder, "train", 0, BATCH, start_samples=start)))
    return f"{1000 * (time.perf_counter() - started):>10.1f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=8000)
    parser.add_argument("--size", type=int, default=256, help="pixels on a side")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ResourceWarning)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        urls = make(folder, options.samples, options.size)
        size = sum(Path(url).stat().st_size for url in urls)
        print(f"{options.samples} samples in {len(urls)} shards, {size / options.samples:,.0f} bytes each")
        print("webdataset, in order of files    ", rate(lambda: theirs(urls, 0), options.rounds))
        print("webdataset, shuffle buffer 1,000 ", rate(lambda: theirs(urls, 1000), options.rounds))
        print("this loader, shuffled            ", rate(lambda: ours(folder, options.samples, False), options.rounds))
        print("this loader, shuffled, SHA-256   ", rate(lambda: ours(folder, options.samples, True), options.rounds))
        print("first batch from the start       ", first_batch(folder, 0))
        print("first batch from sample 64e9     ", first_batch(folder, 64 * 10**9))


if __name__ == "__main__":
    main()
