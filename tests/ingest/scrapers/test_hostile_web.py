"""Servers that do what they should not: none hangs a fetch, fills the disk, or leaves a body that is not whole."""

from __future__ import annotations

import gzip
import itertools
import logging
import runpy
import socket
import ssl
import struct
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from ingest.scrapers.answers import Ask, Wanted
from shards.intake import Skip
from shards.reasons import Reason

HERE = Path(__file__).parent
SERVER = runpy.run_path(str(HERE / "hostile_server.py"))
serving = SERVER["serving"]
FETCHING = runpy.run_path(str(HERE / "fetching.py"))

SHORT_S, LONG_S = 1.0, 8.0  # deadlines: where it is to be met, and where something else is to happen long before
CAP = 2**20
BOMB = gzip.compress(bytes(200 * 2**20), 6)
PICTURE = SERVER["jpeg"](300, 200)
OK = "HTTP/1.1 200 OK\r\n"
Talk = Callable[[Any], None]


def short_body(one: Any) -> None:
    one.send(OK, f"Content-Length: {len(PICTURE)}\r\n\r\n", PICTURE[:-100])
    one.keep = False


def cut_chunks(one: Any) -> None:
    one.send(OK, "Transfer-Encoding: chunked\r\n\r\n", f"{len(PICTURE):x}\r\n", PICTURE, "\r\n")
    one.keep = False


def early_close(one: Any) -> None:
    one.answer("200 OK", body=PICTURE[:-100], length=False)


def early_close_of_something(one: Any) -> None:
    one.answer("200 OK", body=b"\0\0\0\x18ftypmp42" + bytes(2000), length=False)


def cut_gzip(one: Any) -> None:
    one.answer("200 OK", "Content-Encoding: gzip", body=gzip.compress(PICTURE)[:-9], length=False)


def endless_body(one: Any) -> None:
    one.send(OK, "\r\n", PICTURE)
    forever(one, bytes(2**16))


def endless_chunks(one: Any) -> None:
    one.send(OK, "Transfer-Encoding: chunked\r\n\r\n", f"{len(PICTURE):x}\r\n", PICTURE, "\r\n")
    forever(one, (b"400\r\n" + bytes(2**10) + b"\r\n") * 64)


def huge_length(one: Any) -> None:
    one.send(OK, f"Content-Length: {10**15}\r\n\r\n", PICTURE)
    forever(one, bytes(2**16))


def negative_chunk(one: Any) -> None:
    one.send(OK, "Transfer-Encoding: chunked\r\n\r\n-1\r\n", PICTURE)
    forever(one, bytes(2**16))


def endless_trailers(one: Any) -> None:
    one.send(OK, "Transfer-Encoding: chunked\r\n\r\n", f"{len(PICTURE):x}\r\n", PICTURE, "\r\n0\r\n")
    forever(one, (b"x: " + b"y" * 2**10 + b"\r\n") * 64)


def unknown_framing(one: Any) -> None:
    one.send(OK, "Transfer-Encoding: gzip, chunked\r\n\r\n", f"{len(PICTURE):x}\r\n", PICTURE, "\r\n0\r\n\r\n")
    one.keep = False


def slow_body(one: Any) -> None:
    one.send(OK, f"Content-Length: {len(PICTURE)}\r\n\r\n")
    one.drip(PICTURE, 0.4)


def slow_headers(one: Any) -> None:
    one.drip(OK.encode() + b"Content-Length: 3\r\n\r\nabc", 0.4)


def slow_redirect_body(one: Any) -> None:
    one.send("HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 100\r\n\r\n")
    one.drip(bytes(100), 0.4)


def silence(one: Any) -> None:
    one.server.silent.wait(5)


def endless_headers(one: Any) -> None:
    one.send(OK)
    forever(one, b"x: y\r\n" * 100)


def long_header(one: Any) -> None:
    one.send(OK, "x: ")
    forever(one, b"y" * 2**12)


def endless_continue(one: Any) -> None:
    forever(one, b"HTTP/1.1 100 Continue\r\n\r\n")


def no_http(one: Any) -> None:
    one.send("SSH-2.0-OpenSSH_9.6\r\n")
    one.keep = False


def loop(one: Any) -> None:
    one.answer("302 Found", f"Location: /{'a' if one.path[1] == 'b' else 'b'}?token=secret")


def chain(one: Any) -> None:
    one.answer("307 Temporary Redirect", f"Location: /{one.number}?token=secret")


def redirect(target: str) -> Talk:
    return lambda one: one.answer("301 Moved Permanently", f"Location: {target}")


def status(line: str, *headers: str) -> Talk:
    return lambda one: one.answer(line, *headers, body=b"<html>come back later</html>")


def page_for_a_picture(one: Any) -> None:
    one.answer("200 OK", "Content-Type: image/jpeg", body=b"<!DOCTYPE html><html>no such picture</html>")


