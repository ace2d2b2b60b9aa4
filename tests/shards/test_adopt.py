"""Adopting reads stock tars without touching them, and refuses those that cannot be used."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import webdataset

from shards.adopt import index_folder, split_of
from shards.index import INDEX_NAME, ShardSet
from shards.loader import StreamLoader
from shards.verify import verify

MakeShards = Callable[..., ShardSet]


def stock(path: Path, names: Sequence[str], form: int = tarfile.GNU_FORMAT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=form) as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 600
            archive.addfile(info, io.BytesIO(name.encode().ljust(600)))
    return path


def test_stock_tars_are_adopted_and_not_touched(tmp_path: Path) -> None:
    folder = tmp_path / "wds"
    folder.mkdir()
    for number in range(2):
        with webdataset.TarWriter(str(folder / f"cc-train-{number:04d}.tar")) as writer:
            for at in range(6):
                writer.write(
                    {"__key__": f"dir.v1/{number}{at:03d}", "jpg": bytes([at]), "seg.png": b"s", "txt": f"text {at}"}
                )
    stock(folder / "validation" / "a.tar", ["long/" * 40 + "x.jpg", "y.jpg"], tarfile.PAX_FORMAT)
    before = {path: path.read_bytes() for path in folder.rglob("*.tar")}
    made = index_folder(folder)
    assert made.splits == {"train": 12, "val": 2}
    assert made.media == "jpg"
    assert {path: path.read_bytes() for path in folder.rglob("*.tar")} == before
    assert index_folder(folder) == made  # again is the same
    report = verify(folder, decode=False)
    assert report.good, report.text()
    assert "no record names a group" in report.text()
    batch = next(iter(StreamLoader(folder, "train", 0, 12)))
    ours = {one.key: one.members for one in batch}
    theirs = {}
    for path in folder.glob("cc-*.tar"):
        with path.open("rb") as stream:
            files = webdataset.tariterators.tar_file_expander([{"url": str(path), "stream": stream}])
            theirs.update({one["__key__"]: one for one in webdataset.tariterators.group_by_keys(files)})
    assert {key: set(parts) for key, parts in ours.items()} == {
        key: {name for name in parts if not name.startswith("__")} for key, parts in theirs.items()
    }
    assert all(parts["seg.png"] == b"s" and parts["jpg"] == theirs[key]["jpg"] for key, parts in ours.items())


def test_unusable_tars_are_refused_all_at_once_with_reasons(tmp_path: Path) -> None:
    stock(tmp_path / "a.tar", ["1.jpg", "2.jpg", "1.txt"])
    stock(tmp_path / "b.tar", ["1.jpg", "1.jpg"])
    stock(tmp_path / "c.tar", ["1.jpg", "README"])
    whole = stock(tmp_path / "d.tar", ["1.jpg", "1.txt"]).read_bytes()
    (tmp_path / "d.tar").write_bytes(whole[:2500])
    (tmp_path / "e.tar").write_bytes(b"")
    (tmp_path / "f.tar").write_bytes(bytes(10240))
    (tmp_path / "g.tar").write_bytes(b"PK\3\4" + bytes(2000))
    stock(tmp_path / "h.tar", ["1.jpg", "1.txt"])
    with pytest.raises(ValueError, match="7 of 8 tars cannot be used") as refused:
        index_folder(tmp_path)
    text = str(refused.value)
    for reason in (
        "a.tar: the members of '1' do not lie side by side",
        "b.tar: '1.jpg' is there twice",
        "c.tar: 'README' has no extension",
        "d.tar: the archive is cut off inside '1.txt': it ends 148 bytes early",
        "e.tar: the file is empty",
        "f.tar: the archive holds no file",
        "g.tar: the header at byte 0 is damaged",
    ):
        assert reason in text
    assert not (tmp_path / INDEX_NAME).exists()


def test_tars_whose_index_files_would_meet_have_one_each(tmp_path: Path) -> None:
    names = ["train/x-0.tar", "train-x-0.tar", "other.tar"]
    for at, name in enumerate(names):
        stock(tmp_path / name, [f"{at}.jpg", f"{at}.txt"])
    stock(tmp_path / "train" / ".tmp-1234-x.tar", ["half.jpg"])  # of a writer that died
    made = index_folder(tmp_path)
    assert len({shard.index for shard in made.shards}) == 3
    assert sorted(shard.path for shard in made.shards) == sorted(names)
    assert next(shard.index for shard in made.shards if shard.path == "other.tar") == "parts/other.parquet"
    assert index_folder(tmp_path) == made
    assert verify(tmp_path, decode=False).good


def test_a_key_in_two_tars_is_refused(tmp_path: Path) -> None:
    stock(tmp_path / "train" / "a.tar", ["1.jpg", "2.jpg"])
    stock(tmp_path / "train" / "b.tar", ["3.jpg"])
    stock(tmp_path / "val" / "c.tar", ["1.jpg", "2.jpg", "4.jpg"])
    with pytest.raises(ValueError, match="1 of 3 tars cannot be used") as refused:
        index_folder(tmp_path)
    assert "val/c.tar: the key '1' is also in train/a.tar (2 keys are repeated)" in str(refused.value)
    assert not (tmp_path / INDEX_NAME).exists()


def test_a_playlist_in_a_tar_is_not_opened(tmp_path: Path) -> None:
    playlist = b"ffconcat version 1.0\nfile /etc/hostname\n"
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo("1.mp4")
        info.size = len(playlist)
        archive.addfile(info, io.BytesIO(playlist))
    assert index_folder(tmp_path).media == "mp4"
    (problem,) = verify(tmp_path).problems
    assert problem.text() == (
        f"does_not_decode: a.tar 1: the clip does not decode: not_recognised: first bytes {playlist[:8].hex()}"
    )


def test_folders_without_tars_and_packed_folders_are_refused(tmp_path: Path, make_shards: MakeShards) -> None:
    with pytest.raises(ValueError, match=r"no \.tar file below"):
        index_folder(tmp_path)
    with pytest.raises(ValueError, match="needs no new index"):
        index_folder(make_shards({"train": [2]}).folder)


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("val/x-00.tar", "val"),
        ("train/test-00.tar", "train"),
        ("train/cardiac-stress-test-0001.tar", "train"),
        ("test/train/x.tar", "train"),
        ("Validation/x.tar", "val"),
        ("my-test/x.tar", "test"),
        ("x-validation-3.tar", "val"),
        ("strain-1.tar", "all"),
    ],
)
def test_the_split_is_read_off_the_name(name: str, split: str) -> None:
    assert split_of(name, "all") == split
