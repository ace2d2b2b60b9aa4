"""Curation on real Parquet parts: what is kept, and why the rest is not."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ingest.curate import Curate
from ingest.quota import HeldOut
from shards.canonical import sha256_file, sha256_of
from shards.locator import Locator
from shards.manifest import Caption, Label, Sample, Term, Terms, content_hash, frame
from shards.stage import Context, Kind, Output, Result

CURATING = runpy.run_path(str(Path(__file__).with_name("curating.py")))
KEY, curate, curated, curated_parts, one, reasons, sample = (
    CURATING[name] for name in ("KEY", "curate", "curated", "curated_parts", "one", "reasons", "sample")
)
LABEL = Label(name="polyp", state="present", scope="image", origin="expert")


def test_only_licences_on_the_list_and_terms_that_were_answered(curate: Callable[..., Result]) -> None:
    yes = Terms(train=Term(answer="yes", evidence="page 3"))
    rows = [
        sample("a-1", terms=yes),
        sample("a-2", terms=yes, license="cc-by-4.0"),  # SPDX compares without case
        sample("a-3", terms=yes, license="CC-BY-NC-4.0"),
        sample("a-4"),
        sample("a-5", terms=Terms(train=Term(answer="no", evidence="page 3"))),
    ]
    result = curate(one(rows), require_terms={"train": "yes"})
    assert curate(one(rows), require_terms={"train": True}).rejects == result.rejects  # an unquoted yes of YAML 1.1
    assert {reject.item: (reject.reason, reject.detail) for reject in result.rejects} == {
        "a-3": ("licence_not_allowed", "CC-BY-NC-4.0 is not on the list"),
        "a-4": ("licence_not_allowed", "CC-BY-4.0: train is unknown, not yes"),
        "a-5": ("licence_not_allowed", "CC-BY-4.0: train is no, not yes"),
    }


def test_of_copies_the_one_that_says_most_is_kept_in_any_order(curate: Callable[..., Result], tmp_path: Path) -> None:
    said = (Caption(text="A polyp.", by="source"),)
    rows = [
        sample("a-1", sha256="f" * 64),
        sample("a-2", sha256="f" * 64, captions=said),
        sample("b-3", sha256="f" * 64, labels=(LABEL,)),
        sample("a-4", sha256="e" * 64, labels=(LABEL,)),
        sample("a-5", sha256="e" * 64, captions=(Caption(text="x", by="template@1"),)),
        sample("a-6", sha256="e" * 64, at=Locator(window="bone")),  # another view of the same file is no copy
        sample("a-7"),
        sample("a-8"),  # media not opened: not known to be a copy of anything
    ]
    for number, order in enumerate((rows, rows[::-1])):
        root = tmp_path / str(number)
        result = curate({"one": {"p": order[:4]}, "two": {"p": order[4:]}}, root=root)
        assert reasons(result) == dict.fromkeys(("a-1", "b-3", "a-5"), "duplicate")
        assert {reject.detail for reject in result.rejects} == {"copy of a-2", "copy of a-4"}


def test_a_key_seen_twice_is_a_reject(curate: Callable[..., Result]) -> None:
    result = curate({"one": {"p": [sample("a-1")]}, "two": {"p": [sample("a-1"), sample("a-2")]}})
    assert reasons(result) == {"a-1": "duplicate_key"}
    assert (result.offered, result.accepted) == (3, 2)


def test_what_may_not_be_used_takes_the_place_of_nothing(curate: Callable[..., Result]) -> None:
    """Of two rows with one key the refused one says more and comes first; the other one is kept all the same."""
    refused = sample("a-1", license="MIT", captions=(Caption(text="A polyp.", by="source"),))
    result = curate({"one": {"p": [refused]}, "two": {"p": [sample("a-1")]}})
    assert reasons(result) == {"a-1": "licence_not_allowed"}
    assert (result.offered, result.accepted) == (2, 1)


def test_parts_keep_their_names_rows_and_order_and_content_is_hashed(
    curate: Callable[..., Result], tmp_path: Path
) -> None:
    rows = [sample(f"a-{n:02}") for n in range(20)]
    bad = [sample("a-x", license="MIT")]
    result = curate({"one": {"p0": rows[10:][::-1], "p1": bad}, "two": {"p0": rows[:10]}})
    parts = curated_parts(tmp_path)
    assert list(parts) == ["one.p0", "one.p1", "two.p0"]
    assert parts["one.p1"].height == 0
    assert parts["one.p0"]["key"].to_list() == [f"a-{n}" for n in range(10, 20)]
    assert result.content == sha256_of([[name, content_hash(part)] for name, part in parts.items()])
    unsplit = parts["two.p0"].with_columns(split=pl.lit(None, pl.String))
    assert unsplit.equals(frame(rows[:10]))
    for file in result.files:
        assert sha256_file(tmp_path / "curated" / file.path) == file.sha256


def test_pictures_in_containers_are_copies_by_their_own_bytes(curate: Callable[..., Result], tmp_path: Path) -> None:
    def row(key: str, content: str, **at: Any) -> Sample:
        return sample(key, sha256=content * 64, at=Locator(**at), group=f"image:{key}")

    rows = [
        row("a-1", "a", array="train_images", row=0),
        row("a-2", "a", array="val_images", row=7),
        row("a-3", "a"),  # a file of its own
        row("b-1", "b", array="kspace", row=0, low=0, high=1),
        row("b-2", "b", array="kspace", row=0, low=0, high=2),  # the same values, shown in another range
        row("c-1", "c", array="train_images", row=1),
        row("d-1", "d", member="1.png", left=0, top=0, width=9, height=9),  # two panels of one figure, in two tars
        row("d-2", "d", member="2.png", left=9, top=0, width=9, height=9),
        row("d-3", "d", member="3.png", left=9, top=0, width=9, height=9),
    ]
    assert reasons(curate(one(rows))) == {"a-2": "duplicate", "a-3": "duplicate", "d-3": "duplicate"}
    summary = json.loads((tmp_path / "curated" / "table1.json").read_text())
    assert summary["total"]["groups"] == 4


def test_rows_of_containers_are_apart_and_slabs_join_by_their_name_alone(
    curate: Callable[..., Result], tmp_path: Path
) -> None:
    inside = [sample(f"m-{n}", sha256=f"{n:064}", at=Locator(array="train_images", row=n)) for n in range(20)]
    volume = "b" * 64
    slabs = [
        sample(f"s-{n}", sha256=volume, patient="one", group=f"slab:{n // 2}", at=Locator(axis="axial", slice=n))
        for n in range(20)
    ]
    slices = [
        sample(f"v-{n}", sha256="c" * 64, group=f"image:{n}", at=Locator(axis="axial", slice=n)) for n in range(4)
    ]
    curate(one(inside + slabs + slices), held_out=HeldOut(images=125), val_share=0.2)
    splits = curated(tmp_path)
    by = {prefix: {split for key, split in splits.items() if key[0] == prefix} for prefix in "msv"}
    summary = json.loads((tmp_path / "curated" / "table1.json").read_text())
    assert summary["total"]["groups"] == 20 + 10 + 1
    assert by["v"] <= {"train", "val", "test"}
    assert len(by["v"]) == 1
    assert all(splits[f"s-{n}"] == splits[f"s-{n + 1}"] for n in range(0, 20, 2))


def test_licences_terms_shares_and_quotas_are_checked() -> None:
    for options, words in (
        ({"allow_licenses": ()}, "allow_licenses is empty"),
        ({"allow_licenses": ("CC BY 4.0",)}, "write CC-BY-4.0"),
        ({"allow_licenses": ("MIT",), "require_terms": {"trian": "yes"}}, "no term 'trian'"),
        ({"allow_licenses": ("MIT",), "require_terms": {"train": "True"}}, "cannot be 'True'"),
        ({"allow_licenses": ("MIT",), "val_share": 0.9}, "val_share"),
    ):
        with pytest.raises(ValueError, match=words):
            Curate(**options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="held_out"):
        HeldOut(images=-1)


def test_nothing_to_curate_is_said(tmp_path: Path) -> None:
    ctx = Context(root=tmp_path, out=tmp_path / "o", tmp=tmp_path, folder=tmp_path, key=KEY)
    empty = Output(stage="nih", kind=Kind.MANIFEST, path=tmp_path, content="")
    with pytest.raises(ValueError, match="nothing to curate: no rows came from nih"):
        Curate(allow_licenses=("MIT",)).run([empty], ctx)


def test_importing_the_stage_imports_nothing_heavy() -> None:
    code = (
        "import sys, ingest.curate\n"
        "heavy = {'polars', 'numpy', 'torch', 'cv2', 'av', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_rows_of_the_same_media_in_other_sources_meet(curate: Callable[..., Result], tmp_path: Path) -> None:
    """The whole of a second patient follows when one picture turns out to be shared."""
    shared = replace(sample("b-0", sha256="d" * 64, group="patient:b", patient="b"))
    rows = [
        sample("a-0", sha256="d" * 64, group="patient:a", patient="a", official_split="test"),
        shared,
        sample("b-1", group="patient:b", patient="b"),
    ]
    result = curate(one(rows))
    assert reasons(result) == {"b-0": "duplicate"}
    assert curated(tmp_path) == {"a-0": "test", "b-1": "test"}
    other = tmp_path / "other"
    curate(one(rows[:2]), root=other)
    curate(one([rows[0], rows[2]]), root=other)  # the copy is gone, but what it said of the patient is remembered
    assert curated(other) == {"a-0": "test", "b-1": "test"}
    summary = json.loads((other / "curated" / "table1.json").read_text())
    assert summary["train_only"]["specialties"] == []  # few groups, but a published test set
