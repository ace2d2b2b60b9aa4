"""Politeness before real servers: what may be asked for, when, what is noted, and who holds up whom."""

from __future__ import annotations

import json
import runpy
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ingest.rights import Rights
from ingest.scrapers.answers import Hop
from ingest.scrapers.settings import HostRule, LicenceRecord, Signal
from shards.intake import Skip
from shards.stage import Cancelled

HELPERS = runpy.run_path(str(Path(__file__).with_name("polite_server.py")))
site, worker, Page, AT_ONCE = HELPERS["site"], HELPERS["worker"], HELPERS["Page"], HELPERS["AT_ONCE"]
WELL_KNOWN = "/.well-known/tdmrep.json"
NOAI = Page(b"<html>x</html>", ("Content-Type: text/html", "X-Robots-Tag: max-snippet:0, noai"))


def allowed(*overrides: Signal) -> dict[str, HostRule]:
    record = LicenceRecord(rights=Rights(license="CC-BY-4.0"), evidence="a letter of 1 May 2026", overrides=overrides)
    return {"127.0.0.1": HostRule(min_delay_s=0.0, start_delay_s=0.0, record=record)}


def test_a_page_is_fetched_after_what_the_host_says_of_itself(tmp_path: Path) -> None:
    with site(pages={"/page": Page()}) as here, worker(tmp_path) as polite:
        assert polite.get(f"{here.url}/page").status == 200
        assert polite.get(f"{here.url}/page?again").status == 404
        assert here.asked() == ["/robots.txt", WELL_KNOWN, "/page", "/page?again"]


def test_a_header_that_reserves_is_obeyed_before_the_body_and_a_record_overrides_it(tmp_path: Path) -> None:
    with site(pages={"/page": NOAI}) as here:
        with worker(tmp_path) as polite:
            with pytest.raises(Skip, match=r"opted_out: .*/page says X-Robots-Tag: max-snippet:0, noai"):
                polite.get(f"{here.url}/page")
            (seen,) = json.loads(polite.gate.seen(f"{here.url}/page"))
            assert [one["value"] for one in seen["statements"] if one["reserves"]] == ["noai"]
        with worker(tmp_path, hosts=allowed("opt_out")) as polite:
            answer = polite.get(f"{here.url}/page")
            (seen,) = json.loads(polite.gate.seen(f"{here.url}/page"))
            assert [one["value"] for one in seen["statements"] if one["reserves"]] == ["noai"]
            assert seen["overrides"] == ["opt_out"]
            assert seen["evidence"] == "a letter of 1 May 2026"
            kept = polite.gate.seen(f"{here.url}/page")
            polite.gate.obey_kept(answer, kept)
        for hosts in ({}, allowed("robots", "deny_list")):
            with worker(tmp_path, hosts=hosts) as polite, pytest.raises(Skip, match="opted_out"):
                polite.gate.obey_kept(answer, kept)


def test_an_answer_that_is_kept_is_not_used_once_a_host_on_its_way_is_denied(tmp_path: Path) -> None:
    with site(pages={"/page": Page()}) as here, worker(tmp_path) as polite:
        answer = polite.get(f"{here.url}/page")
        polite.gate.obey_kept(answer, "[]")
        moved = Hop(url="https://radiopaedia.org/a", status=301, address="192.0.2.1")
        with pytest.raises(Skip, match="host_denied"):
            polite.gate.obey_kept(replace(answer, hops=(moved, *answer.hops)), "[]")


def test_a_missing_page_is_missing_whatever_its_headers_reserve(tmp_path: Path) -> None:
    other = Page(b"", ("X-Robots-Tag: noindex",), "404 Not Found")
    with site(other=other) as here, worker(tmp_path) as polite:
        assert polite.get(f"{here.url}/page").status == 404


def test_a_redirect_that_reserves_is_not_followed(tmp_path: Path) -> None:
    with site(pages={"/page": Page()}) as here, worker(tmp_path) as polite:
        here.pages["/moved"] = Page(b"", ("Location: /page", "TDM-Reservation: 1"), "301 Moved")
        with pytest.raises(Skip, match="opted_out"):
            polite.get(f"{here.url}/moved")
        assert not here.asked("/page")


