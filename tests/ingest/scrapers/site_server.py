"""A website on the loopback, with a log of what it was asked, and a crawl of it as the runner would do it."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ingest.scrapers.limiter import HostLimiter
from shards.stage import Context, Result, Unit

DATE = "Sun, 01 Nov 2026 12:00:00 GMT"


@dataclass(frozen=True)
class Request:
    """One request as the server saw it."""

    time: float
    path: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Page:
    """One answer."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0


@dataclass
class Website:
    """Pages by path (with the query); what is not there is 404. A page may be a function of the request."""

    pages: dict[str, Page | Callable[[Request], Page]] = field(default_factory=dict)
    log: list[Request] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def put(self, path: str, body: bytes | str, kind: str = "text/html; charset=utf-8", **headers: str) -> None:
        data = body.encode() if isinstance(body, str) else body
        self.pages[path] = Page(data, headers={"Content-Type": kind, **headers})

    def asked(self, but_robots: bool = True) -> list[str]:
        """The paths that were asked for, in order."""
        return [one.path for one in self.log if not (but_robots and one.path == "/robots.txt")]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


@contextmanager
def serving(site: Website, host: str = "127.0.0.1") -> Iterator[Website]:
    """The site, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = Request(time.monotonic(), self.path, dict(self.headers.items()))
            site.log.append(asked)
            page = site.pages.get(self.path, Page(status=404))
            page = page if isinstance(page, Page) else page(asked)
            time.sleep(page.delay_s)
            self.send_response(page.status)
            for name, value in page.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(page.body)))
            self.end_headers()
            self.wfile.write(page.body)

        def date_time_string(self, timestamp: float | None = None) -> str:
            return DATE

        def log_message(self, *arguments: Any) -> None:
            pass

    server = _Server((host, 0), Handler)
    site.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def jpeg(seed: int, width_px: int = 64, height_px: int = 48) -> bytes:
    """A picture that is unlike those of other seeds."""
    draw = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    data = io.BytesIO()
    Image.fromarray(draw).resize((width_px, height_px)).save(data, "JPEG")
    return data.getvalue()


@dataclass
class Crawled:
    """What a crawl gave."""

    results: dict[str, Result]

    @property
    def rows(self) -> list[dict[str, Any]]:
        found = [row for result in self.results.values() for row in result.rows.iter_rows(named=True)]  # type: ignore[union-attr]
        return sorted(found, key=lambda row: row["key"])

    @property
    def rejects(self) -> list[tuple[str, str]]:
        return sorted((one.item, one.reason) for result in self.results.values() for one in result.rejects)


def context(folder: Path, limiter: HostLimiter | None = None) -> Context:
    """What a stage runs in; tables lie in `folder`."""
    for name in ("root/crawl", "tmp"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return Context(
        root=folder / "root",
        out=folder / "root/crawl",
        tmp=folder / "tmp",
        folder=folder,
        key=b"test",
        services={"limiter": limiter or HostLimiter()},
    )


def units_of(stage: Any, folder: Path) -> list[Unit]:
    """The units of a scraper."""
    return list(stage.units(context(folder)))


def crawl_stage(stage: Any, folder: Path, limiter: HostLimiter | None = None) -> Crawled:
    """All units of a scraper, one after another in this process."""
    ctx = context(folder, limiter)
    units = list(stage.units(ctx))
    assert len({unit.id for unit in units}) == len(units)
    with stage.open(ctx) as worker:
        results = {unit.id: worker.process(unit) for unit in units}
    for result in results.values():
        assert result.accepted + len(result.rejects) == result.offered
        assert result.rows is not None
        assert result.rows.height == result.accepted
    return Crawled(results)
