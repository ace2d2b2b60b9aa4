"""A list of urls on the loopback to WebDataset shards of 1,024 px: this project against img2dataset.

    python -m venv /tmp/peer && /tmp/peer/bin/pip install img2dataset==1.47.0
    python benchmarks/url_list.py --peer /tmp/peer/bin/img2dataset [--pictures 1000] [--rounds 3]

JPEGs with a longer side of 1,100 to 2,000 px, cut from real photographs and micrographs inside installed packages, lie
on one server process with two host names over plain HTTP and over TLS. Ours: `medloom run` with a url list, curation
and packing (`square-1024`, JPEG quality 95), in two slices, one a core, as a job array does: both fetch, one curates,
both pack. Peer: img2dataset with two processes, 32 threads
each, `resize_mode=border`, quality 95, 100 pictures a shard. Both write equally many shards. Counted: wall time from
start to end of the commands, and user and system time of all their processes; the server's is not counted. Ours has to
bring every picture; how many the peer left out is told.
"""

from __future__ import annotations

import argparse
import http.server
import io
import multiprocessing
import os
import resource
import shutil
import socket
import ssl
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl
import trustme
from PIL import Image

from shards.uri import local_path

MEDLOOM = Path(sys.executable).with_name("medloom")
SOURCES = ("retina.jpg", "ihc.png", "cell.png", "coffee.png")
SHARD = 100
HOSTS = ("localhost", "127.0.0.1")
SPEC = """\
version: 1
pipelines:
  list:
    root: out
    key: {{public: benchmark}}
    stages:
      urls:
        use: "ingest.scrapers.url_list:UrlList"
        with:
          {{source: list, table: urls.parquet, caption: text, modality: XC, specialty: dermatology, web: {{
            contact: a@b.org, loopback: true, threads: 32, hosts: {{localhost: &own {{
              min_delay_s: 0, start_delay_s: 0, in_flight: 32, record: {{
                rights: {{license: CC-BY-4.0}}, evidence: our own server, overrides: [robots, opt_out]}}}},
              127.0.0.1: *own}}}}}}
      curate: {{use: "ingest.curate:Curate", from: [urls], with: {{allow_licenses: [CC-BY-4.0]}}}}
      pack:
        use: "shards.pack:PackShards"
        from: [curate]
        with: {{preset: square-1024, quality: 95, shard_samples: {shard}}}
"""


