"""One process: what runs, what is left on disk, and what becomes of what fails."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines.board import FileBoard


def rejects(root: Path) -> dict[str, tuple[str, str]]:
    """Reason and detail by item."""
    frames = [pl.read_parquet(path) for path in sorted(root.glob("*/rejects/*.parquet"))]
    return {row["item"]: (row["reason"], row["detail"]) for frame in frames for row in frame.iter_rows(named=True)}


def all_text(folder: Path) -> str:
    return "".join(path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file())


def deadline(toy: Any, seconds: float) -> None:
    text = (toy.folder / "pipelines.yaml").read_text()
    toy.write(text.replace("with: {path: words}}", f"with: {{path: words}}, resources: {{deadline_s: {seconds}}}}}"))


def test_a_run_makes_every_stage_and_a_second_one_writes_nothing(toy: Any) -> None:
    toy.words(a="one; two; bad three", b="four")
    first = toy.process("run", "toy", "--serial")
    assert "words: done" in first.stderr
    assert "3 of 4 accepted (1 corrupt)" in first.stderr
    assert rejects(toy.root) == {"words-a:2:bad three": ("corrupt", "it says bad")}
    bundled = (toy.root / "bundle/bundles/bundle-000.txt").read_text().splitlines()
    assert sorted(line.split("\t")[1] for line in bundled) == [
        f"A picture of {word}." for word in ("four", "one", "two")
    ]
    assert json.loads((toy.root / "count/count.json").read_text()) == 3

    def times() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in toy.root.rglob("*") if path.is_file() and path.name != ".run"}

    before = times()
    second = toy.run()
    assert second.stderr.count("nothing to do") == 5
    assert second.stdout == f"toy: nothing to do, everything is up to date in {toy.root}\n"
    assert times() == before
    assert not (toy.root / ".work").exists()


def test_a_failing_unit_hides_no_other_and_stops_what_needs_it(toy: Any) -> None:
    toy.words(a="one", b="two; bug; three", c="four")
    failed = toy.run(rc=1)
    trace = toy.root / "errors/words-words-b.txt"
    assert f"(see {trace})" in failed.stderr
    assert "words: FAILED words-b: AssertionError at toy_stages.py:" in failed.stderr
    assert "say: waits for words" in failed.stderr
    assert trace.read_text().startswith("Traceback (most recent call last):")
    assert {path.name for path in toy.root.glob("*/units/*")} == {"words-a.json", "words-c.json"}
    assert not (toy.root / "words/stage.json").exists()
    toy.words(b="two; three")
    assert json.loads(toy.run("--json").stdout)["done"] == {"words": 1, "say": 3, "bundle": 2, "learn": 1, "count": 1}


def test_an_error_of_an_item_tells_its_place_and_never_its_text(toy: Any) -> None:
    toy.words(a="one; boom; two")
    done = toy.run()
    (reason, detail), *others = rejects(toy.root).values()
    assert others == []
    assert reason == "unexpected_error"
    assert detail.startswith("ValueError at toy_stages.py:")
    assert "name of a patient" not in done.stdout + done.stderr + all_text(toy.root)


def test_a_stage_that_leaves_the_process_is_a_failed_unit(toy: Any) -> None:
    toy.words(a="exit", b="one")
    report = toy.go()
    (message,) = report.failed["words"]
    assert message.startswith("words-a: SystemExit at toy_stages.py:")
    assert report.done["words"] == 1


def test_an_item_that_hangs_is_rejected_at_the_deadline(toy: Any) -> None:
    toy.words(a="one; hang; two", b="three")
    deadline(toy, 1)
    begun = time.monotonic()
    report = toy.go()
    assert time.monotonic() - begun < 6
    assert not report.failed
    assert rejects(toy.root) == {"words-a:1:hang": ("deadline", "")}
    assert json.loads((toy.root / "count/count.json").read_text()) == 3


def test_a_unit_that_is_slow_as_a_whole_is_told_to_raise_its_deadline(toy: Any) -> None:
    toy.words(a="; ".join(f"w{i}" for i in range(20)), b="one")
    deadline(toy, 1)
    report = toy.go("words.pause_s=0.1")
    assert report.failed == {"words": ["words-a: not done in 1 s; raise `deadline_s` under `resources` of `words`"]}
    assert report.done["words"] == 1
    assert rejects(toy.root) == {}


@pytest.mark.slow
def test_code_that_never_comes_back_ends_the_process_and_says_where(toy: Any) -> None:
    toy.words(a="one; endless")
    deadline(toy, 1)
    begun = time.monotonic()
    done = toy.process("run", "toy", "--serial", rc=1)
    assert time.monotonic() - begun < 30
    assert "Timeout (0:00:06)!" in done.stderr
    assert 'toy_stages.py", line' in done.stderr
    toy.words(a="one")
    toy.run()
    assert not (toy.root / ".work").exists()


def test_only_and_until(toy: Any) -> None:
    toy.words(a="one")
    early = toy.run("--only", "say", rc=1)
    assert "say: its inputs are not complete; run `--until say` to make them" in early.stderr
    assert not (toy.root / "say").exists()
    assert json.loads(toy.run("--until", "say", "--json").stdout)["done"] == {"words": 1, "say": 1}
    assert toy.go(only="bundle").done == {"bundle": 1}
    toy.words(b="two")
    assert toy.go(only="bundle").waiting == ["bundle"]
    unknown = toy.run("--only", "bundel", rc=2).stderr
    assert unknown == "--only bundel: pipeline `toy` has no stage `bundel`; did you mean `bundle`?\n"


def test_a_gpu_that_is_only_preferred_is_done_without(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.words(a="one")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    text = (toy.folder / "pipelines.yaml").read_text()
    toy.write(text.replace("from: [bundle]}", "from: [bundle], resources: {gpus: 2}}"))
    assert toy.go(until="bundle").failed == {}
    toy.write(text.replace("from: [bundle]}", "from: [bundle], resources: {gpus: 2, required: true}}"))
    toy.words(b="two")
    refused = toy.run(rc=2).stderr
    assert refused.startswith("pipelines.yaml:10: stage `learn` requires 2 GPUs and there are 0; join a cluster with ")
    assert len(list((toy.root / "words/units").iterdir())) == 1  # before any work
    assert toy.medloom("plan", "toy", rc=2).stderr == refused
    assert toy.go(until="bundle").done["words"] == 1
    toy.write(text.replace("from: [bundle]}", "from: [bundle], resources: {gpus: 2}}"))
    assert toy.go().failed == {}
    toy.write(text.replace("from: [bundle]}", "from: [bundle], resources: {gpus: 2, required: true}}"))
    assert toy.go().failed == {}  # nothing is left that would need one


def test_one_service_for_the_whole_run(toy: Any) -> None:
    toy.words(a="one; two", b="three")
    toy.write(
        (toy.folder / "pipelines.yaml").read_text().split("      say:")[0]
        + '      first: {use: "toy_stages:Ticket", from: [words]}\n'
        + '      then: {use: "toy_stages:Ticket", from: [first]}\n'
    )
    toy.go()
    tickets = [
        sorted(
            json.loads(text)["ticket"]
            for path in (toy.root / stage).glob("parts/*")
            for text in pl.read_parquet(path)["attributes"]
        )
        for stage in ("first", "then")
    ]
    assert tickets == [[1, 2, 3], [4, 5, 6]]


def test_a_plan_with_a_unit_twice_is_refused(toy: Any) -> None:
    toy.words(a="one")
    stages = toy.folder / "toy_stages.py"
    stages.write_text(
        stages.read_text().replace(
            'for path in sorted(Path(ctx.resolve(self.path)).glob("*.txt")):',
            'for path in [*Path(ctx.resolve(self.path)).glob("*.txt")] * 2:',
        )
    )
    with pytest.raises(ValueError, match="yaml:7: stage `words`: plans the unit `words-a` twice; a unit's id becomes"):
        toy.go()


def test_progress_without_an_end_is_written_now_and_then(tmp_path: Path) -> None:
    board = FileBoard(tmp_path / "notes")
    board.open()
    board.progress("a", 1, 0, "lines")
    board.progress("a", 2, 0, "lines")
    assert board.read("a").done == 1
    board.progress("a", 9, 9, "lines")  # the end is told at once
    assert board.read("a").done == 9


@pytest.mark.parametrize("long", [60, 900, 5000])
def test_a_short_note_leaves_nothing_of_a_longer_one_before(tmp_path: Path, long: int) -> None:
    board = FileBoard(tmp_path / "notes")
    board.open()
    for item in ("x" * long, "short", '"}', "", "y" * (long // 2)):
        board.mark("a", item)
        assert FileBoard(board.folder).read("a").item == item
    assert [path.name for path in board.folder.iterdir()] == ["a.item"]
