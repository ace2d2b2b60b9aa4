"""A crawl by four Ray workers as its servers see it: the gaps before one host, and fifty hosts of which one is slow.

    python benchmarks/politeness.py [--workers 4] [--pictures 60]

A url list goes through `medloom run` on local Ray; the servers are on the loopback and note when each request comes.
Printed are, for one host whose robots.txt asks for a Crawl-delay of 0.2 s, the smallest gap between two requests, from
the second on (before the first nobody can know of it), and for fifty hosts (127.0.0.2 to 127.0.0.51, at the default
pace) the requests a second that the others answer, with all of them quick and with one that takes two seconds for each
answer. Requests a second are counted from the first request to the last one of the other hosts.
"""

from __future__ import annotations

import argparse
import io
import itertools
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml
from PIL import Image

MEDLOOM = str(Path(sys.executable).with_name("medloom"))
CRAWL_DELAY_S = 0.2
SLOW_S = 2.0
HOSTS = [f"127.0.0.{number}" for number in range(2, 52)]
SLOW = HOSTS[0]


def jpeg(number: int) -> bytes:
    """A picture unlike those of other numbers."""
    draw = np.random.default_rng(number).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    data = io.BytesIO()
    Image.fromarray(draw).resize((256, 192)).save(data, "JPEG")
    return data.getvalue()


class Server(ThreadingHTTPServer):
    """Every 127.x.y.z: pictures under any name, and a robots.txt."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, robots: str, slow_s: float) -> None:
        self.robots = robots.encode()
        self.slow_s = slow_s  # what SLOW takes for each picture
        self.log: list[tuple[float, str, str]] = []  # time.monotonic(), host, path
        super().__init__(("0.0.0.0", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        host = self.headers["Host"].partition(":")[0]
        self.server.log.append((time.monotonic(), host, self.path))
        if self.path.endswith(".jpg"):
            if host == SLOW:
                time.sleep(self.server.slow_s)
            self.reply(200, "image/jpeg", jpeg(int(self.path[1:-4])))
        elif self.path == "/robots.txt" and self.server.robots:
            self.reply(200, "text/plain", self.server.robots)
        else:
            self.reply(404, "text/plain", b"")

    def reply(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        pass


@contextmanager
def serving(robots: str = "", slow_s: float = 0.0) -> Iterator[Server]:
    server = Server(robots, slow_s)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def crawl(
    server: Server, hosts: list[str], pictures: int, rule: dict[str, float], unit_rows: int, workers: int
) -> None:
    """Fetch `pictures` from each host, in a folder of its own; every one must become a row."""
    record = {"rights": {"license": "CC0-1.0"}, "evidence": "pictures made by this benchmark"}
    web = {
        "contact": "benchmark@example.org",
        "loopback": True,
        "hosts": {host: {**rule, "record": record} for host in hosts},
    }
    options = {"source": "polite", "table": "urls.csv", "caption": "text", "shortest_caption": 1, "modality": "XC"}
    stage = {
        "use": "ingest.scrapers.url_list:UrlList",
        "with": {**options, "specialty": "dermatology", "unit_rows": unit_rows, "web": web},
    }
    pipeline = {"root": "root", "key": {"public": "benchmark"}, "stages": {"urls": stage}}
    urls = [
        f"http://{host}:{server.server_port}/{place * pictures + number}.jpg,picture {number} of {host}"
        for number in range(pictures)
        for place, host in enumerate(hosts)
    ]
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        (folder / "pipelines.yaml").write_text(yaml.safe_dump({"version": 1, "pipelines": {"crawl": pipeline}}))
        (folder / "urls.csv").write_text("\n".join(["url,text", *urls]) + "\n")
        command = [MEDLOOM, "run", "crawl", "--workers", str(workers)]
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise SystemExit(f"{ended.stdout}\n{ended.stderr}")
        rows = sum(pl.read_parquet(part).height for part in folder.glob("root/urls/parts/*.parquet"))
        assert rows == len(urls), f"{rows} rows of {len(urls)} urls"


def one_host(workers: int, pictures: int) -> str:
    """The smallest gap at a server with a Crawl-delay."""
    with serving(robots=f"User-agent: *\nCrawl-delay: {CRAWL_DELAY_S}\n") as server:
        rule = {"min_delay_s": 0.0, "start_delay_s": 0.0}
        crawl(server, ["127.0.0.1"], pictures, rule, max(1, pictures // (2 * workers)), workers)
        times = [moment for moment, _, _ in server.log][1:]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    middle = sorted(gaps)[len(gaps) // 2]
    return (
        f"one host, Crawl-delay {CRAWL_DELAY_S} s, {workers} workers: {len(times)} requests, smallest gap "
        f"{min(gaps):.4f} s, median {middle:.4f} s"
    )


def fifty_hosts(workers: int, pictures: int, slow_s: float) -> str:
    """Requests a second that all hosts but SLOW answer."""
    with serving(slow_s=slow_s) as server:
        crawl(server, HOSTS, pictures, {}, max(1, len(HOSTS) * pictures // (2 * workers)), workers)
        log = list(server.log)
    others = [moment for moment, host, path in log if host != SLOW and path.endswith(".jpg")]
    assert len(others) == (len(HOSTS) - 1) * pictures
    rate = len(others) / (max(others) - log[0][0])
    what = f"one of them {slow_s:g} s an answer" if slow_s else "all quick"
    return f"{len(HOSTS)} hosts, {what}, {workers} workers: the others answer {rate:.1f} pictures/s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--pictures", type=int, default=60, help="of the one host; of each of the fifty a third")
    options = parser.parse_args()
    print(one_host(options.workers, options.pictures), flush=True)
    for slow_s in (0.0, SLOW_S):
        print(fifty_hosts(options.workers, max(1, options.pictures // 3), slow_s), flush=True)


if __name__ == "__main__":
    main()
