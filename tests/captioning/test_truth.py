"""The check itself: it names each forbidden sentence, and lets true ones pass."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from captioning.truth import false_statements, judge
from captioning.truth_scope import unit_true
from shards.locator import Locator
from shards.manifest import Caption, Sample

MakeSample = Callable[..., Sample]
CHEST = (
    ("Cardiomegaly", "present", "image"),
    ("Pneumonia", "uncertain", "image"),
    ("Pneumothorax", "absent", "image"),
    ("Edema", "present", "study"),
    ("Fracture", "absent", "study"),
)


@pytest.fixture
def chest(make_sample: MakeSample) -> Sample:
    return make_sample("CR", labels=CHEST, body_part="chest", view="PA", age=58, sex="F")


@pytest.mark.parametrize(
    "text",
    [
        "A PA radiograph of the chest showing cardiomegaly, possible pneumonia but no pneumothorax.",
        "Cardiomegaly seen on a PA chest radiograph, from a study with edema but no fracture, from a woman aged 58.",
        "A radiograph without pneumothorax, from a 58-year-old woman.",
        "A chest X-ray with possible pneumonia.",
        "From a study with edema and cardiomegaly: a PA radiograph of the chest.",
        "A radiograph showing no fracture.",  # what the study lacks, the picture lacks
        "A PA radiograph showing cardiomegaly, from a study with edema, possible pneumonia but no fracture.",
        "A PA radiograph, from a study with edema, showing cardiomegaly.",
        "From a study with edema, cardiomegaly seen on a PA radiograph.",
    ],
)
def test_true_sentences_pass(chest: Sample, text: str) -> None:
    assert judge(text, chest, ["Atelectasis", "Support Devices"]) == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("A normal chest radiograph.", "normal"),
        ("A radiograph of a healthy woman aged 58.", "healthy"),
        ("A radiograph with no evidence of pneumothorax.", "no evidence of"),
        ("An unremarkable radiograph.", "unremarkable"),
        ("A radiograph with no acute findings.", "no acute findings"),
        ("None of the labelled findings seen on a radiograph.", "None of the labelled findings"),
        ("A radiograph showing edema.", "says edema of the picture"),
        ("A PA radiograph, from a study with edema, showing a fracture.", "says fracture of the picture"),
        ("A PA radiograph, from a study with cardiomegaly, showing edema.", "says edema of the picture"),
        ("A PA radiograph, from a study with cardiomegaly, with edema.", "says edema of the picture"),
        ("A PA radiograph, from a study with cardiomegaly, and depicting edema.", "says edema of the picture"),
        ("From a study with edema seen on a PA radiograph.", "says edema of the picture"),
        ("From a study with cardiomegaly, edema seen on a radiograph.", "says edema of the picture"),
        ("A radiograph with clear lungs.", "says clear"),
        ("A radiograph with no acute process.", "says no acute"),
        ("A radiograph without acute disease.", "says without acute"),
        ("A radiograph without any abnormality.", "says without any abnormality"),
        ("A radiograph with no pathology.", "says no pathology"),
        ("A benign radiograph.", "says benign"),
        ("A radiograph with none of the 14 labelled findings.", "none of the 14 labelled findings"),
        ("A radiograph showing pneumonia.", "says pneumonia of the picture"),
        ("A radiograph with no pneumonia.", "says no pneumonia of the picture"),
        ("A radiograph showing pneumothorax.", "says pneumothorax of the picture"),
        ("A radiograph with no cardiomegaly.", "says no cardiomegaly"),
        ("A radiograph, from a study with no pneumothorax.", "says no pneumothorax of the study"),
        ("A radiograph showing a mass.", "says mass"),
        ("A radiograph without atelectasis.", "says no atelectasis"),
        ("A radiograph showing support devices.", "says support devices"),
        ("From a study with edema: a radiograph showing edema.", "says edema of the picture"),
        ("A CT image of the chest.", "says CT of a CR picture"),
        ("An MRI image.", "says MRI"),
        ("An ultrasound image.", "says ultrasound"),
        ("A mammogram.", "says mammogram"),
        ("An axial radiograph.", "says axial"),
        ("A T1-weighted radiograph.", "says T1"),
        ("A radiograph of the left chest.", "says left"),
        ("A radiograph of both lungs.", "says both"),
        ("A contrast-enhanced radiograph.", "says contrast-enhanced"),
        ("A radiograph, shown in a bone window.", "says bone window"),
        ("A radiograph at end diastole.", "says end diastole"),
        ("A radiograph, 12 mm above the origin of MNI152 space.", "says 12 mm above"),
        ("A radiograph of a man.", "says man"),
        ("A radiograph, from a woman aged 59.", "says aged 59"),
        ("A radiograph, from a 95-year-old woman.", "says 95-year-old"),
        ("A radiograph, from a woman over 89.", "says over 89"),
        ("A radiograph, from an infant.", "says infant"),
        ("A radiograph of patient 4711.", "states the number 4711"),
        ("A radiograph taken 2014-09-15.", "date"),
        ("A radiograph of DOE^JANE.", "name of a person"),
        ("A radiograph of Mrs Doe.", "name of a person"),
        ("A radiograph of the nan.", "nan"),
        ("A radiograph, view None.", "None"),
        ("A radiograph ().", "empty brackets"),
        ("A  radiograph.", "double space"),
        ("A radiograph..", "doubled punctuation"),
        ("A {view} radiograph.", "unfilled field"),
    ],
)
def test_each_forbidden_sentence_is_named(chest: Sample, text: str, complaint: str) -> None:
    found = judge(text, chest, ["Atelectasis", "Support Devices"])
    assert any(complaint in line for line in found), found


def test_a_normal_structure_may_be_called_so_only_where_it_is_labelled(make_sample: MakeSample) -> None:
    labelled = make_sample("ES", labels=(("normal cecum", "present", "image"),))
    assert judge("An endoscopic image showing a normal cecum.", labelled) == []
    assert judge("An endoscopic image showing a normal cecum.", make_sample("ES"), ["normal cecum"])


def test_a_picture_at_one_moment_of_the_cycle_is_at_no_other(make_sample: MakeSample) -> None:
    heart = make_sample("US", cardiac_phase="end systole")
    assert judge("An ultrasound image at end systole, with an end-diastolic volume.", heart) == []
    assert judge("An ultrasound image at end-diastole.", heart) == ["says end-diastole"]


def test_slices_of_a_stack_and_sides_of_the_origin(make_sample: MakeSample) -> None:
    stack = make_sample(
        "CT",
        kind="nifti",
        labels=(("hemorrhage", "present", "slice"),),
        at=Locator(axis="axial"),
        frames=9,
        plane="axial",
    )
    assert judge("An axial CT slice sequence, with hemorrhage in one of its slices.", stack) == []
    assert judge("An axial CT slice sequence showing hemorrhage.", stack) == ["says hemorrhage of the picture"]
    sagittal = make_sample("MR", plane="sagittal", position_mm=-3, space="MNI152")
    assert judge("A sagittal MR image, 3 mm to the left of the origin of MNI152 space.", sagittal) == []
    assert judge("A sagittal MR image, 3 mm to the right of the origin of MNI152 space.", sagittal)


def test_parts_of_the_heart_have_sides_and_say_nothing_of_the_pictures_side(make_sample: MakeSample) -> None:
    echo = make_sample("US", ejection_fraction_percent=61.26, heart_axis="left axis deviation")
    assert judge("An ultrasound image, left ventricular ejection fraction 61.3 %, left axis deviation.", echo) == []
    assert "says left" in judge("An ultrasound image of the left kidney.", echo)
    assert "states the number 55" in judge("An ultrasound image, ejection fraction 55 %.", echo)


def test_words_of_the_source_are_not_judged(make_sample: MakeSample) -> None:
    said = "A normal chest."
    assert false_statements(make_sample(captions=(Caption(text=said, by="source"),))) == []
    ours = make_sample(captions=(Caption(text=said, by="source"), Caption(text=said, by="vlm:m@1")))
    assert false_statements(ours) == ["vlm:m@1: says normal"]


def test_a_name_inside_an_attribute_does_not_hide_itself(make_sample: MakeSample) -> None:
    row = make_sample("ES", body_part="polyp", view="clear")
    assert judge("An endoscopic image of the polyp.", row) == ["says polyp of the picture"]
    assert "says clear" in judge("A clear endoscopic image.", row)
    landmark = make_sample("ES", organ="cecum")
    assert judge("An endoscopic image of the cecum.", landmark, ["cecum"]) == []
    assert judge("An endoscopic image showing a cecum.", landmark, ["cecum"]) == ["says cecum of the picture"]
    lesions = make_sample("MR", map="lesion probability")
    assert judge("An MRI-derived lesion probability map.", lesions) == []
    assert judge("An MRI-derived lesion probability map showing a lesion.", lesions) == ["says lesion of the picture"]


def test_nothing_found_in_a_part_is_not_said_of_the_whole(make_sample: MakeSample) -> None:
    one = make_sample(labels=(("No Finding", "present", "image"),))
    assert judge("A radiograph showing none of the labelled findings.", one) == []
    assert judge("A radiograph, from a study with none of the labelled findings.", one)
    counted = make_sample(labels=(("none of the 14 labelled findings", "present", "study"),))
    assert judge("A radiograph, from a study with none of the 14 labelled findings.", counted) == []


@pytest.mark.parametrize(
    ("scope", "at", "frames", "unit"),
    [
        ("image", Locator(), 1, "picture"),
        ("frames", Locator(), 1, "picture"),
        ("frames", Locator(frame_start=5, frame_stop=6), 1, "picture"),
        ("frames", Locator(frame_start=5, frame_stop=37), 32, "picture"),
        ("frames", Locator(frame_start=5, frame_stop=37), None, "picture"),
        ("frames", Locator(), 400, "series"),
        ("frames", Locator(), None, "series"),
        ("image", Locator(), 400, "series"),
        ("image", Locator(frame_start=5, frame_stop=37), 32, "slice"),
        ("slice", Locator(), 400, "slice"),
        ("series", Locator(frame_start=5, frame_stop=6), 1, "series"),
        ("study", Locator(), 1, "study"),
        ("patient", Locator(), 400, "patient"),
    ],
)
def test_what_a_label_of_a_video_is_true_of(
    make_sample: MakeSample, scope: str, at: Locator, frames: int | None, unit: str
) -> None:
    assert unit_true(scope, make_sample("US", kind="video", at=at, frames=frames).media) == unit
