"""The checks of a model's answers, measured on answers that should be taken and on answers that should not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from captioning.answer_form import AnswerRules
from captioning.answer_tidy import tidied
from captioning.engine import Answer
from captioning.prompts import Prompt, read_prompt
from shards.intake import Skip
from shards.manifest import Sample
from shards.stage import Context

MakeSample = Callable[..., Sample]
HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "captioning.md"


@pytest.fixture(scope="module")
def general() -> Prompt:
    return read_prompt("general", Context(root=HERE, out=HERE, tmp=HERE, folder=HERE))


def answers(name: str, make_sample: MakeSample) -> Iterator[tuple[str, str, Sample]]:
    """(answer, the code that it should get or `taken`, its row) of one of the files beside this one."""
    groups: list[dict[str, Any]] = yaml.safe_load((HERE / name).read_text())
    for group in groups:
        labels = [(label, "present", "image") for label in group.get("labels", [])]
        labels += [(label, "absent", "image") for label in group.get("absent", [])]
        sample = make_sample(
            group["modality"],
            labels=tuple(labels),
            kind=group.get("kind", "image"),
            frames=group.get("frames", 1),
            **group.get("known", {}),
        )
        yield from ((answer, group.get("reason", "taken"), sample) for answer in group["answers"])


def code(verdict: Answer | Skip) -> str:
    return verdict.reason.value if isinstance(verdict, Skip) else "taken"


def published(what: str) -> tuple[int, int]:
    """(answers, refused) as docs/captioning.md states them."""
    row = re.search(rf"\| {what} \| (\d+) \| (\d+) \|", PAGE.read_text())
    assert row is not None
    return int(row[1]), int(row[2])


def test_harmless_answers_are_taken(general: Prompt, make_sample: MakeSample) -> None:
    every = list(answers("answers_harmless.yaml", make_sample))
    refused = [
        (code(verdict), text) for text, _, sample in every if isinstance(verdict := general.judge(text, sample), Skip)
    ]
    print(f"harmless answers refused: {len(refused)} of {len(every)}", *refused, sep="\n")
    assert len({text for text, _, _ in every}) == len(every) >= 150
    assert len({sample.modality for _, _, sample in every}) >= 15
    assert (len(every), len(refused)) == published("harmless")
    assert len(refused) <= 0.02 * len(every)


def test_bad_answers_are_refused_for_their_reason(general: Prompt, make_sample: MakeSample) -> None:
    every = list(answers("answers_bad.yaml", make_sample))
    verdicts = [(general.judge(text, sample), want, text) for text, want, sample in every]
    taken = [text for verdict, _, text in verdicts if isinstance(verdict, Answer)]
    print(f"bad answers refused: {len(every) - len(taken)} of {len(every)}", *taken, sep="\n")
    assert len({text for text, _, _ in every}) == len(every) >= 150
    assert (len(every), len(every) - len(taken)) == published("bad")
    assert [(code(verdict), want, text) for verdict, want, text in verdicts if code(verdict) != want] == []


def test_the_detail_of_a_refusal_quotes_no_person(general: Prompt, make_sample: MakeSample) -> None:
    for text, want, sample in answers("answers_bad.yaml", make_sample):
        verdict = general.judge(text, sample)
        if want == "answer_identifies" and isinstance(verdict, Skip):
            told = set(re.findall(r"[A-Z]\w+|\d+", verdict.detail))
            assert told.isdisjoint(re.findall(r"\w+", text)), (text, verdict.detail)


@pytest.mark.parametrize(
    ("said", "left", "removed"),
    [
        ("The bowel wall is pink.", "The bowel wall is pink.", ()),
        ("Here is a caption: The bowel wall is pink.", "The bowel wall is pink.", ("preamble",)),
        (
            "Sure! Here's the description you asked for:\n\nThe bowel wall is pink.",
            "The bowel wall is pink.",
            ("preamble",),
        ),
        ("**Caption:** The bowel wall is *pink*.", "The bowel wall is pink.", ("markup", "preamble")),
        ("Description: The bowel wall is pink.", "The bowel wall is pink.", ("preamble",)),
        ("## Findings\nThe bowel wall is pink.", "The bowel wall is pink.", ("markup", "heading")),
        ("Findings: The bowel wall is pink.", "The bowel wall is pink.", ("preamble",)),
        ("* The bowel wall is pink.", "The bowel wall is pink.", ("markup",)),
        ("The bowel wall is pink\nand smooth.", "The bowel wall is pink\nand smooth.", ()),
        ('"The bowel wall is pink."', "The bowel wall is pink.", ()),
        ("The bowel wall is pink. 🩺✨", "The bowel wall is pink.", ("emoji",)),
        ("```text\nThe bowel wall is pink.\n```", "The bowel wall is pink.", ("markup",)),
        ("The bowel\u200b wall is pink.<|im_end|>", "The bowel wall is pink.", ("emoji",)),
        ("The image description is clear: pink.", "The image description is clear: pink.", ()),
        ("The ratio of A:B is shown at 37°C.", "The ratio of A:B is shown at 37°C.", ()),
    ],
)
def test_wrapping_is_taken_off_and_told(said: str, left: str, removed: tuple[str, ...]) -> None:
    assert tidied(said) == (left, tuple(f"taken off: {what}" for what in removed))


def test_what_was_taken_off_stands_in_the_checks(general: Prompt, make_sample: MakeSample) -> None:
    verdict = general.judge("Here is the caption: **Grey** tissue lies in the middle.", make_sample("CT"))
    assert verdict == Answer(
        text="Grey tissue lies in the middle.", checks=("taken off: markup", "taken off: preamble")
    )


def test_signs_of_other_alphabets_hide_no_digit_and_no_name(general: Prompt, make_sample: MakeSample) -> None:
    sample = make_sample("CT")
    for text in (
        "Grey tissue, ①②⑨③ in the corner.",
        "Grey tissue of Ｊｏｈｎ Ｓｍｉｔｈ.",
        "Grey tissue, ٢٠١٩ in the corner.",
        "Grey tissue of 𝐉𝐨𝐡𝐧 𝐒𝐦𝐢𝐭𝐡.",
        "Grey tissue of Jo\u200bhn Smi\u200bth.",
    ):
        assert code(general.judge(text, sample)) == "answer_identifies", text


@pytest.mark.parametrize(
    "text", ["Grey tissue.", "Nodus, septum.", "Corpus callosum, falx cerebri, sulci.", "H&E stain."]
)
def test_short_english_and_latin_terms_are_no_foreign_language(text: str) -> None:
    from captioning.answer_language import is_english

    assert is_english(text)


def test_rules_of_a_prompt_hold_for_the_tidied_answer(make_sample: MakeSample) -> None:
    prompt = Prompt(version="p.1", texts={"default": "x"}, rules=AnswerRules(opening="A CT image", most_words=8))
    assert code(prompt.judge("Caption: A CT image with grey tissue.", make_sample("CT"))) == "taken"
    assert code(prompt.judge("a ct image with grey tissue.", make_sample("CT"))) == "taken"
    assert code(prompt.judge("Grey tissue in a CT image.", make_sample("CT"))) == "answer_opening"


def test_labels_and_metadata_make_a_statement_true(general: Prompt, make_sample: MakeSample) -> None:
    """The same words that are refused of a bare row are taken where the row says so."""
    known = make_sample(
        "CT",
        labels=(
            ("pleural effusion", "present", "image"),
            ("fracture", "absent", "image"),
            ("mild scoliosis", "present", "image"),
        ),
        plane="axial",
        laterality="left",
        sex="male",
        age=58.0,
        contrast=True,
    )
    for text in (
        "An axial image with a pleural effusion.",
        "A 58-year-old man with a pleural effusion.",
        "The left side of the chest is grey.",
        "A contrast-enhanced picture in shades of grey.",
        "Mild scoliosis bends the bright spine.",
        "No fracture is seen in the bright spine.",
        "The lesion is grey and even.",
    ):
        assert code(general.judge(text, known)) == "taken", text
        assert code(general.judge(text, make_sample("CT"))) == "answer_unstated", text


def test_labels_of_the_study_are_no_fact_of_the_picture(general: Prompt, make_sample: MakeSample) -> None:
    study = make_sample("CT", labels=(("pneumothorax", "present", "study"),), frames=1)
    assert code(general.judge("A CT image with a pneumothorax.", study)) == "answer_unstated"
    assert code(general.judge("A CT image from a study with pneumothorax, in grey.", study)) == "taken"
