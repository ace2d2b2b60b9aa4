"""A body that comes steadily arrives, however large; one that does not ends soon after its deadline."""

from __future__ import annotations

import contextlib
import runpy
import time
from pathlib import Path
from typing import Any

import pytest

from ingest.scrapers import turns
from ingest.scrapers.answers import Ask
from ingest.scrapers.limiter import HostLimiter, Pace
from ingest.scrapers.settings import Web
from shards.intake import Skip

HERE = Path(__file__).parent
SERVER = runpy.run_path(str(HERE / "hostile_server.py"))
serving = SERVER["serving"]
FETCHING = runpy.run_path(str(HERE / "fetching.py"))
WORLD = runpy.run_path(str(HERE / "limiter_world.py"))
PICTURE = SERVER["jpeg"](400, 300)
KIB = 2**10


def steadily(body: bytes, piece: int, every_s: float) -> Any:
    def talk(one: Any) -> None:
        one.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n")
        with contextlib.suppress(OSError):
            for start in range(0, len(body), piece):
                one.send(body[start : start + piece])
                time.sleep(every_s)

    return talk


def test_a_large_body_has_the_time_that_it_takes_at_the_slowest_rate(tmp_path: Path) -> None:
    body = PICTURE + bytes(160 * KIB - len(PICTURE))
    talk = steadily(body, 8 * KIB, 0.06)  # 20 pieces in 1.2 s: some 130 KiB/s
    with serving(talk) as server, FETCHING["fetching"](deadline_s=0.5, slowest_bytes_per_s=100 * KIB) as way:
        begun = time.monotonic()
        assert way.get(Ask(url=server.url, wanted="image"), tmp_path / "body").body_bytes == len(body)
        assert time.monotonic() - begun > 1.0  # twice the deadline
        assert way.gate.pieces > 0


@pytest.mark.parametrize(("piece", "every_s"), [(1, 0.02), (2 * KIB, 0.1)])
def test_a_slower_body_has_the_deadline_and_its_bytes_at_that_rate(tmp_path: Path, piece: int, every_s: float) -> None:
    talk = steadily(PICTURE, piece, every_s)
    with serving(talk) as server, FETCHING["fetching"](deadline_s=0.5, slowest_bytes_per_s=100 * KIB) as way:
        begun = time.monotonic()
        with pytest.raises(Skip, match="timed_out"):
            way.get(Ask(url=server.url, wanted="image"), tmp_path / "body")
        assert time.monotonic() - begun < 0.5 + server.sent_bytes / (100 * KIB) + 0.3


def test_time_is_not_saved_up_for_a_silence(tmp_path: Path) -> None:
    def talk(one: Any) -> None:
        one.send(f"HTTP/1.1 200 OK\r\nContent-Length: {10**7}\r\n\r\n", PICTURE + bytes(2**20))
        time.sleep(5)

    with serving(talk) as server, FETCHING["fetching"](deadline_s=0.5, slowest_bytes_per_s=8 * KIB) as way:
        begun = time.monotonic()
        with pytest.raises(Skip, match="timed_out"):
            way.get(Ask(url=server.url, wanted="image"), tmp_path / "body")
        assert time.monotonic() - begun < 2.0


def test_the_slowest_rate_has_a_floor() -> None:
    with pytest.raises(ValueError, match="raise deadline_s instead"):
        Web(contact="a@b.org", slowest_bytes_per_s=KIB)


def test_tries_share_the_deadline_and_what_their_bytes_add_to_it(tmp_path: Path) -> None:
    def talk(one: Any) -> None:
        one.keep = False
        one.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(PICTURE)}\r\n\r\n", PICTURE[: 8 * KIB])
        time.sleep(0.3)

    with serving(talk) as server, FETCHING["fetching"](deadline_s=0.5, slowest_bytes_per_s=100 * KIB, tries=9) as way:
        with pytest.raises(Skip, match=r"timed_out|connection_failed"):
            way.get(Ask(url=server.url, wanted="image"), tmp_path / "body")
        assert 2 <= len(server.requests) <= 4


def test_a_turn_whose_body_still_comes_is_not_lost() -> None:
    clock = WORLD["Clock"]()
    limiter = HostLimiter(clock)
    pace = Pace(min_delay_s=0.0, start_delay_s=0.0, max_delay_s=60.0, in_flight=1, hold_s=90.0)
    assert limiter.ask("a", "long", pace) == 0
    for _ in range(10):
        clock.now += 60.0
        limiter.goes_on("a", "long")
        assert limiter.ask("a", "other", pace) > 0
    clock.now += 91.0  # its worker died
    limiter.goes_on("a", "unknown")
    limiter.goes_on("unknown", "long")
    assert limiter.ask("a", "next", pace) == 0


def test_turns_are_renewed_while_a_body_comes_and_not_for_each_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    class Counting(HostLimiter):
        renewed = 0

        def goes_on(self, host: str, ticket: str) -> None:
            self.renewed += 1
            super().goes_on(host, ticket)

    limiter = Counting()
    gate = turns.Turns(Web(contact="tests@example.org"), limiter)
    with gate.enter("https://a.example/", lambda: None) as turn:
        turn.answered(200, (), 0.1)
        turn.goes_on()
        assert limiter.renewed == 0
        monkeypatch.setattr(turns, "RENEW_S", 0.0)
        turn.goes_on()
        assert limiter.renewed == 1
