"""Politeness before real servers: what may be asked for, when, what is noted, and who holds up whom."""

from __future__ import annotations

import contextlib
import itertools
import json
import multiprocessing
import runpy
import threading
import time
from datetime import UTC, datetime
from functools import partial
from multiprocessing.managers import BaseManager
from pathlib import Path
from typing import Any

import pytest

from ingest.rights import Rights
from ingest.scrapers.ahead import Ahead
from ingest.scrapers.limiter import FAILURES, OPEN_S, HostLimiter
from ingest.scrapers.settings import HostRule, LicenceRecord, Signal
from shards.intake import Skip
from shards.stage import Cancelled, ServiceLost

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
        for hosts in ({}, allowed("robots", "deny_list")):
            with worker(tmp_path, hosts=hosts) as polite, pytest.raises(Skip, match="opted_out"):
                polite.gate.obey_kept(answer)


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
        with worker(tmp_path, hosts=allowed("opt_out")) as polite:
            assert polite.get(f"{here.url}/reserved/a.jpg").status == 200
        assert len(here.asked(WELL_KNOWN)) == 1


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


def test_a_page_that_reserves_itself(tmp_path: Path) -> None:
    with site(pages={"/page": Page()}) as here:
        with worker(tmp_path) as polite:
            answer = polite.get(f"{here.url}/page")
            polite.gate.obey_page(answer, b'<meta name="robots" content="nofollow">')
            with pytest.raises(Skip, match="opted_out"):
                polite.gate.obey_page(answer, b'<meta name="robots" content="noai">')
        with worker(tmp_path, hosts=allowed("opt_out")) as polite:
            polite.gate.obey_page(answer, b'<meta name="robots" content="noai">')


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


def crawl(folder: Path, limiter: Any, url: str, number: int) -> None:
    """One worker process: three pages, one after another."""
    with worker(folder, limiter) as polite:
        for page in range(3):
            polite.get(f"{url}/{number}-{page}")


class Hosted(BaseManager):
    """A process that holds the limiter, as an actor would."""


Hosted.register("limiter", HostLimiter)


def test_four_processes_keep_the_crawl_delay_of_one_host(tmp_path: Path) -> None:
    processes = multiprocessing.get_context("fork")
    hosted = Hosted(ctx=processes)
    with site(other=Page(before=lambda: time.sleep(0.02))) as here, hosted:
        here.robots("User-agent: *\nCrawl-delay: 0.2")
        limiter = hosted.limiter()  # type: ignore[attr-defined]
        workers = [
            processes.Process(target=crawl, args=(tmp_path / f"{number}", limiter, here.url, number))
            for number in range(4)
        ]
        for number, one in enumerate(workers):
            (tmp_path / f"{number}" / "store").mkdir(parents=True)
            (tmp_path / f"{number}" / "store" / "robots").symlink_to(tmp_path)
            one.start()
        for one in workers:
            one.join(60)
            assert one.exitcode == 0
    times = [time_s for time_s, _, path in here.log]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert [path for _, _, path in here.log[:1]] == ["/robots.txt"]
    assert len(times) == 2 + 4 * 3  # robots.txt and tdmrep.json once for all
    assert min(gaps[1:]) >= 0.2  # the first request could not know of it
    assert sum(gaps[1:]) < 4 * 0.22 * len(gaps)  # and the turns are taken


def test_fifty_hosts_go_on_while_one_does_not_answer(tmp_path: Path) -> None:
    hosts = [f"127.0.0.{number}" for number in range(2, 52)]
    others_done = threading.Event()
    slow = Page(before=lambda: others_done.wait(30))
    with (
        site("0.0.0.0", pages={"127.0.0.2/0": slow}, other=Page()) as here,
        worker(tmp_path, threads=4, deadline_s=30.0) as polite,
        Ahead[Any](4, lambda host: 1) as ahead,
    ):
        jobs = {
            (host, page): ahead.submit(host, partial(polite.get, f"http://{host}:{here.port}/{page}"))
            for host in hosts
            for page in range(2)
        }
        for (host, _), job in jobs.items():
            if host != "127.0.0.2":
                assert job.result(timeout=30).status == 200
        assert not jobs["127.0.0.2", 0].done()
        others_done.set()
        assert jobs["127.0.0.2", 1].result(timeout=30).status == 200


