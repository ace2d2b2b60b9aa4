"""Captions/s through the caption stage from a server of fixed latency, over what that many requests in flight can give.

Usage: python benchmarks/caption_server.py [--in-flight 32] [--latency 0.5] [--pictures 2000] [--pixels 128]
The server (tests/captioning/chat_server.py) runs in a process of its own and answers when the latency is over. Besides
the pictures' own requests there are those about known pictures and those that count tokens: only captions are counted.
A first unit of WARM pictures, which is not timed, loads what a worker loads once.
"""

from __future__ import annotations

import argparse
import logging
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from noise_films import noise_films

from captioning.fill import FillCaptions
from captioning.server_engine import ServerEngine
from captioning.vlm import ModelRights
from shards.manifest import frame, write_part
from shards.stage import Context, Unit

SERVER = Path(__file__).resolve().parents[1] / "tests/captioning/chat_server.py"


WARM = 64


def make_part(folder: Path, first: int, stop: int, pixels: int) -> Unit:
    """A unit of the pictures `first` to `stop`."""
    part = folder / f"part-{first}.parquet"
    write_part(frame(noise_films(folder, first, stop, pixels)), part)
    return Unit(id=part.stem, payload={"part": str(part)})


def start_server(folder: Path, latency_s: float) -> tuple[subprocess.Popen[bytes], str]:
    """The server's process and its url."""
    port_file = folder / "url"
    process = subprocess.Popen([sys.executable, str(SERVER), str(port_file), str(latency_s)])
    while not port_file.exists():
        assert process.poll() is None, "the server did not start"
        time.sleep(0.05)
    return process, port_file.read_text()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--in-flight", type=int, default=32)
    parser.add_argument("--latency", type=float, default=0.5)
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--pixels", type=int, default=128)
    options = parser.parse_args()
    logging.basicConfig()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        warm = make_part(folder, 0, WARM, options.pixels)
        unit = make_part(folder, WARM, WARM + options.pictures, options.pixels)
        server, url = start_server(folder, options.latency)
        try:
            engine = ServerEngine(
                kind="server",
                model="tiny-vlm",
                rights=ModelRights(license="CC0-1.0"),
                urls=(url,),
                in_flight=options.in_flight,
            )
            context = Context(root=folder, out=folder / "out", tmp=folder / "tmp", folder=folder)
            with FillCaptions(engine=engine).open(context) as worker:
                worker.process(warm)
                used = time.process_time()
                begun = time.perf_counter()
                result = worker.process(unit)
                took_s = time.perf_counter() - begun
                used_s = time.process_time() - used
        finally:
            server.terminate()
            server.wait()
    assert result.accepted == options.pictures, result.rejects[:3]
    ideal = options.in_flight / options.latency
    rate = options.pictures / took_s
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    asked = f"{options.in_flight} in flight, {options.latency:g} s each"
    print(f"{options.pictures} pictures of {options.pixels} px, {asked}")
    print(f"captions/s {rate:.1f}, ideal {ideal:.1f}, ratio {rate / ideal:.3f}")
    print(f"wall {took_s:.1f} s, processor {1000 * used_s / options.pictures:.1f} ms a caption, peak {peak:.0f} MiB")


if __name__ == "__main__":
    main()
