"""Folders of frames at an fsspec url give what the same folders on a disk give, but for where they lie."""

from __future__ import annotations

import hashlib
import io
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import polars as pl
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from PIL import Image

from captioning.fill import FillCaptions
from ingest.converters.labelled_video import LabelledVideo
from ingest.probe import ProbeMedia
from shards import frame_listing
from shards.intake import Skip
from shards.limits import Limits
from shards.manifest import Media, samples, write_part
from shards.media import MediaReader
from shards.pack import PackShards
from shards.reader import read_split
from shards.stage import Context, Unit

HERE = Path(__file__).parent
SETS = runpy.run_path(str(HERE / "frame_sets.py"))
stage: Callable[..., LabelledVideo] = SETS["stage"]
build: Callable[..., dict[str, Any]] = runpy.run_path(str(HERE.parent / "shards" / "build_stage.py"))["build"]
URL = "memory://frame-sets"
VIDEO = f"{URL}/videos/VID01"


class Bucket(MemoryFileSystem):
    """The same files as an object store tells of them: with ETags, without times, each folder with its marker."""

    protocol = "bucket"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.removeprefix("bucket://")))

    def ls(self, path: str, detail: bool = True, **options: Any) -> Any:
        found = super().ls(path, detail=True)
        for info in found:
            if info.pop("created", None):
                info["ETag"] = hashlib.md5(self.store[info["name"]].getvalue()).hexdigest()
        return [{"name": f"{self._strip_protocol(path)}/", "size": 0, "type": "file"}, *found]


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    SETS["cholect50"](tmp_path / "set")
    return tmp_path / "set"


@pytest.fixture
def copied(disk: Path) -> Iterator[Callable[[], None]]:
    """copied(): the store holds what lies on the disk now."""
    store = fsspec.filesystem("memory")

    def copy() -> None:
        if store.exists("/frame-sets"):
            store.rm("/frame-sets", recursive=True)
        store.put(str(disk), "/frame-sets", recursive=True)

    fsspec.register_implementation("bucket", Bucket, clobber=True)
    copy()
    yield copy
    store.rm("/frame-sets", recursive=True)


def at(rows: pl.DataFrame, where: str) -> pl.DataFrame:
    """Rows with `.` for the place of their set."""
    uri = pl.col("media").struct.field("uri")
    assert rows.select(uri.str.starts_with(f"{where}/").all()).item()
    return rows.with_columns(pl.col("media").struct.with_fields(uri=uri.str.replace(where, ".", literal=True)))


def picture(shade: int, size: tuple[int, int] = (64, 32)) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", size, (shade, shade, shade)).save(data, "png")
    return data.getvalue()


@pytest.mark.parametrize("url", [URL, "bucket://frame-sets"])
@pytest.mark.parametrize("probe", [True, False])
def test_rows_are_those_of_the_same_folder_on_a_disk(
    disk: Path, copied: Any, convert: Any, url: str, probe: bool
) -> None:
    options: dict[str, Any] = {"min_foreground": 0.05, "probe": probe}
    local, remote = convert(stage(disk, **options)), convert(stage(url, **options))
    assert local.rows.height == 20
    assert at(remote.rows, url).equals(at(local.rows, str(disk)))
    assert remote.rejects == local.rejects
    assert [unit.id for unit in remote.units] == [unit.id for unit in local.units]


def unlink(folder: Path) -> None:
    (folder / "000005.png").unlink()


def put(name: str, data: bytes) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / name).write_bytes(data)

    return write


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    (folder / "notes.txt").write_text("none")


@pytest.mark.parametrize(
    ("spoil", "reasons"),
    [
        (unlink, {"bad_row"}),
        (put("cover.png", picture(9)), {"bad_row"}),
        (put("7.png", picture(9)), {"bad_row"}),
        (put("000005.png", b""), {"not_recognised"}),
        (put("000005.png", b"no picture"), {"not_recognised"}),
        (put("000005.png", picture(9, (32, 64))), {"corrupt"}),
        (put("000005.png", picture(99)[:60]), {"truncated"}),
        (put(".000005.png", b""), set()),
        (empty, {"no_pixels"}),
    ],
)
def test_rejects_are_those_of_the_same_folder_on_a_disk(
    disk: Path, copied: Any, convert: Any, spoil: Callable[[Path], None], reasons: set[str]
) -> None:
    spoil(disk / "videos/VID01")
    copied()
    options = {"min_foreground": 0.05} if reasons == {"truncated"} else {}  # which decodes
    local, remote = convert(stage(disk, **options)), convert(stage(URL, **options))
    assert remote.rejects == local.rejects
    assert set(local.counts) - {"blank"} == reasons


def test_clips_are_packed_as_from_a_disk(disk: Path, copied: Any, convert: Any, ctx: Context, tmp_path: Path) -> None:
    members = []
    for name, where in (("disk", str(disk)), ("store", URL)):
        rows = convert(stage(where, stills_every=0)).rows.with_columns(split=pl.lit("train"))
        write_part(rows, tmp_path / f"{name}.parquet")
        with FillCaptions().open(ctx) as filler:
            filled = filler.process(Unit(id=name, payload={"part": str(tmp_path / f"{name}.parquet")})).rows
        assert filled is not None
        write_part(filled, tmp_path / f"{name}-filled.parquet")
        build(PackShards(preset="clip-8x32x64", media="mp4"), tmp_path / name, [tmp_path / f"{name}-filled.parquet"])
        members.append({one.key: one.members for one in read_split(tmp_path / name / "pack", "train")})
    on_disk, in_store = members
    assert len(on_disk) == 2
    for key, parts in on_disk.items():
        assert parts["mp4"] == in_store[key]["mp4"]
        assert parts["txt"] == in_store[key]["txt"] != b""


