"""Texts that several pictures have in common are marked, and nothing else is changed."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from ingest.similar_captions import MarkSimilarCaptions
from shards.manifest import Caption, Media, Sample, frame, read_part, samples, write_part
from shards.stage import Context, Kind, Output, Part

TEXTS = {
    "a": ["Axial image of the chest with a large mass (Figure 3)."],
    "b": ["Figure 4: axial image of the chest with large mass", "Another sentence about the same picture entirely."],
    "c": ["Coronal image of the chest with a large mass."],
    "d": ["Chest CT"],
    "e": ["Chest CT"],
    "f": [],
    "g": ["Axial figure with a large mass in the chest image", "Chest axial figure: large mass image with."],
}


def sample(key: str, texts: list[str], by: str = "source") -> Sample:
    return Sample(
        key=key,
        media=Media(uri=f"/{key}.png", kind="image"),
        modality="CT",
        specialty="radiology",
        group=f"image:{key}",
        label_scope="image",
        source="s",
        license="CC0-1.0",
        captions=tuple(Caption(text=text, by=by, checks=("kept",)) for text in texts),
    )


def marked(folder: Path, rows: dict[str, list[Sample]], **options: int) -> dict[str, Sample]:
    parts = []
    for name, found in rows.items():
        path = folder / "in" / f"{name}.parquet"
        parts.append(Part(id=name, path=path, content=write_part(frame(found), path), rows=len(found)))
    output = Output(stage="in", kind=Kind.MANIFEST, path=folder / "in", content="", parts=tuple(parts))
    ctx = Context(root=folder, out=folder / "out", tmp=folder / "tmp", folder=folder)
    result = MarkSimilarCaptions(**options).run([output], ctx)
    assert result.offered == result.accepted == sum(len(found) for found in rows.values())
    return {one.key: one for name in rows for one in samples(read_part(folder / "out/parts" / f"{name}.parquet"))}


def test_alike_texts_are_marked_over_all_parts_and_each_picture_counts_once(tmp_path: Path) -> None:
    rows = {key: sample(key, texts) for key, texts in TEXTS.items()}
    found = marked(tmp_path, {"one": [rows[key] for key in "abcd"], "two": [rows[key] for key in "efg"]})
    checks = {key: [caption.checks for caption in one.captions] for key, one in found.items()}
    assert checks == {
        "a": [("kept", "similar:3")],
        "b": [("kept", "similar:3"), ("kept",)],
        "c": [("kept",)],
        "d": [("kept",)],
        "e": [("kept",)],
        "f": [],
        "g": [("kept", "similar:3"), ("kept", "similar:3")],
    }
    for key, one in found.items():
        plain = dataclasses.replace(
            one, captions=tuple(dataclasses.replace(caption, checks=("kept",)) for caption in one.captions)
        )
        assert plain == rows[key]


def test_a_second_run_marks_the_same_and_more_pictures_may_be_asked_for(tmp_path: Path) -> None:
    rows = [sample(key, texts) for key, texts in TEXTS.items()]
    once = marked(tmp_path / "a", {"one": rows})
    assert marked(tmp_path / "b", {"one": list(once.values())}) == once
    none = marked(tmp_path / "c", {"one": rows}, pictures=4)
    assert all(caption.checks == ("kept",) for one in none.values() for caption in one.captions)


def test_our_own_words_are_not_judged(tmp_path: Path) -> None:
    rows = [sample(key, ["An axial image of the chest with a mass."], by="template@2") for key in "ab"]
    found = marked(tmp_path, {"one": rows})
    assert all(caption.checks == ("kept",) for one in found.values() for caption in one.captions)


def test_one_picture_is_not_enough() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        MarkSimilarCaptions(pictures=1)
