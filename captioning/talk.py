"""The talk about one picture: ask, check the answer, ask again with what was wrong, until it holds or tries run out.

Each reply is looked for in the store before it is asked for and stored before it is judged, so that a run that is
repeated asks nothing twice, and a check that changes costs no request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from captioning.engine import Answer, Ask
from captioning.pictures import shown
from captioning.questions import REFUSED, Question, Reply, Sampling, Shown
from shards.canonical import sha256_hex, sha256_of
from shards.intake import Skip
from shards.reasons import Reason

if TYPE_CHECKING:
    from captioning.answer_store import AnswerStore
    from captioning.prompts import Prompt

AGAIN_TEMPERATURE = 0.7  # of later tries, where the first was colder: a greedy model would only say the same again
THINKING = ("<think", "</think", "<|think", "<|channel", "<channel|>", "<thought")
STOPPED = ("stop", "eos")  # finish reasons of a model that had said all


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How a picture is asked about, alike for all pictures of a worker."""

    prompt: Prompt
    sampling: Sampling
    tries: int
    max_pixels: int
    clip_frames: int
    model: Mapping[str, str]  # what the model says that it is, and how it is made to answer
    store: AnswerStore
    on_question: Callable[[], None]


class CaptionTalk:
    """Questions about one picture until `result` is there."""

    def __init__(self, ask: Ask, manner: Manner) -> None:
        self.ask = ask
        self.manner = manner
        self.tried: list[str] = []  # why each answer was not taken
        self.result: Answer | Skip | None = None
        self.question: Question | None = None
        self.key = ""
        self._known_by: Any = None
        try:
            self._pose(manner.prompt.ask(ask.sample))
        except Skip as skip:
            self.result = skip

    def hear(self, reply: Reply | Skip) -> None:
        """Store the reply, judge it, and put the next question or the result."""
        if isinstance(reply, Skip):
            self._end(reply)
            return
        if _saw(reply):  # what was said blindly is no answer about this picture, whoever asks for it again
            self.manner.store.put(self.key, [reply.text, reply.finish, reply.picture_tokens])
        try:
            self._judge(reply)
        except Skip as skip:
            self._end(skip)

    def _pose(self, text: str) -> None:
        """Put a question, and go on with its stored reply where there is one."""
        number = len(self.tried)
        sampling = self.manner.sampling
        if number:
            sampling = replace(sampling, temperature=max(sampling.temperature, AGAIN_TEMPERATURE))
        system = self.manner.prompt.system
        seed = int(sha256_hex(f"{self.ask.sample.key} {number}".encode())[:7], 16)
        self.question = Question(show=self._show, text=text, system=system, sampling=sampling, seed=seed)
        self.key = sha256_of(
            {
                "picture": self._picture(),
                "model": dict(self.manner.model),
                "prompt": self.manner.prompt.version,
                "asked": [system, text],
                "sampling": [sampling.temperature, sampling.top_p, sampling.top_k, sampling.max_new_tokens],
                "seed": seed if sampling.temperature else 0,
                "budget": [self.manner.max_pixels, self.manner.clip_frames],
                "try": number,
            }
        )
        stored = self.manner.store.get(self.key)
        if stored is None:
            self.manner.on_question()
        else:
            self._judge(Reply(text=stored[0], finish=stored[1], picture_tokens=stored[2]))

    def _show(self) -> Shown:
        """Decoded anew for each question: many talks wait for their turn, and one that waits holds no pixels."""
        return shown(self.ask.frames(), max_pixels=self.manner.max_pixels, clip_frames=self.manner.clip_frames)

    def _picture(self) -> Any:
        """What the picture is known by: the hash of its file and the part of it, else its pixels."""
        media = self.ask.sample.media
        if media.sha256 is not None:
            return [media.sha256, media.locator]
        if self._known_by is None:
            seen = self._show()
            pictures = [[*picture.shape, sha256_hex(picture.tobytes())] for picture in seen.pictures]
            self._known_by = [pictures, list(seen.times_s)]
        return self._known_by

    def _judge(self, reply: Reply) -> None:
        verdict = fault_of(reply) or self.manner.prompt.judge(reply.text or "", self.ask.sample)
        if isinstance(verdict, Answer):
            self._end(replace(verdict, checks=(*self._history(), *verdict.checks)))
            return
        self.tried.append(verdict.reason.value)
        if verdict.reason is Reason.PICTURE_NOT_SEEN or len(self.tried) >= self.manner.tries:
            self._end(Skip(verdict.reason, verdict.detail or ""))
            return
        self._pose(self.manner.prompt.again(self.ask.sample, verdict.reason, reply.text or ""))

    def _history(self) -> list[str]:
        return [f"try {number}: {reason}" for number, reason in enumerate(self.tried, start=1)]

    def _end(self, result: Answer | Skip) -> None:
        self.result = result
        self.question = None


def fault_of(reply: Reply) -> Skip | None:
    """What is wrong with a reply whatever it says of the picture."""
    text = (reply.text or "").strip()
    if not _saw(reply):
        return Skip(Reason.PICTURE_NOT_SEEN)
    if reply.finish == REFUSED:
        return Skip(Reason.ANSWER_REFUSES)
    if any(mark in text for mark in THINKING):
        return Skip(Reason.ANSWER_THINKS)
    if reply.finish not in STOPPED:
        return Skip(Reason.ANSWER_CUT, f"finish reason {reply.finish}")
    return None if text else Skip(Reason.ANSWER_EMPTY)


def _saw(reply: Reply) -> bool:
    return reply.picture_tokens is None or reply.picture_tokens > 0
