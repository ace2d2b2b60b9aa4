"""What a listing offers: every file once in a fixed order, and everything else with the reason it is no file."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec import AbstractFileSystem

from ingest.file_units import cut_folders, folder_units, listed
from ingest.listing import Listed, Lookup, Root
from shards.units import Sizes

SIZES = Sizes(target=4, folder_most=100)


def write(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(path.encode())


def listing(root: Path | str, *include: str) -> list[Listed]:
    return list(Root.find(str(root)).files(include))


def test_files_come_by_name_with_each_folders_files_in_one_run(tmp_path: Path) -> None:
    write(tmp_path, "b/2", "b/10", "b/a/1", "a.dcm", "b.dcm", "a/x", "Z/1", "é/1")
    assert [file.path for file in listing(tmp_path)] == [
        "a.dcm",
        "b.dcm",
        "Z/1",
        "a/x",
        "b/10",
        "b/2",
        "b/a/1",
        "é/1",
    ]


def test_size_and_time_are_those_of_the_file(tmp_path: Path) -> None:
    write(tmp_path, "scan.dcm")
    os.utime(tmp_path / "scan.dcm", ns=(0, 1_700_000_000_123_456_789))
    (file,) = listing(tmp_path)
    assert (file.size_bytes, file.mtime_ns) == (8, 1_700_000_000_123_456_789)
    assert file.modified == datetime(2023, 11, 14, 22, 13, 20, 123456, tzinfo=UTC)
    before = file.token
    os.utime(tmp_path / "scan.dcm", ns=(0, 1_700_000_000_123_456_790))
    assert listing(tmp_path)[0].token != before


def test_hidden_files_and_folders_are_counted_and_not_entered(tmp_path: Path) -> None:
    write(tmp_path, ".DS_Store", "._scan.dcm", ".git/config", "__MACOSX/scan.dcm", "in/Thumbs.db", "in/scan.dcm")
    found = {file.path: file.refused for file in listing(tmp_path)}
    assert found == {
        ".DS_Store": "hidden",
        "._scan.dcm": "hidden",
        ".git/": "hidden",
        "__MACOSX/": "hidden",
        "in/Thumbs.db": "hidden",
        "in/scan.dcm": "",
    }


def test_links_are_followed_to_files_inside_and_nowhere_else(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    write(root, "real/scan.dcm")
    write(outside, "secret.dcm")
    (root / "inside.dcm").symlink_to("real/scan.dcm")
    (root / "out.dcm").symlink_to(outside / "secret.dcm")
    (root / "out_folder").symlink_to(outside)
    (root / "again").symlink_to("real")
    (root / "round").symlink_to(".")
    (root / "nowhere").symlink_to("gone")
    found = {file.path: file.refused for file in listing(root)}
    assert found == {
        "again": "duplicate",
        "inside.dcm": "",
        "nowhere": "missing_file",
        "out.dcm": "path_escapes",
        "out_folder": "path_escapes",
        "real/scan.dcm": "",
        "round": "duplicate",
    }


def test_a_sibling_whose_name_starts_like_the_root_is_outside(tmp_path: Path) -> None:
    write(tmp_path, "data/a.dcm", "data_private/b.dcm")
    (tmp_path / "data/link.dcm").symlink_to("../data_private/b.dcm")
    assert {f.path: f.refused for f in listing(tmp_path / "data")} == {"a.dcm": "", "link.dcm": "path_escapes"}


def test_the_root_may_be_a_link_itself(tmp_path: Path) -> None:
    write(tmp_path, "real/a.dcm", "real/b.dcm")
    (tmp_path / "real/link.dcm").symlink_to("a.dcm")
    (tmp_path / "root").symlink_to("real")
    assert [file.refused for file in listing(tmp_path / "root")] == ["", "", ""]


def test_names_that_are_no_utf8_and_what_is_no_file_are_refused(tmp_path: Path) -> None:
    Path(os.fsdecode(bytes(tmp_path) + b"/b\xe9.dcm")).write_bytes(b"x")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as open_socket:
        folder = os.open(tmp_path, os.O_RDONLY)
        try:
            open_socket.bind(f"/proc/self/fd/{folder}/s")
        finally:
            os.close(folder)
        found = {file.path: file.refused for file in listing(tmp_path)}
    assert found == {"b\\xe9.dcm": "bad_name", "pipe": "not_recognised", "s": "not_recognised"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_a_folder_that_cannot_be_read_is_one_refused_item(tmp_path: Path) -> None:
    write(tmp_path, "shut/a.dcm", "open/b.dcm")
    (tmp_path / "shut").chmod(0)
    try:
        assert {f.path: f.refused for f in listing(tmp_path)} == {"open/b.dcm": "", "shut/": "unreadable"}
    finally:
        (tmp_path / "shut").chmod(0o700)


def test_include_decides_what_is_offered(tmp_path: Path) -> None:
    write(tmp_path, "a/x.nii.gz", "a/x.json", "y.nii")
    assert [file.path for file in listing(tmp_path, "*.nii", "*.nii.gz")] == ["y.nii", "a/x.nii.gz"]


def test_a_root_that_is_one_file_and_one_inside_a_package(tmp_path: Path) -> None:
    write(tmp_path, "one.dcm", "other.dcm")
    root = Root.find(str(tmp_path / "one.dcm"))
    assert [file.path for file in root.files()] == ["one.dcm"]
    assert root.uri("one.dcm") == f"{tmp_path}/one.dcm"
    package = Root.find("package://pydicom/data/test_files")
    names = [file.path for file in package.files(["CT_*"])]
    assert names == ["CT_small.dcm"]
    assert package.uri(names[0]) == "package://pydicom/data/test_files/CT_small.dcm"
    assert [file.path for file in Root.find(package.uri(names[0])).files()] == names


def test_nothing_at_the_root_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="check the path"):
        Root.find(str(tmp_path / "gone"))


def test_a_remote_store_lists_like_a_disk(tmp_path: Path) -> None:
    store = fsspec.filesystem("memory")
    paths = ["b/2", "b/10", "b/a/1", "a.dcm", "b.dcm", "a/x", ".hidden", "b/.git/x"]
    write(tmp_path, *paths)
    try:
        for path in paths:
            store.pipe(f"/listing/{path}", path.encode())
        remote = list(Root.find("memory://listing").files())
        local = listing(tmp_path)
        assert [(f.path, f.size_bytes, f.refused) for f in remote] == [(f.path, f.size_bytes, f.refused) for f in local]
        assert all(file.token.split("|")[2] != "0" for file in remote if not file.refused)
        assert Root.find("memory://listing").uri("b/2") == "memory://listing/b/2"
        assert [file.path for file in Root.find("memory://listing/b/10").files()] == ["10"]
        found = Lookup(Root.find("memory://listing"))
        assert found("b/2").size_bytes == 3
        assert found("b/3").refused == "missing_file"
        folder = Lookup(Root.find(str(tmp_path)))("b/a")
        assert (
            (found("b/a").refused, found("b/a").detail)
            == (folder.refused, folder.detail)
            == (
                "not_recognised",
                "a folder",
            )
        )
    finally:
        store.rm("/listing", recursive=True)


class Closed(AbstractFileSystem):
    """A store that lets nobody look at some of its files, as S3 does without the right to list, and marks folders."""

    protocol = "closed"

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        if path.endswith("/secret"):
            raise PermissionError("Forbidden")
        return {"name": path, "size": 0, "type": "directory"}

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[dict[str, Any]]:
        if path.endswith("/shut"):
            raise PermissionError("Forbidden")
        marker = {"name": f"{path}/", "size": 0, "type": "file"}
        return [
            marker,
            {"name": f"{path}/open.png", "size": 3, "type": "file", "ETag": "a"},
            {"name": f"{path}/shut", "size": 0, "type": "directory"},
        ]


def test_a_remote_file_that_may_not_be_looked_at_is_one_refused_item() -> None:
    fsspec.register_implementation("closed", Closed, clobber=True)
    found = Lookup(Root.find("closed://set"))("secret")
    assert (found.refused, found.detail) == ("unreadable", "no permission")


def test_a_remote_folder_that_may_not_be_listed_is_one_refused_item_and_its_marker_none() -> None:
    fsspec.register_implementation("closed", Closed, clobber=True)
    found = Root.find("closed://set").files()
    assert {file.path: (file.refused, file.etag) for file in found} == {
        "open.png": ("", "a"),
        "shut/": ("unreadable", ""),
    }


def test_a_looked_up_path_counts_where_its_links_lead(tmp_path: Path) -> None:
    write(tmp_path, "root/a/x.png", "outside/x.png")
    (tmp_path / "root/link").symlink_to("../outside")
    (tmp_path / "root/same").symlink_to("a")
    lookup = Lookup(Root.find(str(tmp_path / "root")))
    found = {
        path: lookup(path).refused for path in ("a/x.png", "same/x.png", "link/x.png", "a/y.png", "a/x.png/z", "a")
    }
    assert found == {
        "a/x.png": "",
        "same/x.png": "",
        "link/x.png": "path_escapes",
        "a/y.png": "missing_file",
        "a/x.png/z": "missing_file",
        "a": "not_recognised",
    }


def test_units_offer_every_entry_and_know_what_was_excluded(tmp_path: Path) -> None:
    write(tmp_path, *(f"p{n % 7}/{n:03d}.dcm" for n in range(40)), ".hidden")
    root = Root.find(str(tmp_path))
    units = list(folder_units(root, "here", SIZES, (), {"p3/003.dcm": "burned_in_text_unchecked"}))
    files = [file for unit in units for file in listed(unit)]
    assert len(units) > 1
    assert [file.path for file in files] == [file.path for file in root.files()]
    refused = {file.path: file.refused for file in files if file.refused}
    assert refused == {".hidden": "hidden", "p3/003.dcm": "burned_in_text_unchecked"}
    assert all(unit.id.startswith("here-") and unit.items == len(listed(unit)) for unit in units)
    assert not any(cut_folders(unit) for unit in units)


def test_a_unit_says_which_of_its_folders_it_does_not_hold_whole(tmp_path: Path) -> None:
    write(tmp_path, *(f"long/{n:04d}.dcm" for n in range(400)), "a/1.dcm", "z/1.dcm")
    units = list(folder_units(Root.find(str(tmp_path)), "here", SIZES))
    for unit in units:
        folders = {file.path.split("/")[0] for file in listed(unit)}
        assert cut_folders(unit) == (["long"] if "long" in folders else [])


def test_names_that_fit_no_file_are_errors(tmp_path: Path) -> None:
    write(tmp_path, "a.dcm")
    root = Root.find(str(tmp_path))
    with pytest.raises(ValueError, match=r"exclude: no file \['b.dcm'\]"):
        list(folder_units(root, "here", SIZES, (), {"b.dcm": "excluded_by_name"}))
    with pytest.raises(ValueError, match=r"facts: no file .* fits \['\*.nii'\]"):
        list(folder_units(root, "here", SIZES, patterns=["*.dcm", "*.nii"]))
    with pytest.raises(ValueError, match=r"matches include: \['\*.nii'\]"):
        list(folder_units(root, "here", SIZES, ["*.nii"]))


def test_a_pattern_of_include_that_names_files_must_fit_one(tmp_path: Path) -> None:
    write(tmp_path, "train/a.dcm", "train/b.png", "names [1].dcm")
    root = Root.find(str(tmp_path))
    for idle in ("train/c.dcm", "test/*", "*_mask.png", "train/b.pn"):
        with pytest.raises(ValueError, match=r"include: no file below .* fits") as caught:
            list(folder_units(root, "here", SIZES, ["train/*", idle]))
        assert f"fits {[idle]!r};" in str(caught.value)
    kinds = ["*.png", "*.tiff", "*.nii.gz", "train/a.dcm"]  # not every kind of file needs to be there
    found = [file.path for unit in folder_units(root, "here", SIZES, kinds) for file in listed(unit)]
    assert found == ["train/a.dcm", "train/b.png"]
    everything = list(folder_units(root, "here", Sizes(target=1), ["train/b.png", "train/a.dcm"]))
    assert len(everything) == 2  # each pattern may fit in another unit
