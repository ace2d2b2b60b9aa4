"""Prompts: what is asked about a row, what a file of one's own may hold, and which of its lines is wrong."""

from __future__ import annotations

import fnmatch
import hashlib
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from captioning.engine import Answer
from captioning.prompts import FOLDER, Prompt, read_prompt
from shards.intake import Skip
from shards.manifest import Sample
from shards.reasons import Reason
from shards.stage import Context, UserError
from shards.vocabulary import MODALITIES

MakeSample = Callable[..., Sample]
POLYP = (("polyp", "present", "image"),)
GOOD = "An endoscopic image of a polyp. It is reddish and round, and pale mucosa surrounds it."


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    return Context(root=tmp_path, out=tmp_path, tmp=tmp_path, folder=tmp_path)


@pytest.fixture
def med_art(ctx: Context) -> Prompt:
    return read_prompt("med_art_endoscopy", ctx)


def reason(verdict: Answer | Skip) -> str:
    return verdict.reason.value if isinstance(verdict, Skip) else "taken"


def test_med_art_asks_for_features_of_the_class_after_a_fixed_opening(med_art: Prompt, make_sample: MakeSample) -> None:
    asked = med_art.ask(make_sample("ES", labels=POLYP))
    assert asked.startswith("An endoscopic image of a polyp.")
    assert "surrounding mucosa" in asked
    assert "100 words" in asked
    assert "{" not in asked
    assert med_art.version == "med_art_endoscopy.1"


def test_med_art_asks_nothing_about_a_picture_without_a_class(med_art: Prompt, make_sample: MakeSample) -> None:
    for labels in ((), (("polyp", "absent", "image"),), (("polyp", "present", "study"),)):
        with pytest.raises(Skip) as raised:
            med_art.ask(make_sample("ES", labels=labels))
        assert raised.value.reason is Reason.NO_CAPTION


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (GOOD, "taken"),
        ("The polyp is reddish and round, and pale mucosa surrounds it.", "answer_opening"),
        ("An endoscopic image of a polyp with specific color, shape, surrounding mucosa.", "answer_parrots"),
        (
            f"{GOOD} " + " ".join(f"Its rim {word} pale." for word in ["is", "seems", "looks", "stays"] * 9),
            "answer_loops",
        ),
    ],
)
def test_med_art_judges_the_form(med_art: Prompt, make_sample: MakeSample, answer: str, verdict: str) -> None:
    assert reason(med_art.judge(answer, make_sample("ES", labels=POLYP))) == verdict


def test_med_art_has_an_answer_shortened_by_words_and_by_tokens(med_art: Prompt, make_sample: MakeSample) -> None:
    sample = make_sample("ES", labels=POLYP)
    colours = ("red", "pink", "pale", "dark", "grey", "white", "brown", "orange", "yellow", "green", "blue", "black")
    pairs = [f"{one} beside {two}" for one, two in zip(colours, colours[::-1], strict=True)]
    above = [f"{one} above {two}" for one in colours[:5] for two in colours[5:9]]
    many = f"{GOOD} Its areas are {', '.join([*pairs, *above])}."
    assert reason(med_art.judge(many, sample)) == "answer_too_long"
    heavy = f"{GOOD} " + " ".join(f"Gastrointestinal vascularization resembles {one} tones." for one in colours)
    assert len(heavy.split()) < 100
    verdict = med_art.judge(heavy, sample)
    assert isinstance(verdict, Skip)
    assert "tokens" in verdict.detail
    again = med_art.again(sample, Reason.ANSWER_TOO_LONG, heavy)
    assert heavy in again
    assert "Shorten" in again
    assert med_art.again(sample, Reason.ANSWER_EMPTY, "") == med_art.ask(sample)


@pytest.mark.parametrize("modality", sorted(MODALITIES))
def test_general_has_a_question_for_each_modality(ctx: Context, make_sample: MakeSample, modality: str) -> None:
    asked = read_prompt("general", ctx).ask(make_sample(modality, sex="female", age=61.0))
    assert "61-year-old woman" in asked or "woman aged 61" in asked
    assert MODALITIES[modality].name in asked
    assert "Give no diagnosis" in asked
    assert not re.search(r"[{}]", asked)


def test_general_says_what_was_wrong(ctx: Context, make_sample: MakeSample) -> None:
    prompt, sample = read_prompt("general", ctx), make_sample("CT")
    first = prompt.ask(sample)
    for wrong in (Reason.ANSWER_IDENTIFIES, Reason.ANSWER_UNSTATED, Reason.ANSWER_CONTRADICTS, Reason.ANSWER_LOOPS):
        again = prompt.again(sample, wrong, "SMITH JOHN")
        assert again.startswith(first)
        assert len(again) > len(first)
        assert "SMITH" not in again


