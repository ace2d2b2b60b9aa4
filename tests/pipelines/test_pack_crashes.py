"""The pack stage under the real runner: a process that dies at any write of a first build or of a revision."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pipelines.plan import Planner
from pipelines.spec import load
from shards.verify import verify

HARNESS = Path(__file__).with_name("crash_harness.py")
STAGES = Path(__file__).with_name("picture_stages.py")
SPEC = """\
version: 1
pipelines:
  toy:
    root: out
    key: {public: toy}
    stages:
      pictures: {use: "picture_stages:Pictures", with: {path: pictures}}
      pack: {use: "shards.pack:PackShards", from: [pictures], with: {preset: square-16, shard_samples: 2}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A pipeline of three pictures in two shards."""
    shutil.copy(STAGES, tmp_path)
    (tmp_path / "pipelines.yaml").write_text(SPEC)
    (tmp_path / "pictures").mkdir()
    for at in range(3):
        picture = np.random.default_rng(at).integers(0, 255, (20 + at, 24, 3), np.uint8)
        cv2.imwrite(str(tmp_path / "pictures" / f"{at}.png"), picture)
    return tmp_path


def tried(folder: Path, first: int, step: int) -> dict[str, Any]:
    command = [sys.executable, "-P", str(HARNESS), str(folder), "exit", "", str(first), str(step)]
    environment = {**os.environ, "POLARS_MAX_THREADS": "1"}  # each try is a fork
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=200
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def run(folder: Path, *more: str) -> None:
    code = "import sys\nfrom pipelines.cli import main\nsys.argv[0] = 'medloom'\nmain()\n"
    command = [sys.executable, "-P", "-c", code, "run", "toy", "--serial", *more]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


@pytest.mark.long
def test_a_first_build_and_a_revision_that_die_anywhere_are_resumed_byte_for_byte(folder: Path) -> None:
    first = tried(folder, 40, 37)
    assert first["bad"] == []
    assert first["tried"] >= 2
    assert verify(folder / "out/pack").good
    shutil.rmtree(folder / "template", ignore_errors=True)
    (folder / "pipelines.yaml").write_text(SPEC.replace("path: pictures", "path: pictures, word: Another picture"))
    second = tried(folder, 40, 37)  # from the finished set to its next revision
    assert second["bad"] == []
    assert second["tried"] >= 2
    assert {path.name.endswith(".r1.tar") for path in (folder / "out/pack").rglob("*.tar")} == {True}
    assert verify(folder / "out/pack").good


def test_a_deleted_index_is_missed_and_written_again(folder: Path) -> None:
    run(folder)
    index = folder / "out/pack/index.json"
    before = index.read_bytes()
    index.unlink()
    run(folder)
    assert index.read_bytes() == before


def whys(folder: Path, *overrides: str) -> dict[str, str]:
    plans = Planner(load(folder / "pipelines.yaml", "toy", overrides), b"toy").all()
    return {unit.unit.id: unit.why for unit in plans["pack"].stale}


def test_the_next_revision_of_a_shard_says_what_is_wrong_with_the_one_before(folder: Path) -> None:
    run(folder)
    assert whys(folder) == {}
    units = ("train-medloom-000000.r1", "train-medloom-000001.r1")
    assert whys(folder, "pack.preset=square-8") == dict.fromkeys(units, "preset: 'square-16' -> 'square-8'")
    tar = folder / "out/pack/train/medloom-000001.tar"
    tar.unlink()
    assert whys(folder) == {units[1]: "its output is missing or has another size"}
    run(folder)
    assert whys(folder) == {}
    assert [path.name for path in tar.parent.glob("*-000001*")] == ["medloom-000001.r1.tar"]
