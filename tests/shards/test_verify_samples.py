"""Verify names the samples whose files are sound and whose content is not, and what lies in two splits."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shards import codecs
from shards.canonical import canonical_json
from shards.manifest import Caption, Media, Sample
from shards.record import record
from shards.verify import verify

MakeSample = Callable[..., Sample]
MakePacked = Callable[..., Path]
Spoil = Callable[[str, dict[str, bytes]], None]


def _spoil(name: str, data: bytes) -> Spoil:
    def change(key: str, parts: dict[str, bytes]) -> None:
        if key == "k1":
            parts[name] = data

    return change


def _edit(**fields: Any) -> Spoil:
    def change(key: str, parts: dict[str, bytes]) -> None:
        if key == "k1":
            parts["json"] = canonical_json({**json.loads(parts["json"]), **fields}).encode()

    return change


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_spoil("txt", b""), "empty_text"),
        (_spoil("txt", b" \n"), "empty_text"),
        (_spoil("txt", b"another text"), "text_differs"),
        (_spoil("json", b"{"), "bad_json"),
        (_spoil("json", b"[]"), "bad_json"),
        (_spoil("jpg", b"not a picture"), "does_not_decode"),
        (_edit(fps=0), "wrong_record"),
        (_edit(patient=None), "wrong_record"),
        (_edit(extra="x"), "wrong_record"),
        (_edit(captions=[]), "wrong_record"),
        (_edit(captions=["a text"]), "wrong_record"),
        (_edit(captions=[{"by": "source", "text": None, "weight": 1.0}]), "wrong_record"),
        (_edit(steps=["fit", None]), "wrong_record"),
        (_edit(terms={"train": {"answer": "yes", "evidence": None}}), "wrong_record"),
        (_edit(key="k2"), "wrong_record"),
        (_edit(split="test"), "wrong_record"),
        (_edit(width_px=64), "wrong_media"),
        (_spoil("npy", b""), "wrong_members"),
    ],
)
def test_faults_inside_sound_files_name_their_sample(
    make_packed: MakePacked, make_sample: MakeSample, change: Spoil, code: str
) -> None:
    folder = make_packed([[make_sample("k0"), make_sample("k1"), make_sample("k2")]], spoil=change)
    assert [(problem.code, problem.where) for problem in verify(folder).problems] == [(code, "train/x-000000.tar k1")]


def test_a_cut_jpeg_does_not_decode(make_packed: MakePacked, make_sample: MakeSample) -> None:
    def change(key: str, parts: dict[str, bytes]) -> None:
        if key == "k1":
            parts["jpg"] = parts["jpg"][: len(parts["jpg"]) // 2]

    folder = make_packed([[make_sample("k0"), make_sample("k1")]], spoil=change)
    assert [problem.code for problem in verify(folder).problems] == ["does_not_decode"]
    assert verify(folder, decode=False).good


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"group": "patient:same"}, "the same group"),
        ({"patient": "same"}, "the same patient"),
        ({"study": "same"}, "the same study"),
        ({"source_id": "same"}, "copies of one item"),
        ({"media": Media(uri="x", kind="image", sha256="same")}, "the same source file"),
    ],
)
def test_leakage_names_both_samples(
    make_packed: MakePacked, make_sample: MakeSample, fields: dict[str, Any], what: str
) -> None:
    folder = make_packed(
        [
            [make_sample("a1", **fields), make_sample("a2")],
            [make_sample("b1", "test", **fields), make_sample("b2", "test")],
        ],
    )
    (problem,) = verify(folder).problems
    assert problem.code == "leak"
    assert problem.where == f"{problem.where.split(' in ')[0]} in test and train: b1, a1"
    assert what in problem.where


def test_a_picture_in_two_splits_is_a_leak(make_packed: MakePacked, make_sample: MakeSample) -> None:
    pixels = np.full((1, 32, 32), 7, np.uint8)
    pixels[0, 16:] = 12  # dark, and not blank
    same = codecs.encode(pixels, "jpg", quality=95)[0]

    def change(key: str, parts: dict[str, bytes]) -> None:
        if key in ("a1", "b1"):
            parts["jpg"] = same

    folder = make_packed([[make_sample("a1"), make_sample("a2")], [make_sample("b1", "test")]], spoil=change)
    (problem,) = verify(folder).problems
    assert problem.where == "the same picture, byte for byte in test and train: b1, a1"


@pytest.mark.parametrize("value", [0, 7, 255])
def test_blank_pictures_are_alike_whoever_they_are_of(
    make_packed: MakePacked, make_sample: MakeSample, value: int
) -> None:
    same = codecs.encode(np.full((1, 32, 32), value, np.uint8), "jpg", quality=95)[0]

    def change(key: str, parts: dict[str, bytes]) -> None:
        parts["jpg"] = same

    folder = make_packed([[make_sample("a1"), make_sample("a2")], [make_sample("b1", "test")]], spoil=change)
    for report in (verify(folder), verify(folder, decode=False)):
        assert report.good, report.text()
        assert "3 samples in several splits show nothing" in report.text()
    (folder / "test/x-000001.tar").unlink()
    assert [problem.code for problem in verify(folder).problems] == ["missing_shard"]
    patient = make_packed(
        [[make_sample("a1", patient="same")], [make_sample("b1", "test", patient="same")]], "one", spoil=change
    )
    assert [problem.where for problem in verify(patient).problems] == ["the same patient in test and train: b1, a1"]


def test_slabs_of_one_volume_are_remarked_upon_and_not_a_leak(make_packed: MakePacked, make_sample: MakeSample) -> None:
    def slab(key: str, split: str, group: str) -> Sample:
        media = Media(uri="brain.nii", kind="nifti", sha256="brain")
        return make_sample(key, split, group=group, patient="p", study="s", source_id="i", media=media)

    folder = make_packed([[slab("a1", "train", "slab:v-0")], [slab("b1", "test", "slab:v-2")]])
    report = verify(folder)
    assert report.good, report.text()
    assert "scores within one volume show fit and not generalisation" in report.text()
    # a whole-volume sample of the same person elsewhere is a leak all the same
    third = make_sample("c1", "test", group="patient:q", patient="p")
    folder = make_packed([[slab("a1", "train", "slab:v-0")], [third]], "mixed")
    assert [problem.where for problem in verify(folder).problems] == ["the same patient in test and train: c1, a1"]
    # and so is one slab in two splits
    folder = make_packed([[slab("a1", "train", "slab:v-0")], [slab("b1", "test", "slab:v-0")]], "torn")
    assert [problem.where for problem in verify(folder).problems] == ["the same group in test and train: b1, a1"]


def test_a_key_in_two_shards_is_found(make_packed: MakePacked, make_sample: MakeSample) -> None:
    folder = make_packed([[make_sample("a1")], [make_sample("a1", group="patient:z", patient="z"), make_sample("a2")]])
    assert ("duplicate_key", "a1") in {(problem.code, problem.where) for problem in verify(folder).problems}


def test_the_record_has_one_form_whatever_the_sample_lacks(make_sample: MakeSample) -> None:
    size = {"width_px": 8, "height_px": 8, "frames": 1, "fps": 0.0, "steps": ["fit"]}
    facts = {**size, "source_width_px": 9, "source_height_px": 9, "source_frames": 1, "decoded_by": "x 1"}
    full = record(make_sample("a", patient="p", study="s", source_id="i", url="u", official_split="train"), facts)
    bare = record(
        make_sample("b", patient=None, labels=(), captions=(Caption(text="x", by="source", weight=2),)), facts
    )
    assert [(key, type(value)) for key, value in sorted(full.items())] == [
        (key, type(value)) for key, value in sorted(bare.items())
    ]
    assert isinstance(bare["captions"][0]["weight"], float)
    assert json.loads(full["labels"]) == [{"name": "mass", "origin": "expert", "scope": "image", "state": "present"}]
