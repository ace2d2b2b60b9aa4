"""`--units I/N`: slices of a run, one after another or at once, give what one run gives."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pipelines.cli import app

STAGES = """\
      words: {use: "toy_stages:Words", with: {path: words}}
      more: {use: "toy_stages:Words", with: {path: words, source: more}}
      say: {use: "toy_stages:Say", from: [words, more]}
      bundle: {use: "toy_stages:Bundle", from: [say]}
      other: {use: "toy_stages:Bundle", from: [say], with: {size: 2}}
      learn: {use: "toy_stages:Learn", from: [bundle]}
      count: {use: "toy_stages:Count", from: [say, learn, other]}
"""


@pytest.fixture
def wide(toy: Any) -> Any:
    """Two branches that part behind a stage and meet again."""
    toy.write((toy.folder / "pipelines.yaml").read_text().split("      words:")[0] + STAGES)
    toy.words(**{f"f{i}": f"w{i}; bad; v{i}" for i in range(7)})
    return toy


@pytest.fixture
def undisturbed(wide: Any) -> dict[str, Any]:
    other = wide.copy("undisturbed")
    other.go()
    snapshot: dict[str, Any] = other.snapshot()
    return snapshot


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_one_after_another(wide: Any, undisturbed: dict[str, Any], order: tuple[int, ...]) -> None:
    reports = [wide.go(part=(i, 3)) for i in order]
    assert [bool(report.waiting) for report in reports] == [True, True, False]
    assert all(report.done["say"] for report in reports)
    assert sum(report.done["say"] for report in reports) == 14  # no unit twice
    assert wide.snapshot() == undisturbed


def test_at_once(wide: Any, undisturbed: dict[str, Any]) -> None:
    runs = [wide.start("run", "toy", "--units", f"{i}/4", "--set", "words.pause_s=0.02", "--json") for i in range(1, 5)]
    ends = [(run.communicate(timeout=100), run.returncode) for run in runs]
    assert [code for _, code in ends] == [0] * 4, ends
    done = [json.loads(out)["done"] for (out, _), _ in ends]
    for stage in ("learn", "count"):
        assert sum(report.get(stage, 0) for report in done) == 1
    assert wide.snapshot() == undisturbed
    assert not (wide.root / ".work").exists()


def test_a_slice_comes_back_after_a_failure(wide: Any, undisturbed: dict[str, Any]) -> None:
    good = (wide.folder / "words/f3.txt").read_text()
    stat = (wide.folder / "words/f3.txt").stat()
    wide.words(f3="bug")
    reports = [wide.go(part=(i, 2)) for i in (0, 1)]
    assert sorted(itertools.chain(*(report.failed for report in reports))) == ["more", "words"]
    assert all(report.waiting for report in reports)
    assert len(list(wide.root.glob("errors/*"))) == 2
    wide.words(f3=good)
    os.utime(wide.folder / "words/f3.txt", ns=(stat.st_mtime_ns,) * 2)
    for i in (0, 1):
        wide.go(part=(i, 2))
    for path in wide.root.glob("errors/*"):
        path.unlink()
    assert wide.snapshot() == undisturbed


def test_units_of_a_build_are_shared_among_the_slices_that_are_alive(wide: Any, undisturbed: dict[str, Any]) -> None:
    """Also by one that has done its part of the sources long before: it waits while another is busy with them."""
    slow = ["--set", "bundle.pause_s=0.4", "--set", "more.pause_s=0.05", "--json"]
    runs = [wide.start("run", "toy", "--units", f"{i}/3", *slow) for i in (1, 2, 3)]
    ends = [(run.communicate(timeout=100), run.returncode) for run in runs]
    assert [code for _, code in ends] == [0] * 3, ends
    done = [json.loads(out)["done"].get("bundle", 0) for (out, _), _ in ends]
    assert sum(done) == 10  # none twice
    assert sorted(done)[1] >= 2  # and two of them did some
    assert wide.snapshot() == undisturbed


@pytest.mark.long
def test_a_unit_whose_slice_is_killed_is_done_by_another(wide: Any, undisturbed: dict[str, Any]) -> None:
    for i in (1, 2):
        wide.process("run", "toy", "--units", f"{i}/2", "--until", "say")
    slow = ["--set", "bundle.pause_s=1.5"]
    with wide.start("run", "toy", "--units", "1/2", *slow) as one:
        while not (wide.root / ".work/.slice-1-of-2/.here/bundle").is_dir():
            assert one.poll() is None
        with wide.start("run", "toy", "--units", "2/2", *slow) as two:
            while len(list(wide.root.glob("bundle/units/*.json"))) < 2:
                assert two.poll() is None
            one.kill()
            one.communicate()
            _, err = two.communicate(timeout=100)
    assert two.returncode == 0, err
    wide.go()
    assert wide.snapshot() == undisturbed


def test_a_slice_does_the_unit_of_a_build_whose_file_is_gone(wide: Any, undisturbed: dict[str, Any]) -> None:
    """Its record says that it was done, and so would another slice's."""
    wide.go()
    (wide.root / "bundle/bundles/bundle-000.txt").unlink()
    assert wide.go(part=(1, 2)).done["bundle"] == 1
    assert wide.snapshot() == undisturbed


def test_a_slice_waits_for_the_lock_of_a_stage(wide: Any) -> None:
    """Another slice looks at every stage for a while, and goes away without finishing any."""
    with contextlib.ExitStack() as held:
        wide.root.mkdir()
        for name in ("words", "more", "say", "bundle", "other"):
            handle = held.enter_context((wide.root / f".stage-{name}").open("a"))
            fcntl.flock(handle, fcntl.LOCK_EX)
        threading.Timer(1.0, held.pop_all().close).start()
        report = wide.go(part=(0, 1))
    assert report.waiting == []
    assert report.failed == {}


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "1/0", "a/b", "-1/2", "²/3", "1/2/3", ""])
def test_what_is_no_slice(text: str) -> None:
    result = CliRunner().invoke(app, ["run", "toy", f"--units={text}"])
    assert result.exit_code == 2
    assert "is not I/N with 1 <= I <= N, such as 3/16" in result.output


def test_slices_of_another_number_and_the_same_slice_twice_are_refused(wide: Any) -> None:
    with wide.start("run", "toy", "--units", "1/2", "--set", "words.pause_s=0.5") as slow:
        try:
            while not list((wide.root / ".work").glob("words-*")):
                assert slow.poll() is None
            refused = wide.medloom("run", "toy", "--units", "1/3", rc=1).stderr
            assert (
                refused == f"medloom: slices of 2 work on {wide.root}, and this is one of slices of 3; wait for them\n"
            )
            assert "slice 1/2 of" in wide.medloom("run", "toy", "--units", "1/2", rc=1).stderr
            assert "another run (slices of 2) works on" in wide.run(rc=1).stderr
        finally:
            slow.kill()
    assert wide.go().failed == {}  # what the killed slice left is no obstacle
    assert not [path for path in Path(wide.root).rglob("*") if ".tmp-" in path.name]
