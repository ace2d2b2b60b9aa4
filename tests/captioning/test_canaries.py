"""Sets of known pictures: which answers pass, and what a user's own list must be like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from captioning.canaries import CanaryTalk, Known, drawn, of_rows, read_canaries, silence, verdict
from captioning.engine import Ask
from captioning.questions import Reply
from shards.frames import Frames
from shards.intake import Skip
from shards.manifest import Sample
from shards.reasons import Reason
from shards.stage import Context, UserError

GREY = np.full((1, 8, 8), 90, dtype=np.uint8)
LOST = Skip(Reason.TIMED_OUT, "no whole answer within 1 s")


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    return Context(root=tmp_path, out=tmp_path / "out", tmp=tmp_path / "tmp", folder=tmp_path)


def heard(known: Sequence[Known], replies: Sequence[str | Skip]) -> list[CanaryTalk]:
    talks = [CanaryTalk(each, of=len(known), max_pixels=1 << 20, clip_frames=8) for each in known]
    for talk, said in zip(talks, replies, strict=True):
        talk.hear(said if isinstance(said, Skip) else Reply(text=said, finish="stop"))
    return talks


def named(known: Known) -> str:
    return f"The picture shows {known.name} on a white square of paper."


def listed(folder: Path, *says: Any) -> Path:
    """A list of known pictures with these patterns."""
    entries = []
    for number, patterns in enumerate(says):
        Image.fromarray(np.full((8, 8), number, dtype=np.uint8)).save(folder / f"{number}.png")
        entries.append({"picture": f"{number}.png", "ask": "What is this?", "says": patterns})
    path = folder / "known.yaml"
    path.write_text(yaml.safe_dump(entries))
    return path


def test_a_model_that_names_every_colour_and_shape_has_not_looked() -> None:
    known = drawn(0)
    assert verdict(heard(known, [named(each) for each in known])) == ""
    every = "A red, green, blue or yellow circle, square or triangle."
    assert "did not name" in verdict(heard(known, [every, every]))
    assert "did not name" in verdict(heard(known, [named(known[1]), named(known[0])]))


@pytest.mark.parametrize(
    ("modality", "said", "right"),
    [
        ("CT", "A CT image, made by computed tomography, which uses X-rays.", True),
        ("CT", "A CT or MRI image.", False),
        ("CT", "An X-ray image.", False),
        ("CR", "An X-ray or CT image.", False),
        ("PT", "A PET/CT image, made by positron emission tomography.", True),
        ("SURG", "A frame of laparoscopic surgery, taken with an endoscope or in an endoscopic procedure.", True),
        ("MR", "An MRI scan, which needs no X-ray.", False),
    ],
)
def test_a_row_of_the_unit_has_to_be_called_what_it_is(
    make_sample: Callable[..., Sample], modality: str, said: str, right: bool
) -> None:
    (known,) = of_rows([Ask(sample=make_sample(modality=modality), frames=lambda: Frames(pixels=GREY))])
    (talk,) = heard([known], [said])
    assert talk.right is right


def test_what_came_instead_is_told_but_nothing_that_was_said_of_a_row(make_sample: Callable[..., Sample]) -> None:
    row = of_rows([Ask(sample=make_sample(modality="CT"), frames=lambda: Frames(pixels=GREY))])
    known = [*drawn(0), *row, *row]
    told = verdict(
        heard(known, ["Maria  in a blue\ndress.", "<think>Is it red?</think> A red one.", "Maria.", "Maria."])
    )
    assert f'{known[0].name} (it said "Maria in a blue dress.")' in told
    assert f"{known[1].name} (answer_thinks), 2 times a CT image; 4 were asked about" in told


def test_an_answer_that_goes_on_too_long_has_named_the_picture_or_not() -> None:
    known = drawn(0)
    talks = [CanaryTalk(each, of=2, max_pixels=1 << 20, clip_frames=8) for each in known]
    talks[0].hear(Reply(text=f"{named(known[0])} It is", finish="length"))
    talks[1].hear(Reply(text="The picture is", finish="length"))
    assert [talk.right for talk in talks] == [True, False]
    assert f'{known[1].name} (answer_cut, it said "The picture is")' in verdict(talks)


def test_a_wrong_answer_counts_though_another_was_lost() -> None:
    known = drawn(0)
    blind = heard(known, ["A picture of something.", LOST])
    assert "did not name" in verdict(blind)
    lost = heard(known, [named(known[0]), LOST])
    assert verdict(lost) == ""
    assert silence(lost) == f"no answer about known pictures: {LOST}"


def test_a_model_with_one_answer_for_all_pictures_fails_a_list_of_mostly_one_kind(ctx: Context, tmp_path: Path) -> None:
    known = read_canaries(str(listed(tmp_path, *[["polyp"]] * 9, ["normal"])), ctx)
    assert "did not name" in verdict(heard(known, ["A polyp."] * 10))
    assert verdict(heard(known, ["A polyp."] * 9 + ["A normal colon."])) == ""
    assert verdict(heard(known, ["A stain."] + ["A polyp."] * 8 + ["A normal colon."])) == ""


def test_a_list_of_which_no_picture_could_be_shown_shows_nothing(ctx: Context, tmp_path: Path) -> None:
    known = read_canaries(str(listed(tmp_path, ["polyp"], ["normal"])), ctx)
    assert "did not name" in verdict(heard(known, [Skip(Reason.PICTURE_NOT_TAKEN)] * 2))


@pytest.mark.parametrize("says", ["polyp", [], None])
def test_patterns_that_any_answer_would_hold_are_told(ctx: Context, tmp_path: Path, says: Any) -> None:
    with pytest.raises(UserError, match=r"canaries: .* is no list such as"):
        read_canaries(str(listed(tmp_path, says, ["normal"])), ctx)


def test_a_known_picture_that_is_missing_is_told_before_any_question(ctx: Context, tmp_path: Path) -> None:
    path = listed(tmp_path, ["polyp"], ["normal"])
    (tmp_path / "1.png").unlink()
    with pytest.raises(UserError, match=r"1\.png"):
        read_canaries(str(path), ctx)


def test_drawings_of_a_set_differ_in_colour_and_shape() -> None:
    for number in range(20):
        first, second = drawn(number)
        assert replace(first, name="") != replace(second, name="")
        assert not set(first.says) & set(second.says)
