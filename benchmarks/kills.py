"""Kills the shard stage of the demo at random moments, runs the same command again, and compares every byte.

Usage: python benchmarks/kills.py [--kills 5] [--seed 0]
Prints byte-identical resumes / kills for the serial runner and for local Ray with one and with two workers, and how
long processes of a killed run lived on. Needs what `make demo` installs.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
MEDLOOM = str(Path(sys.executable).with_name("medloom"))
MODES = {"serial": ["--serial"], "ray, 1 worker": ["--workers", "1"], "ray, 2 workers": ["--workers", "2"]}


def digests(root: Path) -> dict[str, str]:
    """SHA-256 of every shard and of the index."""
    files = sorted([*(root / "pack").glob("*/*.tar"), root / "pack" / "index.json"])
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def descendants(marker: str) -> list[int]:
    """Processes whose environment holds `marker`; so children of a killed run are found, too."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                if marker.encode() in (folder / "environ").read_bytes():
                    found.append(int(folder.name))
            except OSError:
                continue
    return found


def run(folder: Path, until: str, mode: list[str], marker: str) -> subprocess.Popen[bytes]:
    """`medloom run demo --until STAGE` in `folder`."""
    environment = {**os.environ, "MEDLOOM_BENCHMARK": marker}
    command = [MEDLOOM, "run", "demo", "--until", until, *mode]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=quiet, stderr=quiet, start_new_session=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        spec = (HERE / "pipelines.yaml").read_text().replace("root: data/demo", "root: root")
        (folder / "pipelines.yaml").write_text(spec)
        shutil.copytree(HERE / "demo", folder / "demo")
        assert run(folder, "caption", ["--serial"], "prepare").wait() == 0
        shutil.copytree(folder / "root", folder / "prepared")
        for name, mode in MODES.items():
            whole, same, moments, lived = None, 0, [], 0.0
            for i in range(options.kills + 1):
                shutil.rmtree(folder / "root")
                shutil.copytree(folder / "prepared", folder / "root")
                marker = f"{folder.name}-{len(name)}-{i}"
                started = time.monotonic()
                process = run(folder, "pack", mode, marker)
                if i == 0:
                    assert process.wait() == 0
                    whole, seconds = digests(folder / "root"), time.monotonic() - started
                    continue
                moment = draw.uniform(0.2, seconds)
                time.sleep(moment)
                process.send_signal(signal.SIGKILL)
                process.wait()
                killed = time.monotonic()
                assert run(folder, "pack", mode, f"{marker}-again").wait() == 0
                same += digests(folder / "root") == whole
                while descendants(marker) and time.monotonic() - killed < 120:
                    time.sleep(0.2)
                lived = max(lived, time.monotonic() - killed)
                moments.append(f"{moment:.1f}")
                assert not descendants(marker), f"{name}: processes of a killed run are alive after two minutes"
            print(
                f"{name}: {len(whole or {}) - 1} shards, undisturbed {seconds:.1f} s; "
                f"killed after {', '.join(moments)} s; "
                f"byte-identical resumes {same}/{options.kills}; last process gone {lived:.1f} s after the kill"
            )
            if same != options.kills:
                raise SystemExit(1)


if __name__ == "__main__":
    main()