def test_a_wait_for_a_turn_can_be_stopped_and_gives_up_its_place(tmp_path: Path) -> None:
    limiter = HostLimiter()
    calls = itertools.count()

    def check() -> None:
        if next(calls) == 3:
            raise Cancelled

    with site(other=Page()) as here:
        with worker(tmp_path) as polite:
            polite.get(f"{here.url}/1")
        slow = HostRule(min_delay_s=30.0, start_delay_s=30.0, max_delay_s=30.0)
        with worker(tmp_path, limiter, every_host=slow) as polite:
            polite.get(f"{here.url}/2")
            begun = time.monotonic()
            with pytest.raises(Cancelled):
                polite.get(f"{here.url}/3", check)
            assert time.monotonic() - begun < 5
        assert not here.asked("/3")
    assert not limiter._hosts["127.0.0.1"].queue


def test_a_host_that_failed_too_often_is_left_alone(tmp_path: Path) -> None:
    now = [0.0]
    limiter = HostLimiter(lambda: now[0])
    rule = HostRule(min_delay_s=0.0, start_delay_s=0.0, max_delay_s=0.0)
    with site(other=Page(b"", (), "503 Busy")) as here, worker(tmp_path, limiter, every_host=rule) as polite:
        here.robots("")
        here.pages[WELL_KNOWN] = Page()
        for number in range(FAILURES):
            with pytest.raises(Skip, match="http_failed"):
                polite.get(f"{here.url}/{number}")
        for open_s in OPEN_S:
            now[0] += open_s
            with pytest.raises(Skip, match="http_failed"):
                polite.get(f"{here.url}/trial")
        asked = len(here.log)
        with pytest.raises(Skip, match="host_paused"):
            polite.get(f"{here.url}/never")
        assert len(here.log) == asked


@pytest.mark.parametrize(
    ("talk", "failures"),
    [
        ("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", 1),  # the body breaks off
        ("HTTP/1.1 nonsense\r\n\r\n", 1),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 0),
        ("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", 1),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Robots-Tag: noai\r\n\r\n", 0),  # refused here, by no fault of it
        ("HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n", 0),  # too large for us
    ],
)
def test_what_counts_as_a_failure_of_the_host(tmp_path: Path, talk: str, failures: int) -> None:
    def answer(exchange: Any) -> None:
        exchange.keep = False
        if exchange.path == "/page":
            exchange.send(talk)
        else:
            exchange.answer("404 Not Found")

    told: list[str] = []

    class Told(HostLimiter):
        def failed(self, host: str, ticket: str) -> None:
            told.append("failed")
            super().failed(host, ticket)

        def answered(self, host: str, ticket: str, status: int, *rest: Any) -> None:
            told.append("failed" if status >= 500 else "answered")
            super().answered(host, ticket, status, *rest)

    with HELPERS["serving"](answer) as server, worker(tmp_path, Told()) as polite:
        with contextlib.suppress(Skip):
            polite.get(f"{server.url}/page")
        assert told == ["answered", "answered", "failed" if failures else "answered"]


def test_a_limiter_that_is_lost_is_no_fault_of_the_url(tmp_path: Path) -> None:
    class Lost(HostLimiter):
        def ask(self, *args: Any) -> float:
            raise ServiceLost("the service `limiter` died")

    with site(pages={"/page": Page()}) as here, worker(tmp_path, Lost()) as polite, pytest.raises(ServiceLost):
        polite.get(f"{here.url}/page")
