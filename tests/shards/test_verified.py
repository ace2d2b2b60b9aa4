"""Verify as a stage: what it writes is known to the runner, so that a page that was lost is written again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shards.canonical import sha256_file
from shards.index import read_index
from shards.stage import Context, Kind, Output
from shards.verified import VerifyShards


def run(folder: Path, tmp_path: Path) -> Any:
    ctx = Context(root=tmp_path, out=tmp_path / "verify", tmp=tmp_path / "tmp", folder=tmp_path)
    given = Output(stage="pack", kind=Kind.SHARDS, path=folder, content=read_index(folder).name)
    return VerifyShards(decode=False).run([given], ctx)


def test_its_files_are_in_its_result(make_packed: Callable[..., Path], make_sample: Any, tmp_path: Path) -> None:
    result = run(make_packed([[make_sample("a"), make_sample("b")]]), tmp_path)
    assert [file.path for file in result.files] == ["pack.json", "pack.txt"]
    for file in result.files:
        path = tmp_path / "verify" / file.path
        assert (path.stat().st_size, sha256_file(path)) == (file.size_bytes, file.sha256)


def test_a_set_that_does_not_hold_stops_the_pipeline(
    make_packed: Callable[..., Path], make_sample: Any, tmp_path: Path
) -> None:
    folder = make_packed([[make_sample("a"), make_sample("b")]])
    next(folder.glob("*/*.tar")).write_bytes(b"")
    with pytest.raises(ValueError, match=f"pack does not hold: .*; see `medloom verify {folder}`"):
        run(folder, tmp_path)
