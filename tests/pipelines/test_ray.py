"""Ray on this machine: the same bytes as one process, whatever dies, hangs or is interrupted on the way."""

from __future__ import annotations

import json
import os
import random
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

pytestmark = pytest.mark.slow


def reasons(root: Path) -> dict[str, str]:
    frames = [pl.read_parquet(path) for path in sorted(root.glob("*/rejects/*.parquet"))]
    return {row["item"]: row["reason"] for frame in frames for row in frame.iter_rows(named=True)}


def alive(run: Any) -> list[str]:
    """Live processes of the session that `run` leads: Ray's agents hide their arguments, but nobody leaves it."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            _, _, rest = (folder / "stat").read_text(errors="replace").rpartition(")")
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if line and rest.split()[3] == str(run.pid):
            found.append(f"{folder.name}: {line[:150].strip()}")
    return found


def start(toy: Any, *arguments: str, **more: Any) -> Any:
    """`medloom run toy` on Ray."""
    return toy.start("run", "toy", *arguments, **more)


def leftovers(toy: Any) -> list[Path]:
    return [path for path in toy.root.rglob("*") if ".tmp-" in path.name or ".work" in path.parts]


def gone(run: Any, seconds: float, but: str = "\0") -> None:
    """Wait until no process of a run is left, but for those with a name."""
    until = time.monotonic() + seconds
    while left := [line for line in alive(run) if but not in line]:
        assert time.monotonic() < until, left
        time.sleep(0.2)


def wait_for(true: Any, run: Any, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < until, alive(run)
        time.sleep(0.01)


@pytest.mark.long
def test_the_driver_is_killed_at_a_random_moment_and_the_run_is_repeated(toy: Any) -> None:
    """One moment; `benchmarks/kills.py` has thirty."""
    draw = random.Random(1)
    toy.words(**{f"f{i}": "; ".join(f"w{i}-{j}" for j in range(10)) for i in range(8)})
    calm = toy.copy("calm")
    calm.go()
    with start(toy, "--set", "words.pause_s=0.01") as run:
        enough = draw.randrange(1, 20)
        wait_for(lambda: len(list(toy.root.glob("*/units/*.json"))) >= enough, run)
        time.sleep(draw.random() * 0.2)
        os.kill(run.pid, signal.SIGKILL)
        run.communicate(timeout=60)
    assert not (toy.root / "medloom.lock.json").exists()
    with start(toy) as again:
        _, err = again.communicate(timeout=200)
    assert again.returncode == 0, err
    assert toy.snapshot() == calm.snapshot()
    assert leftovers(toy) == []
    gone(run, 120)  # Ray's own agents try for a minute to report to the dead


@pytest.mark.long
def test_deaths_hangs_services_and_parity_in_one_run(toy: Any) -> None:
    """One item kills its worker and one hangs: these two are rejected, all else is what one process makes of it."""
    words = {f"f{i}": f"w{i}; bad; v{i}" for i in range(6)}
    toy.words(**words)
    text = (toy.folder / "pipelines.yaml").read_text()
    text = text.replace("with: {path: words}}", "with: {path: words}, resources: {deadline_s: 2, workers: 2}}")
    toy.write(text + '      ticket: {use: "toy_stages:Ticket", from: [words], resources: {workers: 2}}\n')
    calm = toy.copy("calm")
    calm.go()
    toy.words(f1="w1; die; v1", f4="w4; hang; v4")
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(dir="/tmp") as place:  # a short path: sockets have no long ones
        with start(toy, "--json", env={**os.environ, "RAY_TMPDIR": place}) as run:
            out, err = run.communicate(timeout=200)
        assert not list(Path(place).glob("ray/session_*/*"))  # its logs hold what decoders say of what they read
        assert Path(place, "ray").is_dir()
    assert run.returncode == 0, err
    assert err == ""  # the raylet's own lines among it
    assert json.loads(out)["failed"] == {}
    assert time.monotonic() - begun < 150  # workers are begun four times, a hang is waited for twice
    found = reasons(toy.root)
    assert found.pop("words-f1:1:die") == "worker_died"
    assert found.pop("words-f4:1:hang") == "deadline"
    assert set(found.values()) == {"corrupt"}
    assert alive(run) == []
    there, wanted = toy.snapshot(), calm.snapshot()
    same = [name for name in wanted if name.startswith(("words", "say")) and "f1" not in name and "f4" not in name]
    assert len(same) == 22
    assert {name: there[name] for name in same if "stage.json" not in name} == {
        name: wanted[name] for name in same if "stage.json" not in name
    }
    # parts do not tell that a neighbour was rejected
    assert {n: b for n, b in there.items() if "parts/" in n and "ticket" not in n} == {
        n: b for n, b in wanted.items() if "parts/" in n and "ticket" not in n
    }
    assert there["bundle/index.json"] == wanted["bundle/index.json"]
    tickets = [
        json.loads(text) for path in toy.root.glob("ticket/parts/*") for text in pl.read_parquet(path)["attributes"]
    ]
    assert sorted(ticket["ticket"] for ticket in tickets) == list(range(1, 13))  # one counter
    assert len({ticket["pid"] for ticket in tickets}) == 2  # and two workers
    assert not (toy.root / ".work").exists()


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        ("SIGINT", "gcs_server"),
        ("SIGTERM", "raylet"),
        pytest.param("SIGINT", "units", marks=pytest.mark.long),
    ],
)
def test_a_signal_ends_everything_within_ten_seconds(toy: Any, number: str, moment: str) -> None:
    """While Ray starts, and while units are at work."""
    toy.words(**{f"f{i}": "; ".join(f"w{i}-{j}" for j in range(40)) for i in range(8)})
    with start(toy, "--set", "words.pause_s=0.05") as run:
        if moment == "units":
            wait_for(lambda: list((toy.root / "words").glob("units/*.json")), run)
        else:
            wait_for(lambda: any(f"/{moment} " in line for line in alive(run)), run)
        begun = time.monotonic()
        os.killpg(run.pid, signal.Signals[number])
        time.sleep(0.2)
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGINT)  # the impatient press twice
        out, err = run.communicate(timeout=60)
        took = time.monotonic() - begun
    assert (run.returncode, out, err) == (130, "", "interrupted; run the same command to go on\n")
    assert took < 10
    assert alive(run) == []
    assert leftovers(toy) == []
    if moment == "units":
        report = toy.go()
        assert 0 < report.fresh["words"] < 8
        calm = toy.copy("calm")
        calm.go()
        assert toy.snapshot() == calm.snapshot()


@pytest.mark.long
def test_a_worker_that_cannot_start_says_why(toy: Any) -> None:
    toy.words(a="one")
    stages = toy.folder / "toy_stages.py"
    stages.write_text(
        stages.read_text() + "\nimport sys\nif 'medloom' not in sys.argv[0]:\n    raise RuntimeError('no')\n"
    )
    with start(toy) as run:
        _, err = run.communicate(timeout=200)
    assert run.returncode == 1
    assert err.startswith("medloom: no worker of stage `words` could be started: ")
    assert "RuntimeError: no" in err
    assert alive(run) == []


@pytest.mark.long
def test_a_worker_that_is_ended_for_its_memory_is_replaced(toy: Any) -> None:
    """Ray's memory monitor, here with a limit that nothing keeps, ends a worker without the words of a death."""
    toy.words(a="one")
    text = (toy.folder / "pipelines.yaml").read_text().split("      say:")[0]
    toy.write(text.replace("path: words}", "path: words, pause_s: 8}"))
    monitor = {"RAY_memory_usage_threshold": "0", "RAY_memory_monitor_refresh_ms": "5000"}
    with toy.start("run", "toy", env={**os.environ, **monitor}) as run:
        _, err = run.communicate(timeout=200)
    assert run.returncode == 0, err
    assert reasons(toy.root) == {"words-a:0:one": "worker_died"}
