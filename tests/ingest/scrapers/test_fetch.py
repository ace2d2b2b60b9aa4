"""What a fetch sends, follows, keeps and goes on with, against real servers."""

from __future__ import annotations

import gzip
import hashlib
import runpy
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from ingest.scrapers.answers import Answer, Ask, Hop
from shards.intake import Skip
from shards.stage import Cancelled

HERE = Path(__file__).parent
SERVER = runpy.run_path(str(HERE / "hostile_server.py"))
serving = SERVER["serving"]
FETCHING = runpy.run_path(str(HERE / "fetching.py"))
fetching = FETCHING["fetching"]

PAGE = b"<!DOCTYPE html><html><body>a case</body></html>"
PICTURE = SERVER["jpeg"](400, 300)
DATE = "Date: Sun, 01 Nov 2026 12:00:00 GMT"


@pytest.fixture
def into(tmp_path: Path) -> Path:
    return tmp_path / "loose" / "body"


def test_an_answer_says_where_it_came_from(into: Path) -> None:
    def talk(one: Any) -> None:
        if one.path == "/a?x=1":
            one.answer("301 Moved Permanently", "Location: ../b/./c#part")
        else:
            one.answer("200 OK", DATE, "X-Robots-Tag: noindex", "x-robots-tag: nofollow", body=PAGE)

    with serving(talk) as server, fetching() as way:
        answer = way.get(Ask(url=f"HTTP://127.0.0.1:{server.port}/q/../a?x=1#top", wanted="page"), into)
    assert answer == Answer(
        url=f"{server.url}/a?x=1",
        hops=(Hop(url=f"{server.url}/a?x=1", status=301, address="127.0.0.1"),
              Hop(url=f"{server.url}/b/c", status=200, address="127.0.0.1")),
        status=200,
        headers=(*(tuple(line.split(": ")) for line in (DATE, "X-Robots-Tag: noindex", "X-Robots-Tag: nofollow")),
                 ("Content-Length", str(len(PAGE)))),
        fetched=datetime(2026, 11, 1, 12, tzinfo=UTC),
        sha256=hashlib.sha256(PAGE).hexdigest(),
        body_bytes=len(PAGE),
    )  # fmt: skip
    assert into.read_bytes() == PAGE
    assert [file.name for file in into.parent.iterdir()] == ["body"]
    assert way.gate.entered == [hop.url for hop in answer.hops]
    assert [status for status, _ in way.gate.answers] == [301, 200]
    assert server.connections == 1