def test_tdmrep_json_is_obeyed_before_the_page_is_asked_for(tmp_path: Path) -> None:
    rules = json.dumps([{"location": "/reserved/*.jpg$", "tdm-reservation": 1, "tdm-policy": "https://a.example/p"}])
    with site(pages={"/reserved/a.jpg": Page(), "/free": Page(), WELL_KNOWN: Page(rules.encode())}) as here:
        with worker(tmp_path) as polite:
            polite.get(f"{here.url}/free")
            with pytest.raises(Skip, match=r"opted_out: .*tdmrep.json says .*tdm-policy"):
                polite.get(f"{here.url}/reserved/a.jpg")
        assert not here.asked("/reserved/a.jpg")
        with worker(tmp_path / "new", hosts=allowed("opt_out")) as polite:
            assert polite.get(f"{here.url}/reserved/a.jpg").status == 200
        assert len(here.asked(WELL_KNOWN)) == 1


def test_all_that_was_said_is_noted_whether_it_reserves_or_not(tmp_path: Path) -> None:
    rules = Page(b'[{"location": "/", "tdm-reservation": 0}]')
    page = Page(headers=("Content-Type: text/html", "X-Robots-Tag: noarchive", "TDM-Reservation: 0"))
    with site(pages={"/page": page, WELL_KNOWN: rules}) as here, worker(tmp_path) as polite:
        polite.get(f"{here.url}/page")
        (seen,) = json.loads(polite.gate.seen(f"{here.url}/page"))
    said = [(one["signal"], one["value"], one["reserves"]) for one in seen["statements"]]
    assert said == [("tdmrep.json", "0", False), ("x-robots-tag", "noarchive", False), ("tdm-reservation", "0", False)]
    assert seen["statements"][0]["where"] == f"{here.url}{WELL_KNOWN}"


@pytest.mark.parametrize("status", ["404 Not Found", "503 Busy"])
def test_a_host_without_tdmrep_json_does_not_take_part(tmp_path: Path, status: str) -> None:
    reserving = b'[{"location": "/", "tdm-reservation": 1}]'
    with site(pages={"/page": Page(), WELL_KNOWN: Page(reserving, (), status)}) as here, worker(tmp_path) as polite:
        assert polite.get(f"{here.url}/page").status == 200


def test_tdmrep_json_is_not_asked_for_where_robots_txt_forbids_it(tmp_path: Path) -> None:
    with site(pages={"/page": Page()}) as here, worker(tmp_path) as polite:
        here.robots("User-agent: *\nDisallow: /.well-known/")
        polite.get(f"{here.url}/page")
        assert here.asked() == ["/robots.txt", "/page"]


def test_tdmrep_json_waits_the_crawl_delay_and_is_not_followed_where_robots_txt_forbids(tmp_path: Path) -> None:
    reserving = Page(b'[{"location": "/", "tdm-reservation": 1}]')
    with site(pages={"/page": Page(), "/private/tdm": reserving}) as here, worker(tmp_path) as polite:
        here.robots("User-agent: *\nCrawl-delay: 0.3\nDisallow: /private/")
        here.pages[WELL_KNOWN] = Page(b"", ("Location: /private/tdm",), "302 Found")
        polite.get(f"{here.url}/page")
        assert here.asked() == ["/robots.txt", WELL_KNOWN, "/page"]
        times = [when for when, _, _ in here.log]
        assert min(times[1] - times[0], times[2] - times[1]) >= 0.3


def test_one_session_fetches_pages_and_what_the_host_says_of_itself(tmp_path: Path) -> None:
    def talk(exchange: Any) -> None:
        exchange.answer("200 OK" if exchange.path == "/page" else "404 Not Found", body=b"<html>x</html>")

    with HELPERS["serving"](talk) as server, worker(tmp_path) as polite:
        polite.get(f"{server.url}/page")
        assert (len(server.requests), server.connections) == (3, 1)


