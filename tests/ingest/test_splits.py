"""Splits under any sequence of newcomers: nothing in two splits, nothing moves, no order matters."""

from __future__ import annotations

import hmac
import random
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.components import components, tied_rows
from ingest.decide import Decision, decide
from ingest.gather import Gathered
from ingest.held_out import draw, members
from ingest.identities import NONE, TIES, numbers
from ingest.quota import HeldOut
from ingest.splits import LEDGER_SCHEMA, NO_SPLIT, TEST, TRAIN, Ledger

KEY = b"a key of no person at all"
QUOTA = HeldOut(images=4, clips=2)
EMPTY = Ledger(pl.DataFrame(schema=LEDGER_SCHEMA))

# few values, so that newcomers share patients, studies, originals and files in every way
ROW = st.fixed_dictionaries(
    {
        "group": st.integers(1, 14),
        "patient": st.one_of(st.just(NONE), st.integers(101, 108)),
        "study": st.one_of(st.just(NONE), st.integers(201, 210)),
        "source_id": st.one_of(st.just(NONE), st.integers(301, 315)),
        "media": st.one_of(st.just(NONE), st.integers(401, 420)),
        "clip": st.booleans(),
        "modality": st.sampled_from(("CT", "US")),
        "specialty": st.sampled_from(("radiology", "cardiology")),
        "official": st.sampled_from((NO_SPLIT, NO_SPLIT, NO_SPLIT, 0, 2)),
        "said": st.integers(0, 3),
        "derived": st.sampled_from((False, False, True)),
    }
)
ARRIVALS = st.lists(st.lists(ROW, max_size=25), min_size=1, max_size=4)


def table(rows: list[dict[str, Any]], order: random.Random | None = None) -> Gathered:
    keyed = [{**row, "key": f"k-{number:03}"} for number, row in enumerate(rows)]
    if order:
        order.shuffle(keyed)
    schema = dict.fromkeys(TIES, pl.UInt64) | {
        "key": pl.String, "clip": pl.Boolean, "modality": pl.String, "specialty": pl.String, "official": pl.Int8,
        "said": pl.Int8, "derived": pl.Boolean,
    }  # fmt: skip
    frame = pl.DataFrame(keyed, schema=schema).with_columns(
        pl.col("modality", "specialty").cast(pl.Categorical), copy=pl.col("media"), refusal=pl.lit(None, pl.String)
    )
    words = frame["key"]
    frame = frame.with_columns(key=pl.lit(7, pl.UInt64))  # all share a number, and are told apart by their words
    return Gathered(rows=frame.with_row_index("row"), keys=words.gather)


def run(rows: list[dict[str, Any]], ledger: Ledger, order: random.Random | None = None) -> Decision:
    gathered = table(rows, order)
    decision = decide(gathered.rows, gathered.keys, ledger, KEY, QUOTA, val_share=0.2)
    columns = gathered.rows.select("row", *TIES)
    kept = decision.kept.join(columns, on="row", how="left", maintain_order="left")
    return replace(decision, kept=kept.with_columns(key=gathered.keys(kept["row"])))


def test_maps_fill_no_quota() -> None:
    """The first group of the draw has maps alone: the held-out set still gets its picture from the next one."""
    count = 30
    known = {"specialty": "radiology", "modality": "MR", "clip": False, "split": NO_SPLIT}
    pairs = pl.DataFrame(
        [{"component": n, "order": n, "derived": n == 0, **known} for n in range(count)],
        schema_overrides={"split": pl.Int8, "component": pl.UInt32},
    )
    assert draw(pairs, HeldOut(images=1, clips=0), 0.0).tolist()[:3] == [TEST, TEST, TRAIN]


def verdicts(decision: Decision) -> dict[str, Any]:
    kept = {key: (split, held) for key, split, held in decision.kept.select("key", "split", "held_out").iter_rows()}
    return kept | {reject.item: reject.reason for reject in decision.rejects}


