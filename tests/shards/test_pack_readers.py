"""Stock `webdataset` and `datasets` read what the pack stage writes, without a network."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shards.manifest import Label, Sample
from shards.pack import PackShards
from shards.reader import read_split

datasets = pytest.importorskip("datasets")
webdataset = pytest.importorskip("webdataset")
pytestmark = pytest.mark.oracle

Described = Callable[..., list[Sample]]
Manifest = Callable[..., Path]
Build = Callable[..., dict[str, Any]]

ULTRASOUND = "package://pydicom/data/test_files/examples_ybr_color.dcm"  # 30 frames of 240x320
MULTI_FRAME = "package://pydicom/data/test_files/SC_rgb_rle_2frame.dcm"  # 2 frames of 100x100


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # webdataset leaves its files to the garbage collector
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_stock_webdataset_reads_it(
    tmp_path: Path, pictures: Path, described: Described, manifest: Manifest, build: Build
) -> None:
    build(PackShards(preset="square-64", shard_samples=6), tmp_path, [manifest(described(pictures))])
    urls = [str(path) for path in sorted((tmp_path / "pack" / "train").glob("*.tar"))]
    theirs = list(webdataset.WebDataset(urls, shardshuffle=False, empty_check=False).decode("rgb8"))
    ours = list(read_split(tmp_path / "pack", "train"))
    assert [one["__key__"] for one in theirs] == [one.key for one in ours]
    assert {one["jpg"].shape for one in theirs} == {(64, 64, 3)}
    assert [one["txt"].encode() for one in theirs] == [one.members["txt"] for one in ours]
    assert all(one["json"]["key"] == one["__key__"] for one in theirs)


def test_stock_datasets_reads_it_whatever_the_first_samples_lack(
    tmp_path: Path,
    pictures: Path,
    described: Described,
    manifest: Manifest,
    build: Build,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets

    samples = sorted((replace(one, split="train") for one in described(pictures)), key=lambda one: one.key)
    label = Label(name="mass", state="present", scope="image", origin="expert")
    for at, one in enumerate(samples):  # the library infers all types from the first five
        bare = {"labels": (), "patient": None, "study": None, "url": None, "attributes": "{}"}
        rich = {"labels": (label,) * at, "study": "s", "url": "https://x", "attributes": '{"age":7}'}
        samples[at] = replace(one, **(bare if at < 12 else rich))
    build(PackShards(preset="square-64"), tmp_path, [manifest(samples)])
    files = {"train": str(tmp_path / "pack" / "train" / "*.tar")}
    loaded = datasets.load_dataset("webdataset", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded["__key__"][:] == [one.key for one in samples]
    assert {picture.size for picture in loaded["jpg"]} == {(64, 64)}
    assert [record["labels"] for record in loaded["json"]] == [
        json.loads(one.members["json"])["labels"] for one in read_split(tmp_path / "pack", "train")
    ]
    assert loaded["json"][-1]["captions"] == [{"by": "template@1", "text": samples[-1].captions[0].text, "weight": 1.0}]
    assert loaded["json"][-1]["attributes"] == '{"age":7}'


def test_stock_datasets_reads_clips(tmp_path: Path, described: Described, manifest: Manifest, build: Build) -> None:
    samples = [replace(one, split="train") for one in described([ULTRASOUND, MULTI_FRAME])]
    build(PackShards(preset="clip-8x64x96", media="mp4"), tmp_path, [manifest(samples)])
    files = {"train": str(tmp_path / "pack" / "train" / "*.tar")}
    loaded = datasets.load_dataset("webdataset", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
    clips = loaded.cast_column("mp4", datasets.Video(decode=False))["mp4"]
    assert [clip["bytes"] for clip in clips] == [one.members["mp4"] for one in read_split(tmp_path / "pack", "train")]
