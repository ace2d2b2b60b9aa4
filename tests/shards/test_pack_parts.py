"""Pack where a row's hash is not that of one file: pictures in archives and arrays, frames in a folder, records."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl
import pytest

from shards import codecs, geometry
from shards.locator import Locator
from shards.manifest import Caption, Media, Sample
from shards.media import MediaReader
from shards.pack import PackShards
from shards.presets import parse
from shards.reader import read_split

MakeSample = Callable[..., Sample]
Manifest = Callable[..., Path]
Build = Callable[..., dict[str, Any]]

FRAMES, WANTED = 20, 8
CLIP = PackShards(preset=f"clip-{WANTED}x64x96", media="mp4", quality=0, seed=3)


@pytest.fixture(scope="session")
def moving() -> np.ndarray:
    """20 grey frames of 64 x 96, each a window on a real picture that slides to the right."""
    whole = cv2.imread(str(Path(cv2.__file__).parent.parent / "skimage/data/cell.png"), cv2.IMREAD_GRAYSCALE)
    return np.stack([whole[100:164, 10 * at : 10 * at + 96] for at in range(FRAMES)])


def media_of(uri: Path, view: Locator | None = None) -> Media:
    locator = (view or Locator()).text()
    facts = MediaReader().facts(str(uri), locator)
    names = ("sha256", "kind", "width_px", "height_px", "frames", "fps")
    return Media(uri=str(uri), locator=locator, **{name: getattr(facts, name) for name in names})


def folder_of(frames: np.ndarray, folder: Path) -> Path:
    folder.mkdir()
    for at, frame in enumerate(frames):
        cv2.imwrite(str(folder / f"video_{at:05d}.png"), frame)
    return folder


def rejects(root: Path) -> list[tuple[str, str]]:
    found = [pl.read_parquet(path, columns=["item", "reason"]).rows() for path in (root / "pack/rejects").iterdir()]
    return [row for rows in found for row in rows]


@pytest.mark.parametrize("kind", ["frames", "frames of a range", "stack", "row"])
def test_a_clip_longer_than_the_preset_is_cut_to_the_frames_that_were_drawn(
    tmp_path: Path, moving: np.ndarray, make_sample: MakeSample, manifest: Manifest, build: Build, kind: str
) -> None:
    start = 0
    if kind == "stack":
        np.save(tmp_path / "stack.npy", moving)
        media = media_of(tmp_path / "stack.npy")
    elif kind == "row":
        np.savez(tmp_path / "volumes.npz", volumes=np.stack([moving[::-1], moving]))
        media = media_of(tmp_path / "volumes.npz", Locator(array="volumes", row=1))
    else:
        start = 4 if "range" in kind else 0
        view = Locator(frame_start=start, frame_stop=FRAMES) if start else None
        media = media_of(folder_of(moving, tmp_path / "video"), view)
    assert media.frames == FRAMES - start
    sample = make_sample("a-clip", media=replace(media, fps=10.0))
    build(CLIP, tmp_path, [manifest([sample])])
    (packed,) = read_split(tmp_path / "pack", "train")
    first = geometry.first_frame(FRAMES - start, WANTED, CLIP.seed, "a-clip")
    assert first > 0
    wanted, _ = parse(CLIP.preset).apply(moving[start + first :][:WANTED], None)
    shown = codecs.decode(packed.members["mp4"], "mp4")
    assert shown.shape[0] == WANTED
    assert np.abs(shown.mean(axis=-1) - wanted).max() < 6  # H.264 without loss but for the limited range


@pytest.mark.parametrize("kind", ["zip", "npz", "frames"])
@pytest.mark.parametrize("fault", ["missing", "changed"])
def test_what_lies_in_a_container_or_folder_is_packed_once_it_is_back(
    tmp_path: Path,
    moving: np.ndarray,
    make_sample: MakeSample,
    manifest: Manifest,
    build: Build,
    kind: str,
    fault: str,
) -> None:
    def write(frames: np.ndarray) -> tuple[Path, Locator]:
        if kind == "frames":
            return folder_of(frames, tmp_path / "video"), Locator(frame_start=3, frame_stop=4)
        if kind == "npz":
            np.savez(tmp_path / "many.npz", x=frames)
            return tmp_path / "many.npz", Locator(array="x", row=3)
        with zipfile.ZipFile(tmp_path / "many.zip", "w") as archive:
            archive.writestr("3.png", cv2.imencode(".png", frames[3])[1].tobytes())
        return tmp_path / "many.zip", Locator(member="3.png")

    place, view = write(moving)
    lost = make_sample("lost", media=media_of(place, view))
    cv2.imwrite(str(tmp_path / "other.png"), moving[0])
    part = manifest([lost, make_sample("other", media=media_of(tmp_path / "other.png"))])
    stage = PackShards(preset="square-32")
    golden = build(stage, tmp_path / "golden", [part])
    assert rejects_of(golden) == {}
    shutil.move(place, tmp_path / "away")
    if fault == "changed":
        write(255 - moving)
    build(stage, tmp_path, [part])
    assert rejects(tmp_path) == [("lost", "missing_file" if fault == "missing" else "media_changed")]
    assert build(stage, tmp_path, [part])["ran"] == []  # it was looked at, and is as it was
    if fault == "changed":
        shutil.rmtree(place) if place.is_dir() else place.unlink()
    shutil.move(tmp_path / "away", place)
    mended = build(stage, tmp_path, [part])
    assert mended["ran"] == ["train-medloom-000000.r1"]
    assert mended["content"] == golden["content"]
    assert build(stage, tmp_path, [part])["ran"] == []


def test_frames_of_a_clip_that_come_back_are_packed(
    tmp_path: Path, moving: np.ndarray, make_sample: MakeSample, manifest: Manifest, build: Build
) -> None:
    folder = folder_of(moving, tmp_path / "video")
    media = replace(media_of(folder, Locator(frame_start=2, frame_stop=6)), fps=10.0)
    other = replace(media_of(folder, Locator(frame_start=10, frame_stop=14)), fps=10.0)
    part = manifest([make_sample("a", media=media), make_sample("b", media=other)])
    golden = build(CLIP, tmp_path / "golden", [part])
    frame = folder / "video_00004.png"
    kept = frame.read_bytes()
    frame.unlink()
    build(CLIP, tmp_path, [part])
    assert rejects(tmp_path) == [("a", "missing_file")]
    assert build(CLIP, tmp_path, [part])["ran"] == []
    frame.write_bytes(kept)
    assert build(CLIP, tmp_path, [part])["content"] == golden["content"]


def rejects_of(done: dict[str, Any]) -> dict[str, int]:
    return {reason: count for record in done["records"].values() for reason, count in record.rejected.items()}


def test_a_range_of_display_that_shifted_is_encoded_anew(
    tmp_path: Path, moving: np.ndarray, make_sample: MakeSample, manifest: Manifest, build: Build
) -> None:
    """A series that grows shifts its range, and no key with it: the member of before is no copy of the new one."""
    file = tmp_path / "deep.png"
    cv2.imwrite(str(file), moving[0].astype(np.uint16) * 16)

    def shown(high: float) -> int:
        sample = make_sample("deep", media=media_of(file, Locator(low=0.0, high=high)))
        build(PackShards(preset="square-96", media="png"), tmp_path, [manifest([sample])])
        (packed,) = read_split(tmp_path / "pack", "train")
        return int(codecs.decode(packed.members["png"], "png").max())

    brightest = int(moving[0].max()) * 16
    assert shown(brightest) == 255
    assert shown(2.0 * brightest) == 128


def test_files_that_moved_make_nothing_stale(
    tmp_path: Path, moving: np.ndarray, make_sample: MakeSample, manifest: Manifest, build: Build
) -> None:
    places = [tmp_path / "here.png", tmp_path / "there.png"]
    ran = []
    for place in places:
        cv2.imwrite(str(place), moving[0])
        part = manifest([make_sample("a", media=media_of(place))])
        ran.append(build(PackShards(preset="square-32"), tmp_path, [part])["ran"])
        place.unlink()
    assert ran == [["train-medloom-000000"], []]


def test_of_a_key_that_comes_twice_the_first_input_counts(
    tmp_path: Path, moving: np.ndarray, make_sample: MakeSample, manifest: Manifest, build: Build
) -> None:
    files = [tmp_path / "z.png", tmp_path / "a.png"]  # the second one would be read first
    parts = []
    for at, file in enumerate(files):
        cv2.imwrite(str(file), moving[at])
        captions = (Caption(text=f"Input {at}.", by="source"),)
        parts.append(manifest([make_sample("twice", media=media_of(file), captions=captions)], f"part-{at}"))
    build(PackShards(preset="square-32"), tmp_path, parts)
    (packed,) = read_split(tmp_path / "pack", "train")
    assert packed.members["txt"] == b"Input 0."
    assert rejects(tmp_path) == [("twice", "duplicate_key")]
