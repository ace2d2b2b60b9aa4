"""The root: one run at a time, nothing of others touched, leftovers swept, and the key that must not be lost."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest


def test_a_folder_that_is_not_ours_is_left_alone(toy: Any) -> None:
    toy.words(a="one")
    mine = toy.root / "learn/thesis/chapter.tex"
    mine.parent.mkdir(parents=True)
    mine.write_text("three years")
    done = toy.run(rc=1)
    assert f"medloom: {toy.root}/learn is not a folder of medloom's; give the stage `learn` another name" in done.stderr
    assert mine.read_text() == "three years"


def test_what_a_killed_run_left_is_swept(done: Any) -> None:
    left = [".tmp-1-medloom.lock.json", "words/parts/.tmp-1-a.parquet", "errors/.tmp-2", "learn/checkpoints/.tmp-3/x"]
    left += [".work/words/words-a.item", ".work/words-words-a/scratch"]
    for name in left[:3] + left[4:]:
        (done.root / name).parent.mkdir(parents=True, exist_ok=True)
        (done.root / name).touch()
    done.words(a="one; two; five")
    done.go()
    assert [path for path in done.root.rglob("*") if ".tmp-" in path.name or ".work" in path.parts] == []


def test_a_second_run_on_a_root_is_refused_and_a_dead_one_is_no_obstacle(done: Any) -> None:
    (done.root / ".run").write_text("process 999999")  # of a run that was killed
    assert done.go().failed == {}
    with (done.root / ".run").open("a+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        held.truncate(0)
        held.write("process 4711")
        held.flush()
        refused = done.run(rc=1).stderr
        assert refused == f"medloom: another run (process 4711) works on {done.root}; wait for it or stop it\n"
        assert "another run (process 4711)" in done.medloom("run", "toy", "--units", "1/2", rc=1).stderr
    assert done.go().failed == {}


def test_a_run_waits_for_the_workers_of_a_killed_one(done: Any) -> None:
    hold = "import fcntl, sys; f = open(sys.argv[1], 'a'); fcntl.flock(f, fcntl.LOCK_SH); print(flush=True); input()"
    arguments = [sys.executable, "-c", hold, done.root / ".workers"]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        worker.stdout.readline()
        with done.start("run", "toy", "--serial") as run:
            assert run.stderr.readline() == "waiting for the workers of a killed run to end\n"
            worker.communicate("\n", timeout=10)
            assert run.stderr.readline() == "words: nothing to do (3 units up to date)\n"
            assert run.wait(timeout=60) == 0


def test_keys(toy: Any, tmp_path: Path) -> None:
    toy.words(a="one")
    key = tmp_path / "keys/mine"
    toy.write((toy.folder / "pipelines.yaml").read_text().replace("{public: toy}", f"{{file: {key}}}"))
    toy.medloom("plan", "toy")
    assert not key.exists()
    runs = [
        toy.start("run", "toy", "--serial", "--set", f"words.source=w{i}") for i in range(3)
    ]  # all but one is refused
    ends = [run.communicate(timeout=60) and run.returncode for run in runs]
    assert sorted(ends)[0] == 0
    assert set(ends) <= {0, 1}
    made = key.read_bytes()
    assert len(made.strip()) == 64
    assert (key.stat().st_mode & 0o777, key.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert list(key.parent.iterdir()) == [key]
    key.chmod(0o644)
    with pytest.raises(ValueError, match=f"the key file {key} can be read by others; run `chmod 600 {key}`"):
        toy.go()
    key.chmod(0o600)
    toy.go()
    key.rename(tmp_path / "lost")
    with pytest.raises(ValueError, match=f"the key file {key} is gone, and {toy.root} was built with it: put it back"):
        toy.go()
    assert not key.exists()
    (tmp_path / "lost").rename(key)
    assert not toy.go().worked
    key.write_bytes(b"short")
    with pytest.raises(ValueError, match="holds fewer than 16 bytes"):
        toy.go()


def test_a_key_that_was_made_is_told_once(toy: Any, tmp_path: Path) -> None:
    toy.words(a="one")
    key = tmp_path / "mine"
    toy.write((toy.folder / "pipelines.yaml").read_text().replace("{public: toy}", f"{{file: {key}}}"))
    told = f"made the private key {key}: ids and splits depend on it"
    assert told in toy.run("--until", "words").stderr
    assert "private key" not in toy.run().stderr


def test_two_processes_make_one_key(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom types import SimpleNamespace\n"
        "from pipelines.user_key import read_key\n"
        "while time.time() < float(sys.argv[2]): pass\n"
        "print(read_key(SimpleNamespace(public_key=None, key_file=Path(sys.argv[1])), create=True).decode())\n"
    )
    for i in range(3):
        start = time.time() + 1.0
        arguments = [sys.executable, "-P", "-c", code, str(tmp_path / f"{i}/key"), str(start)]
        both = [subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) for _ in range(3)]
        keys = {process.communicate(timeout=30)[0] for process in both}
        assert len(keys) == 1
        assert len(list((tmp_path / str(i)).iterdir())) == 1
