"""Ways to an address that is not of the public internet: none of them makes a connection."""

from __future__ import annotations

import runpy
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from ingest.scrapers import addresses
from ingest.scrapers.answers import Ask
from shards.intake import Skip

HERE = Path(__file__).parent
serving = runpy.run_path(str(HERE / "hostile_server.py"))["serving"]
fetching = runpy.run_path(str(HERE / "fetching.py"))["fetching"]

PUBLIC = "127.0.0.2"  # stands for a machine of the public internet
ELSEWHERE = "93.184.216.34"


@contextmanager
def victim() -> Iterator[tuple[int, list[Any]]]:
    """A port of this machine, on every address, and who came to it."""
    came: list[Any] = []

    def accept() -> None:
        while True:
            try:
                connection, peer = listener.accept()
            except OSError:
                return
            came.append(peer)
            connection.close()

    with closing(socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)) as listener:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1], came
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


NAMES = {
    "public.test": [PUBLIC],
    "private.test": ["127.0.0.1"],
    "private6.test": ["::1"],
    "mapped.test": ["::ffff:127.0.0.1"],
    "mixed.test": [ELSEWHERE, "127.0.0.1"],
    "localhost": ["127.0.0.1"],
}

TARGETS = [
    "http://127.0.0.1:{port}/",
    "http://localhost:{port}/",
    "http://127.0.0.1.:{port}/",
    "http://127.1:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f000001:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://0x7f.0.1:{port}/",
    "http://1%327.0.0.1:{port}/",
    "http://１２７.０.０.１:{port}/",
    "http://127。0。0。1:{port}/",
    "http://0.0.0.0:{port}/",
    "http://0:{port}/",
    "http://[::1]:{port}/",
    "http://[::]:{port}/",
    "http://[0:0:0:0:0:0:0:1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[::127.0.0.1]:{port}/",
    "http://[64:ff9b::127.0.0.1]:{port}/",
    "http://[2002:7f00:1::]:{port}/",
    "http://[fe80::1%25lo]:{port}/",
    "http://[::1%25lo]:{port}/",
    "http://private.test:{port}/",
    "http://private6.test:{port}/",
    "http://mapped.test:{port}/",
    "http://mixed.test:{port}/",
    "https://127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[fd00:ec2::254]/",
    "http://100.100.100.200/",
    "http://168.63.129.16/",
    "http://10.0.0.1/",
    "http://192.168.0.1/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "http://127.0.0.3:25/",
]
NO_URLS = [
    "http://public.test@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\\@public.test/",
    "file:///etc/passwd",
    "ftp://127.0.0.1:{port}/",
    "gopher://127.0.0.1:{port}/_",
    "http://127.0.0.1.5:{port}/",
]


@pytest.fixture
def near(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes 127.0.0.2 a public address, and the ports of a test ports of the web."""
    real = addresses.is_public
    monkeypatch.setattr(addresses, "is_public", lambda address: str(address) == PUBLIC or real(address))

    def allow(*ports: int) -> None:
        monkeypatch.setattr(addresses, "PORTS", addresses.PORTS | set(ports))

    return allow


def test_no_way_leads_to_an_address_that_is_not_public(near: Any, tmp_path: Path) -> None:
    """Asked for, and as the target of a redirect: 0 connections."""
    into = tmp_path / "body"
    with victim() as (port, came), serving(lambda one: redirect(one, targets), host=PUBLIC) as public:
        near(port, public.port)
        targets = [(url.format(port=port), "address_forbidden") for url in TARGETS]
        targets += [(url.format(port=port), "bad_url") for url in NO_URLS]
        with fetching(NAMES.__getitem__, loopback=False) as way:
            for number, (target, reason) in enumerate(targets):
                for url in (target, f"http://public.test:{public.port}/{number}"):
                    if url.startswith("//"):
                        continue
                    with pytest.raises(Skip) as skip:
                        way.get(Ask(url=url), into)
                    wanted = "bad_url" if target.endswith(":25/") else reason
                    assert skip.value.reason == wanted, target
        assert len(public.requests) == len(targets)
        assert came == []
        assert not into.exists()
        with fetching(NAMES.__getitem__, loopback=True, tries=1) as way, pytest.raises(Skip):
            way.get(Ask(url=f"http://private.test:{port}/"), into)
        assert len(came) == 1  # it does count


def redirect(one: Any, targets: list[tuple[str, str]]) -> None:
    where = targets[int(one.path[1:])][0]
    one.answer("302 Found", f"Location: {quote(where, safe=''.join(map(chr, range(33, 127))))}")


def test_a_name_that_is_rebound_leads_nowhere(near: Any, tmp_path: Path) -> None:
    """Looked up once for a connection: what a second look would have said does not count."""
    asked: list[str] = []

    def rebinding(host: str) -> list[str]:
        asked.append(host)
        return [ELSEWHERE] if len(asked) == 1 else ["127.0.0.1"]

    with victim() as (port, came), fetching(rebinding, loopback=False) as way:
        near(port)
        # the tests' own guard stops the connection to the address that was checked
        with pytest.raises(RuntimeError, match=ELSEWHERE):
            way.get(Ask(url=f"http://rebound.test:{port}/"), tmp_path / "body")
        assert len(asked) == 1
        with pytest.raises(Skip) as skip:
            way.get(Ask(url=f"http://rebound.test:{port}/"), tmp_path / "body")
        assert skip.value.reason == "address_forbidden"
        assert came == []


def test_a_kept_connection_stays_where_it_was_checked(near: Any, tmp_path: Path) -> None:
    found = [[PUBLIC], ["127.0.0.1"]]

    def talk(one: Any) -> None:
        one.keep = one.path != "/last"
        one.answer("200 OK", body=b"{}")

    with victim() as (port, came), serving(talk, host=PUBLIC) as public:
        near(port, public.port)
        with fetching(lambda host: found.pop(0), loopback=False) as way:
            for path in ("/first", "/last"):
                answer = way.get(Ask(url=f"http://moving.test:{public.port}{path}", wanted="json"), tmp_path / "body")
                assert answer.hops[0].address == PUBLIC
            with pytest.raises(Skip) as skip:
                way.get(Ask(url=f"http://moving.test:{public.port}/next"), tmp_path / "body")
        assert skip.value.reason == "address_forbidden"
        assert found == []
        assert public.connections == 1
        assert came == []
