"""A label said in other words passes, and what says more than it, or its opposite, does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from captioning.engine import Answer
from captioning.prompts import Prompt
from shards.manifest import Sample

MakeSample = Callable[..., Sample]
PROMPT = Prompt(version="p.1", texts={})
TAKEN, UNSTATED, CONTRADICTS = "taken", "answer_unstated", "answer_contradicts"


def verdict(text: str, sample: Sample) -> str:
    answer = PROMPT.judge(text, sample)
    return TAKEN if isinstance(answer, Answer) else answer.reason.value


@pytest.mark.parametrize(
    ("label", "text", "want"),
    [
        ("disc herniation", "A herniated disc lies in the image.", TAKEN),
        ("disc herniation", "Herniation of the disc is visible.", TAKEN),
        ("disc herniation", "A herniated lung lies in the image.", UNSTATED),
        ("disc herniation", "No herniation is visible in the image.", CONTRADICTS),
        ("deep vein thrombosis", "The vein holds a thrombus in the image.", TAKEN),
        ("deep vein thrombosis", "An arterial thrombus lies in the image.", UNSTATED),
        ("stenosis of the left anterior descending artery", "A stenosis of the LAD is in the picture.", TAKEN),
        ("stenosis of the left anterior descending artery", "A stenosis of the RCA is in the picture.", UNSTATED),
        ("prostatic adenocarcinoma", "An adenocarcinoma with purple nuclei.", TAKEN),
        ("prostatic adenocarcinoma", "An adenocarcinoma of the lung with purple nuclei.", UNSTATED),
        ("prostatic adenocarcinoma", "A lung adenocarcinoma with purple nuclei.", UNSTATED),
        ("glioblastoma", "The tumour has a bright rim.", TAKEN),
        ("haematoma", "The tumour has a bright rim.", UNSTATED),
        ("gallstones", "Bright calculi lie in the image.", TAKEN),
        ("gallstones", "Renal calculi lie in the image.", UNSTATED),
        ("squamous cell carcinoma", "Pink nests of a carcinoma.", TAKEN),
        ("squamous cell carcinoma", "Pink nests of a basal cell carcinoma.", UNSTATED),
        ("squamous cell carcinoma", "Pink nests of a carcinoma in situ.", UNSTATED),
        ("hard exudates", "Yellow exudates form a ring.", TAKEN),
        ("hard exudates", "Soft exudates form a ring.", UNSTATED),
        ("hepatic cyst", "A hepatic cyst lies in the image.", TAKEN),
        ("hepatic cyst", "A round cyst lies in the image.", TAKEN),
        ("hepatic cyst", "A renal cyst lies in the image.", UNSTATED),
        ("vertebral fracture", "A skull fracture lies in the image.", UNSTATED),
        ("vertebral fracture", "A rib fracture lies in the image.", UNSTATED),
        ("pulmonary embolism", "Cerebral embolism of a bright vessel.", UNSTATED),
        ("nodule", "An isoechoic nodule lies in the image.", TAKEN),
        ("Mallory-Weiss tear", "A mucosal tear lies in the image.", TAKEN),
        ("benign nodule", "An isoechoic nodule lies in the image.", TAKEN),
        ("pleural effusion", "A pericardial effusion lies in the image.", UNSTATED),
        ("cyst", "A renal cyst lies in the image.", TAKEN),
        ("polyp", "Bright calculi lie in the image.", UNSTATED),
        ("Wolff-Parkinson-White syndrome", "The picture of a WPW syndrome.", TAKEN),
        ("Wolff-Parkinson-White syndrome", "The picture of a metabolic syndrome.", UNSTATED),
        ("cardiomegaly", "The heart is enlarged in this picture.", TAKEN),
        ("cardiomegaly", "The liver is enlarged in this picture.", UNSTATED),
        ("Crohn disease", "Bright loops in Crohn's disease.", TAKEN),
        ("emphysema", "Dark holes in the picture, typical of emphysema.", TAKEN),
        ("emphysema", "Dark holes without walls, typical of emphysema.", TAKEN),
        ("emphysema", "The lung is dark, without emphysema.", CONTRADICTS),
        ("emphysema", "Dark holes in the picture, typical of fibrosis.", UNSTATED),
        ("emphysema", "Dark holes, suggestive of a rare kind of emphysema.", UNSTATED),
        ("intact skull", "The skull is intact in this picture.", TAKEN),
        ("intact skull", "The rib is intact in this picture.", CONTRADICTS),
        ("normal", "The picture of a normal lung in grey.", TAKEN),
        ("normal", "The picture of a healthy lung in grey.", UNSTATED),
        ("emphysema", "The picture of a normal lung in grey.", CONTRADICTS),
    ],
)
def test_what_a_label_says_in_other_words(make_sample: MakeSample, label: str, text: str, want: str) -> None:
    assert verdict(text, make_sample("FIG", labels=((label, "present", "image"),))) == want


@pytest.mark.parametrize("state", ["absent", "uncertain"])
def test_other_words_have_the_state_of_the_label(make_sample: MakeSample, state: str) -> None:
    for label, text in (("herniation", "A herniated disc."), ("emphysema", "Dark holes, typical of emphysema.")):
        assert verdict(text, make_sample("FIG", labels=((label, state, "image"),))) != TAKEN


def test_other_words_are_true_of_the_unit_of_the_label(make_sample: MakeSample) -> None:
    for scope, want in (("image", TAKEN), ("study", UNSTATED)):
        sample = make_sample("FIG", labels=(("disc herniation", "present", scope),))
        assert verdict("A herniated disc lies in the image.", sample) == want


@pytest.mark.parametrize(
    ("label", "text", "want"),
    [
        ("Kellgren-Lawrence grade 3", "Kellgren and Lawrence grade 3 is the grade of the knee.", TAKEN),
        ("Kellgren-Lawrence grade 3", "The knee, grade 3 on the Kellgren-Lawrence scale.", TAKEN),
        ("Kellgren-Lawrence grade 3", "The knee, grade 2 on the Kellgren-Lawrence scale.", UNSTATED),
        ("Kellgren-Lawrence grade 3", "The knee, grade 3 on the Bosniak scale.", UNSTATED),
        ("Kellgren-Lawrence grade 3", "The knee has not Kellgren and Lawrence grade 3.", UNSTATED),
        ("Mayo score 2", "Red mucosa, Mayo endoscopic subscore 2.", TAKEN),
        ("Mayo score 2", "Red mucosa, Mayo 2.", TAKEN),
        ("Mayo score 2", "Red mucosa, Mayo 3.", UNSTATED),
        ("Mayo score 2", "Red mucosa in 2 places.", UNSTATED),
        ("Paris classification Ip", "A red mucosa (Paris Ip) in the picture.", TAKEN),
        ("Paris classification Ip", "A red mucosa (Paris II) in the picture.", UNSTATED),
    ],
)
def test_a_grade_in_another_order(make_sample: MakeSample, label: str, text: str, want: str) -> None:
    assert verdict(text, make_sample("FIG", labels=((label, "present", "image"),))) == want
    if want == TAKEN:
        assert verdict(text, make_sample("FIG", labels=((label, "absent", "image"),))) != TAKEN


@pytest.mark.parametrize(
    ("modality", "known", "text", "want"),
    [
        ("MG", {"view": "MLO"}, "Mediolateral oblique view in grey.", TAKEN),
        ("MG", {"view": "MLO"}, "Craniocaudal view in grey.", CONTRADICTS),
        ("CR", {"view": "PA"}, "AP chest radiograph in grey.", CONTRADICTS),
        ("CR", {"view": "PA"}, "The AP diameter of the chest is in grey.", TAKEN),
        ("MR", {"sequence": "T1-weighted"}, "A T1w image in grey.", TAKEN),
        ("MR", {"sequence": "T1-weighted"}, "A T2w image in grey.", CONTRADICTS),
        ("MR", {"sequence": "T1-weighted"}, "A T2-w image in grey.", CONTRADICTS),
        ("XC", {"sex": "female"}, "The skin of a woman is brown.", UNSTATED),
        ("XC", {"sex": "female", "age": 30.0}, "The skin of a woman is brown.", TAKEN),
        ("XC", {"sex": "female"}, "The skin of a man is brown.", CONTRADICTS),
        ("XC", {"age": 12.0, "sex": "male"}, "The skin of a man is brown.", CONTRADICTS),
        ("XC", {"age": 30.0}, "The skin of a man is brown.", UNSTATED),
        ("XC", {"skin_type": 4.0}, "Brown skin of Fitzpatrick type 4.", TAKEN),
        ("XC", {"skin_type": 4.0}, "Brown skin of Fitzpatrick type 3.", UNSTATED),
        ("SURG", {}, "An endoscopic picture of the liver.", TAKEN),
    ],
)
def test_metadata_in_other_words(
    make_sample: MakeSample, modality: str, known: dict[str, Any], text: str, want: str
) -> None:
    assert verdict(text, make_sample(modality, **known)) == want
