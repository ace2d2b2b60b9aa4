"""What passes between captioning and a vision-language model: a question with pictures, and a reply.

A model is what answers questions, here or on a server. It is handed talks, one for each picture, and asks what each
has to ask until it is finished; how many at once, in which batches and over which wires is its own affair. Talks come
out in the order in which they went in.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from shards.intake import Skip

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How tokens are chosen. Temperature 0 is greedy: the likeliest token, always."""

    temperature: float = 0.0
    top_p: float = 1.0  # only the likeliest tokens that have this probability together
    top_k: int = 0  # only so many of the likeliest tokens; 0: all
    max_new_tokens: int = 256

    def __post_init__(self) -> None:
        if not 0 <= self.temperature <= 2:
            raise ValueError(f"temperature: {self.temperature} must be 0 (greedy) to 2")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p: {self.top_p} must be above 0 and at most 1")
        if self.top_k < 0 or self.max_new_tokens < 1:
            raise ValueError("top_k must be 0 or more, max_new_tokens 1 or more")


@dataclass(frozen=True, kw_only=True)
class Shown:
    """The pictures of one question: one still, or frames of a clip with their times."""

    pictures: tuple[npt.NDArray[np.uint8], ...]  # each [H, W, 3] RGB, 0 to 255
    times_s: tuple[float, ...] = ()  # of each frame of a clip since its start; empty for a still


@dataclass(frozen=True, kw_only=True)
class Question:
    """One request. What is drawn at random depends on `seed` alone, so the same question has the same answer."""

    show: Callable[[], Shown]  # decodes; one call at a time; raises Skip
    text: str
    system: str = ""
    sampling: Sampling = field(default_factory=Sampling)
    seed: int = 0  # 0 to 2^31 - 1


REFUSED = "refusal"  # how a reply ended that its server marks as a refusal


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a model said, and what it was shown."""

    text: str | None
    finish: str  # `stop` where it ended by itself; `length`, `content_filter` and so on where it was ended; REFUSED
    picture_tokens: int | None = None  # tokens of the prompt that stand for pictures; None where nobody counts them


class Talk(Protocol):
    """One picture's questions, one after another."""

    @property
    def question(self) -> Question | None:
        """What is to be asked now; None once it is finished."""
        ...

    def hear(self, reply: Reply | Skip) -> None:
        """Take the reply to `question`, or the reason why there is none: it may then have another question.

        When this returns the reply is stored. Called by one thread at a time.
        """
        ...


class Model(Protocol):
    """A model that is ready to answer; lives on a worker for many units."""

    @property
    def facts(self) -> Mapping[str, str]:
        """What it says that it is: name, revision; answers are kept under it."""
        ...

    def answer(self, talks: Iterable[Talk]) -> Generator[Talk, None, None]:
        """Each of `talks`, finished, in their order; takes them as it needs them.

        A failure of one question is heard by its talk as a Skip. Closing the iterator ends what is under way.
        """
        ...
