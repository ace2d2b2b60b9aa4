"""A user's folder with stages of their own, and the command run on it as a user would.

The folder also holds `training/`, `eval/` and `ingest/` that raise when they are imported: whatever a test runs, the
user's packages of our names must never be taken for ours.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipelines.cli import main
from pipelines.pool import SerialPool
from pipelines.run import RunOptions, RunReport
from pipelines.run import run as run_pipeline
from pipelines.screen import Screen
from pipelines.spec import PipelineSpec, load

COMMAND = Path(sys.executable).with_name("medloom")
STAGES = Path(__file__).with_name("toy_stages.py")
snapshot = runpy.run_path(str(Path(__file__).with_name("crash_harness.py")))["snapshot"]

PIPELINES = """\
version: 1
pipelines:
  toy:
    root: out
    key: {public: toy}
    stages:
      words: {use: "toy_stages:Words", with: {path: words}}
      say: {use: "toy_stages:Say", from: [words]}
      bundle: {use: "toy_stages:Bundle", from: [say]}
      learn: {use: "toy_stages:Learn", from: [bundle]}
      count: {use: "toy_stages:Count", from: [say, learn]}
"""


@dataclass
class Toy:
    """The user's folder."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "out"

    def write(self, text: str) -> None:
        (self.folder / "pipelines.yaml").write_text(text)

    def words(self, **files: str) -> None:
        """Write text files of the source; items are parted by `;`."""
        (self.folder / "words").mkdir(exist_ok=True)
        for name, text in files.items():
            (self.folder / "words" / f"{name}.txt").write_text(text.replace("; ", "\n"))

    def spec(self, *overrides: str) -> PipelineSpec:
        return load(self.folder / "pipelines.yaml", "toy", overrides)

    def start(self, *arguments: str, command: Path = COMMAND, **more: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(command), *arguments],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **more,
        )

    def process(self, *arguments: str, rc: int = 0, **more: Any) -> subprocess.CompletedProcess[str]:
        """Run the command in a process of its own and check its exit code."""
        with self.start(*arguments, **more) as process:
            try:
                out, err = process.communicate(timeout=150)
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        assert process.returncode == rc, f"exit code {process.returncode}, not {rc}\n{out}\n{err}"
        return subprocess.CompletedProcess(arguments, rc, out, err)

    def medloom(self, *arguments: str, rc: int = 0) -> subprocess.CompletedProcess[str]:
        """The same by the command's entry point, in this process: as a user sees it, and a second faster."""
        out, err = io.StringIO(), io.StringIO()
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        command, sys.argv = sys.argv, ["medloom", *arguments]
        sys.modules.pop("toy_stages", None)
        try:
            with contextlib.chdir(self.folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                main()
        except SystemExit as end:
            code = end.code
        finally:
            sys.argv = command
            for number, handler in handlers.items():
                signal.signal(number, handler)
        done = subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())  # type: ignore[arg-type]
        assert code == rc, f"exit code {code}, not {rc}\n{done.stdout}\n{done.stderr}"
        return done

    def run(self, *arguments: str, rc: int = 0) -> subprocess.CompletedProcess[str]:
        """`medloom run toy --serial` with more arguments."""
        return self.medloom("run", "toy", "--serial", *arguments, rc=rc)

    def go(self, *overrides: str, **options: Any) -> RunReport:
        """The same in this process; returns what was done."""
        sys.modules.pop("toy_stages", None)
        return run_pipeline(self.spec(*overrides), RunOptions(**options), SerialPool, Screen(quiet=True))

    def plan(self) -> dict[str, Any]:
        plan: dict[str, Any] = json.loads(self.medloom("plan", "toy", "--json").stdout)
        return plan

    def stale(self) -> dict[str, dict[str, str]]:
        """Units that would run and why, for stages that have any."""
        return {name: stage["stale"] for name, stage in self.plan().items() if stage["stale"]}

    def snapshot(self) -> dict[str, Any]:
        """All files that a run leaves, by path; seconds and what seals them left out of records."""
        found: dict[str, Any] = snapshot(self.root)
        return found

    def copy(self, name: str) -> Toy:
        """The same folder without what was run, at another place."""
        other = self.folder.with_name(name)
        shutil.copytree(self.folder, other, ignore=shutil.ignore_patterns("out", "__pycache__"))
        for path in self.folder.glob("words/*"):
            os.utime(other / "words" / path.name, ns=(path.stat().st_mtime_ns,) * 2)
        return Toy(other)


def make(folder: Path) -> Toy:
    folder.mkdir()
    shutil.copy(STAGES, folder)
    for name in ("training", "eval", "ingest"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(
            f"raise RuntimeError('the user has a package {name} of their own')\n"
        )
    toy = Toy(folder)
    toy.write(PIPELINES)
    return toy


def forget(folder: Path) -> None:
    """Undo what planning in this process does to it: the user's folder on the path, the user's module imported."""
    sys.modules.pop("toy_stages", None)
    sys.path[:] = [path for path in sys.path if not path.startswith(str(folder))]


@pytest.fixture
def toy(tmp_path: Path) -> Iterator[Toy]:
    yield make(tmp_path / "home")
    forget(tmp_path)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """A folder in which everything was run, to be copied."""
    folder = tmp_path_factory.mktemp("finished")
    toy = make(folder / "home")
    toy.words(a="one; two", b="three", c="four")
    toy.go()
    forget(folder)
    return toy


@pytest.fixture
def done(finished: Toy, tmp_path: Path) -> Iterator[Toy]:
    """A folder in which everything was run."""
    shutil.copytree(finished.folder, tmp_path / "home")
    yield Toy(tmp_path / "home")
    forget(tmp_path)
