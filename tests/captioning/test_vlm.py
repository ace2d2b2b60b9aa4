"""The captioner around a model: when known pictures are asked about, and what is kept of what was said blindly."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from captioning.answer_store import AnswerStore, open_store
from captioning.canaries import CanaryTalk
from captioning.engine import Answer, Ask, Untrusted
from captioning.questions import Reply, Talk
from captioning.talk import CaptionTalk
from captioning.vlm import ModelRights, VlmCaptioner, VlmOptions
from shards.frames import Frames
from shards.intake import Skip
from shards.manifest import Sample
from shards.reasons import Reason

MakeSample = Callable[..., Sample]
OPTIONS = VlmOptions(model="m", rights=ModelRights(license="CC0-1.0"), tries=1)


class Plain:
    """A prompt whose answers hold as they are, unless they say `bad`."""

    version, system = "plain.1", ""

    def ask(self, sample: Sample) -> str:
        return "Describe this."

    def again(self, sample: Sample, reason: Reason, said: str) -> str:
        return "Once more."

    def judge(self, text: str, sample: Sample) -> Answer | Skip:
        return Skip(Reason.ANSWER_FORM) if text == "bad" else Answer(text=text)


@dataclass
class Here:
    """A model that answers one question after another, `ahead` of what is taken from it; blind from a question on."""

    blind_from: float = float("inf")  # in the number of rows' questions
    ahead: int = 1
    says: str = "A picture."
    tokens: int | None = None
    facts: dict[str, str] = field(default_factory=lambda: {"model": "m"})
    asked: list[str] = field(default_factory=list)
    sets: int = 0

    def answer(self, talks: Iterable[Talk]) -> Iterator[Talk]:
        source = iter(talks)
        line: deque[Talk] = deque()
        while True:
            line.extend(map(self._finished, islice(source, self.ahead - len(line))))
            if not line:
                return
            yield line.popleft()

    def _finished(self, talk: Talk) -> Talk:
        while (question := talk.question) is not None:
            shown = question.show()
            assert shown.pictures
            if isinstance(talk, CanaryTalk):
                self.sets += not self.asked or self.asked[-1] != "known"
                self.asked.append("known")
                sees = self.asked.count("row") < self.blind_from
                talk.hear(Reply(text=talk.known.name if sees else "Something.", finish="stop"))
            else:
                self.asked.append("row")
                talk.hear(Reply(text=self.says, finish="stop", picture_tokens=self.tokens))
        return talk


def captioner(model: Any, store: AnswerStore, **given: Any) -> VlmCaptioner:
    prompt: Any = Plain()
    return VlmCaptioner(OPTIONS, model, prompt, store, canaries=(), **{"allows": lambda ask: None, **given})


def asks(make_sample: MakeSample, count: int, first: int = 0, **media: Any) -> list[Ask]:
    made = []
    for n in range(first, first + count):
        sample = make_sample(modality="OT", key=f"nih-{n:04}")
        sample = replace(sample, media=replace(sample.media, **{"sha256": f"{n:064x}", **media}))
        made.append(Ask(sample=sample, frames=lambda: Frames(pixels=np.zeros((1, 4, 4), dtype=np.uint8))))
    return made


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("captioning.canaries.EVERY", 20)


def test_what_was_said_after_a_set_began_is_not_trusted_by_it(make_sample: MakeSample, tmp_path: Path) -> None:
    rows = asks(make_sample, 60)
    with open_store(tmp_path) as store:
        with pytest.raises(Untrusted):
            list(captioner(Here(blind_from=21, ahead=15), store).caption(rows))
        again = Here()
        assert len(list(captioner(again, store).caption(rows))) == 60
    assert again.asked.count("row") == 40  # 20 had been answered when the second set began


def test_a_model_that_is_caught_by_its_first_set_after_a_restart_loses_its_last_answers(
    make_sample: MakeSample, tmp_path: Path
) -> None:
    rows = asks(make_sample, 30)
    with open_store(tmp_path) as store:
        list(captioner(Here(), store).caption(rows[:10]))
    with open_store(tmp_path) as store, pytest.raises(Untrusted):
        list(captioner(Here(blind_from=0), store).caption(rows))
    with open_store(tmp_path) as store:
        again = Here()
        list(captioner(again, store).caption(rows))
    assert again.asked.count("row") == 30


def test_a_set_that_was_not_heard_to_its_end_is_asked_anew(make_sample: MakeSample, tmp_path: Path) -> None:
    forbidden = Skip(Reason.EGRESS_FORBIDDEN)
    with open_store(tmp_path) as store:
        model = Here(blind_from=0, ahead=8)
        made = captioner(model, store, allows=lambda ask: forbidden if ask.sample.key < "nih-0004" else None)
        with closing(made.caption(asks(make_sample, 10))) as answers:  # type: ignore[type-var]
            assert next(answers) == forbidden
        assert model.asked  # ahead of what was taken
        with pytest.raises(Untrusted):
            list(made.caption(asks(make_sample, 3, first=10)))


def test_one_set_serves_many_small_units(make_sample: MakeSample, tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        model = Here()
        made = captioner(model, store)
        for number in range(19):
            list(made.caption(asks(make_sample, 1, first=number)))
        assert model.sets == 1
        list(made.caption(asks(make_sample, 5, first=19)))
        assert model.sets == 2
        list(made.caption(asks(make_sample, 24)))
        assert (model.sets, model.asked.count("row")) == (2, 24)  # all of it was stored


def test_a_reply_whose_prompt_held_no_picture_is_not_kept(make_sample: MakeSample, tmp_path: Path) -> None:
    rows = asks(make_sample, 2)
    with open_store(tmp_path) as store:
        found = list(captioner(Here(tokens=0), store).caption(rows))
        assert [each.reason for each in found if isinstance(each, Skip)] == [Reason.PICTURE_NOT_SEEN] * 2
        assert list(captioner(Here(tokens=64), store).caption(rows)) == [Answer(text="A picture.")] * 2


def test_pictures_without_a_hash_are_told_apart_by_their_form_and_times(
    make_sample: MakeSample, tmp_path: Path
) -> None:
    forms = [((1, 4, 8), None), ((1, 8, 4), None), ((2, 4, 8), 10.0), ((2, 4, 8), 1.0)]
    rows = [
        replace(ask, frames=partial(Frames, pixels=np.zeros(shape, dtype=np.uint8), fps=fps))
        for ask, (shape, fps) in zip(asks(make_sample, len(forms), sha256=None), forms, strict=True)
    ]
    with open_store(tmp_path) as store:
        model = Here()
        list(captioner(model, store).caption(rows))
        assert model.asked.count("row") == len(forms)
        list(captioner(model, store).caption(rows))
        assert model.asked.count("row") == len(forms)


@pytest.mark.parametrize("sha256", ["0" * 64, None])
def test_a_talk_that_waits_holds_no_pixels(make_sample: MakeSample, tmp_path: Path, sha256: str | None) -> None:
    decoded: list[weakref.ref[Any]] = []

    def frames() -> Frames:
        pixels = np.zeros((1, 4, 4, 3), dtype=np.uint8)
        decoded.append(weakref.ref(pixels))
        return Frames(pixels=pixels)

    with open_store(tmp_path) as store:
        manner = replace(captioner(Here(), store).manner, tries=2)
        talk = CaptionTalk(replace(asks(make_sample, 1, sha256=sha256)[0], frames=frames), manner)
        assert talk.question is not None
        talk.question.show()
        talk.hear(Reply(text="bad", finish="stop"))
    assert talk.question is not None
    assert [each() for each in decoded] == [None] * (1 if sha256 else 2)


@pytest.mark.parametrize("model", ["file:///home/someone/models/tiny", "/home/someone/models/tiny/", "./models/tiny"])
def test_who_wrote_a_caption_tells_no_folders(model: str) -> None:
    assert replace(OPTIONS, model=model).by("plain.1") == "vlm:tiny@plain.1"
