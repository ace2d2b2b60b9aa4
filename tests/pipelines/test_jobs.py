"""Builds and jobs: what is restarted, what is made visible, and what is never thrown away."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


def test_the_last_unit_is_done_and_the_commit_is_not(toy: Any) -> None:
    toy.words(a="one; two", b="three; five; six", c="four")
    (toy.folder / "trip").touch()
    killed = toy.process("run", "toy", "--serial", "--set", "bundle.fail_commit=trip", rc=9)
    assert "say: done" in killed.stderr
    assert len(list(toy.root.glob("bundle/units/*.json"))) == 2
    assert not (toy.root / "bundle/index.json").exists()
    (toy.folder / "trip").unlink()
    report = toy.go("bundle.fail_commit=trip")
    assert report.done == {"words": 0, "say": 0, "bundle": 0, "learn": 1, "count": 1}
    before = toy.snapshot()
    other = toy.copy("undisturbed")
    other.go("bundle.fail_commit=trip")
    assert other.snapshot() == before


def test_units_that_are_no_more_are_gone_before_a_build_is_complete(done: Any) -> None:
    (done.folder / "words/a.txt").unlink()
    done.go()
    (done.folder / "words/b.txt").unlink()
    (done.folder / "trip").touch()
    # dies in the commit: the records of units that are no more still lie there
    done.process("run", "toy", "--serial", "--set", "bundle.fail_commit=trip", rc=9)
    (done.folder / "trip").unlink()
    done.go()
    assert json.loads((done.root / "bundle/index.json").read_text())[0][0] == "bundles/bundle-000.txt"
    assert [path.name for path in (done.root / "bundle/units").iterdir()] == ["bundle-000.json"]


def checkpoints(folder: Path) -> dict[str, float]:
    return {path.name: json.loads(path.read_text())["rate"] for path in sorted(folder.glob("checkpoints/*.json"))}


def test_a_job_goes_on_from_what_it_saved(toy: Any) -> None:
    toy.words(a="one")
    (toy.folder / "trip").touch()
    steps = ("--set", "learn.steps=6", "--set", "learn.stop_at=trip")
    toy.process("run", "toy", "--serial", *steps, rc=9)
    first = json.loads((toy.root / "learn/checkpoints/3.json").read_text())["pid"]
    (toy.folder / "trip").unlink()
    toy.process("run", "toy", "--serial", *steps)
    pids = [json.loads((toy.root / f"learn/checkpoints/{i}.json").read_text())["pid"] for i in range(1, 7)]
    assert pids[:3] == [first] * 3
    assert first not in pids[3:]


def test_checkpoints_of_another_configuration_are_set_aside_and_none_is_lost(done: Any) -> None:
    assert checkpoints(done.root / "learn") == dict.fromkeys(("1.json", "2.json", "3.json"), 0.1)
    for rate in (0.2, 0.3):
        said = done.run("--set", f"learn.rate={rate}").stderr
        assert "learn: begun anew; what an earlier run saved is kept in .stale/learn-" in said
        assert set(checkpoints(done.root / "learn").values()) == {rate}
    done.go("learn.rate=0.3", force=("learn",))
    kept = sorted((done.root / ".stale").iterdir())
    assert sorted(max(checkpoints(folder).values()) for folder in kept) == [0.1, 0.2, 0.3]


def test_a_run_that_was_set_aside_is_gone_on_with_once_its_options_are_back(toy: Any) -> None:
    """Days of training are not to be begun again, for an option that was changed by mistake."""
    toy.words(a="one")
    (toy.folder / "trip").touch()
    steps = ("--set", "learn.steps=6", "--set", "learn.stop_at=trip")
    toy.process("run", "toy", "--serial", *steps, rc=9)
    first = json.loads((toy.root / "learn/checkpoints/3.json").read_text())["pid"]
    toy.process("run", "toy", "--serial", *steps, "--set", "learn.rate=0.5", rc=9)
    (toy.folder / "trip").unlink()
    said = toy.process("run", "toy", "--serial", *steps).stderr
    assert "learn: goes on from what was kept in .stale/learn-" in said
    pids = [json.loads((toy.root / f"learn/checkpoints/{i}.json").read_text())["pid"] for i in range(1, 7)]
    assert pids[:3] == [first] * 3
    assert first not in pids[3:]
    (kept,) = (toy.root / ".stale").iterdir()
    assert set(checkpoints(kept).values()) == {0.5}
    toy.go("learn.steps=6", "learn.stop_at=trip", force=("learn",))  # this one begins anew, whatever is kept
    assert first not in [json.loads(path.read_text())["pid"] for path in toy.root.glob("learn/checkpoints/*.json")]


def test_a_forced_job_begins_anew(done: Any) -> None:
    before = json.loads((done.root / "learn/checkpoints/1.json").read_text())
    (done.root / "learn/checkpoints/1.json").write_text(json.dumps({**before, "mark": True}))
    done.go(force=("learn",))
    assert "mark" not in (done.root / "learn/checkpoints/1.json").read_text()
    assert len(list((done.root / ".stale").iterdir())) == 1


@pytest.mark.long
def test_a_forced_job_that_dies_is_gone_on_with_and_not_begun_again(done: Any) -> None:
    (done.folder / "trip").write_text("once")
    done.process("run", "toy", "--force", "learn", "--set", "learn.stop_at=trip", "--workers", "1")
    first, *others = [json.loads((done.root / f"learn/checkpoints/{i}.json").read_text())["pid"] for i in (1, 2, 3)]
    assert first not in others  # another worker went on from what the first had saved
    assert len(list((done.root / ".stale").iterdir())) == 1  # what was there before the force, and no more
