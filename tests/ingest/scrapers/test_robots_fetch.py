"""robots.txt as it is fetched: the error rules of RFC 9309, caps, redirects, a day's memory, one fetch for all."""

from __future__ import annotations

import base64
import json
import runpy
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest.rights import Rights
from ingest.scrapers.host_files import FETCH_BYTES, READ_BYTES
from ingest.scrapers.settings import HostRule, LicenceRecord
from shards.intake import Skip
from shards.reasons import Reason
from shards.stage import Cancelled

HELPERS = runpy.run_path(str(Path(__file__).with_name("polite_server.py")))
site, worker, Page = HELPERS["site"], HELPERS["worker"], HELPERS["Page"]


def outcome_of(here: Any, folder: Path, **options: Any) -> tuple[str, str]:
    """Reason and detail for a page of the site; ok where it was fetched."""
    with worker(folder, **options) as polite:
        try:
            polite.get(f"{here.url}/page")
        except Skip as skip:
            return skip.reason.value, skip.detail
    return "ok", ""


GONE = ("404 Not Found", "401 Unauthorized", "403 Forbidden", "410 Gone")
FAILING = ("500 Oh", "503 Busy", "429 Slow", "408 Late", "302 Found")


@pytest.mark.parametrize(
    ("status", "outcome"), [*((one, "absent") for one in GONE), *((one, "unreachable") for one in FAILING)]
)
def test_the_error_rules_of_the_standard(tmp_path: Path, status: str, outcome: str) -> None:
    with site(pages={"/page": Page()}) as here:
        here.robots("User-agent: *\nDisallow: /", status=status)
        assert outcome_of(here, tmp_path)[0] == ("ok" if outcome == "absent" else "robots_unreachable")
        assert here.asked("/page") == (["/page"] if outcome == "absent" else [])
    assert [one["outcome"] for one in records(tmp_path)] == [outcome]


def test_a_robots_txt_that_never_comes_forbids_everything_for_now(tmp_path: Path) -> None:
    ended = threading.Event()
    with site(pages={"/page": Page()}) as here:
        here.robots("", before=lambda: ended.wait(10))
        begun = time.monotonic()
        assert outcome_of(here, tmp_path, deadline_s=0.3)[0] == "robots_unreachable"
        assert time.monotonic() - begun < 3
        ended.set()
    assert Reason.ROBOTS_UNREACHABLE.transient


def test_a_closed_port_forbids_everything_for_now(tmp_path: Path) -> None:
    with site() as here:
        pass
    reason, detail = outcome_of(here, tmp_path)
    assert reason == "robots_unreachable"
    assert "connection_failed" in detail


def test_a_robots_txt_of_500_mb_is_not_read_and_forbids_everything(tmp_path: Path) -> None:
    def talk(exchange: Any) -> None:
        exchange.keep = False
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 500000000\r\n\r\n")
        for _ in range(500):
            exchange.send(b"# nothing to see here\n" * 50_000)

    with HELPERS["serving"](talk) as server:
        reason, detail = outcome_of(server, tmp_path)
        assert reason == "robots_unreachable"
        assert "too_large" in detail
        assert server.sent_bytes < 4 * FETCH_BYTES


