"""The check itself: it names each forbidden sentence, and lets true ones pass."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from captioning.truth import false_statements, judge
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
    assert judge("A sagittal MRI image, 3 mm to the left of the origin of MNI152 space.", sagittal) == []
    assert judge("A sagittal MRI image, 3 mm to the right of the origin of MNI152 space.", sagittal)


def test_words_of_the_source_are_not_judged(make_sample: MakeSample) -> None:
    said = "A normal chest."
    assert false_statements(make_sample(captions=(Caption(text=said, by="source"),))) == []
    ours = make_sample(captions=(Caption(text=said, by="source"), Caption(text=said, by="vlm:m@1")))
    assert false_statements(ours) == ["vlm:m@1: says normal"]
