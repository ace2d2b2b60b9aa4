"""The manifest: what is written comes back, what breaks the schema is refused, and the hash is of the rows alone."""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shards.manifest import (
    SCHEMA,
    Caption,
    Label,
    Media,
    Sample,
    Term,
    Terms,
    check,
    content_hash,
    frame,
    read_part,
    samples,
    scan_parts,
    write_part,
)

ONE = Sample(
    key="src-aaaaaaaaaaaaaaaaaaaaaaaaaa",
    media=Media(
        uri="/a/b.png", kind="image", locator='{"slice":3}', sha256="00" * 32, width_px=2, height_px=3, frames=1
    ),
    modality="CT",
    specialty="radiology",
    group="patient:xyz",
    label_scope="image",
    source="src",
    license="CC-BY-4.0",
    terms=Terms(train=Term(answer="yes", evidence="licence text 2a")),
    captions=(Caption(text="Über a lung.", by="source", weight=0.5, checks=("spelling",)),),
    patient="p" * 26,
    labels=(Label(name="nodule", state="absent", scope="study", origin="expert"),),
    url="https://example.org/1",
    retrieved=datetime(2020, 2, 29, 12, 0, 0, 123456, tzinfo=UTC),
    official_split="train",
    attributes='{"plane":"axial"}',
    split="val",
)
GOLDEN = "edff5e734a02d566d0a39d9a363f20e103b9b5eb895cedefbc487d264c8ae77e"


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
def test_what_is_written_comes_back(data: Any, drawn: Any, tmp_path: Path) -> None:
    some = data.draw(drawn)
    random.Random(len(some)).shuffle(some)
    path = tmp_path / "part.parquet"
    content = write_part(frame(some), path)
    again = read_part(path)
    assert list(samples(again)) == sorted(some, key=lambda sample: sample.key)
    assert content == content_hash(again) == content_hash(frame(some))
    assert again.schema == SCHEMA


def test_the_golden_hash() -> None:
    """A change of this value makes every record in the world stale: raise MANIFEST_VERSION knowingly."""
    assert content_hash(frame([ONE])) == GOLDEN


def test_the_hash_is_of_rows_and_not_of_bytes(tmp_path: Path) -> None:
    rows = frame([dataclasses.replace(ONE, key=f"src-{i:026d}") for i in range(50)])
    content = content_hash(rows)
    order = list(range(50))
    random.Random(1).shuffle(order)
    assert content_hash(rows[order]) == content
    assert content_hash(pl.concat([rows[i : i + 7] for i in range(0, 50, 7)], rechunk=False)) == content
    for options in ({"compression": "uncompressed"}, {"row_group_size": 3}, {"statistics": True}):
        rows[order].write_parquet(tmp_path / "x.parquet", **options)
        assert content_hash(pl.read_parquet(tmp_path / "x.parquet")) == content
    assert write_part(rows[order], tmp_path / "a.parquet") == write_part(rows, tmp_path / "b.parquet") == content
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


CHANGES: list[Callable[[Sample], Sample]] = [
    lambda s: dataclasses.replace(s, key=s.key[:-1] + "b"),
    lambda s: dataclasses.replace(s, media=dataclasses.replace(s.media, uri="/a/c.png")),
    lambda s: dataclasses.replace(s, media=dataclasses.replace(s.media, locator="")),
    lambda s: dataclasses.replace(s, media=dataclasses.replace(s.media, sha256=None)),
    lambda s: dataclasses.replace(s, media=dataclasses.replace(s.media, fps=25.0)),
    lambda s: dataclasses.replace(s, captions=()),
    lambda s: dataclasses.replace(s, captions=(dataclasses.replace(s.captions[0], weight=0.25),)),
    lambda s: dataclasses.replace(s, labels=(dataclasses.replace(s.labels[0], state="present"),)),
    lambda s: dataclasses.replace(s, terms=Terms(train=Term(answer="no", evidence="licence text 2a"))),
    lambda s: dataclasses.replace(s, patient=None),
    lambda s: dataclasses.replace(s, url=""),
    lambda s: dataclasses.replace(s, url=None),
    lambda s: dataclasses.replace(s, retrieved=s.retrieved and s.retrieved.replace(microsecond=123457)),
    lambda s: dataclasses.replace(s, attributes="{}"),
    lambda s: dataclasses.replace(s, split="test"),
]


def test_every_change_of_a_row_changes_the_hash() -> None:
    hashes = [content_hash(frame([change(ONE)])) for change in [lambda s: s, *CHANGES]]
    hashes += [content_hash(frame([])), content_hash(frame([ONE]).select("key", "split"))]
    assert len(set(hashes)) == len(hashes)


def row(**changes: Any) -> dict[str, Any]:
    """The row of ONE with changed columns; `column__field` changes a field of a struct."""
    made = ONE.to_row()
    for name, value in changes.items():
        column, _, field = name.partition("__")
        made[column] = {**made[column], field: value} if field else value
    return made


