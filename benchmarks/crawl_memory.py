"""Memory of a crawl of 100,000 urls of which one in five fails, against one of 10,000.

    python benchmarks/crawl_memory.py [--urls 10000 100000]

A list of urls on the loopback: small JPEGs, and one in five gone, a page, or refused.
Printed: peak resident memory of the run (one process, `--serial`), time, rows and rejects.
"""

from __future__ import annotations

import argparse
import http.server
import io
import json
import multiprocessing
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image

MEDLOOM = Path(sys.executable).with_name("medloom")
SPEC = """\
version: 1
pipelines:
  list:
    root: out
    key: {public: benchmark}
    stages:
      urls:
        use: "ingest.scrapers.url_list:UrlList"
        with:
          {source: list, table: urls.parquet, caption: text, modality: XC, specialty: dermatology, web: {
            contact: a@b.org, loopback: true, tries: 1, hosts: {127.0.0.1: {
              min_delay_s: 0, start_delay_s: 0, in_flight: 8, record: {
                rights: {license: CC-BY-4.0}, evidence: our own server, overrides: [robots, opt_out]}}}}}
"""


def picture(seed: int) -> bytes:
    data = io.BytesIO()
    draw = np.random.default_rng(seed).integers(0, 255, (4, 4, 3), dtype=np.uint8)
    Image.fromarray(draw).resize((32, 32)).save(data, "JPEG")
    return data.getvalue()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        number = int(self.path.strip("/").partition(".")[0])
        body, status = picture(number), 200
        if number % 5 == 0:
            body, status = {0: (b"", 404), 1: (b"<html>no</html>", 200), 2: (b"", 403)}[number // 5 % 3]
        self.send_response(status)
        self.send_header("Content-Type", "image/jpeg")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


def serve(port: int) -> None:
    http.server.ThreadingHTTPServer(("127.0.0.1", port), _Handler).serve_forever()


def peak_bytes(pid: int) -> int:
    """VmHWM of a process, 0 when it is gone."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def crawl(count: int, port: int) -> None:
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        (folder / "pipelines.yaml").write_text(SPEC)
        rows = {
            "url": [f"http://127.0.0.1:{port}/{number}.jpg" for number in range(count)],
            "text": [f"Picture number {number} of a lesion of the skin." for number in range(count)],
        }
        pl.DataFrame(rows).write_parquet(folder / "urls.parquet")
        began = time.monotonic()
        command = [str(MEDLOOM), "run", "list", "--serial", "--json"]
        run = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
        most = 0
        while run.poll() is None:
            most = max(most, peak_bytes(run.pid))
            time.sleep(0.2)
        seconds = time.monotonic() - began
        out = run.communicate()[0]
        assert run.returncode == 0, out
        accepted = sum(pl.read_parquet(path).height for path in folder.glob("out/urls/parts/*.parquet"))
        rejected = sum(pl.read_parquet(path).height for path in folder.glob("out/urls/rejects/*.parquet"))
        assert accepted + rejected == count, (accepted, rejected, json.loads(out))
        print(
            f"{count} urls: {accepted} rows, {rejected} rejects, {seconds:.0f} s, peak {most / 2**20:.0f} MiB",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--urls", type=int, nargs="+", default=[10_000, 100_000])
    options = parser.parse_args()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(port,), daemon=True)
    server.start()
    time.sleep(2)
    try:
        for count in options.urls:
            crawl(count, port)
    finally:
        server.terminate()


if __name__ == "__main__":
    main()
