"""Verify finds every fault that is put into the files of a shard set, and names its sample."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shards.index import INDEX_NAME, DamagedIndexError, read_index
from shards.manifest import Sample
from shards.verify import verify
from shards.verify_shard import ShardCheck

MakeSample = Callable[..., Sample]
MakePacked = Callable[..., Path]


@pytest.fixture
def good(make_packed: MakePacked, make_sample: MakeSample) -> Path:
    splits = ["train", "train", "test"]
    return make_packed(
        [[make_sample(f"k{number}{at}", split) for at in range(5)] for number, split in enumerate(splits)]
    )


def codes(folder: Path) -> set[str]:
    return {problem.code for problem in verify(folder, decode=False).problems}


def test_a_sound_set_is_good(good: Path) -> None:
    report = verify(good)
    assert report.good, report.text()
    assert (report.shards, report.splits, report.members, report.decoded) == (3, {"train": 10, "test": 5}, 45, 15)
    assert json.loads(json.dumps(report.as_dict()))["good"] is True
    assert report.text().endswith("good\n")


def test_every_flipped_bit_is_found_and_its_sample_named(good: Path) -> None:
    shards = read_index(good)
    shard = shards.shards[0]
    rows = shards.members(shard)
    check = ShardCheck.of(shards, decode=False)
    whole = (good / shard.path).read_bytes()
    injected = found = named = inside = 0
    rng = np.random.default_rng(0)
    for at in range(0, len(whole), 64):
        data = bytearray(whole)
        data[at] ^= 1 << int(rng.integers(8))
        problems = check(bytes(data), shard, rows).problems
        injected += 1
        found += bool(problems)
        # a member reaches from its header to the end of its padding
        keys = {key for key, _, start, size, _ in rows.iter_rows() if start - 512 <= at < start + size + -size % 512}
        inside += bool(keys)
        named += bool(keys) and any(problem.where.endswith(f" {key}") for problem in problems for key in keys)
    print(f"bit flips detected/injected: {found}/{injected}, sample named: {named}/{inside}")
    assert injected > 200
    assert (found, named) == (injected, inside)


def _cut(length: Callable[[bytes], int]) -> Callable[[Path], None]:
    def fault(folder: Path) -> None:
        tar = folder / "train/x-000000.tar"
        data = tar.read_bytes()
        tar.write_bytes(data[: length(data)])

    return fault


def _swap(folder: Path) -> None:
    first, second = folder / "train/x-000000.tar", folder / "train/x-000001.tar"
    first.rename(folder / "away")
    second.rename(first)
    (folder / "away").rename(second)


def _append(data: bytes) -> Callable[[Path], None]:
    def fault(folder: Path) -> None:
        with (folder / "train/x-000000.tar").open("ab") as handle:
            handle.write(data)

    return fault


def _flip(path: str, at: int) -> Callable[[Path], None]:
    def fault(folder: Path) -> None:
        data = bytearray((folder / path).read_bytes())
        data[at % len(data)] ^= 4
        (folder / path).write_bytes(data)

    return fault


def _rebuilt(change: Callable[[list[Any]], list[Any]]) -> Callable[[Path], None]:
    """Write the first tar again with its members changed, as another program might."""

    def fault(folder: Path) -> None:
        tar = folder / "train/x-000000.tar"
        with tarfile.open(tar) as archive:
            inside = [(info, archive.extractfile(info).read()) for info in archive.getmembers()]  # type: ignore[union-attr]
        with tarfile.open(tar, "w", format=tarfile.USTAR_FORMAT) as archive:
            for info, data in change(inside):
                archive.addfile(info, io.BytesIO(data))

    return fault


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut at a member boundary": (_cut(lambda data: data.index(b"k01.jpg")), "wrong_size"),
    "cut inside a header": (_cut(lambda data: data.index(b"k01.jpg") + 200), "wrong_size"),
    "cut inside data": (_cut(lambda data: data.index(b"k01.jpg") + 700), "wrong_size"),
    "cut off the end marker": (_cut(lambda data: len(data) - 1024), "wrong_size"),
    "empty": (_cut(lambda data: 0), "wrong_size"),
    "missing": (lambda folder: (folder / "test/x-000002.tar").unlink(), "missing_shard"),
    "swapped": (_swap, "wrong_hash"),
    "copied over another": (
        lambda folder: shutil.copy(folder / "train/x-000000.tar", folder / "train/x-000001.tar"),
        "wrong_hash",
    ),
    "copied to a new name": (
        lambda folder: shutil.copy(folder / "train/x-000000.tar", folder / "train/x-000009.tar"),
        "unlisted_shard",
    ),
    "garbage after the end": (_append(b"garbage"), "wrong_size"),
    "zeros after the end": (_append(bytes(512)), "wrong_size"),
    "a second archive after the end": (_append(b"k" * 512 + bytes(1024)), "wrong_size"),
    "keys interleaved": (_rebuilt(lambda inside: [inside[0], inside[3], *inside[1:3], *inside[4:]]), "bad_header"),
    "a key twice": (_rebuilt(lambda inside: [*inside, *inside[:3]]), "wrong_size"),
    "a sample removed": (_rebuilt(lambda inside: inside[3:]), "wrong_size"),
    "the rows of a shard removed": (
        lambda folder: (folder / "parts/train-x-000000.parquet").unlink(),
        "bad_index_file",
    ),
    "the rows of a shard swapped": (
        lambda folder: shutil.copy(folder / "parts/train-x-000001.parquet", folder / "parts/train-x-000000.parquet"),
        "bad_index_file",
    ),
}


def test_faults_of_files_are_all_found(good: Path, tmp_path: Path) -> None:
    missed = []
    for name, (fault, code) in FAULTS.items():
        folder = tmp_path / name.replace(" ", "-")
        shutil.copytree(good, folder)
        fault(folder)
        if code not in codes(folder):
            missed.append(name)
    print(f"faults detected/injected: {len(FAULTS) - len(missed)}/{len(FAULTS)}")
    assert missed == []


def test_a_damaged_parquet_index_is_found_or_makes_no_difference(good: Path, tmp_path: Path) -> None:
    part = "parts/train-x-000000.parquet"
    size = (good / part).stat().st_size
    shards = read_index(good)
    rows = shards.members(shards.shards[0])
    harmless = 0
    for at in range(0, size, 29):
        folder = tmp_path / f"at-{at}"
        shutil.copytree(good, folder)
        _flip(part, at)(folder)
        if not codes(folder):
            harmless += 1
            assert read_index(folder).members(shards.shards[0]).equals(rows)  # bytes that nobody reads
    assert harmless < len(range(0, size, 29))


def test_any_change_of_index_json_is_refused(good: Path) -> None:
    text = (good / INDEX_NAME).read_text()
    for at in range(0, len(text), 37):
        (good / INDEX_NAME).write_text(text[:at] + chr(ord(text[at]) ^ 2) + text[at + 1 :])
        with pytest.raises(ValueError, match=r"damaged|not an index|has version"):
            verify(good)
    for cut in (0, 1, len(text) // 2, len(text) - 2):
        (good / INDEX_NAME).write_text(text[:cut])
        with pytest.raises(DamagedIndexError, match="run the stage"):
            verify(good)


def test_an_index_of_a_later_version_is_refused_with_its_number(good: Path) -> None:
    document = json.loads((good / INDEX_NAME).read_text())
    (good / INDEX_NAME).write_text(json.dumps({**document, "version": 9}))
    with pytest.raises(ValueError, match="has version 9 and this medloom reads version 1"):
        read_index(good)
    (good / INDEX_NAME).unlink()
    with pytest.raises(FileNotFoundError, match="medloom index"):
        read_index(good)
