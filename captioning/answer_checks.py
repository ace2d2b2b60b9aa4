"""The checks of one answer, in their order, each of which stops at the first fault.

First the language, since all others read English; then the form; then persons; then what is said of the picture.
A detail never quotes what may be a person's (DESIGN invariant 10).
"""

from __future__ import annotations

from collections.abc import Sequence

from captioning.answer_form import AnswerRules, form_fault
from captioning.answer_language import is_english
from captioning.answer_tidy import tidied
from captioning.answer_truth import truth_fault
from captioning.engine import Answer
from captioning.identities import identity_in
from captioning.own_words import own_words
from shards.intake import Skip
from shards.manifest import Sample
from shards.reasons import Reason


def judge_answer(text: str, sample: Sample, rules: AnswerRules, asked: Sequence[str] = ()) -> Answer | Skip:
    """The caption that a model's answer about `sample` makes, or why it makes none; raises Skip for a broken file."""
    lines, removed = tidied(text)
    if not is_english(lines):
        return Skip(Reason.ANSWER_LANGUAGE)
    fault = form_fault(lines, rules, asked)
    if fault is not None:
        return fault
    caption = " ".join(lines.split())
    person = identity_in(caption, sample, own_words(sample))
    if person:
        return Skip(Reason.ANSWER_IDENTIFIES, person)
    return truth_fault(caption, sample) or Answer(text=caption, checks=removed)
