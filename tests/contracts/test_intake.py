"""Every item that is offered is accepted or rejected with a code, once; and no message of an error gets out."""

from __future__ import annotations

import os
import time
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shards.intake import NEVER_SKIPPED, Intake, Skip, place
from shards.reasons import Reason
from shards.stage import Cancelled, Context, DeadlineExceeded, Result, UserError

SECRET = "SMITH^JOHN 1950-01-02"


def deeper() -> list[Any]:
    return deeper()


DEEDS = {
    "row": lambda item: [{"key": item}],
    "rows": lambda item: [{"key": item}, {"key": f"{item}'"}],
    "lazily": lambda item: ({"key": f"{item}{i}"} for i in range(3)),
    "skip": lambda item: (_ for _ in ()).throw(Skip(Reason.CORRUPT, "cut")),
    "skip late": lambda item: (
        row if i < 2 else (_ for _ in ()).throw(Skip(Reason.BLANK)) for i, row in enumerate([1, 2, 3])
    ),
    "value": lambda item: (_ for _ in ()).throw(ValueError(SECRET)),
    "key": lambda item: {}[SECRET],
    "os": lambda item: open(f"/no/{SECRET}"),  # noqa: PTH123, SIM115
    "deep": lambda item: deeper(),
    "unicode": lambda item: SECRET.encode("utf-16")[:3].decode("utf-16"),
}
GIVES_ROWS = {"row": 1, "rows": 2, "lazily": 3}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    deeds=st.lists(st.sampled_from(list(DEEDS)), max_size=30),
    stop_after=st.none() | st.integers(1, 4),
    quarantined=st.sets(st.integers(0, 29), max_size=4),
)
def test_accepted_and_rejected_are_what_was_offered(
    deeds: list[str], stop_after: int | None, quarantined: set[int], context: Any
) -> None:
    marked: list[str] = []
    ctx: Context = context(quarantined={f"i{n}": "worker_died" for n in quarantined}, mark=marked.append)
    intake = Intake(ctx, stop_after=stop_after)
    taken = [intake.take(f"i{n}", DEEDS[deed], f"i{n}") for n, deed in enumerate(deeds)]
    result = intake.result(pl.DataFrame)
    assert result.accepted + len(result.rejects) == result.offered == len(deeds)
    assert result.accepted == sum(taken)
    assert [reject.item for reject in result.rejects] == [f"i{n}" for n, ok in enumerate(taken) if not ok]
    assert result.rows is not None
    assert result.rows.height == sum(GIVES_ROWS[deed] for deed, ok in zip(deeds, taken, strict=True) if ok)
    assert all(Reason.of(reject.reason).text for reject in result.rejects)
    assert SECRET not in repr(result)

    reasons = {reject.item: reject.reason for reject in result.rejects}
    in_a_row, stopped = 0, False
    for n, (deed, ok) in enumerate(zip(deeds, taken, strict=True)):
        stopped = stopped or (stop_after is not None and in_a_row >= stop_after)
        if stopped:
            assert reasons[f"i{n}"] == "not_tried"
            assert f"i{n}" not in marked
        elif n in quarantined:
            assert reasons[f"i{n}"] == "worker_died"
            assert f"i{n}" not in marked
        else:
            assert ok == (deed in GIVES_ROWS)
            assert f"i{n}" in marked
        in_a_row = 0 if ok else in_a_row + 1


def test_the_detail_of_an_error_is_its_type_and_place(context: Any) -> None:
    intake = Intake(context())
    for deed in ("value", "key", "os", "unicode"):
        intake.take(deed, DEEDS[deed], deed)
    details = [reject.detail for reject in intake.rejects]
    assert [detail.split(" at ")[0] for detail in details] == [
        "ValueError",
        "KeyError",
        "FileNotFoundError (No such file or directory)",
        "UnicodeDecodeError",
    ]
    assert all(" at test_intake.py:" in detail for detail in details)
    assert place(OSError(28, "x", SECRET)) == "OSError (No space left on device)"
    assert place(ValueError(SECRET)) == "ValueError"


@pytest.mark.parametrize("kind", NEVER_SKIPPED, ids=lambda kind: kind.__name__)
def test_bugs_and_failures_of_the_system_are_never_rejects(kind: type[Exception], context: Any) -> None:
    intake = Intake(context())

    def raise_it() -> list[Any]:
        raise kind

    with pytest.raises(kind):
        intake.take("a", raise_it)


def test_no_row_and_no_reason_is_a_bug(context: Any) -> None:
    with pytest.raises(AssertionError, match="no row and no reason; raise Skip instead"):
        Intake(context()).take("a", list)


def test_a_unit_that_has_to_stop_stops_between_two_items(context: Any) -> None:
    intake = Intake(context(is_cancelled=lambda: intake.offered > 2))
    intake.take("a", DEEDS["row"], "a")
    intake.take("b", DEEDS["row"], "b")
    with pytest.raises(Cancelled):
        intake.take("c", DEEDS["row"], "c")
    assert intake.accepted == 2
    late = Intake(context(deadline=time.monotonic() - 1))
    with pytest.raises(DeadlineExceeded):
        late.take("a", DEEDS["row"], "a")


def swallowing(item: str) -> list[str]:
    """What a stage of a user's may do: whatever goes wrong, give a row."""
    try:
        raise {"stop": Cancelled, "late": DeadlineExceeded}[item]
    except Exception:  # noqa: BLE001  # as in a stage that is not ours
        return [item]


def test_the_wish_to_stop_and_what_a_person_must_mend_are_swallowed_by_nobody(context: Any) -> None:
    intake = Intake(context())
    with pytest.raises(Cancelled):
        intake.take("stop", swallowing, "stop")
    with pytest.raises(DeadlineExceeded):
        intake.take("late", swallowing, "late")

    def refuse() -> list[str]:
        raise UserError("the model's folder is gone; name another")

    with pytest.raises(UserError):
        intake.take("a", refuse)
    assert (intake.rows, intake.rejects) == ([], [])


def test_reasons_have_one_code_each() -> None:
    for reason in Reason:
        assert reason.value == reason.name.lower() == str(reason)
        assert Reason.of(reason.value) is reason
        assert reason.text
        assert not reason.text.endswith(".")
    with pytest.raises(KeyError):
        Reason.of("no_such_reason")


def test_the_runner_asserts_the_count(tmp_path: Any) -> None:
    from pipelines.records import Basis, StageFolder
    from shards.stage import Unit

    folder = StageFolder(tmp_path, "stage")
    basis = Basis(use="a:B", version="1", params={}, key_id="", identity={}, inputs=())
    with pytest.raises(AssertionError, match="stage/u: offered 3, accounted for 2"):
        folder.write(Unit(id="u"), basis, Result(offered=3, accepted=2), 0.0)
    assert not os.listdir(tmp_path)  # noqa: PTH208
