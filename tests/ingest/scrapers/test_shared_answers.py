"""Units of several workers that need one answer: it is fetched once, and none loses it to another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest.scrapers.answers import Ask
from ingest.scrapers.gate import Politeness
from ingest.scrapers.limiter import HostLimiter
from ingest.scrapers.settings import HostRule, Web
from ingest.scrapers.store import Store
from ingest.scrapers.visit import Visit
from shards.frames import Facts
from shards.intake import Skip
from shards.locator import Locator
from shards.media import MediaReader
from shards.reasons import Reason

WEB = Web(contact="a@b.org", loopback=True, every_host=HostRule(min_delay_s=0, start_delay_s=0))
CLIP = b"\x1a\x45\xdf\xa3" + b"webm" * 300


def refuse(entry: Any) -> None:
    raise Skip(Reason.NOT_RECOGNISED)


@contextmanager
def visits(web: Any, folder: Path, *units: str, refresh: str = "") -> Iterator[list[Visit]]:
    """One unit in each of so many workers, which have the store and the limiter in common."""
    settings = replace(WEB, refresh=refresh)
    limiter = HostLimiter()
    with ExitStack() as stack:
        gates = [stack.enter_context(Politeness(settings, limiter, folder / "store")) for _ in units]
        yield [
            stack.enter_context(
                Visit(web.context(folder), settings, Store(folder / "store"), gate.fetcher(), gate, unit)
            )
            for unit, gate in zip(units, gates, strict=True)
        ]


@pytest.mark.parametrize("name", ["picture", "clip"])
def test_what_another_unit_packs_meanwhile_is_still_there(website: Any, web: Any, tmp_path: Path, name: str) -> None:
    body = web.jpeg(1) if name == "picture" else CLIP
    website.put(f"/{name}", body, "image/jpeg")
    ask = Ask(url=f"{website.url}/{name}")
    with visits(web, tmp_path, "one", "two") as (one, two):
        first, second = one.get(ask), two.get(ask)
        packed = one.pack()
        assert not one.store.loose(first.url).exists()
        assert second.read() == body
        assert two.store.head(second.entry) == body[:4096][: len(two.store.head(second.entry))]
        own = two.pack()
        for store, entries, unit in ((one.store, packed, "one"), (two.store, own, "two")):
            assert entries[first.url].place.file.startswith(unit)
            assert store.read(entries[first.url]) == body
    assert website.asked().count(f"/{name}") == 1


def test_facts_are_read_where_the_body_lies_now(website: Any, web: Any, tmp_path: Path) -> None:
    website.put("/a.jpg", web.jpeg(1), "image/jpeg")
    with visits(web, tmp_path, "one", "two") as (one, two):
        ask = Ask(url=f"{website.url}/a.jpg")
        one.get(ask)
        held = two.get(ask)
        one.pack()
        reader = MediaReader()

        def facts(entry: Any) -> Facts:
            file, place = two.store.file(entry), entry.place
            uri = str(file or two.store.raw / place.file)
            return reader.facts(uri, replace(Locator(), member=place.member or None).text())

        assert two.store.where(held.entry, facts).sha256 == held.sha256
        with pytest.raises(Skip, match="not_recognised"):
            two.store.where(held.entry, refuse)
        one.store.raw.joinpath("one-000.tar").unlink()
        with pytest.raises(FileNotFoundError):
            two.store.read(one.store.find(held.url))


def test_an_answer_of_no_use_is_asked_for_once_in_all_units_until_a_refresh(
    website: Any, web: Any, tmp_path: Path
) -> None:
    website.put("/a.jpg", "<html><body>gone</body></html>")
    ask = Ask(url=f"{website.url}/a.jpg", wanted="image", headers=(("Api-Key", "secret"),))
    for unit, is_packed in (("one", False), ("one", True), ("two", True)):  # the first is killed and begun anew
        with visits(web, tmp_path, unit) as (visit,):
            for _ in range(2):
                with pytest.raises(Skip, match="wrong_content: an HTML page instead of image"):
                    visit.get(ask)
            if is_packed:
                visit.pack()
    assert website.asked().count("/a.jpg") == 1
    (record,) = (tmp_path / "store/refused").rglob("*.json")
    assert "secret" not in record.read_text()
    website.put("/a.jpg", web.jpeg(1), "image/jpeg")
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    for refresh, count in (("2026-01-01", 1), (tomorrow, 2)):
        with visits(web, tmp_path, "four", refresh=refresh) as (visit,), suppress(Skip):
            assert visit.get(ask).read() == web.jpeg(1)
        assert website.asked().count("/a.jpg") == count


def test_an_answer_of_no_use_to_one_request_may_be_of_use_to_another(website: Any, web: Any, tmp_path: Path) -> None:
    website.put("/a", "<html><body>a page</body></html>")
    with visits(web, tmp_path, "one") as (visit,):
        with pytest.raises(Skip, match="wrong_content"):
            visit.get(Ask(url=f"{website.url}/a", wanted="image"))
        assert visit.get(Ask(url=f"{website.url}/a", wanted="page")).read().startswith(b"<html>")


def test_what_failed_in_a_unit_is_not_asked_for_again_in_it(website: Any, web: Any, tmp_path: Path) -> None:
    website.pages["/a.jpg"] = web.Page(status=204)
    with visits(web, tmp_path, "one") as (one,):
        for url in (f"{website.url}/a.jpg", f"{website.url}/x/../a.jpg#top"):
            one.ahead([Ask(url=url)])
            with pytest.raises(Skip, match="http_failed: 204"):
                one.get(Ask(url=url))
    assert website.asked().count("/a.jpg") == 1
