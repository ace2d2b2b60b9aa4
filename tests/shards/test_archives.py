"""Encoded pictures inside other files: Parquet cells as the `datasets` library writes them, and zip and tar members."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shards.intake import Skip
from shards.limits import Limits
from shards.locator import Locator
from shards.manifest import Media
from shards.media import MediaReader
from shards.reasons import Reason
from shards.uri import local_path

NAMES = ("ihc.png", "cell.png", "retina.jpg")


def encoded(name: str) -> bytes:
    path = local_path(f"package://skimage/data/{name}")
    assert path is not None
    return path.read_bytes()


def as_a_file(folder: Path, name: str) -> tuple[str, Any]:
    """Hash and pixels of a picture that lies alone."""
    (folder / name).write_bytes(encoded(name))
    reader = MediaReader()
    read = reader.read(Media(uri=str(folder / name), kind="image"))
    return reader.facts(str(folder / name)).sha256, read.pixels


def refused(path: Path, limits: Limits | None = None, **view: Any) -> Reason:
    with pytest.raises(Skip) as skip:
        MediaReader(limits).facts(str(path), Locator(**view).text())
    return skip.value.reason


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    """Two row groups: pictures, then cells that hold none."""
    cells: list[dict[str, Any] | None] = [{"bytes": encoded(name), "path": name} for name in NAMES]
    cells += [None, {"bytes": None, "path": "/etc/passwd"}, {"bytes": b"no picture", "path": None}]
    cells += [{"bytes": encoded("ihc.png")[:5000], "path": None}]
    plain = [None if cell is None else cell["bytes"] for cell in cells]
    table = pa.table({"image": cells, "plain": plain, "caption": [str(i) for i in range(len(cells))]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=3)
    return tmp_path / "a.parquet"


def test_a_picture_in_a_cell_is_the_same_picture(parquet: Path) -> None:
    reader = MediaReader()
    for column in ("image", "plain"):
        for row, name in enumerate(NAMES):
            sha256, pixels = as_a_file(parquet.parent, name)
            view = Locator(array=column, row=row).text()
            facts = reader.facts(str(parquet), view)
            assert (facts.sha256, facts.kind) == (sha256, "image")
            assert (facts.height_px, facts.width_px) == pixels.shape[1:3]
            read = reader.read(Media(uri=str(parquet), kind="image", locator=view, sha256=sha256))
            assert np.array_equal(read.pixels, pixels)


def test_cells_that_are_no_picture(parquet: Path) -> None:
    assert [refused(parquet, array="image", row=row) for row in (3, 4, 5)] == [
        Reason.NO_PIXELS,
        Reason.NO_PIXELS,
        Reason.NOT_RECOGNISED,
    ]
    with pytest.raises(Skip, match="truncated"):
        MediaReader().read(Media(uri=str(parquet), kind="image", locator=Locator(array="image", row=6).text()))
    assert refused(parquet, array="image", row=7) == Reason.BAD_ROW
    assert refused(parquet, array="caption", row=0) == Reason.NO_PIXELS
    assert refused(parquet, array="nothing", row=0) == Reason.NO_PIXELS
    assert refused(parquet, array="image") == Reason.BAD_ROW
    assert refused(parquet) == Reason.BAD_ROW
    whole = parquet.read_bytes()
    parquet.write_bytes(whole[:-20])
    assert refused(parquet, array="image", row=0) == Reason.CORRUPT


def test_one_value_for_a_million_rows_is_not_made_a_million_times(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).bytes(1 << 20)
    pq.write_table(pa.table({"image": [noise] * 200}), tmp_path / "a.parquet", use_dictionary=True)
    assert (tmp_path / "a.parquet").stat().st_size < 4 << 20
    assert refused(tmp_path / "a.parquet", Limits(max_total_bytes=64 << 20), array="image", row=199) == Reason.TOO_LARGE


@pytest.fixture
def archives(tmp_path: Path) -> dict[str, Path]:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in NAMES:
            archive.writestr(f"folder/{name}", encoded(name))
        archive.writestr("../evil.png", encoded("cell.png"))
        archive.writestr("text.png", "text")
        archive.writestr("bomb.png", bytes(50 << 20))
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name in NAMES:
            info = tarfile.TarInfo(f"folder/{name}")
            info.size = len(encoded(name))
            archive.addfile(info, io.BytesIO(encoded(name)))
    return {"zip": tmp_path / "a.zip", "tar": tmp_path / "a.tar"}


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_members_are_read_and_never_written(archives: dict[str, Path], kind: str) -> None:
    reader = MediaReader()
    before = sorted(archives[kind].parent.rglob("*"))
    for name in NAMES:
        view = Locator(member=f"folder/{name}").text()
        facts = reader.facts(str(archives[kind]), view)
        assert facts.sha256 == hashlib.sha256(encoded(name)).hexdigest()
        read = reader.read(Media(uri=str(archives[kind]), kind="image", locator=view, sha256=facts.sha256))
        assert read.pixels.shape[1:3] == (facts.height_px, facts.width_px)
    assert sorted(archives[kind].parent.rglob("*")) == before
    assert refused(archives[kind], member="none.png") == Reason.MISSING_FILE
    assert refused(archives[kind]) == Reason.BAD_ROW


def test_hostile_archives(archives: dict[str, Path], tmp_path: Path) -> None:
    assert refused(archives["zip"], member="text.png") == Reason.NOT_RECOGNISED
    assert refused(archives["zip"], Limits(max_total_bytes=1 << 20), member="bomb.png") == Reason.TOO_LARGE
    whole = archives["zip"].read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[:-100])
    assert refused(tmp_path / "cut.zip", member="folder/ihc.png") == Reason.TRUNCATED
    whole = archives["tar"].read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[:100_000])
    assert refused(tmp_path / "cut.tar", member="folder/ihc.png") == Reason.TRUNCATED
    with tarfile.open(tmp_path / "link.tar", "w") as archive:
        info = tarfile.TarInfo("a.png")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(info)
    assert refused(tmp_path / "link.tar", member="a.png") == Reason.CORRUPT
