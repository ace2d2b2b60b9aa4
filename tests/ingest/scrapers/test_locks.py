"""The lock of a crawl's workers: one holds it at a time, whatever happens to its file."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import pytest

from ingest.scrapers.locks import file_lock
from shards.stage import Cancelled


def test_one_holds_it_at_a_time(tmp_path: Path) -> None:
    inside, most, turns = 0, 0, 0
    until = time.monotonic() + 1.0

    def work() -> None:
        nonlocal inside, most, turns
        while time.monotonic() < until:
            with file_lock(tmp_path / "lock", lambda: None):
                inside += 1
                most = max(most, inside)
                turns += 1
                time.sleep(0)
                inside -= 1

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert most == 1
    assert turns > 10
    assert list(tmp_path.iterdir()) == []


def test_an_error_inside_lets_it_go(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(RuntimeError), file_lock(tmp_path / "lock", lambda: None):
            raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_wait_for_it_can_be_stopped(tmp_path: Path) -> None:
    def check() -> None:
        raise Cancelled

    with file_lock(tmp_path / "lock", lambda: None):
        with pytest.raises(Cancelled), file_lock(tmp_path / "lock", check):
            pass
        assert (tmp_path / "lock").exists()
