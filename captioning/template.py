"""The template captioner: everything that metadata and labels say of a picture, as one sentence of plain English.

MediSyn's captions combine "all available metadata and labels into a single caption" (arXiv 2405.09806). A row is worded
by the template that its data set gives (the manifest's `template`, in the language of shards/phrasing.py), else by a
general one. Several phrasings are equally good; which one a row gets is drawn by its key, so the same row always reads
the same. Only attributes of `shards.attributes` are worded, what is unknown is left out, and no name, date or number of
a person can be said.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from captioning.engine import Answer, Ask
from shards.intake import Skip
from shards.reasons import Reason
from shards.stage import Context

if TYPE_CHECKING:
    import polars as pl

    from shards.manifest import Sample

VERSION = 5  # raise it when the same row gives another sentence
BY = f"template@{VERSION}"


@dataclass(frozen=True, kw_only=True)
class TemplateEngine:
    """Options of the template captioner."""

    kind: Literal["template"] = "template"
    seed: int = 0  # which phrasing each sample gets
    least_facts: int = 0  # a row about which less is known, beside its modality, gets no caption

    def __post_init__(self) -> None:
        if self.least_facts < 0:
            raise ValueError("least_facts counts labels and attributes: write 0 or more")

    @property
    def stop_after(self) -> int | None:
        """Nothing can fail but a row that says too little of itself."""
        return None

    def identity(self, ctx: Context) -> dict[str, str]:
        """The template's version."""
        return {"captioner": BY}

    @contextmanager
    def open(self, ctx: Context) -> Iterator[TemplateCaptioner]:
        """The captioner; it holds nothing."""
        yield TemplateCaptioner(self)


class TemplateCaptioner:
    """Words samples one by one, or whole tables at once."""

    by = BY

    def __init__(self, options: TemplateEngine) -> None:
        self.options = options

    def caption(self, asks: Sequence[Ask]) -> Generator[Answer | Skip, None, None]:
        """One sentence for each sample, or NO_CAPTION where too little is known of it."""
        return (self._answer(ask.sample) for ask in asks)

    def caption_rows(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The same for the rows of a manifest, as `captioning.placing.ANSWERS`."""
        from captioning.rows import answer_rows

        return answer_rows(rows, seed=self.options.seed, least_facts=self.options.least_facts)

    def _answer(self, sample: Sample) -> Answer | Skip:
        facts, text = word(sample, self.options.seed)
        if facts < self.options.least_facts:
            return Skip(Reason.NO_CAPTION, f"{facts} facts known beside the modality")
        return Answer(text=text)


def word(sample: Sample, seed: int) -> tuple[int, str]:
    """Number of facts known beside the modality, and the sentence."""
    from captioning.filling import fill
    from captioning.phrasings import BITS, draw, order_of, orders
    from captioning.picture import picture_of
    from captioning.pieces import finding_words, look_words
    from captioning.statements import statements
    from shards.attributes import decode

    attributes = decode(sample.attributes)
    picture = picture_of(sample.modality, sample.media, attributes)
    seen, facts = look_words(picture, attributes, sample.media.view.window)
    found, labels = finding_words(statements(sample.labels, picture))
    drawn = draw(seed, sample.key)
    words = {
        field: wordings[(drawn >> BITS.get(field, 0)) % len(wordings)] for field, wordings in {**seen, **found}.items()
    }
    choices = orders(sample.template, picture.preposition, picture.series)
    for template in choices[order_of(drawn, len(choices))]:
        text = fill(template, words)
        if text is not None:
            return facts + labels, text
    raise AssertionError("the last template fits any row")
