"""Which items are blamed for a death or a hang, and when a unit is given up."""

from __future__ import annotations

import time

import pytest

from pipelines.attempts import MAX_BLAMED, Attempts
from pipelines.board import Note
from pipelines.execute import Task
from pipelines.records import Basis
from pipelines.spec import Resources, StageSpec
from pipelines.stage_class import Shape
from shards.stage import Unit

BASIS = Basis(use="x:X", version="1", params={}, key_id="", identity={}, inputs=())
TASK = Task(unit=Unit(id="a"), basis=BASIS, fingerprint="", deadline_s=10)


def attempts(number: int = 3) -> Attempts:
    spec = StageSpec(
        name="words",
        use="x:X",
        stage=None,
        shape=Shape.SOURCE,
        inputs=(),
        resources=Resources(attempts=number),
        has_deadline=True,
        where="pipelines.yaml:7",
    )
    return Attempts(spec)


def after(items: str, number: int = 3, *, hung: bool = False) -> Task | str:
    """What is tried after a worker ended at these items, one letter each; `-` is none."""
    tried: Task | str = TASK
    asked = attempts(number)
    for item in items:
        assert isinstance(tried, Task), tried
        note = Note(item=item.strip("-"), since=time.time() - tried.deadline_s)
        tried = asked.again(tried, note, hung=hung)
    return tried


@pytest.mark.parametrize(
    ("items", "number", "blamed"),
    [
        ("x", 3, ""),  # the first may be the machine's fault
        ("xx", 3, "x"),
        ("xyx", 3, "x"),
        ("xxyy", 3, "xy"),  # an item that was found out begins the count anew
        ("xx--", 3, "x"),
        ("--", 3, ""),
        ("".join(c * 2 for c in "abcdefghij"), 3, "abcdefghij"),
        ("xx", 2, "x"),
    ],
)
def test_an_item_is_blamed_for_its_second_death(items: str, number: int, blamed: str) -> None:
    tried = after(items, number)
    assert isinstance(tried, Task), tried
    assert tried.quarantined == dict.fromkeys(blamed, "worker_died")


@pytest.mark.parametrize(("items", "number"), [("---", 3), ("xyz", 3), ("-xy", 3), ("x", 1), ("-", 1), ("xy", 2)])
def test_deaths_in_a_row_that_blame_nothing_are_bounded_by_attempts(items: str, number: int) -> None:
    said = after(items, number)
    assert isinstance(said, str)
    assert said.startswith(f"its worker process died {len(items)} time")
    assert said.endswith("if the machine ran out of memory, lower `workers` under `resources` of `words`")


def test_so_many_items_are_no_accident() -> None:
    letters = "abcdefghijklmnop"[: MAX_BLAMED + 1]
    assert isinstance(after("".join(c * 2 for c in letters)), str)


def test_a_hang_is_tried_twice() -> None:
    once, twice = after("x", hung=True), after("xx", hung=True)
    assert isinstance(once, Task)
    assert once.quarantined == {}
    assert isinstance(twice, Task)
    assert twice.quarantined == {"x": "deadline"}
    assert after("x", 1, hung=True) == (
        "its worker hung 1 time; raise `deadline_s` or `attempts` under `resources` of `words`"
    )


@pytest.mark.parametrize(("item", "for_s"), [("", 9.0), ("x", 0.0)])
def test_a_unit_that_is_slow_as_a_whole_is_not_blamed_on_the_item_it_was_at(item: str, for_s: float) -> None:
    said = attempts().again(TASK, Note(item=item, since=time.time() - for_s), hung=True)
    assert said == "not done in 10 s; raise `deadline_s` under `resources` of `words`"
