"""The locks of a crawl's workers: of each name, one holds it at a time."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import pytest

from ingest.scrapers.locks import named_lock
from shards.stage import Cancelled


def test_one_holds_it_at_a_time(tmp_path: Path) -> None:
    inside, most, turns = 0, 0, 0
    until = time.monotonic() + 1.0

    def work() -> None:
        nonlocal inside, most, turns
        while time.monotonic() < until:
            with named_lock(tmp_path / "locks", "a", lambda: None):
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


def test_an_error_inside_lets_it_go(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(RuntimeError), named_lock(tmp_path / "locks", "a", lambda: None):
            raise RuntimeError


def test_a_wait_for_it_can_be_stopped(tmp_path: Path) -> None:
    def check() -> None:
        raise Cancelled

    with (
        named_lock(tmp_path / "locks", "a", lambda: None),
        pytest.raises(Cancelled),
        named_lock(tmp_path / "locks", "a", check),
    ):
        pass


def test_names_do_not_hold_up_one_another(tmp_path: Path) -> None:
    def check() -> None:
        raise AssertionError

    with named_lock(tmp_path / "locks", "a", check), named_lock(tmp_path / "locks", "b", check):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["locks"]
    assert (tmp_path / "locks").stat().st_size == 0