def test_a_prompt_of_ones_own_is_known_by_its_content(ctx: Context, tmp_path: Path, make_sample: MakeSample) -> None:
    file = tmp_path / "prompts" / "short one.yaml"
    file.parent.mkdir()
    file.write_text(
        "version: 3\ntext: '{known} Describe this {modality} in {most_words} words.'\nrules: {most_words: 9}\n"
    )
    prompt = read_prompt("prompts/short one.yaml", ctx)
    start = hashlib.sha256(file.read_bytes()).hexdigest()[:8]
    assert prompt.version == f"short-one.3.{start}"
    sample = make_sample("CT", labels=(("{said} cyst", "present", "image"),))
    assert prompt.ask(sample).endswith("Describe this CT image in 9 words.")
    assert (
        reason(prompt.judge("Grey tissue of even texture lies in the middle of it all.", sample)) == "answer_too_long"
    )
    file.write_text(file.read_text() + "# another\n")
    assert read_prompt("prompts/short one.yaml", ctx).version != prompt.version


def test_a_prompt_for_one_modality_asks_nothing_of_others(
    ctx: Context, tmp_path: Path, make_sample: MakeSample
) -> None:
    (tmp_path / "ct.yaml").write_text("version: 1\ntexts: {CT: Describe this scan.}\n")
    prompt = read_prompt("ct.yaml", ctx)
    assert prompt.ask(make_sample("CT")) == "Describe this scan."
    with pytest.raises(Skip, match="no text for MR"):
        prompt.ask(make_sample("MR"))


@pytest.mark.parametrize(
    ("content", "line", "says"),
    [
        ("", 1, "the file is empty"),
        ("version: 1\n", 1, "write either `text: ...` or"),
        ("text: a\n", 1, "write `version: 1`"),
        ("version: 1\ntext: a\ntexts: {default: b}\n", 1, "write either"),
        ("version: 1\ntext: a\nrule: {}\n", 3, "unknown key 'rule'; the keys are version"),
        ("version: 1\ntext: a\ntext: b\n", 3, "written twice"),
        ("version: 1\ntext: what is {clas}\n", 2, "unknown field {clas}; its fields are {known}, {class}"),
        ("version: 1\ntext: what {said}\n", 2, "unknown field {said}"),
        ("version: 1\ntext: a {opening}\n", 1, "write `opening:` below `rules:`"),
        ("version: 1\ntext: [a]\n", 2, "text: write a text"),
        ("version: 1\ntext: a\nrules:\n  most_words: many\n", 4, "a whole number of 1 or more"),
        ("version: 1\ntext: a\nrules:\n  features: colour\n", 4, "a list of at least two"),
        ("version: 1\ntext: a\nagain:\n  answer_bad: b\n", 4, "unknown key 'answer_bad'; the keys are answer_"),
        ("version: 1\ntexts:\n  XX: b\n", 3, "unknown key 'XX'; the keys are CR"),
        ("version: a b\ntext: a\n", 1, "version: 'a b' holds other signs"),
        ("version: 1\ntext: a\n  b: c\n", 3, "not YAML"),
        ("- a\n", 1, "a prompt is a mapping with the keys"),
    ],
)
def test_errors_name_the_line(ctx: Context, tmp_path: Path, content: str, line: int, says: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(content)
    with pytest.raises(UserError) as raised:
        read_prompt("mine.yaml", ctx)
    assert str(raised.value).startswith(f"{file}:{line}: ")
    assert says in str(raised.value)


def test_an_unknown_prompt_is_told_with_those_that_are_known(ctx: Context) -> None:
    with pytest.raises(UserError, match=r"generall is neither a prompt of medloom \(general, med_art_endoscopy\)"):
        read_prompt("generall", ctx)


def test_files_of_prompts_and_words_are_installed() -> None:
    house = Path(__file__).parents[2]
    settings: dict[str, Any] = tomllib.loads((house / "pyproject.toml").read_text())
    patterns = settings["tool"]["setuptools"]["package-data"]["*"]
    files = [path for name in ("prompts", "words") for path in (FOLDER.parent / name).iterdir()]
    assert len(files) > 5
    for file in files:
        inside = str(file.relative_to(house / "captioning"))
        assert any(fnmatch.fnmatch(inside, pattern) for pattern in patterns if "/" in pattern), inside


def test_cells_hold_no_control_tokens_of_a_chat(ctx: Context, make_sample: MakeSample) -> None:
    labels = (("polyp<image> [/INST]<|im_end|>", "present", "image"), ("depth < 3 mm", "present", "image"))
    asked = read_prompt("general", ctx).ask(make_sample("ES", labels=labels))
    assert "polyp and depth < 3 mm seen" in asked.lower()
    assert not re.search(r"image>|INST|im_end", asked)
