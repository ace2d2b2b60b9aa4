"""The pack stage on real pictures and clips: what lands in a shard, what is rejected, and who can read it."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from shards import codecs
from shards.index import read_index
from shards.manifest import Caption, Sample
from shards.media import MediaReader
from shards.pack import PackShards
from shards.presets import parse
from shards.reader import read_split
from shards.tar import write_shard
from shards.verify import verify

Described = Callable[..., list[Sample]]
Manifest = Callable[..., Path]
Build = Callable[..., dict[str, Any]]

SMALL = {"preset": "square-64", "shard_samples": 6}
ULTRASOUND = "package://pydicom/data/test_files/examples_ybr_color.dcm"  # 30 frames of 240x320
MULTI_FRAME = "package://pydicom/data/test_files/SC_rgb_rle_2frame.dcm"  # 2 frames of 100x100


def tars(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*.tar"))}


def rejects(root: Path) -> Counter[str]:
    frames = [pl.read_parquet(path) for path in (root / "pack" / "rejects").glob("*.parquet")]
    return Counter(reason for frame in frames for reason in frame["reason"])


def test_every_sample_lands_once_with_all_that_is_known(
    tmp_path: Path, pictures: Path, described: Described, manifest: Manifest, build: Build
) -> None:
    samples = described(pictures)
    done = build(PackShards(**SMALL), tmp_path, [manifest(samples)])
    shards = read_index(tmp_path / "pack")
    assert shards.splits == {"test": 8, "train": 16}
    assert [shard.path for shard in shards.shards] == [
        *(f"test/medloom-00000{number}.tar" for number in range(2)),
        *(f"train/medloom-00000{number}.tar" for number in range(3)),
    ]
    assert done["content"] == shards.content()
    report = verify(tmp_path / "pack")
    assert report.good, report.text()
    assert report.decoded == 24
    by_key = {sample.key: sample for sample in samples}
    found = [*read_split(shards, "train"), *read_split(shards, "test")]
    assert sorted(one.key for one in found) == sorted(by_key)
    for one in found:
        sample, record = by_key[one.key], json.loads(one.members["json"])
        assert one.members["txt"].decode() == sample.captions[0].text
        assert record["split"] == sample.split
        assert record["media_sha256"] == sample.media.sha256
        assert (record["width_px"], record["height_px"], record["frames"]) == (64, 64, 1)
        assert (record["source_width_px"], record["source_height_px"]) == (
            sample.media.width_px,
            sample.media.height_px,
        )
        assert str(pictures) not in one.members["json"].decode()  # no path of this machine
        fitted = parse("square-64").apply(MediaReader().read(sample.media).pixels, None)[0]
        picture = codecs.decode(one.members["jpg"], "jpg")
        assert picture.shape == fitted.shape  # grey stays grey, colour stays colour
        assert np.abs(picture.astype(int) - fitted).mean() < 4
        assert record["steps"][-3:-1] == [step for step in record["steps"] if step.startswith(("fit", "pad"))]
        assert record["steps"][-1] == "JPEG quality 95, 4:4:4"


def test_bytes_do_not_depend_on_folder_process_or_place_of_the_sources(
    tmp_path: Path, pictures: Path, described: Described, manifest: Manifest, build: Build
) -> None:
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in pictures.iterdir():
        (moved / path.name).write_bytes(path.read_bytes())
    build(PackShards(**SMALL), tmp_path / "a", [manifest(described(pictures))])
    elsewhere = manifest(described(moved), "part-1")
    script = Path(__file__).with_name("build_stage.py")
    command = [sys.executable, str(script), str(tmp_path / "b"), str(elsewhere), "0", json.dumps(SMALL)]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[2], env={"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"})
    assert tars(tmp_path / "a") == tars(tmp_path / "b")
    assert (tmp_path / "a/pack/index.json").read_bytes() == (tmp_path / "b/pack/index.json").read_bytes()


def test_groups_lie_together_and_order_inside_is_by_key(
    tmp_path: Path, pictures: Path, described: Described, manifest: Manifest, build: Build
) -> None:
    samples = [replace(one, split="train", group=f"study:{at % 4}") for at, one in enumerate(described(pictures))]
    build(PackShards(**SMALL), tmp_path, [manifest(samples)])
    groups = {one.key: one.group for one in samples}
    shards = read_index(tmp_path / "pack")
    inside = [[groups[key] for key in shards.members(shard)["key"].unique()] for shard in shards.shards]
    assert [sorted(Counter(names).values()) for names in inside] == [[6]] * 4
    for path in (tmp_path / "pack").rglob("*.tar"):
        with tarfile.open(path) as archive:
            names = archive.getnames()
        assert names == [f"{name.split('.')[0]}.{ext}" for name in names[::3] for ext in ("jpg", "txt", "json")]
        assert names[::3] == sorted(names[::3])


def test_what_cannot_be_packed_is_rejected_by_reason_and_keeps_its_place(
    tmp_path: Path, pictures: Path, described: Described, manifest: Manifest, build: Build
) -> None:
    samples = [replace(one, split="train") for one in described(pictures)]
    gone, changed = tmp_path / "gone.png", tmp_path / "changed.png"
    changed.write_bytes((pictures / "ihc-0.png").read_bytes())
    bad = {
        0: {"split": None},
        1: {"media": replace(samples[1].media, sha256=None)},
        2: {"media": replace(samples[2].media, frames=None)},
        3: {"captions": ()},
        4: {"captions": (Caption(text="  ", by="source"),)},
        5: {"media": replace(samples[5].media, frames=9)},
        6: {"media": replace(samples[6].media, uri=str(gone))},
        7: {"media": replace(samples[7].media, uri=str(changed))},
    }
    for at, fields in bad.items():
        samples[at] = replace(samples[at], **fields)
    parts = [manifest(samples[:16]), manifest([*samples[14:]], "part-1")]
    stage = PackShards(**SMALL)
    done = build(stage, tmp_path, parts)
    assert rejects(tmp_path) == {
        "no_split": 1,
        "no_media_facts": 2,
        "no_caption": 2,
        "wrong_kind": 1,
        "missing_file": 1,
        "media_changed": 1,
        "duplicate_key": 2,
    }
    offered = sum(record.offered for record in done["records"].values())
    accepted = sum(record.accepted for record in done["records"].values())
    assert (offered, accepted) == (26, 16)
    assert set(done["records"]) == {"none-medloom-000000", *(f"train-medloom-00000{n}" for n in range(4))}
    assert verify(tmp_path / "pack").good
    # the same again is no work; a caption that comes later goes to the place that was kept for it
    assert build(stage, tmp_path, parts)["ran"] == []
    samples[3] = replace(samples[3], captions=(Caption(text="now there is one", by="template@1"),))
    again = build(stage, tmp_path, [manifest(samples[:16]), parts[1]])
    assert len(again["ran"]) == 1
    assert again["ran"][0].endswith(".r1")
    assert read_index(tmp_path / "pack").splits == {"train": 17}


def test_nothing_left_to_pack_is_an_error(
    tmp_path: Path, pictures: Path, described: Described, manifest: Manifest, build: Build
) -> None:
    samples = [replace(one, captions=()) for one in described(pictures)]
    with pytest.raises(ValueError, match="no sample was left to pack"):
        build(PackShards(**SMALL), tmp_path, [manifest(samples)])
    assert not (tmp_path / "pack" / "index.json").exists()


def test_stills_and_clips_of_one_manifest_go_to_two_stages(
    tmp_path: Path, pictures: Path, described: Described, manifest: Manifest, build: Build
) -> None:
    stills = described(pictures)[:6]
    clips = [replace(one, split="train") for one in described([ULTRASOUND, MULTI_FRAME])]
    part = manifest([*stills, *clips])
    images = build(PackShards(**SMALL, select="images"), tmp_path / "i", [part])
    assert images["notes"] == ["2 samples that are not images are left to another pack stage"]
    videos = build(PackShards(preset="clip-8x64x96", media="mp4", select="clips"), tmp_path / "c", [part])
    assert videos["notes"] == ["6 samples that are not clips are left to another pack stage"]
    assert sum(record.offered for record in (*images["records"].values(), *videos["records"].values())) == 8
    assert rejects(tmp_path / "i") == rejects(tmp_path / "c") == {}
    build(PackShards(**SMALL), tmp_path / "all", [part])
    assert rejects(tmp_path / "all") == {"wrong_kind": 2}
    assert verify(tmp_path / "c" / "pack").good


def test_medisyn_clips_are_32_frames_drawn_by_seed_and_key(
    tmp_path: Path, described: Described, manifest: Manifest, build: Build
) -> None:
    samples = [replace(one, split="train") for one in described([ULTRASOUND, MULTI_FRAME])]
    build(PackShards(preset="medisyn-clip", media="mp4"), tmp_path / "a", [manifest(samples)])
    for one in read_split(tmp_path / "a" / "pack", "train"):
        record = json.loads(one.members["json"])
        clip = codecs.decode(one.members["mp4"], "mp4")
        assert clip.shape == (32, 256, 448, 3)
        count = record["source_frames"]
        assert count in (30, 2)
        assert f"append {32 - count} black frames" in record["steps"]
        assert clip[count:].max() < 8
        assert clip[:count].mean() > 4
    build(PackShards(preset="clip-8x64x96", media="mp4", seed=1), tmp_path / "b", [manifest(samples)])
    build(PackShards(preset="clip-8x64x96", media="mp4", seed=2), tmp_path / "c", [manifest(samples)])
    drawn = [
        [
            step
            for one in read_split(tmp_path / name / "pack", "train")
            for step in json.loads(one.members["json"])["steps"]
        ]
        for name in ("b", "c")
    ]
    chosen = [[step for step in steps if "drawn by (seed, key)" in step] for steps in drawn]
    assert len(chosen[0]) == 1  # two frames leave nothing to draw
    assert chosen[0] != chosen[1]
    first = int(chosen[0][0].split()[1])
    source = MediaReader().read(replace(samples[0].media, locator="")).pixels[first : first + 8]
    (clip,) = [
        codecs.decode(one.members["mp4"], "mp4")
        for one in read_split(tmp_path / "b" / "pack", "train")
        if one.key == samples[0].key
    ]
    fitted = parse("clip-8x64x96").apply(source, None)[0]
    assert np.abs(clip.astype(int) - fitted).mean() < 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "square"}, "there is no preset 'square': write square-N"),
        ({"preset": "square-4"}, "a side has 8 to 8192 pixels"),
        ({"preset": "medisyn-1020"}, "use a multiple of 8"),
        ({"preset": "clip-8x63x64", "media": "mp4"}, "H.264 needs even sizes"),
        ({"preset": "clip-1x64x64", "media": "mp4"}, "a clip has 2 to 4096 frames"),
        ({"preset": "clip-5000x64x64", "media": "mp4"}, "a clip has 2 to 4096 frames"),
        ({"preset": "clip-4096x1024x1024", "media": "mp4"}, "12884901888 bytes is held at once, at most 2147483648"),
        ({"preset": "square-" + "9" * 5000}, "there is no preset"),
        ({"preset": "medisyn-clip"}, "media: jpg cannot hold"),
        ({"media": "mp4"}, "write jpg or png"),
        ({"select": "clips"}, "leave `select` out"),
        ({"quality": 0}, "must be 1 to 100"),
        ({"media": "png", "quality": 90}, "is lossless"),
        ({"shard_samples": 0}, "1000 is usual"),
        ({"name": "Nice Name"}, "becomes part of file names"),
    ],
)
def test_wrong_options_say_what_to_write(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PackShards(**options)


def test_a_shard_is_written_in_bounded_memory(tmp_path: Path) -> None:
    """Samples go through write_shard from a generator; no three of them are held at a time."""
    alive = 0

    class Counted(bytes):
        def __new__(cls, *args: Any) -> Counted:
            nonlocal alive
            alive += 1
            return super().__new__(cls, *args)

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    most = 0

    def members() -> Any:
        nonlocal most
        for at in range(60):
            yield f"k{at:02d}", {"jpg": Counted(1 << 18)}
            most = max(most, alive)

    write_shard(tmp_path / "x.tar", members(), folder=tmp_path)
    assert most <= 2


def test_an_empty_manifest_is_an_error(tmp_path: Path, manifest: Manifest, build: Build) -> None:
    with pytest.raises(ValueError, match="no sample was left to pack"):
        build(PackShards(**SMALL), tmp_path, [manifest([])])
