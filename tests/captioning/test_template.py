"""The template captioner: true, in good English, and always the same for the same row."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captioning.engine import Answer, Ask
from captioning.template import TemplateCaptioner, TemplateEngine, word
from captioning.truth import judge
from captioning.wording import with_article
from shards.attributes import ATTRIBUTES
from shards.intake import Skip
from shards.locator import Locator
from shards.manifest import Label, Media, Sample
from shards.reasons import Reason
from shards.vocabulary import LABEL_SCOPES, LABEL_STATES, MODALITIES

MakeSample = Callable[..., Sample]
KEYS = tuple(f"nih-{number:04}" for number in range(64))  # enough for every phrasing


def texts(make: Callable[[str], Sample]) -> set[str]:
    """Every phrasing of one sample."""
    return {word(make(key), seed=0)[1] for key in KEYS}


def test_phrasings_of_one_picture(make_sample: MakeSample) -> None:
    def chest(key: str) -> Sample:
        return make_sample(
            "CR",
            key=key,
            labels=(
                ("Cardiomegaly", "present", "image"),
                ("Pleural_Effusion", "present", "image"),
                ("Pneumonia", "uncertain", "image"),
                ("Pneumothorax", "absent", "image"),
                ("Fracture", "absent", "image"),
            ),
            body_part="CHEST",
            view="PA",
            age=58,
            sex="F",
        )

    findings = "ardiomegaly, pleural effusion and possible pneumonia but no pneumothorax or fracture"
    assert texts(chest) == {
        opening + whom
        for whom in (", from a woman aged 58.", ", from a 58-year-old woman.")
        for opening in (
            f"C{findings} seen on a PA radiograph of the chest",
            f"C{findings} seen on a PA chest radiograph",
            f"A PA radiograph of the chest showing c{findings}",
            f"A PA chest radiograph showing c{findings}",
        )
    }


def test_the_same_row_always_reads_the_same_and_a_seed_changes_it(make_sample: MakeSample) -> None:
    def make(key: str) -> Sample:
        return make_sample(key=key, labels=(("Edema", "present", "image"),), body_part="chest", age=40)

    assert [word(make(key), 3) for key in KEYS] == [word(make(key), 3) for key in KEYS]
    assert [word(make(key), 3) for key in KEYS] != [word(make(key), 4) for key in KEYS]


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        ("study", "from a study with cardiomegaly"),
        ("patient", "from a patient with cardiomegaly"),
        ("series", "from a series with cardiomegaly"),
    ],
)
def test_a_wider_finding_is_worded_as_such(make_sample: MakeSample, scope: str, words: str) -> None:
    for text in texts(lambda key: make_sample(key=key, labels=(("Cardiomegaly", "present", scope),), view="lateral")):
        assert words in text[0].lower() + text[1:]
        assert "showing" not in text
        assert "seen on" not in text


def test_findings_of_a_whole_video_are_not_those_of_a_frame_or_clip(make_sample: MakeSample) -> None:
    labels = (("polyp", "present", "series"),)
    frame = texts(
        lambda key: make_sample("ES", key=key, kind="video", labels=labels, at=Locator(frame_start=3, frame_stop=4))
    )
    assert frame == {
        "An endoscopic video frame, from a video with a polyp.",
        "From a video with a polyp: an endoscopic video frame.",
    }
    clip = texts(lambda key: make_sample("ES", key=key, kind="video", labels=labels, frames=100, fps=25.0))
    assert clip == {
        "An endoscopic video clip, from a video with a polyp, taken from a 4-second recording.",
        "From a video with a polyp: an endoscopic video clip, taken from a 4-second recording.",
    }


def test_labels_of_the_frames_are_of_the_picture_only_where_its_locator_names_them(make_sample: MakeSample) -> None:
    def said(scope: str, at: Locator, frames: int, state: str = "present") -> set[str]:
        labels = (("pericardial effusion", state, scope),)
        return texts(lambda key: make_sample("US", key=key, kind="video", labels=labels, at=at, frames=frames))

    chosen, one, whole = Locator(frame_start=8, frame_stop=40), Locator(frame_start=8, frame_stop=9), Locator()
    assert said("frames", chosen, 32) == {
        "An ultrasound video clip showing pericardial effusion.",
        "Pericardial effusion seen in an ultrasound video clip.",
    }
    assert said("frames", one, 1) == {
        "An ultrasound video frame showing pericardial effusion.",
        "Pericardial effusion seen in an ultrasound video frame.",
    }
    of_the_video = {
        "An ultrasound video clip, from a video with pericardial effusion.",
        "From a video with pericardial effusion: an ultrasound video clip.",
    }
    assert said("frames", whole, 400) == said("image", whole, 400) == said("image", chosen, 32) == of_the_video
    assert said("image", chosen, 32, "absent") == {"An ultrasound video clip."}  # the rest of the video may have it
    assert said("image", whole, 400, "absent") == {
        "An ultrasound video clip, from a video with no pericardial effusion.",
        "From a video with no pericardial effusion: an ultrasound video clip.",
    }


def test_a_label_of_a_slice_in_a_stack_is_of_one_of_its_slices(make_sample: MakeSample) -> None:
    labels = (("hemorrhage", "present", "slice"),)
    at = Locator(axis="axial")
    stack = texts(lambda key: make_sample("CT", key=key, kind="nifti", labels=labels, at=at, frames=30, plane="axial"))
    assert stack == {"An axial CT slice sequence, with hemorrhage in one of its slices."}
    at = Locator(axis="axial", slice=3)
    one = texts(lambda key: make_sample("CT", key=key, kind="nifti", labels=labels, at=at, plane="axial"))
    assert one == {"An axial CT image showing hemorrhage.", "Hemorrhage seen in an axial CT image."}


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ({"plane": "axial", "position_mm": 12.0, "space": "MNI152"}, ", 12 mm above the origin of MNI152 space."),
        ({"plane": "axial", "position_mm": -7.5, "space": "MNI152"}, ", 7.5 mm below the origin of MNI152 space."),
        ({"plane": "coronal", "position_mm": -3, "space": "MNI152"}, ", 3 mm behind the origin of MNI152 space."),
        (
            {"plane": "sagittal", "position_mm": 3, "space": "MNI152"},
            ", 3 mm to the right of the origin of MNI152 space.",
        ),
        ({"plane": "sagittal", "position_mm": 0, "space": "MNI152"}, ", through the origin of MNI152 space."),
        ({"plane": "axial", "position_mm": 812.4}, "An axial MR image."),
        ({"contrast": True, "plane": "axial"}, "A contrast-enhanced axial MR image."),
        ({"contrast": False, "plane": "axial"}, "A non-contrast axial MR image."),
        ({"sequence": "FLAIR"}, "A FLAIR MR image."),
        ({"map": "grey matter probability"}, "An MRI-derived grey matter probability map."),
    ],
)
def test_words_of_metadata(make_sample: MakeSample, known: dict[str, Any], words: str) -> None:
    assert word(make_sample("MR", **known), 0)[1].endswith(words)


def test_windows_sides_stains_and_recordings(make_sample: MakeSample) -> None:
    assert word(make_sample("CT", at=Locator(window="bone")), 0)[1] == "A CT image, shown in a bone window."
    assert word(make_sample("CT", at=Locator(window="header")), 0)[1] == "A CT image."
    assert word(make_sample("OP", laterality="L"), 0)[1] == "A fundus photograph of the left eye."
    assert (
        word(make_sample("DX", laterality="bilateral", body_part="KNEE"), 0)[1] == "A digital radiograph of both knees."
    )
    slide = make_sample("SM", stain="H&E", magnification=20)
    assert word(slide, 0)[1] == "An H&E-stained histology image, at 20x magnification."
    ecg = make_sample("ECG", kind="ecg", leads=12, duration_s=10.0)
    assert word(ecg, 0)[1] == "A 10-second 12-lead electrocardiogram."
    clip = make_sample("SURG", kind="video", frames=64, fps=25.0, at=Locator(frame_start=10, frame_stop=74))
    assert word(clip, 0)[1] == "An operative video clip, taken from a 2.6-second sequence."


def test_both_are_said_of_parts_in_pairs_alone(make_sample: MakeSample) -> None:
    def said(part: str) -> str:
        return word(make_sample("DX", laterality="bilateral", body_part=part), 0)[1]

    assert said("lungs") == "A digital radiograph of both lungs."
    assert said("chest") == "A digital radiograph of the chest."
    assert texts(lambda key: make_sample("CR", key=key, laterality="B", body_part="chest")) == {
        "A radiograph of the chest.",
        "A chest radiograph.",
    }


@pytest.mark.parametrize(
    ("modality", "frame", "clip", "stack"),
    [
        ("XC", "A clinical video frame.", "A clinical video clip.", None),
        ("SURG", "An operative video frame.", "An operative video clip.", None),
        ("XA", "An X-ray angiography video frame.", "An X-ray angiography video clip.", None),
        ("OP", "A fundus video frame.", "A fundus video clip.", None),
        ("MR", "An MR video frame.", "An MR video clip.", "An MR slice sequence."),
        ("MG", "A mammography video frame.", "A mammography video clip.", "A mammography image sequence."),
        ("CR", "A radiography video frame.", "A radiography video clip.", "A radiography image sequence."),
    ],
)
def test_names_of_frames_clips_and_stacks(
    make_sample: MakeSample, modality: str, frame: str, clip: str, stack: str | None
) -> None:
    at = Locator(frame_start=1, frame_stop=2)
    assert word(make_sample(modality, kind="video", at=at), 0)[1] == frame
    assert word(make_sample(modality, kind="video", frames=9), 0)[1] == clip
    if stack:
        assert word(make_sample(modality, kind="dicom", frames=9), 0)[1] == stack


def test_nifti_over_time_is_a_clip_and_a_stack_is_none(make_sample: MakeSample) -> None:
    assert word(make_sample("US", kind="nifti", frames=9, at=Locator(axis="time")), 0)[1] == "An ultrasound video clip."
    assert word(make_sample("US", kind="nifti", frames=1, at=Locator(axis="time")), 0)[1] == "An ultrasound image."
    stack = make_sample("US", kind="nifti", frames=9, at=Locator(axis="axial"))
    assert word(stack, 0)[1] == "An ultrasound image sequence."


def test_what_a_source_does_not_say_of_its_pictures_is_not_said(make_sample: MakeSample) -> None:
    assert word(make_sample("PATH"), 0)[1] == "A pathology image."
    assert word(make_sample("FIG"), 0)[1] == "A published figure."


@pytest.mark.parametrize(
    ("frames", "at", "stated", "words"),
    [
        (100, Locator(), None, "4-second recording"),
        (100, Locator(), 4.0, "4-second recording"),
        (200, Locator(), None, "8-second recording"),
        (275, Locator(), None, "11-second recording"),
        (32, Locator(frame_start=0, frame_stop=32), None, "1.3-second sequence"),
        (32, Locator(frame_start=0, frame_stop=32), 1.28, "1.3-second sequence"),  # the source means the clip
        (32, Locator(frame_start=0, frame_stop=32), 2.5, "2.5-second recording"),
        (100, Locator(), 2.0, "4-second recording"),  # an error of the source
        (None, Locator(), 7200.0, "120-minute recording"),
        (None, Locator(frame_start=0, frame_stop=32), 7.0, "7-second sequence"),
        (1, Locator(frame_start=0, frame_stop=1), 7.0, None),
    ],
)
def test_where_a_clip_is_taken_from(
    make_sample: MakeSample, frames: int | None, at: Locator, stated: float | None, words: str | None
) -> None:
    known = {} if stated is None else {"duration_s": stated}
    sample = make_sample("US", kind="video", frames=frames, fps=25.0, at=at, **known)
    text = word(sample, 0)[1]
    assert text == (
        f"An ultrasound video clip, taken from {with_article(words)}." if words else "An ultrasound video frame."
    )
    assert judge(text, sample) == []


def test_no_finding_is_never_normal_and_devices_are_still_named(make_sample: MakeSample) -> None:
    labels = (("No Finding", "present", "study"), ("Support Devices", "present", "study"))
    for text in texts(lambda key: make_sample(key=key, labels=labels)):
        assert "from a study with support devices and none of the labelled findings" in text[0].lower() + text[1:]
        assert "normal" not in text.lower()
    named = (("none of the 14 labelled findings", "present", "image"), ("Support Devices", "present", "image"))
    assert texts(lambda key: make_sample(key=key, labels=named)) == {
        "A radiograph showing support devices and none of the 14 labelled findings.",
        "Support devices and none of the 14 labelled findings seen on a radiograph.",
    }
    stated = (("No Finding", "present", "image"), ("Edema", "absent", "image"), ("Support Devices", "absent", "image"))
    assert texts(lambda key: make_sample(key=key, labels=stated)) == {
        "A radiograph showing none of the labelled findings and no support devices.",
        "None of the labelled findings and no support devices seen on a radiograph.",
    }
    mixed = (("normal", "present", "image"), ("Edema", "present", "image"))
    assert all("normal" not in text.lower() for text in texts(lambda key: make_sample(key=key, labels=mixed)))
    both = (("No Finding", "present", "image"), ("Edema", "present", "image"))
    assert all("none of" not in text.lower() for text in texts(lambda key: make_sample(key=key, labels=both)))


def test_what_labellers_disagree_about_is_not_said(make_sample: MakeSample) -> None:
    sample = make_sample(labels=(("Edema", "present", "image"), ("Edema", "absent", "image")))
    assert word(sample, 0)[1] == "A radiograph."
    mined = Label(name="Edema", state="absent", scope="image", origin="text-mined")
    expert = Label(name="Edema", state="present", scope="image", origin="expert")
    for labels in ((mined, expert), (expert, mined)):
        said = Sample(**{**_fields(make_sample()), "labels": labels})
        assert "edema" in word(said, 0)[1].lower()
        assert "no edema" not in word(said, 0)[1].lower()


def _fields(sample: Sample) -> dict[str, Any]:
    return {name: getattr(sample, name) for name in Sample.__dataclass_fields__}


def test_least_facts(make_sample: MakeSample) -> None:
    def ask(sample: Sample) -> Ask:
        def frames() -> Any:
            raise AssertionError("the template opens no media")

        return Ask(sample=sample, frames=frames)

    bare, known = make_sample("XC"), make_sample("XC", body_part="hand")
    strict = TemplateCaptioner(TemplateEngine(least_facts=1))
    skip, answer = strict.caption([ask(bare), ask(known)])
    assert isinstance(skip, Skip)
    assert skip.reason is Reason.NO_CAPTION
    assert answer == Answer(text="A clinical photograph of the hand.")
    assert list(TemplateCaptioner(TemplateEngine()).caption([ask(bare)])) == [Answer(text="A clinical photograph.")]
    with pytest.raises(ValueError, match="least_facts"):
        TemplateEngine(least_facts=-1)


def test_only_attributes_on_the_list_are_worded(make_sample: MakeSample) -> None:
    planted = {
        "patient_name": "CANARY^JANE",
        "study_date": "20140915",
        "institution": "Canary Hospital",
        "manufacturer": "CANARY",
        "body_part": "CANARY^JANE",
        "view": "PA 20140915",
        "age": "1956-02-03",
        "position_mm": 3.0,
    }
    for text in texts(lambda key: make_sample(key=key, attributes=json.dumps(planted))):
        assert text == "A radiograph."


def test_truth_table_of_two_labels(make_sample: MakeSample) -> None:
    """All states of two labels, scopes and views: the caption says of each what its label says, where it says it."""
    states = (*LABEL_STATES, None)
    for one, other, scope, view in itertools.product(states, states, LABEL_SCOPES, ("PA", "lateral")):
        named = (("Pneumonia", one), ("Support Devices", other))
        labels = tuple((name, state, scope) for name, state in named if state)
        for key in KEYS[:6]:
            sample = make_sample(key=key, labels=labels, body_part="chest", view=view, age=70, sex="M")
            text = word(sample, 0)[1]
            assert judge(text, sample, ["Pneumothorax", "Pneumonia", "Support Devices"]) == [], text
            for name, state in named:
                said = name.lower() in text.lower()
                assert said == (state is not None), text
                assert (f"possible {name}".lower() in text.lower()) == (state == "uncertain"), text
                denied = re.search(rf"\bno [\w ]*{name}".lower(), text.lower()) is not None
                assert denied == (state == "absent"), text
            if labels and scope in ("series", "study", "patient"):
                assert re.search(rf"\bfrom a {scope} with", text, re.IGNORECASE), text
            assert not re.search(r"normal|healthy|no evidence|female|woman|frontal|years|nan|None", text), text


NAMES = ("Pneumonia", "Pleural_Effusion", "No Finding", "polyp", "normal cecum", "Lung Nodule", "MI", "nan", "Fracture")
VALUES = st.one_of(
    st.floats(), st.integers(-5, 400), st.booleans(), st.text("aZé ^0(.", max_size=6),
    st.sampled_from(("F", "M", "left", "R", "axial", "058Y", "095Y", "000M", "LATERAL", "H&E", "MNI152", "bone")),
)  # fmt: skip


@settings(deadline=None)
@given(
    modality=st.sampled_from(sorted(MODALITIES)),
    labels=st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(LABEL_STATES), st.sampled_from(LABEL_SCOPES))),
    attributes=st.dictionaries(st.sampled_from(sorted(ATTRIBUTES)), VALUES),
    media=st.sampled_from(
        (
            ("image", None, None, Locator()),
            ("video", 90, 30.0, Locator()),
            ("video", None, None, Locator(frame_start=4, frame_stop=36)),
            ("dicom", 1, None, Locator(frame_start=0, frame_stop=1)),
            ("nifti", 30, None, Locator(axis="coronal")),
            ("nifti", 1, None, Locator(axis="coronal", slice=3, window="lung")),
        )
    ),
    key=st.text("abcdef0123456789", min_size=1, max_size=8),
)
def test_any_row_gives_one_clean_sentence(
    modality: str,
    labels: list[tuple[str, str, str]],
    attributes: dict[str, Any],
    media: tuple[str, int | None, float | None, Locator],
    key: str,
) -> None:
    kind, frames, fps, at = media
    sample = Sample(
        key=f"s-{key}",
        media=Media(uri="x", kind=kind, frames=frames, fps=fps, locator=at.text()),
        modality=modality,
        specialty="radiology",
        group="image:x",
        label_scope="image",
        source="s",
        license="CC0-1.0",
        labels=tuple(Label(name=n, state=state, scope=scope, origin="model") for n, state, scope in labels),
        attributes=json.dumps(attributes),
    )
    _, text = word(sample, 0)
    assert text == " ".join(text.split())
    assert re.fullmatch(r"[A-Z0-9].*[^.,; ]\.", text), text
    assert not re.search(r"\bnan\b|\bNone\b(?! of)|[\[\]{}]|\(\)|\.\.| ,|,,", text), text
    assert text.count("(") == text.count(")")
