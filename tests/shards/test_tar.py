"""Tars: the same bytes everywhere, readable by everyone, refused when damaged."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from shards.tar import header, write_shard
from shards.tar_scan import TarError, scan

MEMBERS = [
    ("a-1", {"png": b"x" * 700, "txt": b"one", "json": b"{}"}),
    ("b_2", {"png": b"", "txt": b"two", "json": b"{}"}),
]


def test_bytes_do_not_depend_on_place_time_or_user(tmp_path: Path) -> None:
    first, rows = write_shard(tmp_path / "a" / "s.tar", iter(MEMBERS), folder=tmp_path)
    second, _ = write_shard(tmp_path / "b" / "t.tar", iter(MEMBERS), folder=tmp_path)
    assert first.sha256 == second.sha256 == hashlib.sha256((tmp_path / "a" / "s.tar").read_bytes()).hexdigest()
    assert first.path == "a/s.tar"
    assert first.size_bytes == (tmp_path / "a" / "s.tar").stat().st_size
    data = (tmp_path / "a" / "s.tar").read_bytes()
    for key, member, offset, size, sha256 in rows.iter_rows():
        extension = member.removeprefix(f"{key}.")
        assert data[offset : offset + size] == dict(MEMBERS)[key][extension]
        assert hashlib.sha256(data[offset : offset + size]).hexdigest() == sha256


def test_python_and_gnu_tar_read_it(tmp_path: Path) -> None:
    write_shard(tmp_path / "s.tar", iter(MEMBERS), folder=tmp_path)
    with tarfile.open(tmp_path / "s.tar") as archive:
        infos = archive.getmembers()
        assert [info.name for info in infos] == ["a-1.png", "a-1.txt", "a-1.json", "b_2.png", "b_2.txt", "b_2.json"]
        assert {(i.mtime, i.uid, i.gid, i.uname, i.gname, i.mode, i.isreg()) for i in infos} == {
            (0, 0, 0, "", "", 0o644, True)
        }
        content = archive.extractfile("a-1.png")
        assert content is not None
        assert content.read() == b"x" * 700
    listed = subprocess.run(["tar", "tf", tmp_path / "s.tar"], capture_output=True, text=True, check=True)
    assert listed.stdout.split() == [info.name for info in infos]
    assert not listed.stderr


@pytest.mark.parametrize("keys", [["b", "a"], ["a", "a"], ["A"], ["a.b"], ["../a"], ["x" * 65], [""]])
def test_keys_outside_the_alphabet_or_out_of_order_are_refused(tmp_path: Path, keys: list[str]) -> None:
    with pytest.raises(ValueError, match="ascend and are unique"):
        write_shard(tmp_path / "s.tar", [(key, {"txt": b"x"}) for key in keys], folder=tmp_path)
    assert list(tmp_path.iterdir()) == []  # nothing under the final name, no temporary file


def test_an_error_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    write_shard(tmp_path / "s.tar", iter(MEMBERS), folder=tmp_path)
    before = (tmp_path / "s.tar").read_bytes()

    def breaks() -> Iterator[tuple[str, dict[str, bytes]]]:
        yield MEMBERS[0]
        raise OSError("disk is full")

    with pytest.raises(OSError, match="disk is full"):
        write_shard(tmp_path / "s.tar", breaks(), folder=tmp_path)
    assert (tmp_path / "s.tar").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["s.tar"]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_scan_agrees_with_tarfile(form: int) -> None:
    names = ["000.jpg", "d/001.txt", "d" * 90 + "/" + "e" * 90 + ".json"]
    if form != tarfile.USTAR_FORMAT:
        names += ["long/" * 60 + "x.jpg", "münchen/ä.txt"]
    out = io.BytesIO()
    with tarfile.open(
        fileobj=out, mode="w", format=form, pax_headers={"comment": "global"} if form == 2 else None
    ) as tar:
        folder = tarfile.TarInfo("d")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for size, name in enumerate(names):
            info = tarfile.TarInfo(name)
            info.size = size * 600
            info.mtime = 12345.678 if form == tarfile.PAX_FORMAT else 12345
            tar.addfile(info, io.BytesIO(bytes(size * 600)))
    data = out.getvalue()
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        expected = [(i.name, i.offset_data, i.size) for i in tar.getmembers() if i.isreg()]
    assert [(m.name, m.offset, m.size_bytes) for m in scan(data)] == expected
    assert [name for name, _, _ in expected] == names


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (tarfile.SYMTYPE, "symbolic link"),
        (tarfile.LNKTYPE, "hard link"),
        (tarfile.CHRTYPE, "character device"),
        (tarfile.BLKTYPE, "block device"),
        (tarfile.FIFOTYPE, "FIFO"),
    ],
)
def test_links_and_devices_are_refused_by_name(kind: bytes, what: str) -> None:
    info = tarfile.TarInfo("evil.jpg")
    info.type = kind
    info.linkname = "/etc/passwd"
    with pytest.raises(TarError, match=rf"'evil\.jpg' is a {what}"):
        list(scan(info.tobuf() + bytes(1024)))


def test_base_256_sizes_are_read() -> None:
    block = bytearray(header("a.jpg", 0))
    block[124:136] = b"\x80" + (9 * 2**30).to_bytes(11, "big")
    block[148:156] = b"%06o\0 " % (sum(block[:148]) + 256 + sum(block[156:]))
    with pytest.raises(TarError, match=f"it ends {9 * 2**30} bytes early"):
        list(scan(bytes(block)))


@pytest.mark.parametrize(
    "field", [b"-0000002000\0", b"+0000000000\0", b"0o000000000\0", b"0_000000000\0", b"00000000008\0"]
)
def test_a_size_that_is_no_octal_number_is_damage(field: bytes) -> None:
    """A negative size would lead back to the same header for ever."""
    block = bytearray(header("a.jpg", 0))
    block[124:136] = field.rjust(12)
    block[148:156] = b"%06o\0 " % (sum(block[:148]) + 256 + sum(block[156:]))
    with pytest.raises(TarError, match=r"damaged \(size\)"):
        list(islice(scan(header("b.jpg", 0) * 3 + bytes(block) + bytes(1024)), 9))


def test_a_pax_header_of_many_records_is_read_in_linear_time() -> None:
    content = b"5 a=\n" * 200_000
    block = bytearray(header("PaxHeader/x", len(content)))
    block[156:157] = b"x"
    block[148:156] = b"%06o\0 " % (sum(block[:148]) + 256 + sum(block[156:]))
    started = time.process_time()
    data = bytes(block) + content + bytes(-len(content) % 512) + header("a.jpg", 0) + bytes(1024)
    assert [member.name for member in scan(data)] == ["a.jpg"]
    assert time.process_time() - started < 3  # 25 s when each record copied the rest


def test_cut_and_dirty_archives_are_refused_wherever_they_are_cut(tmp_path: Path) -> None:
    write_shard(tmp_path / "s.tar", iter(MEMBERS), folder=tmp_path)
    data = (tmp_path / "s.tar").read_bytes()
    assert len(list(scan(data))) == 6
    refused = 0
    for length in range(0, len(data), 128):
        with pytest.raises(TarError):
            list(scan(data[:length]))
        refused += 1
    assert refused == len(data) // 128
    with pytest.raises(TarError, match="follow the end marker"):
        list(scan(data + b"garbage"))
    assert len(list(scan(data + bytes(9216)))) == 6  # padding to a record of 20 blocks is usual


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"99 path=x\n",
        b"7 path\n",
        b"x path=a\n",
        b"10 size=-1\n",
        b"0 path=a\n",
        b"-5 path=a\n",
        b"9 path=\xff\n",
        b"5007 size=" + b"9" * 4996 + b"\n",  # more digits than int() takes
        b"9" * 5000 + b" size=1\n",
        b"9" * 600_000,
    ],
)
def test_damaged_pax_headers_do_not_hang_or_crash(content: bytes) -> None:
    block = bytearray(header("PaxHeader/x", len(content)))
    block[156:157] = b"x"
    block[148:156] = b"%06o\0 " % (sum(block[:148]) + 256 + sum(block[156:]))
    data = bytes(block) + content + bytes(-len(content) % 512) + header("a.jpg", 0) + bytes(1024)
    if content:
        with pytest.raises(TarError):
            list(scan(data))
    else:
        assert [m.name for m in scan(data)] == ["a.jpg"]
