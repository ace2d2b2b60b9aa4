"""The cache of remote shards: bounded, never stale, never partial, shared by processes.

The remote is fsspec's `local://` (which medloom does not take for a local path) or, for faults, a file system that
spoils what it reads from the disk.
"""

from __future__ import annotations

import fcntl
import logging
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem

from shards.cache import ShardCache
from shards.index import ShardSet, read_index
from shards.loader import StreamLoader
from shards.reader import read_split

MakeShards = Callable[..., ShardSet]


class FaultySystem(LocalFileSystem):
    """Files of this machine, whose next reads go wrong as `faults` says, by file name."""

    protocol = "faulty"
    faults: ClassVar[dict[str, list[str]]] = {}
    opened: ClassVar[Counter[str]] = Counter()

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        name = Path(path).name
        self.opened[name] += 1
        fault = self.faults[name].pop(0) if self.faults.get(name) else ""
        if fault == "error":
            raise TimeoutError("the server did not answer")
        return Faulty(path, fault)


class Faulty:
    """An open file; "garbled" flips a bit, "short" ends early, "slow" gives a byte every 20 ms, "stuck" none at all."""

    def __init__(self, path: str, fault: str) -> None:
        self.data = bytearray(Path(path).read_bytes())
        self.slow = fault == "slow"
        self.stuck = fault == "stuck"
        if fault == "garbled":
            self.data[len(self.data) // 2] ^= 0x40
        if fault == "short":
            del self.data[-100:]

    def read(self, size: int = -1) -> bytes:
        if self.stuck:
            threading.Event().wait(30)
        if self.slow:
            time.sleep(0.02)
        size = 1 if self.slow else len(self.data) if size < 0 else size
        piece = bytes(self.data[:size])
        del self.data[:size]
        return piece

    def close(self) -> None:
        """Nothing is held."""

    def __enter__(self) -> Faulty:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.fixture(autouse=True)
def faulty() -> Iterator[type[FaultySystem]]:
    """The file system with a clean slate."""
    fsspec.register_implementation("faulty", FaultySystem, clobber=True)
    FaultySystem.faults.clear()
    FaultySystem.opened.clear()
    yield FaultySystem
    FaultySystem.faults.clear()


def stored(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if not path.name.startswith("lock-")]


def test_a_remote_set_gives_the_same_batches_and_each_shard_is_fetched_once(
    make_shards: MakeShards, tmp_path: Path, faulty: type[FaultySystem]
) -> None:
    made = make_shards({"train": [20] * 6})
    url = f"faulty://{made.folder}"
    loader = StreamLoader(url, "train", 3, 8, window_shards=2, cache=ShardCache(tmp_path / "cache", 10**7))
    local = StreamLoader(made, "train", 3, 8, window_shards=2)
    assert list(islice(loader, 15)) == list(islice(local, 15))
    assert {count for name, count in faulty.opened.items() if name.endswith(".tar")} == {1}
    assert sorted(path.name for path in stored(tmp_path / "cache")) == sorted(shard.sha256 for shard in made.shards)


def test_the_bound_holds_at_every_moment_and_old_shards_go_first(make_shards: MakeShards, tmp_path: Path) -> None:
    made = make_shards({"train": [30] * 12})
    folder = tmp_path / "cache"
    bound = sum(sorted(shard.bytes for shard in made.shards)[-5:])
    most, stop = 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not stop.is_set():
            sizes = []
            for path in stored(folder):
                try:
                    sizes.append(path.stat().st_size)
                except FileNotFoundError:
                    continue
            most = max(most, sum(sizes))

    cache = ShardCache(folder, bound)
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for _ in islice(StreamLoader(f"local://{made.folder}", "train", 0, 10, window_shards=2, cache=cache), 36):
            pass
    finally:
        stop.set()
        watcher.join()
    assert bound // 2 < most <= bound


def test_a_bound_below_the_window_is_refused(make_shards: MakeShards, tmp_path: Path) -> None:
    url = f"local://{make_shards({'train': [30] * 4}).folder}"
    with pytest.raises(ValueError, match="raise the cache's size or lower window_shards"):
        StreamLoader(url, "train", 0, 10, cache=ShardCache(tmp_path / "cache", 5000))
    with pytest.raises(ValueError, match="give a ShardCache"):
        StreamLoader(url, "train", 0, 10)


@pytest.mark.parametrize("fault", ["garbled", "short", "error"])
def test_bad_once_is_fetched_again_bad_always_is_an_error(
    make_shards: MakeShards,
    tmp_path: Path,
    faulty: type[FaultySystem],
    fault: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = make_shards({"train": [5]})
    url, name = f"faulty://{made.folder}", Path(made.shards[0].path).name
    faulty.faults[name] = [fault]
    cache = ShardCache(tmp_path / "cache", 10**7)
    with caplog.at_level(logging.WARNING):
        assert len(list(read_split(read_index(url), "train", cache=cache))) == 5
    assert "try 1 failed" in caplog.text
    other = ShardCache(tmp_path / "other", 10**7)
    faulty.faults[name] = [fault] * 3
    with pytest.raises(OSError, match="could not be fetched in 3 tries"):
        list(read_split(read_index(url), "train", cache=other))
    assert stored(tmp_path / "other") == []  # nothing partial, nothing wrong


def test_a_shard_that_changed_at_its_url_is_never_mixed_up(make_shards: MakeShards, tmp_path: Path) -> None:
    old = make_shards({"train": [5]})
    url = f"local://{old.folder}"
    old = read_index(url)
    cache = ShardCache(tmp_path / "cache", 10**7)
    rows = old.members(old.shards[0])
    before = [sample.key for sample in read_split(old, "train", cache=cache)]
    make_shards({"train": [7]})  # the same folder, the same names
    after = [sample.key for sample in read_split(read_index(url), "train", cache=cache)]
    assert (len(before), len(after)) == (5, 7)
    shard = old.shards[0]
    with cache.open(f"{url}/{shard.path}", sha256=shard.sha256, size_bytes=shard.bytes) as handle:
        data = handle.read()  # the old one, by its hash
    assert [data[offset : offset + size] for _, name, offset, size, _ in rows.iter_rows() if name.endswith("txt")] == [
        key.encode() for key in before
    ]


PROCESS = """
import sys
from itertools import islice
from shards.cache import ShardCache
from shards.loader import StreamLoader
url, folder, bound = sys.argv[1:]
loader = StreamLoader(url, "train", 0, 10, window_shards=2, cache=ShardCache(folder, int(bound)))
print(*[sample.key for batch in islice(loader, 24) for sample in batch])
"""


def test_several_processes_share_one_small_cache(make_shards: MakeShards, tmp_path: Path) -> None:
    made = make_shards({"train": [30] * 8})
    bound = sum(sorted(shard.bytes for shard in made.shards)[-4:])
    command = [sys.executable, "-c", PROCESS, f"local://{made.folder}", str(tmp_path / "cache"), str(bound)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = {process.communicate(timeout=60)[0] for process in running}
    assert [process.returncode for process in running] == [0, 0, 0]
    local = StreamLoader(made, "train", 0, 10, window_shards=2)
    assert answers == {" ".join(sample.key for batch in islice(local, 24) for sample in batch) + "\n"}
    assert sum(path.stat().st_size for path in stored(tmp_path / "cache")) <= bound


KILLED = """
import sys, time
import fsspec
from fsspec.implementations.local import LocalFileSystem
from shards.cache import ShardCache

class Endless(LocalFileSystem):
    def _open(self, path, mode="rb", **options):
        print("ready", flush=True)
        time.sleep(60)

fsspec.register_implementation("endless", Endless)
ShardCache(sys.argv[1], 10**7).open("endless:///x.tar", sha256="0" * 64, size_bytes=100_000)
"""


def test_what_a_killed_process_left_is_swept(make_shards: MakeShards, tmp_path: Path) -> None:
    made = make_shards({"train": [5]})
    folder = tmp_path / "cache"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(folder)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    assert [path.stat().st_size for path in stored(folder)] == [100_000]  # reserved at its full size
    cache = ShardCache(folder, 10**7)
    shards = read_index(f"local://{made.folder}")
    assert len(list(read_split(shards, "train", cache=cache))) == 5
    assert len(stored(folder)) == 2  # what another process is fetching is left alone
    process.kill()
    process.communicate()
    (folder / made.shards[0].sha256).unlink()
    assert len(list(read_split(shards, "train", cache=cache))) == 5
    assert [path.name for path in stored(folder)] == [made.shards[0].sha256]


def test_a_slow_remote_meets_the_deadline(make_shards: MakeShards, tmp_path: Path, faulty: type[FaultySystem]) -> None:
    made = make_shards({"train": [40]})
    shard = made.shards[0]
    faulty.faults[Path(shard.path).name] = ["slow"]
    cache = ShardCache(tmp_path / "cache", 10**7, deadline_s=0.3)
    started = time.monotonic()
    with pytest.raises(OSError, match=r"not done in 0\.3 s"):
        cache.open(f"faulty://{made.folder}/{shard.path}", sha256=shard.sha256, size_bytes=shard.bytes)
    assert time.monotonic() - started < 3


def test_a_read_that_never_comes_back_meets_the_deadline(
    make_shards: MakeShards, tmp_path: Path, faulty: type[FaultySystem]
) -> None:
    made = make_shards({"train": [40]})
    shard = made.shards[0]
    faulty.faults[Path(shard.path).name] = ["stuck"]
    faulty.faults[Path(shard.index).name] = ["stuck"]
    cache = ShardCache(tmp_path / "cache", 10**7, deadline_s=0.3)
    started = time.monotonic()
    with pytest.raises(OSError, match=r"not done in 0\.3 s"):
        cache.open(f"faulty://{made.folder}/{shard.path}", sha256=shard.sha256, size_bytes=shard.bytes)
    with pytest.raises(OSError, match="it did not answer in time"):
        cache.retried("faulty://index", lambda: read_index(f"faulty://{made.folder}").members(shard))
    assert time.monotonic() - started < 5
    assert stored(tmp_path / "cache") == []
    assert len(list(read_split(read_index(f"faulty://{made.folder}"), "train", cache=cache))) == 40


def test_a_lock_that_is_never_given_back_meets_the_deadline(make_shards: MakeShards, tmp_path: Path) -> None:
    made = make_shards({"train": [5]})
    shard = made.shards[0]
    cache = ShardCache(tmp_path / "cache", 10**7, deadline_s=0.3)
    for name in (f"lock-{shard.sha256[:2]}", "lock-room"):
        with (tmp_path / "cache" / name).open("ab") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            started = time.monotonic()
            with pytest.raises(OSError, match=f"another process holds .*{name}; not done in 0.3 s"):
                cache.open(f"local://{made.folder}/{shard.path}", sha256=shard.sha256, size_bytes=shard.bytes)
            assert time.monotonic() - started < 5
    cache.open(f"local://{made.folder}/{shard.path}", sha256=shard.sha256, size_bytes=shard.bytes).close()


AHEAD = KILLED.replace(".open(", ".ahead(") + "while 'ready' not in seen:\n    time.sleep(0.01)\n"


def test_a_process_ends_while_a_shard_is_fetched_ahead(tmp_path: Path) -> None:
    code = AHEAD.replace('print("ready", flush=True)', 'seen.append("ready")').replace(
        "import sys", "seen = []\nimport sys", 1
    )
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "cache")], check=True, timeout=50)
    assert time.monotonic() - started < 30  # the read would take a minute
