"""Hosts on the loopback that note when each request came, and workers that are polite to them."""

from __future__ import annotations

import runpy
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingest.scrapers.answers import Answer, Ask
from ingest.scrapers.fetch import Fetcher
from ingest.scrapers.gate import Politeness
from ingest.scrapers.limiter import HostLimiter
from ingest.scrapers.settings import HostRule, Web

serving = runpy.run_path(str(Path(__file__).with_name("hostile_server.py")))["serving"]
AT_ONCE = HostRule(min_delay_s=0.0, start_delay_s=0.0, max_delay_s=30.0)


@dataclass(frozen=True)
class Page:
    """An answer; `before` is called when the request came."""

    body: bytes = b"<html>a page</html>"
    headers: tuple[str, ...] = ("Content-Type: text/html",)
    status: str = "200 OK"
    before: Callable[[], Any] = lambda: None


@dataclass
class Site:
    """Pages by path, or by host and path; /robots.txt and the rest that is not there is 404."""

    pages: dict[str, Page] = field(default_factory=dict)
    other: Page = Page(b"", (), "404 Not Found")
    log: list[tuple[float, str, str]] = field(default_factory=list)  # time.monotonic(), host without port, path
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def robots(self, text: str | bytes, **more: Any) -> None:
        self.pages["/robots.txt"] = Page(
            text if isinstance(text, bytes) else text.encode(), ("Content-Type: text/plain",), **more
        )

    def asked(self, path: str = "") -> list[str]:
        """The paths that were asked for, or how often one of them was."""
        return [one for _, _, one in self.log if not path or one == path]

    def talk(self, exchange: Any) -> None:
        host = exchange.headers["host"].partition(":")[0]
        self.log.append((time.monotonic(), host, exchange.path))
        page = self.pages.get(f"{host}{exchange.path}", self.pages.get(exchange.path, self.other))
        page.before()
        exchange.answer(page.status, *page.headers, body=page.body)


@contextmanager
def site(host: str = "127.0.0.1", **fields: Any) -> Iterator[Site]:
    """A running site; with host 0.0.0.0 it answers for every 127.x.y.z."""
    here = Site(**fields)
    with serving(here.talk, host=host) as server:
        here.port = server.port
        yield here


@dataclass
class Worker:
    """A worker's gate and fetcher."""

    gate: Politeness
    fetcher: Fetcher
    folder: Path

    def get(self, url: str, check: Callable[[], None] = lambda: None) -> Answer:
        """Fetch a url; its body is not kept."""
        into = self.folder / f"body-{threading.get_ident()}-{time.monotonic_ns()}"
        answer = self.fetcher(Ask(url=url), into, check=check)
        into.unlink(missing_ok=True)
        assert answer is not None
        return answer


@contextmanager
def worker(
    folder: Path, limiter: Any = None, *, every_host: HostRule = AT_ONCE, needs_record: bool = False, **options: Any
) -> Iterator[Worker]:
    """Options are those of Web."""
    usual: dict[str, Any] = {"loopback": True, "tries": 1, "deadline_s": 5.0}
    web = Web(contact="tests@example.org", every_host=every_host, **{**usual, **options})
    with ExitStack() as stack:
        gate = stack.enter_context(
            Politeness(web, limiter or HostLimiter(), folder / "store", needs_record=needs_record)
        )
        yield Worker(gate, gate.fetcher(), folder)