def test_a_request_says_who_asks_and_nothing_else(into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with serving(lambda one: one.answer("200 OK", body=PICTURE)) as server, fetching() as way:
        url = f"http://127.0.0.1:{server.port}/%7Euser//a%2fb/[1]?q=%C3%BC&r=a+b"
        way.get(Ask(url=url, headers=(("Accept", "image/*"),)), into)
        way.get(Ask(url=url, wanted="image"), into)
    first, second = server.requests
    assert first.path == "/~user//a%2Fb/%5B1%5D?q=%C3%BC&r=a+b"
    assert first.headers == {
        "host": f"127.0.0.1:{server.port}",
        "user-agent": "medloom/0.1 (+tests@example.org)",
        "accept": "image/*",
        "accept-encoding": "gzip, deflate",
    }
    assert second.headers["accept-encoding"] == "identity"


def test_what_the_caller_sends_is_for_the_host_that_was_asked(into: Path) -> None:
    def talk(one: Any) -> None:
        target = {"/1": "/2", "/2": f"http://other.test:{server.port}/3"}.get(one.path)
        one.answer(*(("302 Found", f"Location: {target}") if target else ("200 OK",)), body=PAGE)

    with serving(talk) as server, fetching(lambda host: ["127.0.0.1"]) as way:
        key = (("Api-Key", "secret"), ("Accept", "text/html"))
        way.get(Ask(url=f"http://own.test:{server.port}/1", headers=key), into)
    assert [one.headers.get("api-key") for one in server.requests] == ["secret", "secret", None]
    assert [one.headers["accept"] for one in server.requests] == ["text/html"] * 3


@pytest.mark.parametrize("line", ["404 Not Found", "410 Gone", "403 Forbidden", "451 Unavailable For Legal Reasons"])
def test_what_a_server_refuses_is_an_answer_without_a_body(line: str, into: Path) -> None:
    with serving(lambda one: one.answer(line, body=b"no")) as server, fetching() as way:
        answers = [way.get(Ask(url=server.url, wanted="image"), into) for _ in range(2)]
    assert [(one.status, one.body_bytes) for one in answers] == [(int(line[:3]), 0)] * 2
    assert answers[0].sha256 == hashlib.sha256(b"").hexdigest()
    assert list(into.parent.iterdir()) == []
    assert way.waits == []
    assert server.connections == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_five_redirects_are_followed(status: int, into: Path) -> None:
    def talk(one: Any) -> None:
        step = int(one.path[1:])
        one.answer(*(("200 OK",) if step == 0 else (f"{status} x", f"Location: {step - 1}")), body=PAGE)

    with serving(talk) as server, fetching() as way:
        assert len(way.get(Ask(url=f"{server.url}/5"), into).hops) == 6
        with pytest.raises(Skip, match="redirect_loop"):
            way.get(Ask(url=f"{server.url}/6"), into)


def test_cookies_live_along_one_chain(into: Path) -> None:
    """A page that sets a cookie and leads back to itself is no loop; the next request knows nothing of it."""

    def talk(one: Any) -> None:
        if "consent=yes" in one.headers.get("cookie", ""):
            one.answer("200 OK", "Set-Cookie: more=1", body=PAGE)
        else:
            one.answer("302 Found", f"Location: {one.path}", "Set-Cookie: consent=yes; Path=/")

    with serving(talk) as server, fetching() as way:
        for path in ("/a", "/b"):
            assert len(way.get(Ask(url=server.url + path), into).hops) == 2
    assert [one.headers.get("cookie") for one in server.requests] == [None, "consent=yes"] * 2


def test_a_body_of_a_redirect_is_not_read_to_its_end(into: Path) -> None:
    def talk(one: Any) -> None:
        if one.path == "/":
            one.keep = False
            one.send("HTTP/1.1 302 Found\r\nLocation: /there\r\n\r\n")
            while True:
                one.send(bytes(2**16))
        one.answer("200 OK", body=PAGE)

    with serving(talk) as server, fetching() as way:
        assert way.get(Ask(url=server.url, wanted="page"), into).status == 200


def test_interim_answers_are_passed_over(into: Path) -> None:
    """Taken for the last, they would make the answer to one url that of the next."""

    def talk(one: Any) -> None:
        one.send("HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n")
        one.answer("200 OK", body=one.path.encode())

    with serving(talk) as server, fetching() as way:
        for path in ("/a", "/b", "/c"):
            answer = way.get(Ask(url=server.url + path), into)
            assert (answer.status, into.read_bytes()) == (200, path.encode())
    assert server.connections == 1


def test_a_conditional_request(into: Path) -> None:
    state = {"tag": '"v1"'}

    def talk(one: Any) -> None:
        if one.path == "/old":
            one.answer("301 Moved", "Location: /new", 'ETag: "of the redirect"')
        elif one.headers.get("if-none-match") == state["tag"]:
            one.send("HTTP/1.1 304 Not Modified\r\n\r\n")
        else:
            one.answer("200 OK", f"ETag: {state['tag']}", "Last-Modified: Sat, 31 Oct 2026 08:00:00 GMT", body=PAGE)

    with serving(talk) as server, fetching() as way:
        ask = Ask(url=f"{server.url}/old", wanted="page")
        known = way.get(ask, into)
        into.unlink()
        assert way.get(ask, into, known=known) is None
        assert not into.exists()
        state["tag"] = '"v2"'
        changed = way.get(ask, into, known=known)
        assert changed.header("etag") == '"v2"'
        assert into.read_bytes() == PAGE
    redirect, new = server.requests[2:4]
    assert {"if-none-match", "if-modified-since"}.isdisjoint(redirect.headers)
    assert new.headers["if-none-match"] == '"v1"'
    assert new.headers["if-modified-since"] == "Sat, 31 Oct 2026 08:00:00 GMT"
    assert server.connections == 1


class Breaking:
    """Gives a picture in parts: the first request breaks off half-way; others are answered as told."""

    def __init__(self, tag: str = '"v1"', later: str = "rest", encoding: str = "") -> None:
        self.tag, self.later, self.encoding = tag, later, encoding
        self.body = gzip.compress(PICTURE) if encoding else PICTURE
        self.half = len(self.body) // 2

    def __call__(self, one: Any) -> None:
        headers = [f"ETag: {self.tag}"] + [f"Content-Encoding: {self.encoding}"] * bool(self.encoding)
        if one.number == 0:
            one.send("\r\n".join(["HTTP/1.1 200 OK", *headers, f"Content-Length: {len(self.body)}", "\r\n"]))
            one.send(self.body[: self.half])
            one.keep = False
        elif "range" not in one.headers or self.later == "whole":
            one.answer("200 OK", *headers, body=self.body)
        elif self.later == "changed":
            one.answer("200 OK", 'ETag: "v2"', body=PICTURE[::-1])
        elif self.later == "416":
            one.answer("416 Range Not Satisfiable", "Content-Range: bytes */10")
        else:
            begin = int(one.headers["range"].removeprefix("bytes=").removesuffix("-")) + (self.later == "shifted")
            rest = self.body[begin:] + b"x" * (self.later == "longer")
            tag = '"v2"' if self.later == "other tag" else self.tag
            where = f"Content-Range: bytes {begin}-{begin + len(rest) - 1}/{begin + len(rest)}"
            one.answer("206 Partial Content", f"ETag: {tag}", where, body=rest)


def test_a_broken_body_is_resumed(into: Path) -> None:
    talk = Breaking()
    md5 = hashlib.md5(PICTURE, usedforsecurity=False).hexdigest().upper()
    with serving(talk) as server, fetching() as way:
        answer = way.get(Ask(url=server.url, wanted="image", md5=md5), into)
    assert into.read_bytes() == PICTURE
    assert (answer.status, answer.sha256) == (200, hashlib.sha256(PICTURE).hexdigest())
    assert server.requests[1].headers["range"] == f"bytes={talk.half}-"
    assert server.requests[1].headers["if-range"] == '"v1"'
    assert server.sent_bytes < len(PICTURE) + 1000
    assert answer.hops[-1].status == 206


@pytest.mark.parametrize(
    ("talk", "requests", "ranges"),
    [
        (Breaking(tag='W/"v1"'), 2, 0),
        (Breaking(encoding="gzip"), 2, 0),
        (Breaking(later="whole"), 2, 1),
        (Breaking(later="416"), 3, 1),
        (Breaking(later="shifted"), 3, 1),
        (Breaking(later="longer"), 3, 1),
        (Breaking(later="other tag"), 3, 1),
    ],
    ids=["weak tag", "encoded", "range ignored", "not to be had", "other range", "other length", "other tag"],
)
def test_a_body_that_cannot_be_resumed_begins_anew(talk: Breaking, requests: int, ranges: int, into: Path) -> None:
    with serving(talk) as server, fetching() as way:
        answer = way.get(Ask(url=server.url, wanted="any"), into)
    assert into.read_bytes() == PICTURE
    assert answer.sha256 == hashlib.sha256(PICTURE).hexdigest()
    assert len(server.requests) == requests
    assert sum("range" in one.headers for one in server.requests) == ranges


def test_a_body_that_changed_meanwhile_is_not_mixed(into: Path) -> None:
    with serving(Breaking(later="changed")) as server, fetching() as way:
        answer = way.get(Ask(url=server.url), into)
    assert into.read_bytes() == PICTURE[::-1]
    assert answer.header("ETag") == '"v2"'


def test_waits_keep_to_what_the_server_asked_for(into: Path) -> None:
    def talk(one: Any) -> None:
        if one.number < 2:
            one.answer("429 Too Many Requests", f"Retry-After: {(30, -5)[one.number]}")
        else:
            one.answer("200 OK", body=PAGE)

    with serving(talk) as server, fetching() as way:
        assert way.get(Ask(url=server.url), into).status == 200
    assert 31.0 <= sum(way.waits) <= 33.0
    assert way.gate.ended == 3


def test_caps(into: Path) -> None:
    def talk(one: Any) -> None:
        body = b'{"a": "' + b"x" * 2000 + b'"}'
        if one.path == "/packed":
            one.answer("200 OK", "Content-Encoding: gzip", body=gzip.compress(body))
        elif one.path == "/padded":
            one.answer("200 OK", "Content-Encoding: gzip", body=gzip.compress(body) + bytes(3000), length=False)
        else:
            one.answer("200 OK", body=body)

    with serving(talk) as server, fetching(max_page_bytes=2009) as way:
        assert way.get(Ask(url=server.url, wanted="json"), into).body_bytes == 2009
        assert way.get(Ask(url=f"{server.url}/packed", wanted="json"), into).body_bytes == 2009
        for path, wanted, most in (("/", "json", 2008), ("/packed", "json", 2008), ("/", "any", 100)):
            with pytest.raises(Skip, match="too_large"):
                way.get(Ask(url=server.url + path, wanted=wanted, max_bytes=most), into)
        assert way.get(Ask(url=server.url, wanted="any"), into).body_bytes == 2009
        with pytest.raises(Skip, match="too_large"):  # on the wire, though not unpacked
            way.get(Ask(url=f"{server.url}/padded", wanted="json"), into)


@pytest.fixture(scope="module")
def trusted() -> Iterator[ssl.SSLContext]:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("own.test", "127.0.0.1", "xn--bcher-kva.test").configure_cert(server)
    with authority.cert_pem.tempfile() as path, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", path)
        yield server


def test_many_requests_over_one_handshake(trusted: ssl.SSLContext, into: Path) -> None:
    with serving(lambda one: one.answer("200 OK", body=PICTURE), trusted) as server:
        with fetching(lambda host: ["127.0.0.1"]) as way:
            for number in range(20):
                way.get(Ask(url=f"https://own.test:{server.port}/{number}", wanted="image"), into)
        assert (server.connections, server.handshakes, len(server.requests)) == (1, 1, 20)
        assert server.requests[0].headers["host"] == f"own.test:{server.port}"
        with fetching(lambda host: ["127.0.0.1"], tries=1) as way:
            for host in ("127.0.0.1", "Bücher.test"):
                assert way.get(Ask(url=f"https://{host}:{server.port}/"), into).status == 200
            with pytest.raises(Skip, match="certificate"):
                way.get(Ask(url=f"https://other.test:{server.port}/"), into)


def test_threads_share_connections(trusted: ssl.SSLContext, tmp_path: Path) -> None:
    def talk(one: Any) -> None:
        one.answer("200 OK", body=one.path.encode() * 5000)

    def get(number: int) -> bool:
        into = tmp_path / str(number)
        answer = way.get(Ask(url=f"{server.url}/{number}"), into)
        return into.read_bytes() == f"/{number}".encode() * 5000 and answer.body_bytes == into.stat().st_size

    with serving(talk, trusted) as server, fetching(threads=4) as way, ThreadPoolExecutor(4) as pool:
        assert all(pool.map(get, range(60)))
        assert server.handshakes <= 4


@pytest.mark.parametrize("late", [False, True])
def test_a_kept_connection_that_has_ended_is_no_failure(late: bool, into: Path) -> None:
    """The server ends it between two requests, or just when the second one comes."""

    def talk(one: Any) -> None:
        if late and one.number == 1:
            one.keep = False
            return
        one.answer("200 OK", body=PAGE)
        one.keep = late

    with serving(talk) as server, fetching(tries=1) as way:
        for _ in range(2):
            assert way.get(Ask(url=server.url), into).status == 200
            time.sleep(0.05)
    assert server.connections == 2
    assert len(way.gate.entered) == 2


def test_the_next_address_is_tried(into: Path) -> None:
    """A host with an address that nothing answers at, and one over IPv6 alone."""
    with serving(lambda one: one.answer("200 OK", body=PAGE)) as server:
        names = {"both.test": ["::1", "127.0.0.9", "127.0.0.1"]}
        with fetching(names.__getitem__) as way:
            answer = way.get(Ask(url=f"http://both.test:{server.port}/"), into)
        assert answer.hops[0].address == "127.0.0.1"
    with serving(lambda one: one.answer("200 OK", body=PAGE), host="::1") as server, fetching() as way:
        assert way.get(Ask(url=server.url), into).hops[0].address == "::1"


def test_waiting_for_a_turn_is_not_counted(into: Path) -> None:
    class Slow(FETCHING["OpenGate"]):  # type: ignore[misc]
        def enter(self, url: str, check: Any) -> Any:
            time.sleep(0.4)
            return super().enter(url, check)

    def talk(one: Any) -> None:
        one.answer(*(("302 Found", "Location: /end") if one.path == "/" else ("200 OK",)), body=PAGE)

    with serving(talk) as server, fetching(gate=Slow(), deadline_s=0.5) as way:
        assert way.get(Ask(url=server.url), into).status == 200


def test_one_deadline_for_all_tries(into: Path) -> None:
    def talk(one: Any) -> None:
        time.sleep(0.3)
        one.answer("500 Oops")

    with serving(talk) as server, fetching(deadline_s=0.5, tries=9) as way, pytest.raises(Skip, match="timed_out"):
        way.get(Ask(url=server.url), into)
    assert len(server.requests) == 2


def test_a_cancelled_run_leaves_nothing(into: Path) -> None:
    stop = threading.Event()

    def check() -> None:
        if stop.is_set():
            raise Cancelled

    def talk(one: Any) -> None:
        one.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", bytes(500_000))
        stop.set()
        one.send(bytes(500_000))

    with serving(talk) as server, fetching() as way, pytest.raises(Cancelled):
        way.get(Ask(url=server.url), into, check=check)
    assert list(into.parent.iterdir()) == []


def test_a_refused_connection(into: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with fetching() as way, pytest.raises(Skip) as skip:
        way.get(Ask(url=f"http://127.0.0.1:{port}/"), into)
    assert (skip.value.reason, skip.value.detail) == ("connection_failed", "ConnectionRefusedError")
    assert len(way.gate.entered) == 3