@settings(max_examples=15, deadline=None)
@given(arrivals=ARRIVALS, seed=st.integers(0, 99))
def test_any_arrivals(arrivals: list[list[dict[str, Any]]], seed: int) -> None:
    rows: list[dict[str, Any]] = []
    ledger = EMPTY
    before: dict[str, int] = {}
    for arrival in arrivals:
        rows = rows + arrival
        decision = run(rows, ledger)
        kept = decision.kept
        for what in TIES:  # nothing that ties samples lies in two splits, in the rows and in the ledger
            known = kept.filter(pl.col(what) != NONE)
            assert (
                known.group_by(what).agg(pl.col("split").n_unique()).select(pl.col("split").max() <= 1).item()
                is not False
            )
        assert not decision.ledger.entries.select("what", "number").is_duplicated().any()
        old = ledger.entries.rows()
        assert set(old) <= set(decision.ledger.entries.rows())  # append-only
        now = dict(kept.select("key", "split").iter_rows())
        assert all(now[key] == split for key, split in before.items() if key in now)
        shuffled = run(rows, ledger, random.Random(seed))
        assert verdicts(shuffled) == verdicts(decision)
        assert shuffled.ledger.entries.equals(decision.ledger.entries)
        again = run(rows, decision.ledger)  # as after a crash that left the ledger behind
        assert verdicts(again) == verdicts(decision)
        assert again.ledger.entries.equals(decision.ledger.entries)
        counts = kept.filter("held_out").group_by("specialty", "clip").len()
        for _, clip, count in counts.iter_rows():
            assert count <= dict(QUOTA.by_kind())[clip]
        assert kept.filter(pl.col("held_out") & (pl.col("derived") | (pl.col("split") != TEST))).is_empty()
        ledger, before = decision.ledger, now


@settings(max_examples=60, deadline=None)
@given(edges=st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=40))
def test_components_are_those_of_a_search(edges: list[tuple[int, int]]) -> None:
    neighbours: dict[int, set[int]] = {node: {node} for node in range(30)}
    for one, two in edges:
        neighbours[one].add(two)
        neighbours[two].add(one)
    expected = []
    for node in range(30):
        seen, todo = {node}, [node]
        while todo:
            fresh = neighbours[todo.pop()] - seen
            seen |= fresh
            todo += fresh
        expected.append(min(seen))
    ends = np.array([one for one, _ in edges], dtype=np.int64)
    other_ends = np.array([two for _, two in edges], dtype=np.int64)
    assert components(30, ends, other_ends).tolist() == expected


def test_rows_without_ties_stay_alone() -> None:
    group = np.array([1, 2, 3, 2], dtype=np.uint64)
    nothing = np.full(4, NONE, dtype=np.uint64)
    assert tied_rows([group, nothing]).tolist() == [0, 1, 2, 1]


def test_numbers_depend_on_key_and_kind_and_never_change() -> None:
    """Ledgers outlive versions of this program, so the numbers are written down here."""
    values = pl.Series(["patient:x", None, "", "patient:x", "ü"])
    found = numbers(KEY, "group", values).tolist()
    assert found[0] == found[3] == int.from_bytes(hmac.new(KEY, b"patient:x", "sha256").digest()[:8], "big")
    assert found[1:3] == [NONE, NONE]
    patients = numbers(KEY, "patient", values).tolist()
    assert patients[0] == 0xF77F7124D02B4486
    assert patients[0] != numbers(KEY, "study", values).tolist()[0]
    assert patients[0] != numbers(b"another", "patient", values).tolist()[0]


def test_members_of_the_evaluation_set_stay_when_others_come() -> None:
    def rows(count: int) -> pl.DataFrame:
        number = numbers(KEY, "held_out", pl.Series([f"k-{n}" for n in range(count)]))
        return pl.DataFrame({"number": number, "specialty": "radiology", "clip": [n % 4 == 0 for n in range(count)]})

    first = members(rows(40), QUOTA, pl.Series([], dtype=pl.UInt64))
    assert first["clip"].value_counts().sort("clip")["count"].to_list() == [4, 2]
    more = members(rows(400), QUOTA, first["number"])
    assert set(more["number"]) == set(first["number"])
    fewer = members(rows(400).filter(pl.col("number") != first["number"][0]), QUOTA, first["number"])
    assert len(set(fewer["number"]) & set(first["number"])) == 5
    assert fewer.height == 6