def test_only_the_first_500_kib_are_read_and_no_line_that_they_cut(tmp_path: Path) -> None:
    filler = "#" * 99 + "\n"
    head = "User-agent: *\nDisallow: /early\n"
    text = head + filler * ((READ_BYTES - len(head)) // 100)
    text += " " * (READ_BYTES - len(text) - len("Disallow: /p")) + "Disallow: /page/of/another\nDisallow: /page\n"
    with site(pages={"/page": Page(), "/early": Page()}) as here:
        here.robots(text)
        with worker(tmp_path) as polite:
            polite.get(f"{here.url}/page")
            with pytest.raises(Skip, match=r"robots_disallowed: .*/robots.txt: Disallow: /early$"):
                polite.get(f"{here.url}/early")


FRAMES = {
    "closed": ("\r\n", "{}"),
    "chunked": ("Transfer-Encoding: chunked\r\n\r\n", "{:x}\r\n{}\r\n0\r\n\r\n"),
    "http/1.0": ("Connection: close\r\n\r\n", "{}"),
}


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("text", ["User-agent: *\nDisallow: /secret", "<html>no such file", ""])
def test_a_robots_txt_needs_no_content_length(tmp_path: Path, frame: str, text: str) -> None:
    def talk(exchange: Any) -> None:
        if exchange.path != "/robots.txt":
            exchange.answer("200 OK", "Content-Type: text/html", body=b"<html>a page</html>")
            return
        exchange.keep = False
        head, form = FRAMES[frame]
        body = form.format(len(text), text) if frame == "chunked" else text
        exchange.send(f"HTTP/1.{0 if frame == 'http/1.0' else 1} 200 OK\r\n{head}", body if text else body[-5:])

    with HELPERS["serving"](talk) as server, worker(tmp_path) as polite:
        assert polite.get(f"{server.url}/page").status == 200
        if "secret" in text:
            with pytest.raises(Skip, match="robots_disallowed"):
                polite.get(f"{server.url}/secret")
    assert [one["body_base64"] for one in records(tmp_path)] == [base64.b64encode(text.encode()).decode()]


def test_a_robots_txt_that_breaks_off_is_none(tmp_path: Path) -> None:
    def talk(exchange: Any) -> None:
        exchange.keep = False
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nUser-agent: *\n")

    with HELPERS["serving"](talk) as server:
        assert outcome_of(server, tmp_path)[0] == "robots_unreachable"


def test_redirects_are_followed_five_times_and_the_rules_hold_for_the_first_host(tmp_path: Path) -> None:
    moved = [Page(b"", (f"Location: /r{number + 1}",), "301 Moved") for number in range(6)]
    with site(pages={"/page": Page(), "/robots.txt": Page(b"", ("Location: /r1",), "302 Found")}) as here:
        here.pages |= {f"/r{number}": moved[number] for number in range(1, 5)}
        here.pages["/r5"] = Page(b"User-agent: *\nDisallow: /page")
        assert outcome_of(here, tmp_path / "five")[0] == "robots_disallowed"
        here.pages |= {"/r5": moved[5], "/r6": Page(b"User-agent: *\nAllow: /")}
        assert outcome_of(here, tmp_path / "six")[0] == "robots_unreachable"


def test_a_redirect_to_another_host(tmp_path: Path) -> None:
    with site() as other, site(pages={"/page": Page(), "/other": Page()}) as here:
        other.robots("User-agent: *\nDisallow: /page")
        here.pages["/robots.txt"] = Page(b"", (f"Location: {other.url}/robots.txt",), "301 Moved")
        with worker(tmp_path) as polite:
            with pytest.raises(Skip, match="robots_disallowed"):
                polite.get(f"{here.url}/page")
            polite.get(f"{here.url}/other")


def test_ports_have_a_robots_txt_of_their_own(tmp_path: Path) -> None:
    with site(pages={"/page": Page()}) as one, site(pages={"/page": Page()}) as two:
        one.robots("User-agent: *\nDisallow: /")
        with worker(tmp_path) as polite:
            with pytest.raises(Skip, match="robots_disallowed"):
                polite.get(f"{one.url}/page")
            polite.get(f"{two.url}/page")


def records(folder: Path) -> list[dict[str, Any]]:
    """What is kept of robots.txt, newest last."""
    kept = [json.loads(path.read_bytes()) for path in (folder / "store" / "robots").glob("*.json")]
    return sorted((one for one in kept if one["url"].endswith("/robots.txt")), key=lambda one: one["asked"])


def age(folder: Path, hours: float) -> None:
    """Make everything that is kept as many hours older; negative: as if this machine's clock had been ahead."""
    for path in (folder / "store" / "robots").glob("*.json"):
        record = json.loads(path.read_bytes())
        record["asked"] = (datetime.fromisoformat(record["asked"]) - timedelta(hours=hours)).isoformat()
        path.write_text(json.dumps(record))


@pytest.mark.parametrize(("hours", "fetches"), [(0.0, 1), (23.9, 1), (24.1, 2), (-1.0, 2), (87660.0, 2)])
def test_a_file_is_kept_for_a_day(tmp_path: Path, hours: float, fetches: int) -> None:
    with site(pages={"/page": Page()}) as here:
        here.robots("User-agent: *\nAllow: /")
        assert outcome_of(here, tmp_path)[0] == "ok"
        age(tmp_path, hours)
        assert outcome_of(here, tmp_path)[0] == "ok"
        assert len(here.asked("/robots.txt")) == fetches


def test_a_file_that_changed_during_the_crawl_is_obeyed_and_the_old_one_kept(tmp_path: Path) -> None:
    with site(pages={"/page": Page()}) as here:
        here.robots("User-agent: *\nAllow: /")
        assert outcome_of(here, tmp_path)[0] == "ok"
        here.robots("User-agent: *\nDisallow: /page")
        assert outcome_of(here, tmp_path)[0] == "ok"
        age(tmp_path, 25)
        assert outcome_of(here, tmp_path)[0] == "robots_disallowed"
        old, new = records(tmp_path)
        assert (old["sha256"], new["sha256"]) != (new["sha256"], old["sha256"])
        assert [one["outcome"] for one in (old, new)] == ["found", "found"]


def test_that_it_could_not_be_had_is_forgotten_soon(tmp_path: Path) -> None:
    with site(pages={"/page": Page()}) as here:
        here.robots("", status="503 Busy")
        for _ in range(3):
            assert outcome_of(here, tmp_path)[0] == "robots_unreachable"
        assert len(here.asked("/robots.txt")) == 1
        here.robots("User-agent: *\nAllow: /")
        age(tmp_path, 0.2)
        assert outcome_of(here, tmp_path)[0] == "ok"


def test_a_damaged_record_is_fetched_again(tmp_path: Path) -> None:
    with site(pages={"/page": Page()}) as here:
        assert outcome_of(here, tmp_path)[0] == "ok"
        for path in (tmp_path / "store" / "robots").glob("*.json"):
            path.write_bytes(path.read_bytes()[:50])
        assert outcome_of(here, tmp_path)[0] == "ok"
        assert len(here.asked("/robots.txt")) == 2


def test_workers_that_need_the_same_file_fetch_it_once(tmp_path: Path) -> None:
    with site(pages={"/page": Page()}) as here:
        here.robots("User-agent: *\nAllow: /", before=lambda: time.sleep(0.2))
        with ThreadPoolExecutor(4) as threads:
            outcomes = list(threads.map(lambda _: outcome_of(here, tmp_path)[0], range(4)))
        assert outcomes == ["ok"] * 4
        assert len(here.asked("/robots.txt")) == 1


def test_a_worker_that_waits_for_another_ones_fetch_can_be_stopped(tmp_path: Path) -> None:
    come, go = threading.Event(), threading.Event()

    def check() -> None:
        if come.is_set():
            raise Cancelled

    with site(pages={"/page": Page()}) as here:
        here.robots("", before=lambda: (come.set(), go.wait(10)))
        with ThreadPoolExecutor(1) as threads, worker(tmp_path) as polite:
            first = threads.submit(outcome_of, here, tmp_path)
            come.wait(10)
            with pytest.raises(Cancelled):
                polite.gate.enter(f"{here.url}/page", check).__enter__()
            go.set()
            assert first.result()[0] == "ok"


def test_a_crawl_delay_beyond_what_the_host_rule_waits_is_told_at_once(tmp_path: Path) -> None:
    with site(pages={"/page": Page()}) as here:
        here.robots("User-agent: *\nCrawl-delay: 86400")
        reason, detail = outcome_of(here, tmp_path)
        assert reason == "robots_disallowed"
        assert "86400 s" in detail
        assert "max_delay_s" in detail


def test_a_host_that_may_not_be_connected_to_is_no_host_without_a_robots_txt(tmp_path: Path) -> None:
    with worker(tmp_path, loopback=False) as polite, pytest.raises(Skip, match=r"^address_forbidden"):
        polite.gate.enter("http://127.0.0.1/page", lambda: None).__enter__()
    assert records(tmp_path) == []


def test_a_licence_record_may_override_it(tmp_path: Path) -> None:
    record = LicenceRecord(rights=Rights(license="CC-BY-4.0"), evidence="a letter of 1 May 2026", overrides=("robots",))
    rule = HostRule(min_delay_s=0.0, start_delay_s=0.0, record=record)
    with site(pages={"/page": Page()}) as here:
        for number, more in enumerate(({}, {"status": "503 Busy"})):
            here.robots("User-agent: *\nDisallow: /\nCrawl-delay: 86400", **more)
            assert outcome_of(here, tmp_path / str(number), hosts={"127.0.0.1": rule})[0] == "ok"
