"""Nothing under a final name is ever partial: each call that changes the disk is made to fail, then to be the last."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from shards.atomic import TMP_PREFIX, atomic_file, atomic_path, sweep, write_bytes, write_json

CALLS = "write,fsync,rename,unlink,mkdir,ftruncate"
SCRIPT = """
import sys
from pathlib import Path
from shards.atomic import atomic_file, write_json
folder = Path(sys.argv[1])
for text in ("old", "new"):
    write_json(folder / "deep/er/a.json", {text: [text] * 9})
    with atomic_file(folder / "deep/b.bin") as handle:
        for _ in range(3):
            handle.write(text.encode() * 5000)
"""
STATES = {
    "deep/er/a.json": [json.dumps({text: [text] * 9}, indent=1) + "\n" for text in ("old", "new")],
    "deep/b.bin": [text * 15000 for text in ("old", "new")],
}


def strace(folder: Path, inject: str) -> subprocess.CompletedProcess[str]:
    log = folder.with_suffix(".strace")
    command = ["strace", "-o", log, "-e", f"trace={CALLS}", *(["-e", inject] if inject else [])]
    command += [sys.executable, "-P", "-I", "-B", "-c", SCRIPT, folder]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def state(folder: Path) -> dict[str, int]:
    """Which of its states each file is in: -1 absent, 0 old, 1 new; a partial one is an error."""
    found = {}
    for name, states in STATES.items():
        path = folder / name
        found[name] = states.index(path.read_text()) if path.exists() else -1
    others = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - STATES.keys()
    assert all(Path(name).name.startswith(TMP_PREFIX) for name in others)
    return found


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The system calls of an undisturbed process, in order."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    folder = tmp_path_factory.mktemp("calm")
    done = strace(folder, "")
    if done.returncode and "ptrace" in done.stderr.lower():
        pytest.skip(f"strace may not trace here: {done.stderr}")
    assert done.returncode == 0, done.stderr
    assert state(folder) == dict.fromkeys(STATES, 1)
    return re.findall(r"^(\w+)\(", folder.with_suffix(".strace").read_text(), re.M)


@pytest.mark.long
def test_every_call_is_made_the_last_one_and_then_made_to_fail(calls: list[str], tmp_path: Path) -> None:
    assert len(calls) >= 28
    assert {"write", "fsync", "rename", "mkdir"} <= set(calls)
    seen = set()
    for name in sorted(set(calls)):
        for when in range(1, calls.count(name) + 1):
            for kind in ("signal=KILL", "error=EIO"):
                folder = tmp_path / f"{name}-{when}-{kind[:5]}"
                folder.mkdir()
                done = strace(folder, f"inject={name}:{kind}:when={when}")
                found = state(folder)
                seen.add((kind, *found.values()))
                if kind == "error=EIO":
                    assert done.returncode == 0 or "Input/output error" in done.stderr
                    if name not in ("unlink",):
                        assert list(folder.rglob(f"{TMP_PREFIX}*")) == []
                else:
                    assert done.returncode == -9
                    assert sweep(folder) <= 1
                    assert list(folder.rglob(f"{TMP_PREFIX}*")) == []
    # the faults came at every stage: nothing there, the one file there, both, the one replaced, both replaced
    for kind in ("signal=KILL", "error=EIO"):
        assert {(kind, -1, -1), (kind, 0, -1), (kind, 0, 0), (kind, 1, 0)} <= seen


def test_data_before_name_and_name_before_what_follows(calls: list[str]) -> None:
    text = " ".join(calls)
    for end in re.finditer(r"rename", text):
        before, after = text[: end.start()].split(), text[end.end() :].split()
        assert before[-1] == "fsync"  # of the file
        assert after[0] == "fsync"  # of the folder
    assert text.count("mkdir fsync") == 2  # of the folder that holds the new one


def write_and_raise(path: Path, error: type[BaseException]) -> None:
    with atomic_file(path) as handle:
        handle.write(b"new")
        raise error


def test_a_block_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_bytes(path, b"old")
    for error in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(error):
            write_and_raise(path, error)
    with pytest.raises(FileNotFoundError), atomic_path(path):
        pass  # nothing was written
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_temporary_name_is_in_the_same_folder_and_never_the_same(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "a") as one, atomic_path(tmp_path / "a") as two:
        assert one != two
        assert one.parent == two.parent == tmp_path
        one.write_text("1")
        two.write_text("2")
    assert (tmp_path / "a").read_text() == "1"  # the one that ended last


def test_json_is_sorted_and_the_same_twice(tmp_path: Path) -> None:
    write_json(tmp_path / "a", {"b": 1, "a": "é"})
    write_json(tmp_path / "b", {"a": "é", "b": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == '{\n "a": "é",\n "b": 1\n}\n'.encode()


def test_sweeping_takes_temporary_files_alone(tmp_path: Path) -> None:
    for name in (".tmp-1-a", "deep/.tmp-2-b", "deep/keep", "tmp-3", ".tmp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "deep/.tmp-folder").mkdir()
    assert sweep(tmp_path) == 2
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"keep", "tmp-3", ".tmp"}
    assert sweep(tmp_path / "none") == 0
