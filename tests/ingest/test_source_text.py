"""Reports lose what no reader of one picture can see; commands become descriptions."""

from __future__ import annotations

import pytest

from ingest.columns import CaptionColumn
from ingest.source_text import clean_command, clean_report

REPORT = """\
                                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)

 INDICATION:  ___ year old woman with cough

 COMPARISON:  Chest radiograph ___

 FINDINGS:

 The cardiac silhouette is mildly enlarged.  There is a small left pleural
 effusion, which has increased since the prior study. No pneumothorax.
 Findings were discussed with Dr. ___ by telephone at 3:15 pm.

 IMPRESSION:
 1. Small left pleural effusion.
 2. Unchanged cardiomegaly.
"""


def test_a_report_keeps_what_is_seen() -> None:
    seen = "The cardiac silhouette is mildly enlarged. No pneumothorax. Small left pleural effusion."
    assert clean_report(REPORT) == seen
    assert clean_report(REPORT.replace("\n", "\r\n")) == seen


@pytest.mark.parametrize(
    ("report", "text"),
    [
        ("INDICATION: Pneumonia.\n\nFINDINGS: Small effusion.", "Small effusion."),
        ("INDICATION: Pneumonia.\n\nRule out pneumothorax.\n\nIMPRESSION: Small effusion.", "Small effusion."),
        ("HISTORY: Pneumonia. FINDINGS: Small effusion. IMPRESSION: Small left effusion.",
         "Small effusion. Small left effusion."),
        ("History: Pneumonia. Findings: Small effusion.", "Small effusion."),
        ("Clinical data: Pneumonia.\nFindings and impression: Small effusion.", "Small effusion."),
        ("FINDINGS/IMPRESSION: Small effusion.\nRECOMMENDATION: A CT of the chest.", "Small effusion."),
        ("REASON FOR THIS EXAMINATION: Pneumonia.\nCONCLUSION\nSmall effusion.", "Small effusion."),
        ("FINDINGS:\nLUNGS: Small effusion.\nCOMPARISON: None.", "LUNGS: Small effusion."),
        ("WET READ: Pneumonia.\nFINAL REPORT\nFINDINGS: Small effusion.", "Small effusion."),
        ("FINAL REPORT\nSmall effusion.\nHISTORY: Pneumonia.", "Small effusion."),
        ("Small effusion.\nTECHNIQUE: Two views of the chest.", "Small effusion."),
        ("INDICATION: Pneumonia.\n\nFINDINGS:\n\nADDENDUM: Small effusion.", "Small effusion."),
        ("Known history: pneumonia. Small effusion.", "Known history: pneumonia. Small effusion."),
        ("INDICATION: Pneumonia.\n\nTECHNIQUE: Two views of the chest.", None),
        ("EXAMINATION: Chest radiograph\nINDICATION: Pneumonia.\n\nSmall effusion.", None),
    ],
)  # fmt: skip
def test_what_was_asked_or_known_before_is_no_description(report: str, text: str | None) -> None:
    assert clean_report(report) == text


@pytest.mark.parametrize(
    "asked",
    ["Rule out pneumonia.", "R/o PE.", "Evaluate for mass.", "Question of nodule.", "Pneumonia?", "To assess for TB."],
)
def test_a_question_is_no_finding(asked: str) -> None:
    assert clean_report(asked) is None
    assert clean_report(f"{asked} Small left effusion.") == "Small left effusion."
    assert clean_report("Assessment of the bases is limited by motion.") is not None


@pytest.mark.parametrize(
    "sentence",
    [
        "New right lower lobe opacity.",
        "Interval removal of the endotracheal tube.",
        "Seen on 03/04/2110.",
        "Heart size is stable.",
        "The ___ catheter ends in the right atrium.",
        "Clinical correlation is recommended.",
        "Effusion as compared to yesterday.",
        "",
    ],
)
def test_a_report_of_nothing_else_gives_no_caption(sentence: str) -> None:
    assert clean_report(sentence) is None


@pytest.mark.parametrize(
    ("report", "text"),
    [
        ("There are no acute\n findings to suggest pneumonia.", "There are no acute findings to suggest pneumonia."),
        ("There is a known\n history of a nodule.", "There is a known history of a nodule."),
        ("FINDINGS\n No pneumothorax.\nImpression: No effusion.", "No pneumothorax. No effusion."),
        ("There is a nodule in segment\n 4. No effusion.", "There is a nodule in segment 4. No effusion."),
        ("There is a nodule in segment 4. No effusion.", "There is a nodule in segment 4. No effusion."),
        ("IMPRESSION:\n 1. Cardiomegaly\n 2. Effusion.", "Cardiomegaly. Effusion."),
    ],
)
def test_a_word_at_the_start_of_a_line_is_no_heading_and_a_number_no_item(report: str, text: str) -> None:
    assert clean_report(report) == text


@pytest.mark.parametrize(
    "rest",
    [
        "The chest is otherwise normal.",
        "No other consolidation.",
        "There are additional nodules.",
        "No further opacity.",
        "There is also an effusion.",
        "The lungs are clear.",
        "The heart is unremarkable.",
        "No acute cardiopulmonary process.",
        "It measures 4 mm.",
    ],
)
def test_what_depends_on_a_sentence_that_is_left_out_is_left_out_too(rest: str) -> None:
    assert clean_report(f"Worsening right lower lobe pneumonia. {rest} No pneumothorax.") == "No pneumothorax."
    assert clean_report(f"Right lower lobe pneumonia. {rest}") == f"Right lower lobe pneumonia. {rest}"


@pytest.mark.parametrize(
    "sentence",
    [
        "Findings were conveyed to Jane Roe, MD.",
        "Results relayed to Jane Roe.",
        "Called to Jane Roe.",
        "Jane Roe, M.D.",
        "Read by Jane Roe.",
        "Per Jane Roe, a pleural effusion.",
        "The case was discussed with Dr. Roe.",
        "Discussed with Jane Q. Roe.",
    ],
)
def test_no_name_of_a_colleague_is_left(sentence: str) -> None:
    assert clean_report(f"Small effusion. {sentence}") == "Small effusion."


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("Generate an image containing a polyp.", "An image containing a polyp."),
        ("create a picture with two instruments", "A picture with two instruments."),
        ("An image with a polyp", "An image with a polyp."),
        ("Generate images of the caecum!", "Images of the caecum!"),
        (" . ", None),
    ],
)
def test_a_command_becomes_what_it_asks_for(command: str, text: str | None) -> None:
    assert clean_command(command) == text


@pytest.mark.parametrize("wording", ["No place", "{} and {}", "{0}", "{x}: {}", "{} }"])
def test_words_around_a_text_hold_its_place_once_and_no_other(wording: str) -> None:
    with pytest.raises(ValueError, match="no other brace"):
        CaptionColumn(column="c", wording=wording)