def make(folder: Path, count: int) -> None:
    """Write the pictures and the list of their urls."""
    wholes = []
    for name in SOURCES:
        with Image.open(str(local_path(f"package://skimage/data/{name}"))) as image:
            wholes.append(image.convert("RGB"))
    draw = np.random.default_rng(0)
    folder.mkdir()
    for number in range(count):
        whole = wholes[number % len(wholes)]
        side = int(draw.integers(1100, 2001))
        wide = int(side * draw.uniform(0.6, 1.0))
        left = int(draw.integers(0, whole.width // 3))
        top = int(draw.integers(0, whole.height // 3))
        box = (left, top, left + whole.width // 2, top + whole.height // 2)
        size = (side, wide) if draw.random() < 0.5 else (wide, side)
        whole.crop(box).resize(size, Image.Resampling.BICUBIC).save(folder / f"{number:05d}.jpg", quality=92)


class _Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: object) -> None:
        pass


class _Server(http.server.ThreadingHTTPServer):
    """Takes as many connections at once as both sides make: what is turned away tries again after a second or more."""

    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: a client that gave up is told by what it lacks."""


def serve(folder: Path, port: int, certificate: Path | None) -> None:
    """Serve a folder until the process is ended."""
    os.chdir(folder)
    server = _Server(("127.0.0.1", port), _Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(folder: Path, certificate: Path | None) -> Iterator[str]:
    port = free_port()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(folder, port, certificate), daemon=True)
    process.start()
    time.sleep(2)
    try:
        yield f"http{'s' if certificate else ''}://{{host}}:{port}"
    finally:
        process.terminate()
        process.join()


def timed(steps: list[list[list[str]]], folder: Path, environment: dict[str, str]) -> tuple[float, float]:
    """(wall seconds, CPU seconds of all processes) of steps, each of commands at the same time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    log = (folder / "log.txt").open("ab")
    for commands in steps:
        running = [subprocess.Popen(c, cwd=folder, env=environment, stdout=log, stderr=log) for c in commands]
        codes = [one.wait() for one in running]
        if any(codes):
            raise SystemExit((folder / "log.txt").read_text()[-3000:])
    wall = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def pictures_in(shards: list[Path]) -> int:
    """How many pictures are there; every 97th is looked at and has 1,024 px a side."""
    found = 0
    for path in shards:
        with tarfile.open(path) as tar:
            for member in tar:
                if member.name.endswith(".jpg"):
                    found += 1
                    if found % 97 == 1:
                        data = tar.extractfile(member)
                        assert data is not None
                        assert Image.open(io.BytesIO(data.read())).size == (1024, 1024)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        make(folder / "pictures", options.pictures)
        authority = trustme.CA()
        authority.cert_pem.write_to_path(folder / "ca.pem")
        authority.issue_cert(*HOSTS).private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
        environment = {**os.environ, "SSL_CERT_FILE": str(folder / "ca.pem"), "OMP_NUM_THREADS": "1"}
        for name, certificate in (("HTTP", None), ("TLS", folder / "server.pem")):
            with serving(folder / "pictures", certificate) as url:
                rows = {
                    "url": [f"{url.format(host=HOSTS[n % 2])}/{n:05d}.jpg" for n in range(options.pictures)],
                    "text": [f"Picture number {n} of a retina or of skin." for n in range(options.pictures)],
                }
                figures: dict[str, list[tuple[float, float]]] = {"medloom": [], "img2dataset": []}
                for number in range(options.rounds):
                    ours, peers = folder / f"ours-{name}-{number}", folder / f"peers-{name}-{number}"
                    for place in (ours, peers):
                        place.mkdir()
                        pl.DataFrame(rows).write_parquet(place / "urls.parquet")
                    (ours / "pipelines.yaml").write_text(SPEC.format(shard=SHARD))
                    run = [str(MEDLOOM), "run", "list"]
                    fetch = [[*run, "--until", "urls", "--units", f"{i}/2"] for i in (1, 2)]
                    curate = [[*run, "--until", "curate", "--serial"]]
                    pack = [[*run, "--units", f"{i}/2"] for i in (1, 2)]
                    figures["medloom"].append(timed([fetch, curate, pack], ours, environment))
                    if pictures_in(sorted(ours.glob("out/pack/*/*.tar"))) != options.pictures:
                        raise SystemExit((ours / "log.txt").read_text()[-3000:])
                    peer = [
                        *(str(options.peer), "--url_list", "urls.parquet", "--input_format", "parquet"),
                        *("--url_col", "url", "--caption_col", "text", "--output_folder", "out"),
                        *("--output_format", "webdataset", "--image_size", "1024", "--resize_mode", "border"),
                        *("--encode_quality", "95", "--processes_count", "2", "--thread_count", "32"),
                        *("--number_sample_per_shard", str(SHARD), "--enable_wandb", "False"),
                    ]
                    figures["img2dataset"].append(timed([[peer]], peers, environment))
                    left_out = options.pictures - pictures_in(sorted(peers.glob("out/*.tar")))
                    if left_out:
                        print(f"{name}, round {number}: img2dataset left out {left_out} pictures", flush=True)
                    shutil.rmtree(ours)
                    shutil.rmtree(peers)
                for who, found in figures.items():
                    wall, cpu = min(found)[0], min(one for _, one in found)
                    rate, each = options.pictures / wall, 1000 * cpu / options.pictures
                    print(f"{name}, {who}: {wall:.1f} s, {rate:.0f} images/s, {each:.1f} CPU-ms an image", flush=True)


if __name__ == "__main__":
    main()
