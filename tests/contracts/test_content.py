"""The content hash: two manifests that differ in a cell, a null or where a text or list ends have two of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

import shards.columns
from shards.index import MEMBERS
from shards.manifest import SCHEMA, Caption, Label, Media, Sample, Term, Terms, content_hash, frame

GOLDEN_MEMBERS = "d51bc6516e741eb800523f06176ef322174bccae64ac6d756524a361849b8b29"
MEDIA = Media(uri="/a/b.png", kind="image")
HERE = Label(name="a", state="present", scope="image", origin="expert")
AWAY = Label(name="b", state="absent", scope="image", origin="expert")
ROW = Sample(
    key="src-a",
    media=MEDIA,
    modality="CT",
    specialty="radiology",
    group="patient:xyz",
    label_scope="image",
    source="src",
    license="MIT",
)


def said(*texts: str) -> tuple[Caption, ...]:
    return tuple(Caption(text=text, by="source") for text in texts)


def checked(*checks: str) -> tuple[Caption, ...]:
    return (Caption(text="x", by="source", checks=checks),)


PAIRS: list[tuple[dict[str, Any], dict[str, Any]]] = [  # fields of two rows
    ({}, {}),
    ({"url": ""}, {}),
    ({}, {"url": ""}),
    ({"url": ""}, {"url": ""}),
    ({"url": "a"}, {"url": "a"}),
    ({"url": "a"}, {"url": "aa"}),
    ({"url": "aa"}, {"url": "a"}),
    ({"url": "ab"}, {"url": "c"}),
    ({"url": "a"}, {"url": "bc"}),
    ({"url": "abc"}, {"url": ""}),
    ({"url": "abc"}, {}),
    ({"study": "a"}, {"study": "a"}),
    ({"official_split": "a"}, {"official_split": "a"}),
    ({"template": "a"}, {"template": "a"}),
    ({"captions": said("ab", "c")}, {}),
    ({"captions": said("a", "bc")}, {}),
    ({"captions": said("ab")}, {"captions": said("c")}),
    ({"captions": said("a")}, {"captions": said("b", "c")}),
    ({"captions": said("a", "b")}, {"captions": said("c")}),
    ({"captions": checked("a", "b")}, {"captions": checked("c")}),
    ({"captions": checked("a")}, {"captions": checked("b", "c")}),
    ({"captions": checked()}, {"captions": checked("")}),
    ({"captions": checked()}, {"captions": checked()}),
    ({"captions": (Caption(text="x", by="source", weight=0.5),)}, {"captions": said("x")}),
    ({"labels": (HERE, AWAY)}, {}),
    ({"labels": (AWAY, HERE)}, {}),
    ({"labels": (HERE,)}, {"labels": (AWAY,)}),
    ({"media": replace(MEDIA, width_px=1)}, {}),
    ({}, {"media": replace(MEDIA, width_px=1)}),
    ({"media": replace(MEDIA, height_px=1)}, {}),
    ({"media": replace(MEDIA, width_px=0)}, {}),
    ({"media": replace(MEDIA, fps=0.0)}, {}),
    ({"media": replace(MEDIA, fps=1.0)}, {}),
    ({"retrieved": datetime(1970, 1, 1, tzinfo=UTC)}, {}),
    ({"retrieved": datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC)}, {}),
    ({"terms": Terms(train=Term(answer="yes"))}, {}),
    ({"terms": Terms(commercial=Term(answer="yes"))}, {}),
    ({"terms": Terms(train=Term(evidence="a"))}, {}),
    ({"terms": Terms(train=Term(evidence="a"))}, {"terms": Terms(train=Term(evidence="a"))}),
]


def two(first: dict[str, Any], second: dict[str, Any]) -> pl.DataFrame:
    return frame([replace(ROW, **first), replace(ROW, key="src-b", **second)])


def test_manifests_that_differ_have_different_hashes() -> None:
    hashes = [content_hash(two(*pair)) for pair in PAIRS]
    assert len(set(hashes)) == len(PAIRS)
    assert hashes == [content_hash(two(*pair)) for pair in PAIRS]


@pytest.mark.parametrize("column", SCHEMA)
def test_no_column_is_left_out(column: str) -> None:
    texts = dict.fromkeys(("patient", "study", "source_id", "url", "official_split", "template"), "a")
    full = {**texts, "captions": said("a"), "labels": (HERE,), "retrieved": datetime(2020, 1, 1, tzinfo=UTC)}
    rows = two({**full, "split": "val"}, {**full, "split": "val"})
    assert not rows[column].null_count()
    blank = [rows.with_columns(pl.when(pl.int_range(2) != row).then(column).alias(column)) for row in (0, 1)]
    assert all(one.schema == SCHEMA and one[column].null_count() == 1 for one in blank)
    assert len({content_hash(rows), *map(content_hash, blank)}) == 3


def test_an_empty_list_and_none_differ() -> None:
    rows = two({}, {})
    assert content_hash(rows.with_columns(captions=pl.lit(None, dtype=SCHEMA["captions"]))) != content_hash(rows)


def test_in_how_many_pieces_texts_are_read_is_no_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = frame([replace(ROW, key=f"src-{i:02}", url="ü" * i, captions=said(f"{i}")) for i in range(50)])
    whole = content_hash(rows)
    for size in (1, 60, 1000):
        monkeypatch.setattr(shards.columns, "AT_ONCE", size)
        assert content_hash(rows) == whole


def test_tables_of_members_keep_the_hash_that_shard_sets_hold() -> None:
    members = {
        "key": ["s-b", "s-a"],
        "member": ["s-b.jpg", "s-a.jpg"],
        "offset": [512, 2048],
        "size_bytes": [700, 3],
        "sha256": ["ab" * 32, "cd" * 32],
    }
    assert content_hash(pl.DataFrame(members, schema=MEMBERS)) == GOLDEN_MEMBERS
