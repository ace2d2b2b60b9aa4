"""Shard sets of real tars with small members, for everything that does not care how a picture came about."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from shards import codecs
from shards.atomic import atomic_path
from shards.canonical import sample_key
from shards.index import Shard, ShardSet, write_index
from shards.manifest import Caption, Label, Media, Sample, content_hash, frame, write_part
from shards.media import MediaReader
from shards.record import members
from shards.tar import write_shard
from shards.uri import local_path

BUILD_STAGE = Path(__file__).with_name("build_stage.py")
MakeShards = Callable[..., ShardSet]
Spoil = Callable[[str, dict[str, bytes]], None]


@pytest.fixture
def make_sample() -> Callable[..., Sample]:
    """make_sample(key, split, **fields): a sample of its own patient, file and group."""

    def make(key: str, split: str = "train", **fields: Any) -> Sample:
        media = Media(uri="x", kind="image", sha256=f"sha-{key}", width_px=40, height_px=30, frames=1)
        defaults: dict[str, Any] = {
            "media": media,
            "modality": "CT",
            "specialty": "radiology",
            "group": f"patient:{key}",
            "patient": f"p-{key}",
            "label_scope": "image",
            "source": "here",
            "license": "CC0-1.0",
            "captions": (Caption(text=f"A CT image, {key}.", by="template@1"),),
            "labels": (Label(name="mass", state="present", scope="image", origin="expert"),),
        }
        return Sample(key=key, split=split, **{**defaults, **fields})

    return make


@pytest.fixture
def make_packed(tmp_path: Path) -> Callable[..., Path]:
    """make_packed([[sample, ...], ...], folder, spoil): tars as the pack stage writes them, with real JPEGs.

    `spoil` may change the members of a key before they are written.
    """

    def make(shards: Sequence[Sequence[Sample]], folder: str = "set", spoil: Spoil | None = None) -> Path:
        root = tmp_path / folder
        entries = []
        for number, chosen in enumerate(shards):
            made = []
            for one in sorted(chosen, key=lambda one: one.key):
                noise = np.random.default_rng(list(one.key.encode()))
                pixels = noise.integers(0, 255, (1, 32, 32), dtype=np.uint8)
                facts = {
                    "width_px": 32,
                    "height_px": 32,
                    "frames": 1,
                    "fps": 0.0,
                    "decoded_by": "x 1",
                    "steps": ["made for a test"],
                }
                source = {"source_width_px": 40, "source_height_px": 30, "source_frames": 1}
                jpeg, _ = codecs.encode(pixels, "jpg", quality=95)
                parts = members(one, "jpg", jpeg, {**facts, **source})
                if spoil is not None:
                    spoil(one.key, parts)
                made.append((one.key, parts))
            entries.append(_write(root, str(chosen[0].split), number, made))
        write_index(_set(root, entries, preset="square-32", encoding={"preset": "square-32"}))
        return root

    return make


def _write(root: Path, split: str, number: int, made: Sequence[tuple[str, dict[str, bytes]]]) -> Shard:
    file, rows = write_shard(root / split / f"x-{number:06d}.tar", made, folder=root)
    index = f"parts/{split}-x-{number:06d}.parquet"
    with atomic_path(root / index) as temporary:
        rows.write_parquet(temporary)
    return Shard(
        path=file.path,
        split=split,
        samples=len(made),
        bytes=file.size_bytes,
        sha256=file.sha256,
        index=index,
        rows=content_hash(rows),
    )


def _set(root: Path, shards: Sequence[Shard], **more: Any) -> ShardSet:
    units = tuple(Path(shard.index).stem for shard in shards)
    return ShardSet(folder=str(root), name="x", media="jpg", shards=tuple(shards), units=units, **more)


@pytest.fixture
def make_shards(tmp_path: Path) -> MakeShards:
    """make_shards({"train": [3, 2]}, folder="a") writes two tars and their index; members differ in length."""

    def make(sizes: Mapping[str, Sequence[int]], folder: str = "set") -> ShardSet:
        root = tmp_path / folder
        shards = []
        for split, counts in sorted(sizes.items()):
            for number, count in enumerate(counts):
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
                shards.append(_write(root, split, number, members))
        made = _set(root, shards, encoding={"by": "the tests"})
        write_index(made)
        return made

    return make


Build = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def build() -> Build:
    """build(stage, root, parts): what the runner does with a build stage."""
    function: Build = runpy.run_path(str(BUILD_STAGE))["build"]
    return function


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 PNG files of odd sizes, cut from real pictures: fundus and histology in colour, cells in grey."""
    folder = tmp_path_factory.mktemp("pictures")
    for name in ("retina.jpg", "ihc.png", "cell.png"):
        whole = cv2.imread(str(local_path(f"package://skimage/data/{name}")), cv2.IMREAD_UNCHANGED)
        for at in range(8):
            top, left, height, width = 20 * at + 100, 25 * at + 90, 91 + 7 * at, 150 - 11 * at
            cv2.imwrite(str(folder / f"{Path(name).stem}-{at}.png"), whole[top : top + height, left : left + width])
    return folder


@pytest.fixture
def described(make_sample: Callable[..., Sample]) -> Callable[..., list[Sample]]:
    """described(folder or list of uris, train=...): samples with facts; every third sample is of the test split."""

    def describe(files: Path | Sequence[str], **fields: Any) -> list[Sample]:
        uris = [str(path) for path in sorted(files.iterdir())] if isinstance(files, Path) else files
        reader = MediaReader()
        found = []
        for at, uri in enumerate(uris):
            facts = reader.facts(uri)
            media = Media(
                uri=uri, **{f: getattr(facts, f) for f in ("sha256", "kind", "width_px", "height_px", "frames", "fps")}
            )
            key = sample_key("here", Path(uri).name, "")
            group = f"patient:{Path(uri).stem}"
            given = {"media": media, "group": group, "patient": Path(uri).stem, **fields}
            found.append(make_sample(key, "test" if at % 3 == 2 else "train", **given))
        return found

    return describe


@pytest.fixture
def manifest(tmp_path: Path) -> Callable[..., Path]:
    """manifest(samples, name): one part on disk."""

    def write(samples: Sequence[Sample], name: str = "part-0") -> Path:
        write_part(frame(samples), tmp_path / "manifests" / f"{name}.parquet")
        return tmp_path / "manifests" / f"{name}.parquet"

    return write
