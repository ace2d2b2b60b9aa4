"""What metadata and labels say of one picture may contradict itself; then the part that cannot be true is unsaid."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from captioning.template import word
from captioning.truth import judge
from shards.manifest import Sample

MakeSample = Callable[..., Sample]
KEYS = tuple(f"nih-{number:04}" for number in range(16))


def texts(make: Callable[[str], Sample]) -> set[str]:
    """Every phrasing of one sample, none of which the check of captions finds false."""
    samples = [make(key) for key in KEYS]
    found = {word(sample, seed=0)[1]: sample for sample in samples}
    assert all(judge(text, sample) == [] for text, sample in found.items())
    return set(found)


@pytest.mark.parametrize("nothing", ["No Finding", "normal", "none of the 14 labelled findings"])
@pytest.mark.parametrize("state", ["present", "uncertain"])
@pytest.mark.parametrize(("narrow", "wide"), [("image", "study"), ("image", "patient"), ("study", "patient")])
def test_a_study_with_nothing_found_has_no_picture_with_a_finding(
    make_sample: MakeSample, nothing: str, state: str, narrow: str, wide: str
) -> None:
    labels = ((nothing, "present", wide), ("mass", state, narrow))
    for text in texts(lambda key: make_sample("CR", key=key, labels=labels)):
        assert "mass" in text
        assert "labelled" not in text, text


def test_a_device_or_the_lack_of_a_finding_in_the_picture_leaves_the_study_without_one(make_sample: MakeSample) -> None:
    for name, state in (("chest tube", "present"), ("mass", "absent")):
        labels = (("No Finding", "present", "study"), (name, state, "image"))
        for text in texts(lambda key, labels=labels: make_sample("CR", key=key, labels=labels)):  # type: ignore[misc]
            assert name in text
            assert "from a study with none of the labelled findings" in text.replace("From", "from"), text


@pytest.mark.parametrize(
    ("part", "side", "words"),
    [
        ("left knee", "left", "radiograph of the left knee"),
        ("left knee", "right", "radiograph"),
        ("both hands", "left", "radiograph"),
        ("knee", "left", "radiograph of the left knee"),
    ],
)
def test_two_sides_are_said_where_they_are_one(make_sample: MakeSample, part: str, side: str, words: str) -> None:
    found = texts(lambda key: make_sample("CR", key=key, body_part=part, laterality=side))
    assert found <= {f"A {words}.", "A left knee radiograph."}
    assert f"A {words}." in found


@pytest.mark.parametrize("name", ["no effusion", "without effusion", "absence of effusion", "normal heart"])
def test_what_is_said_to_lack_is_not_denied(make_sample: MakeSample, name: str) -> None:
    for state in ("absent", "uncertain"):
        found = texts(lambda key, state=state: make_sample("CR", key=key, labels=((name, state, "image"),)))  # type: ignore[misc]
        assert found == {"A radiograph."}