def test_a_page_that_reserves_itself(tmp_path: Path) -> None:
    with site(pages={"/page": Page()}) as here:
        with worker(tmp_path) as polite:
            answer = polite.get(f"{here.url}/page")
            kept = polite.gate.seen(answer.url)
            for seen in (kept, "[]"):
                free = polite.gate.note_page(answer, seen, b'<meta name="robots" content="nofollow">')
                polite.gate.obey_kept(answer, free)
                reserved = polite.gate.note_page(answer, free, b'<meta name="robots" content="noai">')
                assert polite.gate.note_page(answer, reserved, b'<meta name="robots" content="noai">') == reserved
                with pytest.raises(Skip, match="opted_out"):
                    polite.gate.obey_kept(answer, reserved)
        (noted,) = json.loads(reserved)
        assert [(one["raw"], one["time"]) for one in noted["statements"]] == [
            (f'<meta name="robots" content="{value}">', answer.fetched.isoformat()) for value in ("nofollow", "noai")
        ]
        with worker(tmp_path, hosts=allowed("opt_out")) as polite:
            polite.gate.obey_kept(answer, reserved)


def test_what_was_seen_says_what_robots_txt_said(tmp_path: Path) -> None:
    with site(pages={"/page": Page(), "/old": Page(b"", ("Location: /page",), "301 Moved")}) as here:
        here.robots("User-agent: *\nAllow: /page\nDisallow: /secret\nCrawl-delay: 0.01")
        with worker(tmp_path) as polite:
            answer = polite.get(f"{here.url}/old")
            seen = json.loads(polite.gate.seen(*(hop.url for hop in answer.hops)))
    assert [one["url"] for one in seen] == [f"{here.url}/old", f"{here.url}/page"]
    robots = seen[1]["robots"]
    assert (robots["line"], robots["crawl_delay_s"], robots["outcome"]) == ("Allow: /page", 0.01, "found")
    assert robots["url"] == f"{here.url}/robots.txt"
    kept = [json.loads(path.read_bytes()) for path in (tmp_path / "store" / "robots").glob("*.json")]
    assert robots["sha256"] in [one["sha256"] for one in kept]
    assert abs(datetime.fromisoformat(robots["fetched"]) - datetime.now(UTC)).total_seconds() < 60


def test_denied_hosts_are_not_connected_to(tmp_path: Path) -> None:
    with worker(tmp_path) as polite:
        for url in ("https://radiopaedia.org/cases/1", "https://prod.radiopaedia.org/a.jpg"):
            with pytest.raises(Skip, match=r"host_denied: .*as quoted in .*2024-08-28"):
                polite.get(url)
    rule = HostRule(
        record=LicenceRecord(rights=Rights(license="CC0-1.0"), evidence="a contract", overrides=("robots",))
    )
    with worker(tmp_path, hosts={"*.radiopaedia.org": rule}) as polite, pytest.raises(Skip, match="host_denied"):
        polite.get("https://prod.radiopaedia.org/a.jpg")


def test_a_record_that_overrides_the_list_lets_its_host_through(tmp_path: Path) -> None:
    record = LicenceRecord(rights=Rights(license="CC0-1.0"), evidence="a contract", overrides=("deny_list", "robots"))
    hosts = {"radiopaedia.org": HostRule(record=record)}

    def check() -> None:
        raise Cancelled  # the first wait or request is reached

    with worker(tmp_path, hosts=hosts) as polite, pytest.raises(Cancelled):
        polite.gate.enter("https://radiopaedia.org/a.jpg", check).__enter__()


def test_a_redirect_to_a_denied_host_is_not_followed(tmp_path: Path) -> None:
    with site() as here, worker(tmp_path) as polite:
        here.pages["/out"] = Page(b"", ("Location: https://radiopaedia.org/a.jpg",), "302 Found")
        with pytest.raises(Skip, match="host_denied"):
            polite.get(f"{here.url}/out")


def test_where_records_are_needed_a_host_without_one_is_not_asked(tmp_path: Path) -> None:
    with site(pages={"/page": Page()}) as here:
        with worker(tmp_path, needs_record=True) as polite, pytest.raises(Skip, match="no_licence_record"):
            polite.get(f"{here.url}/page")
        assert here.log == []
        with worker(tmp_path, needs_record=True, hosts=allowed()) as polite:
            assert polite.get(f"{here.url}/page").status == 200
