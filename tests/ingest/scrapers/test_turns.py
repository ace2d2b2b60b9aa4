"""Turns before real servers: who waits for whom, what is told of a host, and what ends a wait."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import runpy
import threading
import time
from functools import partial
from multiprocessing.managers import BaseManager
from pathlib import Path
from typing import Any

import pytest

from ingest.scrapers.ahead import Ahead
from ingest.scrapers.limiter import FAILURES, OPEN_S, HostLimiter
from ingest.scrapers.retry import MayPass
from ingest.scrapers.settings import HostRule, Web
from ingest.scrapers.tdmrep import PATH as WELL_KNOWN
from ingest.scrapers.turns import Turns
from shards.intake import Skip
from shards.reasons import Reason
from shards.stage import Cancelled, DeadlineExceeded, ServiceLost

HELPERS = runpy.run_path(str(Path(__file__).with_name("polite_server.py")))
site, worker, Page = HELPERS["site"], HELPERS["worker"], HELPERS["Page"]


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


class Told(HostLimiter):
    """Notes how turns ended."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def failed(self, host: str, ticket: str) -> None:
        self.told.append("failed")
        super().failed(host, ticket)

    def left(self, host: str, ticket: str) -> None:
        self.told.append("left")
        super().left(host, ticket)

    def answered(self, host: str, ticket: str, status: int, *rest: Any) -> None:
        self.told.append("failed" if status >= 500 else "answered")
        super().answered(host, ticket, status, *rest)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (None, "failed"),
        (RuntimeError("of any kind"), "failed"),
        (MayPass(Skip(Reason.CONNECTION_FAILED)), "failed"),
        (Skip(Reason.TIMED_OUT), "failed"),
        (Skip(Reason.ADDRESS_FORBIDDEN), "left"),
        (Cancelled(), "left"),
        (DeadlineExceeded(), "left"),
    ],
)
def test_how_a_turn_without_an_answer_is_told(error: BaseException | None, told: str) -> None:
    limiter = Told()
    turns = Turns(Web(contact="tests@example.org"), limiter)
    with contextlib.suppress(BaseException), turns.enter("https://a.example/", lambda: None):
        if error is not None:
            raise error
    assert limiter.told == [told]


def test_of_two_troubles_the_first_is_told() -> None:
    class Lost(HostLimiter):
        def left(self, host: str, ticket: str) -> None:
            raise ServiceLost("the service `limiter` died")

    turns = Turns(Web(contact="tests@example.org"), Lost())
    with pytest.raises(Cancelled), turns.enter("https://a.example/", lambda: None):
        raise Cancelled


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

    limiter = Told()
    with HELPERS["serving"](answer) as server, worker(tmp_path, limiter) as polite:
        with contextlib.suppress(Skip):
            polite.get(f"{server.url}/page")
        assert limiter.told == ["answered", "answered", "failed" if failures else "answered"]


def test_a_limiter_that_is_lost_is_no_fault_of_the_url(tmp_path: Path) -> None:
    class Lost(HostLimiter):
        def ask(self, *args: Any) -> float:
            raise ServiceLost("the service `limiter` died")

    with site(pages={"/page": Page()}) as here, worker(tmp_path, Lost()) as polite, pytest.raises(ServiceLost):
        polite.get(f"{here.url}/page")
