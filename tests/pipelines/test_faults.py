"""A disk that is full, read-only or too slow to be there: a clear error, nothing partial, and the same bytes after."""

from __future__ import annotations

import json
import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest


def whole(root: Path) -> None:
    """Everything under a final name can be read to its end."""
    for path in root.rglob("*"):
        if path.is_file() and not path.name.startswith((".tmp-", ".run", ".workers", ".folding")):
            if path.suffix == ".json":
                json.loads(path.read_text())
            elif path.suffix == ".parquet":
                pl.read_parquet(path)
            elif path.parent.name == "bundles":
                assert path.read_bytes().endswith(b"\n")


@pytest.fixture
def small_disk(toy: Any) -> Iterator[Callable[[str], None]]:
    """A file system of its own for the root; its size is set by the function that is given."""

    def mount(options: str) -> None:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "none", toy.root], capture_output=True, check=False
        )
        if done.returncode:
            pytest.skip(f"cannot mount a file system: {done.stderr.decode()}")

    toy.root.mkdir()
    mount("size=16k")
    yield mount
    subprocess.run(["umount", "--lazy", toy.root], check=True)


def test_the_disk_is_full_wherever_it_likes(toy: Any, small_disk: Callable[[str], None]) -> None:
    toy.words(**{f"f{i}": f"w{i}; bad; v{i}; u{i}" for i in range(4)})
    said, size = [], 16
    while size < 1000:
        small_disk(f"remount,size={size}k")
        try:
            messages = [message for messages in toy.go().failed.values() for message in messages]
        except OSError as error:
            messages = [str(error)]
        if not messages:
            break
        assert all("No space left on device" in message for message in messages)
        said += messages
        whole(toy.root)
        size += 8
    calm = toy.copy("calm")
    calm.go()
    there = {name: data for name, data in toy.snapshot().items() if not name.startswith("errors/")}
    assert there == calm.snapshot()
    assert len({message.partition(" (see ")[0] for message in said}) >= 5  # in many places
    assert list(toy.root.rglob(".tmp-*")) == []


def test_the_command_says_that_the_disk_is_full(toy: Any, small_disk: Callable[[str], None]) -> None:
    toy.words(a="one")
    small_disk("remount,size=4k")
    error = toy.run(rc=1).stderr
    assert "No space left on device" in error
    assert "Traceback" not in error


def test_a_file_may_not_grow(toy: Any) -> None:
    """EFBIG instead of ENOSPC, from a limit of the process."""
    toy.words(a="; ".join(f"word {i} {os.urandom(20).hex()}" for i in range(200)))

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))

    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}  # Python would keep the half of a compiled module
    error = toy.process("run", "toy", "--serial", rc=1, preexec_fn=limit, env=environment).stderr
    assert "words: FAILED words-a: OSError (File too large) at " in error
    whole(toy.root)
    assert toy.go().failed == {}


def test_a_root_that_cannot_be_written(toy: Any, small_disk: Callable[[str], None]) -> None:
    toy.words(a="one")
    small_disk("remount,ro")
    error = toy.run(rc=1).stderr
    assert error == f"medloom: the root {toy.root} cannot be written (Read-only file system); choose another `root:`\n"


def test_a_root_that_is_a_file(toy: Any) -> None:
    toy.words(a="one")
    toy.root.write_text("a file of the user's")
    error = toy.run(rc=1).stderr
    assert error == f"medloom: the root {toy.root} cannot be made: {toy.root} is a file\n"
    assert toy.root.read_text() == "a file of the user's"
    toy.write((toy.folder / "pipelines.yaml").read_text().replace("root: out", "root: out/below"))
    with pytest.raises(ValueError, match=f"the root {toy.root}/below cannot be made: {toy.root} is a file"):
        toy.go()


def test_a_folder_that_vanishes_between_two_runs(done: Any) -> None:
    before = done.snapshot()
    for name in ("words", "bundle"):
        (done.root / name).rename(done.folder / f"gone-{name}")
    done.go()
    assert done.snapshot() == before