def bomb(one: Any) -> None:
    one.answer("200 OK", "Content-Encoding: gzip", body=BOMB)


def damaged_gzip(one: Any) -> None:
    one.answer("200 OK", "Content-Encoding: gzip", body=BOMB[:50] + PICTURE)


def unasked_encoding(one: Any) -> None:
    one.answer("200 OK", "Content-Encoding: br", body=PICTURE)


def reset(one: Any) -> None:
    one.send(OK, f"Content-Length: {len(PICTURE)}\r\n\r\n", PICTURE[:100])
    one.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.keep = False


def other_rest(one: Any) -> None:
    """Breaks off, then gives another part than the one that was asked for."""
    if "range" in one.headers:
        one.answer("206 Partial Content", 'ETag: "v1"', "Content-Range: bytes 0-99/100", body=bytes(100))
    else:
        one.send(OK, f'ETag: "v1"\r\nContent-Length: {len(PICTURE)}\r\n\r\n', PICTURE[:-100])
        one.keep = False


def wrong_sum(one: Any) -> None:
    one.answer("200 OK", body=PICTURE)


def reserved(one: Any) -> None:
    one.send(OK, f"TDM-Reservation: 1\r\nContent-Length: {10**6}\r\n\r\n", PICTURE)
    forever(one, bytes(2**16))


def forever(one: Any, data: bytes) -> None:
    one.keep = False
    while True:
        one.send(data)


@dataclass(frozen=True)
class Fault:
    """What a server does, and what it comes to."""

    row: str  # of the catalogue of faults
    talk: Talk
    reason: str
    tries: int  # requests that are made
    ask: Any = ()
    tls: bool = False
    host: str = ""


FAULTS = [
    Fault("21", short_body, "connection_failed", 3),
    Fault("22", cut_chunks, "connection_failed", 3),
    Fault("22", early_close, "connection_failed", 3),
    Fault("22", early_close_of_something, "truncated", 1, ask={"wanted": "video"}),
    Fault("22", cut_gzip, "connection_failed", 3),
    Fault("22", unknown_framing, "http_failed", 1),
    Fault("23", endless_body, "too_large", 1),
    Fault("23", endless_chunks, "too_large", 1),
    Fault("23", huge_length, "too_large", 1),
    Fault("23", negative_chunk, "connection_failed", 3),
    Fault("23", endless_trailers, "too_large", 1),
    Fault("24", slow_body, "timed_out", 1),
    Fault("24", slow_redirect_body, "redirect_loop", 2),
    Fault("25", slow_headers, "timed_out", 1),
    Fault("25", silence, "timed_out", 1),
    Fault("25", endless_headers, "connection_failed", 3),
    Fault("25", long_header, "connection_failed", 3),
    Fault("25", endless_continue, "too_large", 1),
    Fault("26", loop, "redirect_loop", 3),
    Fault("26", chain, "redirect_loop", 6),
    Fault("26", redirect("file:///etc/passwd"), "bad_url", 1),
    Fault("26", redirect("http://169.254.169.254/latest/meta-data/"), "address_forbidden", 1),
    Fault("26", redirect("http://[fe80::1]/"), "address_forbidden", 1),
    Fault("26", redirect("http://[::"), "bad_url", 1),
    Fault("26", redirect("http://plain.test/"), "bad_url", 1, tls=True),
    Fault("26", status("302 Found"), "bad_url", 1),
    Fault("27", status("429 Too Many Requests", "Retry-After: 7"), "http_failed", 3),
    Fault("27", status("429 Too Many Requests", "Retry-After: -7"), "http_failed", 3),
    Fault("27", status("429 Too Many Requests", "Retry-After: 1000000000"), "http_failed", 3),
    Fault("27", status("503 Busy", "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT"), "http_failed", 3),
    Fault("27", status("503 Busy", "Retry-After: 3600"), "http_failed", 1),
    Fault("28", status("500 Oops"), "http_failed", 3),
    Fault("28", status("502 Bad Gateway"), "http_failed", 3),
    Fault("28", status("204 No Content"), "http_failed", 1),
    Fault("28", status("304 Not Modified"), "http_failed", 1),
    Fault("28", page_for_a_picture, "wrong_content", 1),
    Fault("29", bomb, "too_large", 1, ask={"wanted": "any"}),
    Fault("29", damaged_gzip, "corrupt", 3),
    Fault("29", unasked_encoding, "wrong_content", 1),
    Fault("30", reset, "connection_failed", 3),
    Fault("30", no_http, "connection_failed", 3),
    Fault("30", wrong_sum, "connection_failed", 0, tls=True, host="other.test"),
    Fault("30", wrong_sum, "connection_failed", 0, host="missing.test"),
    Fault("30", wrong_sum, "connection_failed", 0, host="busy.test"),
    Fault("31", other_rest, "connection_failed", 3),
    Fault("31", wrong_sum, "checksum_differs", 3, ask={"md5": "0" * 32}),
    Fault("32", reserved, "opted_out", 1),
]


