"""A captioning model small enough for a test: it tells pictures apart by their colour, and will not speak of some.

Gate, store, talks, known pictures and the stage are the real ones; the model and its prompt are these.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from captioning.answer_store import FOLDER, open_store
from captioning.engine import Answer
from captioning.fill import FillCaptions
from captioning.questions import Reply, Talk
from captioning.vlm import VlmCaptioner, VlmOptions, known_pictures
from shards.intake import Skip
from shards.manifest import Sample
from shards.reasons import Reason
from shards.stage import Context


class ColourPrompt:
    """Takes a plain answer, and the second one about a stained picture."""

    version = "colour.2"
    system = ""

    def ask(self, sample: Sample) -> str:
        return "What colours are in this picture?"

    def again(self, sample: Sample, reason: Reason, said: str) -> str:
        return "Answer in one sentence: what colours are in this picture?"

    def judge(self, text: str, sample: Sample) -> Answer | Skip:
        if text.startswith("I cannot"):
            return Skip(Reason.ANSWER_REFUSES, "said to Jane Doe")
        return Answer(text=text, checks=("shortened",)) if "." in text else Skip(Reason.ANSWER_OPENING)


class ColourModel:
    """Red, pale or grey; of dark grey pictures it refuses to speak."""

    facts: Mapping[str, str] = {"model": "colour"}

    def answer(self, talks: Iterable[Talk]) -> Iterator[Talk]:
        for talk in talks:
            while talk.question is not None:
                talk.hear(Reply(text=self.said(talk.question), finish="stop", picture_tokens=4))
            yield talk

    def said(self, question: Any) -> str:
        pixels = np.concatenate([picture.reshape(-1, 3) for picture in question.show().pictures]).astype(float)
        red, green, blue = pixels.mean(axis=0)
        if abs(red - blue) + abs(red - green) < 2:
            return "A <b>grey</b> picture." if red > 60 else "I cannot help with that."
        if red > 2 * blue:
            return "A red and orange picture."
        return "A stained picture." if question.text.startswith("Answer") else "stained"


@dataclass(frozen=True, kw_only=True)
class Colours(VlmOptions):
    """Options of the model."""

    kind: Literal["colours"]

    def identity(self, ctx: Context) -> dict[str, str]:
        return {"captioner": self.by(ColourPrompt.version), "prompt": ColourPrompt.version}

    @contextmanager
    def open(self, ctx: Context) -> Iterator[VlmCaptioner]:
        with open_store(ctx.kept(FOLDER)) as store:
            known = known_pictures(self, ctx)
            yield VlmCaptioner(self, ColourModel(), ColourPrompt(), store, canaries=known, allows=lambda ask: None)


@dataclass(frozen=True, kw_only=True)
class Coloured(FillCaptions):
    """Captions of that model."""

    engine: Colours
