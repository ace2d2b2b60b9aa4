"""English of single words and phrases."""

from __future__ import annotations

import pytest

from captioning.wording import (
    age,
    age_text,
    article,
    body_part,
    counted,
    in_pairs,
    is_device,
    is_none_of,
    label_name,
    listing,
    named,
    persons,
    plural,
    view,
)
from shards.attributes import Value


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("MR image", "an"),
        ("CT image", "a"),
        ("X-ray angiogram", "an"),
        ("AP radiograph", "an"),
        ("PA radiograph", "a"),
        ("MLO mammogram", "an"),
        ("H&E-stained histology image", "an"),
        ("FLAIR MR image", "a"),
        ("PET image", "a"),
        ("T1-weighted MR image", "a"),
        ("ultrasound image", "an"),
        ("ulcer", "an"),
        ("unilateral mass", "a"),
        ("uninflamed polyp", "an"),
        ("uterus", "a"),
        ("8-year-old girl", "an"),
        ("11-month-old infant", "an"),
        ("18-year-old woman", "an"),
        ("80-year-old man", "an"),
        ("1-month-old infant", "a"),
        ("110-second recording", "a"),
        ("12-lead electrocardiogram", "a"),
        ("axial CT image", "an"),
        ("Barrett's oesophagus", "a"),
    ],
)
def test_article_follows_the_sound(words: str, expected: str) -> None:
    assert article(words) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Cardiomegaly", "cardiomegaly"),
        ("Pleural_Thickening", "pleural thickening"),
        ("CalotTriangleDissection", "Calot triangle dissection"),
        ("PNEUMONIA", "pneumonia"),
        ("COVID-19", "COVID-19"),
        ("Non-ossifying fibroma", "non-ossifying fibroma"),
        ("barrett's", "Barrett's"),
        ("Boston bowel preparation score of 0 to 1", "Boston bowel preparation score of 0 to 1"),
        ("Wolff-Parkinson-White syndrome", "Wolff-Parkinson-White syndrome"),
        (" pneumonia", "pneumonia"),
        ("Lung Opacity.", "lung opacity"),
        ("MI", "MI"),
        ("No Finding", "none of the labelled findings"),
        ("none of the 14 labelled findings", "none of the 14 labelled findings"),
        ("None of the labelled findings", "none of the labelled findings"),
        ("normal", "findings labelled normal"),
        ("nan", None),
        ("None", None),
        ("nothing", None),
        ("out of patient", None),
        ("unknown", None),
        ("", None),
        ("seen on 20140915", None),
    ],
)
def test_label_name_in_a_sentence(name: str, expected: str | None) -> None:
    assert label_name(name) == expected


def test_only_countable_findings_take_an_article() -> None:
    assert counted("polyp")
    assert counted("melanocytic nevus")
    assert counted("fracture of the left hip")
    assert counted("central venous catheter via jugular vein")
    assert not counted("pneumonia")
    assert not counted("short-segment Barrett's oesophagus")
    assert not counted("ulcerative colitis grade 2")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("polyp", "a polyp"),
        ("interstitial pattern", "an interstitial pattern"),
        ("Boston bowel preparation score of 0 to 1", "a Boston bowel preparation score of 0 to 1"),
        ("pneumonia", "pneumonia"),
        ("caecum", "the caecum"),
        ("Z-line", "the Z-line"),
        ("enlarged heart", "an enlarged heart"),
        ("findings labelled normal", "findings labelled normal"),
    ],
)
def test_what_there_is_one_of_is_named_as_such(name: str, words: str) -> None:
    assert named(name) == words


@pytest.mark.parametrize("part", ["knee", "knees", "foot", "feet", "left lung", "internal auditory canal"])
def test_parts_that_come_in_pairs(part: str) -> None:
    assert in_pairs(part)


@pytest.mark.parametrize("part", ["chest", "abdomen", "pelvis", "head and neck", "", "brain"])
def test_parts_that_there_is_one_of(part: str) -> None:
    assert not in_pairs(part)


def test_devices_are_no_findings_and_nothing_found_has_three_names() -> None:
    assert all(map(is_device, ("support devices", "pacemaker", "NSG tube", "central venous catheter")))
    assert not any(map(is_device, ("pneumonia", "fracture")))
    assert all(
        map(
            is_none_of,
            ("none of the labelled findings", "none of the 18 labelled findings", "findings labelled normal"),
        )
    )
    assert not is_none_of("none of the findings")


def test_lists_have_commas_and_one_and() -> None:
    assert listing(["a"]) == "a"
    assert listing(["a", "b"]) == "a and b"
    assert listing(["a", "b", "c"]) == "a, b and c"
    assert listing(["a", "b"], "or") == "a or b"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (58.0, (58, "year")),
        ("058Y", (58, "year")),
        ("006M", (6, "month")),
        ("002W", (2, "week")),
        ("010D", (10, "day")),
        (0.5, (6, "month")),
        (1.0, (1, "year")),  # up to the second birthday, where a source counts in years
        (1.5, (18, "month")),
        (0.01, (3, "day")),
        (89.0, (89, "year")),
        (90.0, (89, "over")),
        ("095Y", (89, "over")),
        ("over 89", (89, "over")),
        ("000M", None),
    ],
)
def test_age_in_its_own_unit(value: Value, expected: tuple[int, str] | None) -> None:
    assert age(value) == expected


@pytest.mark.parametrize(
    ("sex", "value", "expected"),
    [
        ("female", 58.0, ("woman aged 58", "58-year-old woman")),
        ("male", "over 89", ("man aged over 89", "man over 89")),
        ("male", 104.0, ("man aged over 89", "man over 89")),
        ("male", 8.0, ("boy aged 8", "8-year-old boy")),
        ("female", "006M", ("female infant aged 6 months", "6-month-old female infant")),
        ("female", "001M", ("female infant aged 1 month", "1-month-old female infant")),
        ("male", "104W", ("boy aged 104 weeks", "104-week-old boy")),
        ("female", "051W", ("female infant aged 51 weeks", "51-week-old female infant")),
        ("female", "400D", ("girl aged 400 days", "400-day-old girl")),
        (None, "018M", ("child aged 18 months", "18-month-old child")),
        (None, 58.0, ("person aged 58", "58-year-old person")),
        ("other", 58.0, ("person aged 58", "58-year-old person")),
        ("female", None, ("female subject",)),
        ("female", "000M", ("female subject",)),
        ("other", None, ()),
        (None, None, ()),
    ],
)
def test_persons(sex: str | None, value: Value | None, expected: tuple[str, ...]) -> None:
    assert persons(sex, value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(58.0, "58"), ("058Y", "58"), ("006M", "6 months"), ("001W", "1 week"), ("over 89", "over 89"), ("000M", "")],
)
def test_age_after_aged(value: Value, expected: str) -> None:
    assert age_text(value) == expected


def test_body_parts_and_views_of_dicom_codes() -> None:
    assert body_part("CHEST") == "chest"
    assert body_part("LSPINE") == "lumbar spine"
    assert body_part("L-Spine") == "lumbar spine"
    assert plural("foot") == "feet"
    assert plural("lower leg") == "lower legs"
    assert plural("lungs") == "lungs"
    assert plural("ovary") == "ovaries"
    assert view("POSTEROANTERIOR") == "PA"
    assert view("LL") == "left lateral"
    assert view("MLO") == "MLO"
    assert view("Apical four-chamber view") == "apical four-chamber"
