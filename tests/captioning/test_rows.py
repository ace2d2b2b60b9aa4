"""The captioner over a table: the texts are those of the captioner row by row, and none is false."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from captioning import rows as table_path
from captioning.engine import Ask, RowCaptioner
from captioning.fill import FillCaptions
from captioning.rows import word_rows
from captioning.template import TemplateCaptioner, TemplateEngine, word
from captioning.truth import judge
from shards.attributes import ATTRIBUTES
from shards.intake import Skip
from shards.locator import TIME, Locator
from shards.manifest import Label, Media, Sample, frame, samples, write_part
from shards.phrasing import check_template
from shards.stage import Context, Unit
from shards.vocabulary import LABEL_ORIGINS, LABEL_SCOPES, LABEL_STATES, MODALITIES

MakeSample = Callable[..., Sample]
NAMES = ("Pneumonia", "Pleural_Effusion", "No Finding", "none of the 14 labelled findings", "Support Devices", "polyp")
VALUES = st.one_of(
    st.floats(), st.integers(-5, 400), st.booleans(),
    st.sampled_from(("F", "M", "left", "R", "B", "axial", "058Y", "095Y", "006M", "000M", "LATERAL", "H&E", "MNI152")),
    st.sampled_from(("bone", "chest", "KNEE", "over 89", "unknown", "ß ring", "élan", "left anterior oblique")),
)  # fmt: skip
CHUNKS = (
    "{picture:a}", "{picture}", " showing {findings}", "[ showing {findings}]",
    "[, from a study with {study_findings}]",
    "[, from a video with {series_findings}]", " with {slice_findings} in one of its slices", "[, {details}]",
    "[, from {person:a}]", ", from {person:a}", "[ ({view})]", " ([{body_part}])", "  ", " ,", ".", "[{age}, {sex}]",
    "[, in {window:a}]", "[, from a patient with {patient_findings}]", "ß", "picture", " [{stain}] ",
)  # fmt: skip


def _sound(template: str) -> bool:
    try:
        check_template(template)
    except ValueError:
        return False
    return True


templates = st.lists(st.sampled_from(CHUNKS), min_size=1, max_size=6).map(" ".join).filter(_sound)
media = st.sampled_from(
    (
        ("image", None, None, Locator()),
        ("image", 1, None, Locator()),
        ("video", 90, 30.0, Locator()),
        ("video", None, None, Locator(frame_start=4, frame_stop=36)),
        ("video", 32, 25.0, Locator(frame_start=4, frame_stop=36, member='a"window":"bone"')),
        ("frames", None, None, Locator(slice=2)),
        ("dicom", 1, None, Locator(frame_start=0, frame_stop=1)),
        ("dicom", 40, 12.5, Locator(low=-0.0, high=80)),
        ("nifti", 30, None, Locator(axis="coronal")),
        ("nifti", 1, None, Locator(axis="coronal", slice=0, window="lung")),
        ("nifti", 1, None, Locator(axis="axial", slice=4, window="header")),
        ("nifti", 18, 42.5, Locator(axis=TIME)),
        ("nifti", 1, None, Locator(axis=TIME)),
    )
)


@st.composite
def sample_lists(draw: Any) -> list[Sample]:
    keys = draw(st.lists(st.text("abcdef0123", min_size=1, max_size=5), min_size=1, max_size=6, unique=True))
    cells = draw(st.lists(st.lists(templates, min_size=1, max_size=3), min_size=1, max_size=2))
    found = []
    for key in sorted(keys):
        kind, frames, fps, at = draw(media)
        labels = draw(
            st.lists(
                st.builds(
                    Label,
                    name=st.sampled_from(NAMES),
                    state=st.sampled_from(LABEL_STATES),
                    scope=st.sampled_from(LABEL_SCOPES),
                    origin=st.sampled_from(LABEL_ORIGINS),
                ),
                max_size=4,
            )
        )
        attributes = draw(st.dictionaries(st.sampled_from(sorted(ATTRIBUTES)), VALUES, max_size=6))
        own = draw(st.sampled_from((None, *map("\n".join, cells))))
        found.append(
            Sample(
                key=key,
                media=Media(uri="x", kind=kind, frames=frames, fps=fps, locator=at.text()),
                modality=draw(st.sampled_from(sorted(MODALITIES))),
                specialty="radiology",
                group="image:x",
                label_scope="image",
                source="s",
                license="CC0-1.0",
                labels=tuple(labels),
                attributes=json.dumps(attributes),
                template=own,
            )
        )
    return found


@settings(deadline=None)
@given(sample_lists(), st.integers(0, 3))
def test_a_table_gets_the_texts_that_its_rows_get(found: list[Sample], seed: int) -> None:
    expected = [(sample.key, *word(sample, seed)) for sample in found]
    assert list(word_rows(frame(found), seed).iter_rows()) == expected


@settings(deadline=None)
@given(sample_lists())
def test_no_random_row_gets_a_false_caption(found: list[Sample]) -> None:
    for sample in found:
        text = word(sample, 0)[1]
        assert judge(text, sample, NAMES) == [], text


def test_no_rows_and_rows_of_which_too_little_is_known(make_sample: MakeSample) -> None:
    captioner = TemplateCaptioner(TemplateEngine(least_facts=2))
    assert isinstance(captioner, RowCaptioner)
    found = [make_sample(key="a"), make_sample(key="b", view="PA", sex="M"), make_sample(key="c", age=4)]
    answers = captioner.caption_rows(frame(found))
    asked = [Ask(sample=sample, frames=lambda: pytest.fail("no media is opened")) for sample in found]
    for answer, row in zip(captioner.caption(asked), answers.iter_rows(named=True), strict=True):
        if isinstance(answer, Skip):
            assert (row["text"], row["reason"], row["detail"]) == (None, answer.reason.value, answer.detail)
        else:
            assert (row["text"], row["reason"]) == (answer.text, None)
    assert answers["text"].is_null().to_list() == [True, False, True]
    assert captioner.caption_rows(frame(found).clear()).height == 0


def test_the_stage_words_each_distinct_cell_once_and_builds_no_sample(
    make_sample: MakeSample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = ((("Edema", "present", "study"),), (("Mass", "uncertain", "image"),), ())
    found = [
        make_sample(key=f"nih-{n:04}", labels=labels[n % 3], age=50 + n % 4, sex="FM"[n % 2], view="PA")
        for n in range(600)
    ]
    path = tmp_path / "part.parquet"
    write_part(frame(found), path)
    calls = {"looks": 0, "statements": 0}

    def counted(name: str, function: Any) -> Any:
        def call(*args: Any) -> Any:
            calls[name] += 1
            return function(*args)

        return call

    monkeypatch.setattr(table_path, "look_words", counted("looks", table_path.look_words))
    monkeypatch.setattr(table_path, "statements", counted("statements", table_path.statements))
    monkeypatch.setattr(Sample, "from_row", lambda row: pytest.fail("a sample was built"))
    ctx = Context(root=tmp_path, out=tmp_path, tmp=tmp_path, folder=tmp_path)
    with FillCaptions().open(ctx) as worker:
        result = worker.process(Unit(id="part", payload={"part": str(path)}))
    monkeypatch.undo()
    assert calls == {"looks": 4, "statements": 3}
    assert result.rows is not None
    assert [sample.captions[0].text for sample in samples(result.rows)] == [word(sample, 0)[1] for sample in found]


@settings(deadline=None)
@example([])
@given(st.lists(st.sampled_from(("nih-a", "nih-b", "nih-c")), unique=True))
def test_order_and_neighbours_change_no_text(keys: list[str]) -> None:
    def row(key: str) -> Sample:
        return Sample(
            key=key,
            media=Media(uri="x", kind="image", frames=1),
            modality="CR",
            specialty="radiology",
            group="image:x",
            label_scope="image",
            source="s",
            license="CC0-1.0",
            attributes='{"age":58.0,"body_part":"chest","sex":"female"}',
        )

    alone = {key: word(row(key), 0)[1] for key in keys}
    if keys:
        assert dict(word_rows(frame(map(row, keys)), 0).select("key", "text").iter_rows()) == alone


def test_columns_of_a_table_with_no_template_at_all(make_sample: MakeSample) -> None:
    table = frame([make_sample(key="a"), make_sample(key="b", template="{picture} of a person")])
    assert table.schema["template"] == pl.String
    assert word_rows(table, 0)["text"].to_list() == ["A radiograph.", "Radiograph of a person."]
