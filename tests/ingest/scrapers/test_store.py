"""The raw store: answers are kept once, packed in one order, and found again whoever asks."""

from __future__ import annotations

import hashlib
import io
import itertools
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ingest.scrapers import packing
from ingest.scrapers.answers import Answer, Hop
from ingest.scrapers.packing import pack
from ingest.scrapers.provenance import Entry, Licence
from ingest.scrapers.store import Store
from shards.atomic import make_folder
from shards.stage import Cancelled

WHEN = datetime(2026, 11, 1, 12, tzinfo=UTC)
HEADERS = (("Content-Type", "image/png"), ("X-Robots-Tag", "noai"), ("x-robots-tag", "nofollow"))


def picture(shade: int) -> bytes:
    data = io.BytesIO()
    Image.new("L", (8, 8), shade).save(data, "PNG")
    return data.getvalue()


def answer(store: Store, url: str, body: bytes, status: int = 200) -> Entry:
    path = store.loose(url)
    make_folder(path.parent)
    if body:
        path.write_bytes(body)
    return store.keep(
        Answer(
            url=url,
            hops=(
                Hop(url="http://a.org/old", status=301, address="192.0.2.1"),
                Hop(url=url, status=status, address="::1"),
            ),
            status=status,
            headers=HEADERS,
            fetched=WHEN,
            sha256=hashlib.sha256(body).hexdigest(),
            body_bytes=len(body),
        ),
        url,
        '[{"signal":"robots"}]',
    )


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


BODIES = {
    "http://a.org/1.png": picture(1),
    "http://a.org/again.png": picture(1),
    "http://a.org/2.png": picture(2),
    "http://a.org/page": b"<html>one</html>",
    "http://a.org/clip": b"\x1a\x45\xdf\xa3 no whole clip",
}


def test_every_answer_is_found_loose_and_packed_with_its_bytes_and_its_history(tmp_path: Path) -> None:
    store = Store(tmp_path)
    used = {url: answer(store, url, body) for url, body in BODIES.items()}
    used["http://a.org/gone"] = answer(store, "http://a.org/gone", b"", 404)
    for url, entry in used.items():
        assert store.find(url) == entry
        assert store.read(entry) == BODIES.get(url, b"")
    said = Licence(license="CC-BY-4.0", evidence="footer: CC BY")
    packed = pack(store, "u1", used, {"http://a.org/1.png": said})
    assert [path for path in (tmp_path / "loose").rglob("*") if path.is_file()] == []
    fresh = Store(tmp_path)
    for url, loose in used.items():
        entry = fresh.find(url)
        assert entry == packed[url]
        assert entry is not None
        assert entry.answer == loose.answer
        assert entry.seen == '[{"signal":"robots"}]'
        assert fresh.read(entry) == BODIES.get(url, b"")
    assert fresh.find("http://a.org/3.png") is None
    assert packed["http://a.org/1.png"].place == packed["http://a.org/again.png"].place  # equal bytes lie once
    assert packed["http://a.org/clip"].place.member == ""  # a file of its own, for the decoder
    assert fresh.packed("u1")[1] == {"http://a.org/1.png": said}


def test_the_order_of_arrival_and_what_was_packed_before_leave_the_same_store(tmp_path: Path) -> None:
    first, second = Store(tmp_path / "a"), Store(tmp_path / "b")
    pack(first, "u", {url: answer(first, url, body) for url, body in BODIES.items()}, {})
    pack(second, "u", {url: answer(second, url, BODIES[url]) for url in reversed(BODIES)}, {})
    assert files(tmp_path / "a") == files(tmp_path / "b")
    before = files(tmp_path / "a")
    again = {url: entry for url in BODIES if (entry := first.find(url)) is not None}
    pack(first, "u", again, {})
    assert files(tmp_path / "a") == before


def test_a_pack_that_died_anywhere_is_repeated_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm = Store(tmp_path / "calm")
    pack(calm, "u", {url: answer(calm, url, body) for url, body in BODIES.items()}, {})
    for number in range(1, 9):
        store = Store(tmp_path / str(number))
        used = {url: answer(store, url, body) for url, body in BODIES.items()}
        calls = itertools.count(1)

        def fail(call: Callable[..., Any], number: int = number, calls: Iterator[int] = calls) -> Callable[..., Any]:
            def die(*arguments: Any, **more: Any) -> Any:
                if next(calls) == number:
                    raise KeyboardInterrupt
                return call(*arguments, **more)

            return die

        with monkeypatch.context() as patched:
            for name in ("atomic_path", "write_shard"):
                patched.setattr(packing, name, fail(getattr(packing, name)))
            patched.setattr(Store, "forget_loose", fail(Store.forget_loose))
            with pytest.raises(KeyboardInterrupt):
                pack(store, "u", used, {})
        found = {url: entry for url in BODIES if (entry := Store(store.folder).find(url)) is not None}
        assert set(found) == set(BODIES)
        pack(store, "u", found, {})
        assert files(store.folder) == files(calm.folder)


def test_another_unit_finds_what_one_packed_while_it_was_running(tmp_path: Path) -> None:
    late = Store(tmp_path)
    assert late.find("http://a.org/1.png") is None
    store = Store(tmp_path)
    used = {url: answer(store, url, body) for url, body in BODIES.items()}
    pack(store, "u1", used, {})
    entry = late.find("http://a.org/1.png")
    assert entry is not None
    assert late.read(entry) == BODIES["http://a.org/1.png"]
    (tmp_path / "raw/.tmp-1-u3.parquet").write_bytes(b"half of a table that another worker is writing")
    assert late.find("http://a.org/3.png") is None
    other = pack(late, "u2", {"http://a.org/1.png": entry}, {})
    assert other["http://a.org/1.png"].place.file == "u2-000.tar"  # a unit has all of its bytes


def test_new_answers_go_to_a_new_tar_and_a_damaged_loose_one_is_none(tmp_path: Path) -> None:
    store = Store(tmp_path)
    pack(store, "u", {"http://a.org/1.png": answer(store, "http://a.org/1.png", picture(1))}, {})
    before = (tmp_path / "raw/u-000.tar").read_bytes()
    settled = pack(store, "u", {"http://a.org/2.png": answer(store, "http://a.org/2.png", picture(2))}, {})
    assert (tmp_path / "raw/u-000.tar").read_bytes() == before
    assert settled["http://a.org/2.png"].place.file == "u-001.tar"
    assert set(settled) == {"http://a.org/1.png", "http://a.org/2.png"}
    answer(store, "http://a.org/3.png", picture(3))
    store.loose("http://a.org/3.png").write_bytes(b"short")
    assert store.find("http://a.org/3.png") is None
    store.loose("http://a.org/3.png").with_suffix(".json").write_text('{"url": 1}')
    assert store.find("http://a.org/3.png") is None


def _hold(folder: Path, ready: str) -> None:
    with Store(folder).lock("http://a.org/1.png", lambda: None):
        Path(ready).touch()
        time.sleep(60)


def test_a_lock_is_waited_for_and_ends_with_its_process(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    process = multiprocessing.get_context("spawn").Process(target=_hold, args=(tmp_path / "store", str(ready)))
    process.start()
    while not ready.exists():
        time.sleep(0.01)
    asked = []

    def check() -> None:
        asked.append(1)
        if len(asked) == 3:
            raise Cancelled

    store = Store(tmp_path / "store")
    with pytest.raises(Cancelled), store.lock("http://a.org/1.png", check):
        raise AssertionError
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with store.lock("http://a.org/1.png", lambda: None):
        pass
    assert [path for path in (tmp_path / "store/loose").rglob("*") if path.is_file()] == []
