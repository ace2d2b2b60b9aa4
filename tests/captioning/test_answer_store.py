"""Answers that were paid for: what outlives locks, damage and other workers, and what is forgotten."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from captioning.answer_store import open_store
from shards.stage import UserError


def stored(path: Path) -> dict[str, str]:
    with closing(sqlite3.connect(path)) as connection:
        return dict(connection.execute("SELECT key, answer FROM answers"))


def test_a_slot_that_cannot_be_opened_now_is_not_taken_for_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("captioning.answer_store.WAIT_S", 0.05)
    with open_store(tmp_path) as store:
        store.put("a", ["A radiograph.", "stop", 64])
    slot = tmp_path / "00000.sqlite"
    with closing(sqlite3.connect(slot, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(UserError, match=r"locked.*run again"), open_store(tmp_path):
            pass
    assert not list(tmp_path.glob("*.damaged"))
    with open_store(tmp_path) as store:
        assert store.get("a") == ["A radiograph.", "stop", 64]


def test_a_full_disk_is_told_and_costs_no_answer(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.put("a", ["A radiograph."])
        store.own.execute("PRAGMA max_page_count = 1")  # SQLite's own word for a disk that is full
        with pytest.raises(UserError, match=r"full.*Make room"):
            store.put("b", ["x" * 100_000])
        assert store.get("a") == ["A radiograph."]
    with open_store(tmp_path) as store:
        assert store.get("a") == ["A radiograph."]


def test_what_was_said_since_a_good_set_began_is_forgotten_and_what_was_said_before_stays(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.put("before", 1)
        mark = store.mark()
        store.put("after", 2)  # heard before the verdict on the set
        store.trust(mark)
        store.forget()
        assert (store.get("before"), store.get("after")) == (1, None)
        store.put("after", 3)
        assert store.get("after") == 3


def test_a_model_that_is_caught_after_a_restart_loses_what_it_had_said_before(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.speaker = "one"
        store.put("sure", 1)
        store.trust(store.mark())
        store.put("unsure", 2)
    with open_store(tmp_path) as store:
        store.speaker = "another"
        store.put("of another", 3)
        store.trust(store.mark())
        store.forget()
    with open_store(tmp_path) as store:
        store.speaker = "one"
        assert store.get("unsure") == 2
        store.put("more", 4)
        store.forget()
    assert stored(tmp_path / "00000.sqlite") == {"sure": "1", "of another": "3"}


def test_an_answer_that_is_damaged_is_none(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.put("a", ["A radiograph."])
    with closing(sqlite3.connect(tmp_path / "00000.sqlite", isolation_level=None)) as other:
        other.execute("UPDATE answers SET answer = '[\"A radio'")
    with open_store(tmp_path) as store:
        assert store.get("a") is None
        store.put("a", ["A radiograph."])
        assert store.get("a") == ["A radiograph."]


@pytest.mark.parametrize("at", [0, 20, 47, 4096])
def test_a_damaged_slot_is_set_aside_and_a_new_one_begun(tmp_path: Path, at: int) -> None:
    with open_store(tmp_path) as store:
        for number in range(200):
            store.put(f"k{number}", ["x" * 50, "stop", 64])
    slot = tmp_path / "00000.sqlite"
    data = bytearray(slot.read_bytes())
    data[at : at + 40] = bytes(0xFF ^ byte for byte in data[at : at + 40])
    slot.write_bytes(data)
    with open_store(tmp_path) as store:
        store.put("new", ["A radiograph.", "stop", 64])
        assert store.get("new") == ["A radiograph.", "stop", 64]
    assert (tmp_path / "00000.sqlite.damaged").read_bytes() == bytes(data)
