"""Kills the shard stage of the demo at random moments, runs the same command again, and compares every byte.

Usage: python benchmarks/kills.py [--kills 5] [--seed 0]
Prints byte-identical resumes / kills for the serial runner and for local Ray with one and with two workers, for a first
build and for a revision of it (every caption changed), and how long processes of a killed run lived on. A kill counts
only where the stage was at work: a first unit had begun, and `index.json` was not yet that of the finished stage.
Needs what `make demo` installs.
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
SAID_ANEW = """
from contextlib import contextmanager
from dataclasses import dataclass, replace
from shards.manifest import frame, read_part, samples
from shards.stage import Contract, Kind, Result


@dataclass(frozen=True, kw_only=True)
class SaidAnew:
    contract = Contract(takes=(Kind.MANIFEST,), gives=Kind.MANIFEST, version=1)
    word: str = ""

    @contextmanager
    def open(self, ctx):
        yield self

    def process(self, unit):
        rows = []
        for one in samples(read_part(unit.payload["part"])):
            said = tuple(replace(caption, text=f"{self.word} {caption.text}".strip()) for caption in one.captions)
            rows.append(replace(one, captions=said))
        return Result(rows=frame(rows), offered=len(rows), accepted=len(rows))
"""
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


def wait_for_work(root: Path, process: subprocess.Popen[bytes]) -> None:
    """Until a unit of the shard stage has its folder for temporary files; RuntimeError when the run ends before."""
    while not any((root / ".work").glob("pack-*")):
        if process.poll() is not None:
            raise RuntimeError("the run ended and no unit of the shard stage was seen at work")
        time.sleep(0.002)


def is_committed(index: Path, before: bytes) -> bool:
    """Whether the stage has made its shards visible."""
    return index.exists() and index.read_bytes() != before


def prepare(folder: Path) -> None:
    """The demo with a stage before the shards that can change all captions; everything up to it is run."""
    spec = (HERE / "pipelines.yaml").read_text().replace("root: data/demo", "root: root")
    head, pack = spec.split("      pack:\n", 1)
    anew = '      anew: {use: "said_anew:SaidAnew", from: [caption]}\n'
    (folder / "pipelines.yaml").write_text(
        f"{head}{anew}      pack:\n{pack.replace('from: [caption]', 'from: [anew]', 1)}"
    )
    (folder / "said_anew.py").write_text(SAID_ANEW)
    shutil.copytree(HERE / "demo", folder / "demo")
    assert run(folder, "anew", ["--serial"], "prepare").wait() == 0


def again(folder: Path, prepared: str) -> None:
    """Put the root back as it was."""
    shutil.rmtree(folder / "root")
    shutil.copytree(folder / prepared, folder / "root")


def killed(folder: Path, prepared: str, mode: list[str], kills: int, draw: random.Random) -> str:
    """Kill the stage `kills` times while it works, resume, and compare; what came of it in words."""
    again(folder, prepared)
    process = run(folder, "pack", mode, "undisturbed")
    wait_for_work(folder / "root", process)
    started = time.monotonic()
    index = folder / "root/pack/index.json"
    before = index.read_bytes() if index.exists() else b""
    while process.poll() is None and not is_committed(index, before):
        time.sleep(0.002)
    seconds = time.monotonic() - started
    assert process.wait() == 0
    whole = digests(folder / "root")
    same, late, lived = 0, 0, 0.0
    moments: list[str] = []
    while len(moments) < kills:
        again(folder, prepared)
        marker = f"{folder.name}-{prepared}-{len(mode)}-{len(moments)}-{late}"
        process = run(folder, "pack", mode, marker)
        wait_for_work(folder / "root", process)
        moment = draw.uniform(0.0, seconds)
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        process.wait()
        ended = time.monotonic()
        at_work = not is_committed(index, before)
        assert run(folder, "pack", mode, f"{marker}-again").wait() == 0
        alike = digests(folder / "root") == whole
        while descendants(marker) and time.monotonic() - ended < 120:
            time.sleep(0.2)
        assert not descendants(marker), f"{mode}: processes of a killed run are alive after two minutes"
        if not at_work:  # the stage was committed before the kill came: it proves nothing, but it must be alike too
            late += 1
            assert alike
            assert late < 10 * kills, "the stage is over too soon to be killed: use more data"
            continue
        same += alike
        lived = max(lived, time.monotonic() - ended)
        moments.append(f"{moment:.2f}")
    if same != kills:
        raise SystemExit(f"{mode}, from {prepared}: byte-identical resumes {same}/{kills}")
    return (
        f"{len(whole) - 1} shards in {seconds:.1f} s of the stage; killed {', '.join(moments)} s into it ({late} kills "
        f"came too late and are not counted); byte-identical resumes {same}/{kills}; last process gone within "
        f"{lived:.1f} s of the kill, the resume included"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        prepare(folder)
        shutil.copytree(folder / "root", folder / "captioned")
        assert run(folder, "pack", ["--serial"], "prepare").wait() == 0
        shutil.copytree(folder / "root", folder / "packed")
        for prepared, word in (("captioned", ""), ("packed", "Anew")):
            more = ["--set", f"anew.word={word}"] if word else []
            if word:  # the captions are changed and the shards are not
                again(folder, "packed")
                assert run(folder, "anew", ["--serial", *more], "prepare").wait() == 0
                shutil.rmtree(folder / "packed")
                shutil.copytree(folder / "root", folder / "packed")
            for name, mode in MODES.items():
                what = "revision" if word else "first build"
                print(f"{what}, {name}: {killed(folder, prepared, [*mode, *more], options.kills, draw)}", flush=True)


if __name__ == "__main__":
    main()
