"""A process that dies or a disk that errs at any write, fsync, rename or removal: the next run gives the same bytes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HARNESS = Path(__file__).with_name("crash_harness.py")
MORE = "import runpy, sys\nfrom pipelines.records import StageFolder\n"
AGAIN = "sys.argv[0] = 'crash_harness.py'\nrunpy.run_path(sys.argv.pop(1), run_name='__main__')\n"


def tried(toy: Any, mode: str, override: str, first: int, step: int, sabotage: str = "") -> dict[str, Any]:
    """What the harness found; `sabotage` is code that breaks the runner first."""
    code = MORE + sabotage + AGAIN
    arguments = [sys.executable, "-P", "-c", code, HARNESS, toy.folder, mode, override, str(first), str(step)]
    done = subprocess.run(arguments, cwd=toy.folder, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
def small(toy: Any) -> Any:
    toy.words(a="one; two; bad", b="three")
    text = (toy.folder / "pipelines.yaml").read_text()
    text = text.replace("from: [say]}", "from: [say], with: {size: 2}}")  # two bundles
    toy.write("".join(line for line in text.splitlines(keepends=True) if "Count" not in line))
    return toy


@pytest.mark.parametrize("mode", ["exit", "error"])
@pytest.mark.long
def test_the_first_run_fails_anywhere(small: Any, mode: str) -> None:
    found = tried(small, mode, "", 2 if mode == "exit" else 5, 11)
    assert found["bad"] == []
    assert found["tried"] >= 10


@pytest.mark.long
def test_a_changed_option_is_taken_back_after_the_run_failed_anywhere(small: Any) -> None:
    """What the failed run overwrote has the size of what was there, so that only the records can tell them apart."""
    small.go()
    found = tried(small, "exit", "say.word=A drawing on", 3, 9)
    assert found["bad"] == []
    assert found["tried"] >= 10


@pytest.mark.long
@pytest.mark.parametrize("broken", ["forget = lambda self, unit: None", "reopen = lambda self: None"])
def test_the_harness_would_see_a_record_that_vouches_for_other_bytes(small: Any, broken: str) -> None:
    small.go()
    found = tried(small, "exit", "say.word=A drawing on", 55, 21, f"StageFolder.{broken}\n")
    assert any(name.startswith("bundle/") for case in found["bad"] for name in case["differ"])
