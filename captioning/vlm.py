"""The captioner of every vision-language model: gate, store, talks and canaries around a model that answers.

The options that all engines share are here, so that a pipelines file says the same of a model on this machine and of
one on a server.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from captioning.engine import Answer, Ask, Untrusted
from captioning.questions import Question, Reply, Sampling
from shards.canonical import sha256_of
from shards.intake import Skip
from shards.stage import Context

if TYPE_CHECKING:
    from captioning.answer_store import AnswerStore
    from captioning.canaries import CanaryTalk, Known
    from captioning.prompts import Prompt
    from captioning.questions import Model, Talk

STOP_AFTER = 100  # pictures in a row without an answer


@dataclass(frozen=True, kw_only=True)
class ModelRights:
    """What the maker of the model allows to do with what it says."""

    license: str  # SPDX id or LicenseRef-<name>
    evidence: str = ""


@dataclass(frozen=True, kw_only=True)
class VlmOptions:
    """Options of every engine that holds a vision-language model."""

    model: str  # hub id, local folder, or the name that the server gives it
    rights: ModelRights  # they go with the captions into the licence table
    revision: str = ""  # of the model: a hub's commit; for a server a word of your own that changes with its weights
    prompt: str = "general"  # a prompt of medloom, or the path of one of your own
    tries: int = 3  # answers that are asked for, at most, until one holds
    sampling: Sampling = field(default_factory=Sampling)
    max_pixels: int = 1_048_576  # of a picture, to which larger ones are reduced
    clip_frames: int = 8  # of a clip, with their times
    canaries: str = ""  # a list of known pictures; by default two drawings and some of the rows' own

    def __post_init__(self) -> None:
        for name in ("tries", "max_pixels", "clip_frames"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} must be 1 or more")
        if not self.model.strip():
            raise ValueError("model: name one; docs/captioning-models.md has a table by memory size")

    @property
    def stop_after(self) -> int | None:
        """Pictures in a row without an answer, after which a unit asks no more."""
        return STOP_AFTER

    def by(self, prompt: str) -> str:
        """Whose words the captions are, with the prompt of version `prompt`."""
        return f"vlm:{self.name()}@{prompt}"

    def name(self) -> str:
        """The model in `by`: without the folders that hold it, and without spaces."""
        is_path = "://" in self.model or self.model.startswith(("/", ".", "~"))
        return re.sub(r"[\s@]+", "-", self.model.rstrip("/").rpartition("/")[2] if is_path else self.model)


class VlmCaptioner:
    """Asks a model about each picture, and between them about known ones."""

    def __init__(
        self,
        options: VlmOptions,
        model: Model,
        prompt: Prompt,
        store: AnswerStore,
        *,
        canaries: Sequence[Known],
        allows: Callable[[Ask], Skip | None],
    ) -> None:
        from captioning.talk import Manner

        self.options = options
        self.model = model
        self.store = store
        self.store.speaker = sha256_of(dict(model.facts))
        self.canaries = canaries
        self.allows = allows
        self.by = options.by(prompt.version)
        self.sent = 0  # questions since the last set of known pictures
        self.sets = 0
        self.marks: deque[int] = deque()  # in the store, where sets began on which there is no verdict yet
        self.manner = Manner(
            prompt=prompt,
            sampling=options.sampling,
            tries=options.tries,
            max_pixels=options.max_pixels,
            clip_frames=options.clip_frames,
            model=model.facts,
            store=store,
            on_question=self._count,
        )

    def caption(self, asks: Sequence[Ask]) -> Generator[Answer | Skip, None, None]:
        """An answer for each of a unit's pictures; raises Untrusted when the model does not name known pictures."""
        from captioning.canaries import CanaryTalk, silence, verdict
        from captioning.talk import CaptionTalk

        heard: list[CanaryTalk] = []
        wrong = ""
        try:
            with closing(self.model.answer(self._talks(asks))) as talks:
                for talk in talks:
                    if isinstance(talk, CanaryTalk):
                        heard.append(talk)
                        if len(heard) == talk.of:
                            wrong = verdict(heard) or silence(heard)
                            if wrong:
                                break
                            self.store.trust(self.marks.popleft())
                            heard = []
                    else:
                        assert isinstance(talk, CaptionTalk | Settled)
                        assert talk.result is not None
                        yield talk.result
        finally:
            if self.marks:  # a set that failed or was not heard to its end: the next unit begins with one
                self.marks.clear()
                self.sets = 0
        if wrong:
            if verdict(heard):
                self.store.forget()  # nothing is under way any more that would still be stored
            raise Untrusted(wrong)

    def _count(self) -> None:
        self.sent += 1

    def _talks(self, asks: Sequence[Ask]) -> Iterator[Talk]:
        from captioning.canaries import EVERY, CanaryTalk, drawn, of_rows
        from captioning.talk import CaptionTalk

        refused = [self.allows(ask) for ask in asks]
        allowed = [ask for ask, skip in zip(asks, refused, strict=True) if skip is None]
        for ask, skip in zip(asks, refused, strict=True):
            talk: Talk = CaptionTalk(ask, self.manner) if skip is None else Settled(skip)
            if talk.question is not None and (self.sets == 0 or self.sent >= EVERY):
                known = self.canaries or [*drawn(self.sets), *of_rows(allowed)]
                self.sent, self.sets = 0, self.sets + 1
                self.marks.append(self.store.mark())
                for each in known:
                    yield CanaryTalk(
                        each,
                        of=len(known),
                        max_pixels=self.options.max_pixels,
                        clip_frames=self.options.clip_frames,
                    )
            yield talk


class Settled:
    """A picture about which nothing is asked."""

    question: Question | None = None

    def __init__(self, result: Skip) -> None:
        self.result = result

    def hear(self, reply: Reply | Skip) -> None:
        """Nothing was asked."""
        raise AssertionError("a settled talk has no question")


def known_pictures(options: VlmOptions, ctx: Context) -> list[Known]:
    """The user's own known pictures; none where the default set is meant."""
    from captioning.canaries import read_canaries

    return read_canaries(options.canaries, ctx) if options.canaries else []