LABEL = {"name": "x", "state": "present", "scope": "image", "origin": "expert"}
CAPTION = {"text": "A CT image.", "by": "source", "weight": 1.0, "checks": []}
BAD = {
    "key null": {"key": None},
    "key empty": {"key": ""},
    "key upper case": {"key": "Src-1"},
    "key too long": {"key": "a" * 65},
    "key with a newline": {"key": "a\n"},
    "media null": {"media": None},
    "media kind": {"media__kind": "picture"},
    "media kind null": {"media__kind": None},
    "media uri null": {"media__uri": None},
    "media locator null": {"media__locator": None},
    "media fps not a number": {"media__fps": math.nan},
    "modality": {"modality": "XR"},
    "modality null": {"modality": None},
    "specialty empty": {"specialty": ""},
    "specialty null": {"specialty": None},
    "group without what": {"group": "xyz"},
    "group empty": {"group": "patient:"},
    "group null": {"group": None},
    "label_scope": {"label_scope": "organ"},
    "label_scope null": {"label_scope": None},
    "source null": {"source": None},
    "license with a space": {"license": "CC BY"},
    "license null": {"license": None},
    "terms null": {"terms": None},
    "terms answer": {"terms__train": {"answer": "perhaps", "evidence": ""}},
    "terms answer null": {"terms__train": None},
    "terms evidence null": {"terms__train": {"answer": "yes", "evidence": None}},
    "captions null": {"captions": None},
    "captions text empty": {"captions": [CAPTION, {**CAPTION, "text": ""}]},
    "captions text null": {"captions": [{**CAPTION, "text": None}]},
    "captions by": {"captions": [{**CAPTION, "by": "somebody"}]},
    "captions by without a version": {"captions": [{**CAPTION, "by": "template"}]},
    "captions by a model without a prompt": {"captions": [{**CAPTION, "by": "vlm:looker"}]},
    "captions by null": {"captions": [{**CAPTION, "by": None}]},
    "captions weight null": {"captions": [{**CAPTION, "weight": None}]},
    "captions weight negative": {"captions": [{**CAPTION, "weight": -0.5}]},
    "captions weight infinite": {"captions": [{**CAPTION, "weight": math.inf}]},
    "captions weight not a number": {"captions": [{**CAPTION, "weight": math.nan}]},
    "labels null": {"labels": None},
    "labels state": {"labels": [LABEL, {**LABEL, "state": "maybe"}]},
    "labels state null": {"labels": [{**LABEL, "state": None}]},
    "labels scope": {"labels": [{**LABEL, "scope": "organ"}]},
    "labels origin": {"labels": [{**LABEL, "origin": "hearsay"}]},
    "attributes null": {"attributes": None},
    "attributes no object": {"attributes": "[1]"},
    "split": {"split": "dev"},
}


@pytest.mark.parametrize("what", BAD)
def test_a_row_that_breaks_the_schema_is_refused(what: str, tmp_path: Path) -> None:
    good = row(key="src-good")
    rows = pl.DataFrame([good, row(**BAD[what])], schema=SCHEMA)
    column = what.partition(" ")[0]
    with pytest.raises(ValueError, match=rf"manifest rows break the schema: 1 x (bad|null) {column}\b") as caught:
        check(rows)
    if column != "key":
        assert str(caught.value).endswith(f"; the first is {ONE.key}")
    rows.write_parquet(tmp_path / "x.parquet")
    with pytest.raises(ValueError, match="break the schema"):
        read_part(tmp_path / "x.parquet")
    assert check(rows[:1]).height == 1


def test_a_key_twice_is_refused() -> None:
    with pytest.raises(ValueError, match=f"2 x duplicated key; the first is {ONE.key}"):
        frame([ONE, dataclasses.replace(ONE, split="test")])


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.drop("split"),
        lambda rows: rows.with_columns(pl.lit(1).alias("width")),
        lambda rows: rows.with_columns(pl.col("split").cast(pl.Categorical)),
        lambda rows: rows.select(*rows.columns[::-1]),
        lambda rows: rows.with_columns(pl.col("retrieved").dt.replace_time_zone(None)),
    ],
)
def test_another_schema_is_refused(change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    with pytest.raises(ValueError, match="not a manifest of version 2"):
        check(change(frame([ONE])))


def test_a_cut_part_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "part.parquet"
    write_part(frame([ONE]), path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(pl.exceptions.PolarsError):
        read_part(path)


def test_many_parts_are_one_table(tmp_path: Path) -> None:
    for i in range(3):
        write_part(frame([dataclasses.replace(ONE, key=f"src-{i}")]), tmp_path / f"{i}.parquet")
    assert scan_parts(sorted(tmp_path.glob("*.parquet"))).collect().height == 3
    assert scan_parts([]).collect().schema == SCHEMA
