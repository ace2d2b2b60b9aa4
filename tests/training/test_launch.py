"""What a run started ends with it, also what leads a session of its own and does not listen."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from training.descendants import Found, descendants, kill
from training.launch import end

# as torchrun does: a worker with a session of its own, which has a child and does not listen
LAUNCHER = """
import signal, subprocess, sys, time
worker = '''
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], start_new_session=True)
print(child.pid, flush=True)
time.sleep(300)
'''
process = subprocess.Popen([sys.executable, "-c", worker], start_new_session=True, stdout=subprocess.PIPE, text=True)
print(process.pid, process.stdout.readline().strip(), flush=True)
if sys.argv[1] == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(300)
"""


def runs(number: int) -> bool:
    """A dead process that nobody has looked at yet does not run."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="needs /proc")
@pytest.mark.parametrize("launcher", ["listens", "deaf", "died"])
def test_nothing_is_left_of_a_run_whose_workers_do_not_listen(launcher: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, launcher], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    workers = [int(number) for number in process.stdout.readline().split()]
    assert process.stdout.readline() == "ready\n"
    assert len(workers) == 2
    assert all(runs(number) for number in workers)
    seen = descendants(process.pid)
    assert {each.number for each in seen} == set(workers)
    if launcher == "died":
        process.kill()
        process.wait()
    begun = time.monotonic()
    end(process, seen if launcher == "died" else set(), 0.5)
    until = time.monotonic() + 10
    while any(runs(number) for number in workers) and time.monotonic() < until:
        time.sleep(0.01)
    left = [number for number in workers if runs(number)]
    kill(seen)
    process.stdout.close()
    assert not left
    assert process.returncode is not None
    assert time.monotonic() - begun < 10


def test_a_later_process_of_the_same_number_is_left_alone() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        kill([Found(process.pid, started=-1)])
        assert process.poll() is None
        (itself,) = [found for found in descendants(os.getpid()) if found.number == process.pid]
        kill([itself])
        assert process.wait(10) == -signal.SIGKILL
