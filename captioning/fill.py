"""The stage that gives a text to every pair that has none, and leaves every other text alone.

Words of a source are never replaced. Which of our own may be is said by `replace`, each value including the ones
before: `missing` fills rows without text, `template` also words template captions anew, `vlm` those of a model as well.
Who wrote a caption stays in its `by`. A row whose engine has no answer keeps the text that it had; where it had none
it is rejected, since a pair without text is no pair.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from captioning.engine import Answer, Ask, Captioner, Engine
from captioning.template import TemplateEngine
from shards.intake import Intake, Skip
from shards.reasons import Reason
from shards.stage import Context, Contract, Kind, Result, Unit

if TYPE_CHECKING:
    import polars as pl

    from shards.frames import Frames
    from shards.manifest import Caption, Sample
    from shards.media import MediaReader

# the union of all engines' configurations; `kind` says which one a pipelines file means
AnyEngine = TemplateEngine

REPLACED = {"missing": (), "template": ("template@",), "vlm": ("template@", "vlm:")}  # starts of `by`


@dataclass(frozen=True, kw_only=True)
class FillCaptions:
    """Captions for rows without text, from one engine."""

    contract: ClassVar[Contract] = Contract(takes=(Kind.MANIFEST,), gives=Kind.MANIFEST, adds=("captions",), version=1)

    engine: AnyEngine = field(default_factory=TemplateEngine)
    replace: Literal["missing", "template", "vlm"] = "missing"

    def identity(self, ctx: Context) -> Mapping[str, str]:
        """What the engine's captions depend on beyond its options."""
        return self.engine.identity(ctx)

    @contextmanager
    def open(self, ctx: Context) -> Iterator[Filler]:
        """A worker that holds the engine's captioner and, where it looks at pictures, their reader."""
        with self.engine.open(ctx) as captioner:
            yield Filler(self.engine, captioner, REPLACED[self.replace], ctx)


class Filler:
    """Captions the rows of one part after another."""

    def __init__(self, engine: Engine, captioner: Captioner, replaced: tuple[str, ...], ctx: Context) -> None:
        self.engine = engine
        self.captioner = captioner
        self.replaced = replaced
        self.ctx = ctx
        self.reader: MediaReader | None = None

    def process(self, unit: Unit) -> Result:
        """The part with its missing captions filled, and every other row as it was."""
        from shards.manifest import read_part, samples

        rows = read_part(Path(unit.payload["part"]))
        wanted = rows.filter(_wanted(self.replaced))
        intake = Intake(self.ctx, stop_after=self.engine.stop_after)
        intake.offered = intake.accepted = rows.height - wanted.height
        for part in wanted.iter_slices(self.engine.batch):
            self.ctx.check()
            self.ctx.on_progress(intake.offered, rows.height, "captions")
            batch = list(samples(part))
            for sample, answer in zip(batch, self._answers(batch, intake), strict=True):
                intake.take(sample.key, self._captions, sample, answer)
        return intake.result(partial(_filled, rows, wanted["key"]))

    def _answers(self, batch: Sequence[Sample], intake: Intake) -> Sequence[Answer | Skip]:
        """The engine's answers; once it has failed too often it is asked no more, and `take` says so for each row."""
        if intake.stop_after is not None and intake.in_a_row >= intake.stop_after:
            return [Skip(Reason.NOT_TRIED)] * len(batch)
        asks = [Ask(sample=sample, frames=partial(self._read, sample)) for sample in batch]
        answers = self.captioner.caption(asks)
        assert len(answers) == len(asks), f"{self.engine.by} gave {len(answers)} answers to {len(asks)} pictures"
        return answers

    def _read(self, sample: Sample) -> Frames:
        from shards.media import MediaReader

        self.ctx.mark(sample.key)
        if sample.key in self.ctx.quarantined:
            raise Skip(Reason.of(self.ctx.quarantined[sample.key]))
        if self.reader is None:
            self.reader = MediaReader()
        return self.reader.read(sample.media)

    def _captions(self, sample: Sample, answer: Answer | Skip) -> list[tuple[str, tuple[Caption, ...]]]:
        """Key and captions of a row: those that stay, with the new one in the place of what it replaces."""
        from shards.manifest import Caption

        said = [caption for caption in sample.captions if caption.text.strip()]
        if isinstance(answer, Skip) or not answer.text.strip():
            if said:
                return [(sample.key, tuple(said))]
            raise answer if isinstance(answer, Skip) else Skip(Reason.NO_CAPTION)
        ours = [number for number, caption in enumerate(said) if caption.by.startswith(self.replaced)]
        weight = said[ours[0]].weight if ours else 1.0
        new = Caption(text=answer.text, by=self.engine.by, weight=weight, checks=answer.checks)
        place = ours[0] if ours else 0
        kept = [caption for number, caption in enumerate(said) if number not in ours]
        return [(sample.key, (*kept[:place], new, *kept[place:]))]


def _wanted(replaced: tuple[str, ...]) -> pl.Expr:
    """Rows without text, and rows with a caption whose `by` starts with one of `replaced`."""
    import polars as pl

    caption = pl.element().struct
    spoken = pl.col("captions").list.eval(caption.field("text").str.strip_chars() != "").list.any()
    wanted = ~spoken.fill_null(value=False)
    for start in replaced:
        wanted |= pl.col("captions").list.eval(caption.field("by").str.starts_with(start)).list.any()
    return wanted


def _filled(
    rows: pl.DataFrame, wanted: pl.Series, captioned: Iterable[tuple[str, tuple[Caption, ...]]]
) -> pl.DataFrame:
    """`rows` with the new captions, without the `wanted` keys that have none."""
    import polars as pl

    from shards.manifest import SCHEMA

    found = [{"key": key, "filled": [asdict(caption) for caption in captions]} for key, captions in captioned]
    filled = pl.DataFrame(found, schema={"key": pl.String, "filled": SCHEMA["captions"]})
    joined = rows.join(filled, on="key", how="left", maintain_order="left")
    kept = joined.filter(pl.col("filled").is_not_null() | ~pl.col("key").is_in(wanted.implode()))
    return kept.with_columns(pl.coalesce("filled", "captions").alias("captions")).select(SCHEMA.names())
