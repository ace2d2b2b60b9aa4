"""What could not be read is tried again, once a run, by a unit of any shape; what a commit wrote is missed."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from pipelines.plan import Planner
from pipelines.records import RECORD_VERSION, StageFolder, _sealed
from shards.atomic import write_json
from shards.reasons import Reason

WHY = "1 item failed for a reason that may pass; it is tried again"


def whys(toy: Any, *overrides: str, **more: Any) -> dict[str, str]:
    plans = Planner(toy.spec(*overrides), b"toy", **more).all()
    return {f"{name}/{unit.unit.id}": unit.why for name, plan in plans.items() for unit in plan.stale}


def lose(toy: Any, stage: str, unit: str, reason: str) -> None:
    """Let the record of a unit say that it lost an item."""
    folder = StageFolder(toy.root, stage)
    record = dataclasses.replace(folder.records()[unit], rejected={reason: 1})
    whole = _sealed({"record_version": RECORD_VERSION, **dataclasses.asdict(record)})
    write_json(folder.units / f"{unit}.json", whole)


def test_a_file_that_comes_back_is_taken_in_by_the_next_run(toy: Any) -> None:
    toy.words(a="one; gone two", b="three")
    first = toy.run()
    assert "2 of 3 accepted (1 missing_file)" in first.stderr
    assert whys(toy) == {"words/words-a": WHY}
    for _ in range(2):  # still missing: one try a run, nothing behind it moves, and the run says so
        again = toy.run()
        assert f"words: {WHY}" in again.stderr
        assert again.stderr.count("nothing to do") == 4
    (toy.folder / "there").touch()
    assert toy.go().done == {"words": 1, "say": 1, "bundle": 1, "learn": 1, "count": 1}
    assert whys(toy) == {}
    assert toy.run().stderr.count("nothing to do") == 5


@pytest.mark.parametrize("reason", [reason.value for reason in Reason])
def test_which_reasons_pass(done: Any, reason: str) -> None:
    lose(done, "words", "words-b", reason)
    passing = {"missing_file", "unreadable", "media_changed", "worker_died", "deadline"}
    passing |= {"robots_unreachable", "http_failed", "connection_failed", "timed_out", "host_paused"}  # of the web
    passing |= {"checksum_differs"}  # an answer may have been cut
    passing |= {"canary_failed", "answer_malformed"}  # of a model or its server
    assert whys(done) == ({"words/words-b": WHY} if reason in passing else {})


def test_a_unit_whose_rows_lack_something_that_may_come_is_tried_again(done: Any) -> None:
    folder = StageFolder(done.root, "words")
    record = dataclasses.replace(folder.records()["words-b"], owed=1)
    write_json(folder.units / "words-b.json", _sealed({"record_version": RECORD_VERSION, **dataclasses.asdict(record)}))
    assert whys(done) == {"words/words-b": WHY}
    assert done.go().done["words"] == 1
    assert whys(done) == {}


@pytest.mark.parametrize(("stage", "unit"), [("say", "words-b"), ("bundle", "bundle-000"), ("count", "job")])
@pytest.mark.parametrize("part", [None, (0, 1)])
def test_every_shape_tries_again(done: Any, stage: str, unit: str, part: tuple[int, int] | None) -> None:
    lose(done, stage, unit, "unreadable")
    assert whys(done) == {f"{stage}/{unit}": WHY}
    report = done.go(part=part)
    assert report.done == {name: int(name == stage) for name in report.done}
    assert whys(done) == {}


def test_a_source_that_knows_the_state_of_its_files_is_up_to_date(toy: Any) -> None:
    toy.words(a="one; gone two", b="three")
    toy.write((toy.folder / "pipelines.yaml").read_text().replace("toy_stages:Words", "toy_stages:CheckedWords"))
    toy.go()
    assert whys(toy) == {}
    assert whys(toy, "words.check_files=false") != {}
    said = toy.run().stderr
    assert "words: nothing to do (2 units up to date; 1 item failed for a reason that may pass, as before)" in said
    lose(toy, "words", "words-a", "unreadable")  # of this its inputs say nothing
    assert whys(toy) == {"words/words-a": WHY}


def test_slices_try_again_once_and_come_to_an_end(toy: Any) -> None:
    toy.words(**{f"f{i}": f"w{i}; gone v{i}" for i in range(5)})
    for _ in range(2):
        reports = [toy.go(part=(i, 3)) for i in (2, 1, 0)]
        assert sum(report.done["words"] for report in reports) == 5
        assert reports[-1].waiting == []
    (toy.folder / "there").touch()
    for i in (2, 1, 0, 2):
        report = toy.go(part=(i, 3))
    assert report.waiting == []
    assert whys(toy) == {}
    other = toy.copy("other")
    (other.folder / "there").touch()
    other.go()
    assert toy.snapshot() == other.snapshot()


@pytest.mark.parametrize("damage", ["removed", "cut"])
def test_what_a_commit_wrote_is_written_again(done: Any, damage: str) -> None:
    index = done.root / "bundle/index.json"
    before = done.snapshot()
    if damage == "removed":
        index.unlink()
    else:
        index.write_bytes(index.read_bytes()[:-9])
    assert whys(done) == {}  # no unit has to run
    assert not done.plan()["bundle"]["complete"]
    done.go()
    assert done.snapshot() == before
    assert done.plan()["bundle"]["complete"]
