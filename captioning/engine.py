"""What a captioning engine is: configuration that opens a captioner, which gives each picture a text or a reason.

The stage `FillCaptions` knows this protocol and no engine. An engine is a frozen dataclass, told apart from the others
in a pipelines file by its literal field `kind`; what it needs (a model, a connection) is made by `open` on the
worker. A captioner may look at pixels through `Ask.frames`, which decodes on the first call only, so an engine that
needs none never opens a file. One that never looks may word a whole table at once (`RowCaptioner`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from shards.intake import Skip
from shards.stage import Context

if TYPE_CHECKING:
    import polars as pl

    from shards.frames import Frames
    from shards.manifest import Sample


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """One picture to caption."""

    sample: Sample
    frames: Callable[[], Frames]  # decodes the media; raises Skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """A text for one picture, and what was checked or mended on the way to it."""

    text: str
    checks: tuple[str, ...] = ()


class Untrusted(Exception):
    """The engine was caught not looking at pictures: none of the unit's answers counts. The text says how."""


class Captioner(Protocol):
    """Lives on a worker for many units."""

    @property
    def by(self) -> str:
        """Whose words the captions are: `template@<version>` or `vlm:<model>@<prompt>.<version>`."""
        ...

    def caption(self, asks: Sequence[Ask]) -> Generator[Answer | Skip, None, None]:
        """One answer for each of a unit's `asks`, in their order: a text, or the reason why there is none.

        Pictures are decoded as they are needed and answers given as they come; who has enough closes the iterator. A
        Skip that `Ask.frames` raises is that picture's answer. Raises Untrusted; any other exception stops the run.
        """
        ...


@runtime_checkable
class RowCaptioner(Captioner, Protocol):
    """A captioner that looks at no picture, so that millions of rows need not become samples."""

    def caption_rows(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The answers for the rows of a manifest, as `captioning.placing.ANSWERS`: those that `caption` would give."""
        ...


class Engine(Protocol):
    """Configuration of a captioner."""

    @property
    def stop_after(self) -> int | None:
        """Pictures in a row without an answer, after which a unit asks no more; None where the engine cannot fail."""
        ...

    def identity(self, ctx: Context) -> dict[str, str]:
        """What the captions depend on beyond the options: model revision, prompt version; part of the fingerprint.

        `captioner` is its captioner's `by`: whose captions a stage makes is read off its record, with the terms that
        its options state (`rights`).
        """
        ...

    def open(self, ctx: Context) -> AbstractContextManager[Captioner]:
        """The captioner, for as long as the context is entered."""
        ...