def resolver(host: str) -> list[str]:
    if host in {"missing.test", "busy.test"}:
        raise socket.gaierror(socket.EAI_NONAME if host == "missing.test" else socket.EAI_AGAIN, "no")
    return ["127.0.0.1"]


@dataclass
class Listening(FETCHING["OpenGate"]):
    """A gate that obeys a reservation."""

    def answered(self, status: int, headers: Any, seconds: float) -> None:
        super().answered(status, headers, seconds)
        if ("TDM-Reservation", "1") in headers:
            raise Skip(Reason.OPTED_OUT, "tdm-reservation")


def run(fault: Fault, folder: Path, context: ssl.SSLContext) -> list[str]:
    """What went wrong with one fault."""
    folder.mkdir()
    into = folder / "body"
    largest = 0

    def check() -> None:
        nonlocal largest
        largest = max([largest, *(file.stat().st_size for file in folder.iterdir())])

    ask: dict[str, Any] = {"wanted": "image", **dict(fault.ask)}
    with serving(fault.talk, context if fault.tls else None) as server:
        server.silent = threading.Event()
        url = server.url.replace("127.0.0.1", fault.host or "own.test") + "/?token=secret"
        deadline_s = SHORT_S if fault.reason == "timed_out" else LONG_S
        options = {"deadline_s": deadline_s, "max_media_bytes": CAP, "resolver": resolver, "gate": Listening()}
        with FETCHING["fetching"](**options) as way:
            begun = time.monotonic()
            try:
                way.get(Ask(url=url, **ask), into, check=check)
                reason = text = "none"
            except Skip as skip:
                reason, text = skip.reason.value, str(skip)
            took_s = time.monotonic() - begun
        server.silent.set()
        left = [file.name for file in folder.iterdir()]
        requests = len(server.requests)
    assert way.gate.ended == len(way.gate.entered)
    wrong = {
        f"reason {text} is not {fault.reason}": reason != fault.reason,
        f"{requests} requests, not {fault.tries}": requests != fault.tries,
        f"took {took_s:.2f} s": took_s > deadline_s + 1,
        f"{largest} bytes on disk": largest > CAP,
        f"left {left}": bool(left),
        f"the query is told: {text}": "secret" in text,
    }
    return [f"{fault.row} {fault.talk.__qualname__}: {what}" for what, so in wrong.items() if so]


@pytest.fixture(scope="module")
def context() -> Iterator[ssl.SSLContext]:
    """Of a server that is trusted as own.test, and for nothing else."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("own.test").configure_cert(server)
    with authority.cert_pem.tempfile() as path, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", path)
        yield server


def test_faults_of_servers(
    context: ssl.SSLContext, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with ThreadPoolExecutor(8) as pool:
        runs = [pool.submit(run, fault, tmp_path / str(place), context) for place, fault in enumerate(FAULTS)]
        wrong = [one.result() for one in runs]
    survived = sum(not each for each in wrong)
    rows = len({fault.row for fault in FAULTS})
    with capsys.disabled():
        print(f"\nfaults of servers survived / tried: {survived} / {len(FAULTS)} ({rows} rows of the catalogue)")
    assert "\n".join(itertools.chain(*wrong)) == ""
    assert "secret" not in caplog.text


def test_a_bomb_costs_no_memory(tmp_path: Path) -> None:
    with serving(bomb) as server, FETCHING["fetching"](max_media_bytes=64 * CAP, deadline_s=30.0) as way:
        tracemalloc.start()
        with pytest.raises(Skip, match="too_large"):
            way.get(Ask(url=server.url), tmp_path / "body")
        peak_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak_bytes < 8 * CAP


@contextmanager
def mute_server() -> Iterator[int]:
    """Takes connections and never speaks TLS."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_handshake_that_never_ends(tmp_path: Path) -> None:
    with mute_server() as port, FETCHING["fetching"](deadline_s=0.5) as way:
        begun = time.monotonic()
        with pytest.raises(Skip, match="timed_out"):
            way.get(Ask(url=f"https://127.0.0.1:{port}/"), tmp_path / "body")
        assert time.monotonic() - begun < 1.5


def test_servers_that_recover(tmp_path: Path) -> None:
    """500, then a reset, then the picture: one answer, and the waits between grow."""

    def talk(one: Any) -> None:
        if one.number == 0:
            status("500 Oops")(one)
        elif one.number == 1:
            reset(one)
        else:
            one.answer("200 OK", body=PICTURE)

    wanted: Wanted = "image"
    with serving(talk) as server, FETCHING["fetching"]() as way:
        answer = way.get(Ask(url=server.url, wanted=wanted), tmp_path / "body")
        assert answer.body_bytes == len(PICTURE)
        assert (tmp_path / "body").read_bytes() == PICTURE
        assert 1.5 <= sum(way.waits) <= 3.0
