"""A file that ends the process of a serial run or a slice: the run after two deaths goes on without it."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines.lineage import in_slice


def reasons(root: Path) -> dict[str, str]:
    frames = [pl.read_parquet(path) for path in sorted(root.glob("*/rejects/*.parquet"))]
    return {row["item"]: row["reason"] for frame in frames for row in frame.iter_rows(named=True)}


@pytest.mark.parametrize("how", [["--serial"], ["--units", "1/1"]])
@pytest.mark.long
def test_the_run_after_two_deaths_leaves_the_item_out_and_says_so(toy: Any, how: list[str]) -> None:
    toy.words(a="one; die; two", b="three")
    calm = toy.copy("calm")
    said = (
        "words: the process of an earlier run ended within an item of words-a; the item is tried once more, and left "
        "out as `worker_died` if that happens again\n"
    )
    assert toy.process("run", "toy", *how, rc=9).stderr == ""
    assert toy.process("run", "toy", *how, rc=9).stderr == said
    third = toy.process("run", "toy", *how)
    assert "words: done" in third.stderr
    assert "(1 worker_died)" in third.stderr
    assert reasons(toy.root) == {"words-a:1:die": "worker_died"}
    assert not (toy.root / ".work").exists()
    # everything else is what it would be without that line
    calm.words(a="one; bad; two")
    calm.go()
    assert toy.snapshot()["say/parts/words-a.parquet"] == calm.snapshot()["say/parts/words-a.parquet"]
    # a finished pipeline does not die again, until the unit is forced or its file changes
    again = toy.process("run", "toy", *how).stderr
    assert "words: nothing to do (2 units up to date; 1 item failed for a reason that may pass, as before)\n" in again
    assert again.count("nothing to do") == 5
    toy.process("run", "toy", "--serial", "--force", "words", rc=9)
    toy.words(a="one; two; four")
    assert toy.go().failed == {}
    assert reasons(toy.root) == {}
    assert not (toy.root / ".deaths").exists()


def test_one_death_blames_nothing(toy: Any) -> None:
    toy.words(a="one; two; die", b="three")
    toy.process("run", "toy", "--serial", rc=9)
    toy.words(a="one; two; four")  # it was mended
    assert toy.go().failed == {}
    assert reasons(toy.root) == {}
    assert not (toy.root / ".deaths").exists()


@pytest.mark.long
def test_an_item_that_a_later_run_got_past_is_not_to_blame(toy: Any) -> None:
    """Whoever ends a run again and again, at moments of their own, takes nothing out of the data."""
    toy.words(a="one; fall a; fall b", b="three")
    calm = toy.copy("calm")
    calm.words(a="one; fall a; fall b", b="three")
    calm.go()
    for trap in ("fall-a", "fall-b", "fall-a", "fall-b"):
        (toy.folder / trap).touch()
        toy.process("run", "toy", "--serial", rc=9)
    toy.process("run", "toy", "--serial")
    assert reasons(toy.root) == {}
    assert toy.snapshot()["say/parts/words-a.parquet"] == calm.snapshot()["say/parts/words-a.parquet"]
    assert not (toy.root / ".deaths").exists()


def test_a_slice_counts_its_own_deaths_while_others_are_at_work(toy: Any) -> None:
    """Who is not the first on the root does not clean it, and yet finds what an earlier process of its own left."""
    toy.words(a="die")
    mine = next(i for i in (1, 2) if in_slice("words-a", (i - 1, 2)))
    toy.process("run", "toy", "--units", f"{mine}/2", rc=9)
    left = toy.root / f".work/.slice-{mine}-of-2/.here/words/words-a.item"
    assert json.loads(left.read_text())["item"] == "words-a:0:die"
    with (toy.root / ".run").open("a+") as other:
        other.truncate(0)
        other.write("slices of 2")
        other.flush()
        fcntl.flock(other, fcntl.LOCK_SH)
        assert "within an item of words-a" in toy.process("run", "toy", "--units", f"{mine}/2", rc=9).stderr
        toy.process("run", "toy", "--units", f"{mine}/2")
    assert reasons(toy.root) == {"words-a:0:die": "worker_died"}