def test_media_listed_first_are_probed_later(disk: Path, copied: Any, convert: Any, ctx: Context) -> None:
    listed = convert(stage(URL, probe=False)).rows
    assert listed["media"].struct.field("sha256").is_null().all()
    write_part(listed, ctx.tmp / "listed.parquet")
    with ProbeMedia().open(ctx) as worker:
        result = worker.process(Unit(id="one", payload={"part": str(ctx.tmp / "listed.parquet")}))
    assert not result.rejects
    assert result.rows is not None
    known = {one.key: one.media.sha256 for one in samples(convert(stage(disk)).rows)}
    assert {one.key: one.media.sha256 for one in samples(result.rows)} == known


def test_frames_are_in_the_order_of_their_numbers(copied: Any) -> None:
    store = fsspec.filesystem("memory")
    for number in (10, 9, 2, 1):
        store.pipe(f"/frame-sets/loose/frame{number}.png", picture(100 + number))
    reader = MediaReader()
    facts = reader.facts(f"{URL}/loose", "", "frames")
    read = reader.read(Media(uri=f"{URL}/loose", kind="frames", sha256=facts.sha256)).pixels
    assert [int(frame.max()) for frame in read] == [101, 102, 109, 110]


@pytest.mark.parametrize("url", [URL, "bucket://frame-sets"])
def test_units_are_stale_after_a_frame_was_written_again(copied: Any, ctx: Context, url: str) -> None:
    store = fsspec.filesystem("memory")
    before = [unit.inputs for unit in stage(url).units(ctx)]
    assert [unit.inputs for unit in stage(url).units(ctx)] == before
    store.pipe("/frame-sets/videos/VID01/000001.png", picture(7))
    changed = [unit.inputs for unit in stage(url).units(ctx)]
    assert changed != before
    store.rm("/frame-sets/videos/VID01/000001.png")
    assert [unit.inputs for unit in stage(url).units(ctx)] not in (before, changed)


def test_units_are_listed_without_opening_a_frame(copied: Any, ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    real = MemoryFileSystem._open

    def open_it(self: MemoryFileSystem, path: str, *given: Any, **options: Any) -> Any:
        opened.append(path)
        return real(self, path, *given, **options)

    monkeypatch.setattr(MemoryFileSystem, "_open", open_it)
    assert len(list(stage(URL).units(ctx))) == 1
    assert not [path for path in opened if path.endswith(".png")]
    MediaReader().facts(VIDEO, "", "frames")
    assert len([path for path in opened if path.endswith(".png")]) == 20


def test_a_worker_lists_a_folder_once(copied: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    listed: list[str] = []
    pictures = frame_listing._remote_pictures
    monkeypatch.setattr(frame_listing, "_remote_pictures", lambda url: listed.append(url) or pictures(url))
    reader = MediaReader()
    for number in range(20):
        reader.facts(VIDEO, f'{{"frame_start":{number},"frame_stop":{number + 1}}}', "frames")
    assert listed == [VIDEO]


def test_a_changed_frame_and_one_that_is_gone_are_noticed(copied: Any) -> None:
    store = fsspec.filesystem("memory")
    locator = '{"frame_start":0,"frame_stop":4}'
    media = Media(
        uri=VIDEO, kind="frames", locator=locator, sha256=MediaReader().facts(VIDEO, locator, "frames").sha256
    )
    assert MediaReader().read(media).pixels.shape == (4, 32, 64, 3)
    store.pipe("/frame-sets/videos/VID01/000001.png", picture(7))
    with pytest.raises(Skip, match="media_changed"):
        MediaReader().read(media)
    reader = MediaReader()
    reader.facts(VIDEO, locator, "frames")
    store.rm("/frame-sets/videos/VID01/000001.png")
    for one in (reader, MediaReader()):  # whether or not it was listed before
        with pytest.raises(Skip, match="missing_file"):
            one.read(media)


@pytest.mark.parametrize(
    ("limits", "detail"),
    [(Limits(max_frames=19), "20 frames"), (Limits(max_total_bytes=64), "file of"), (Limits(max_pixels=64), "64x32")],
)
def test_limits_hold(disk: Path, copied: Any, limits: Limits, detail: str) -> None:
    for uri in (str(disk / "videos/VID01"), VIDEO):
        with pytest.raises(Skip, match=f"too_large: {detail}"):
            MediaReader(limits).facts(uri, "", "frames")
        with pytest.raises(Skip, match=f"too_large: {detail}"):
            MediaReader(limits).read(Media(uri=uri, kind="frames"))


def test_a_store_that_refuses_a_folder_is_a_reject_to_be_tried_again(
    copied: Any, convert: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = MemoryFileSystem.ls

    def ls(self: MemoryFileSystem, path: str, *given: Any, **options: Any) -> Any:
        if path.endswith("VID01"):
            raise PermissionError(path)
        return real(self, path, *given, **options)

    monkeypatch.setattr(MemoryFileSystem, "ls", ls)
    (reject,) = convert(stage(URL)).rejects
    assert (reject.item, reject.reason) == ("labels/VID01.json", "unreadable")
    assert "frame-sets" not in reject.detail


def test_a_picture_in_a_store_is_asked_for_no_folder(copied: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryFileSystem, "isdir", lambda self, path: pytest.fail(path))
    uri = f"{VIDEO}/000001.png"
    assert MediaReader().facts(uri).kind == "image"
    assert np.all(MediaReader().read(Media(uri=uri, kind="image")).pixels[0, 0, 0] == (101, 50, 101))
