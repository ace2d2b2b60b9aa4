"""The stage that gives a text to every pair that has none, and leaves every other text alone.

Words of a source are never replaced. Which of our own may be is said by `replace`, each value including the ones
before: `missing` fills rows without text, `template` also words template captions anew, `vlm` those of a model as well.
Who wrote a caption stays in its `by`. A row whose engine has no answer keeps the text that it had, and the reason
stands in that caption's checks; where it had none it is rejected, since a pair without text is no pair.

An engine that fails `stop_after` times in a row is asked no more. These are failures of the engine, counted whether
the row has a text or not and apart from the rejects: a dead engine costs no row that can stand without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from captioning.engine import Answer, Ask, Captioner, Engine, RowCaptioner
from captioning.template import TemplateEngine
from shards.intake import Skip
from shards.reasons import Reason
from shards.stage import Context, Contract, Kind, Reject, Result, Unit

if TYPE_CHECKING:
    import polars as pl

    from shards.frames import Frames
    from shards.manifest import Sample
    from shards.media import MediaReader

# the union of all engines' configurations; `kind` says which one a pipelines file means
AnyEngine = TemplateEngine

REPLACED = {"missing": (), "template": ("template@",), "vlm": ("template@", "vlm:")}  # starts of `by`


@dataclass(frozen=True, kw_only=True)
class FillCaptions:
    """Captions for rows without text, from one engine."""

    contract: ClassVar[Contract] = Contract(takes=(Kind.MANIFEST,), gives=Kind.MANIFEST, adds=("captions",), version=2)

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
        from captioning.placing import placed, wanted
        from shards.manifest import read_part

        rows = read_part(Path(unit.payload["part"]))
        asked = rows.filter(wanted(self.replaced))
        if isinstance(self.captioner, RowCaptioner):
            answers = self.captioner.caption_rows(asked)
        else:
            answers = self._ask_all(asked, rows.height - asked.height)
        kept, dropped = placed(rows, answers, by=self.engine.by, replaced=self.replaced)
        rejects = [Reject(item=key, reason=reason, detail=detail or "") for key, reason, detail in dropped.iter_rows()]
        return Result(rows=kept, rejects=rejects, offered=rows.height, accepted=kept.height)

    def _ask_all(self, asked: pl.DataFrame, done: int) -> pl.DataFrame:
        """What the engine says of each row, as `placing.answer_frame` holds it."""
        from captioning.placing import answer_frame
        from shards.manifest import samples

        limit, failed = self.engine.stop_after, 0  # failed: in a row
        found: list[dict[str, Any]] = []
        for part in asked.iter_slices(self.engine.batch):
            self.ctx.check()
            self.ctx.on_progress(done + len(found), done + asked.height, "captions")
            batch = list(samples(part))
            if limit is not None and failed >= limit:
                found += [_told(sample, Skip(Reason.NOT_TRIED)) for sample in batch]
                continue
            for sample, answer in zip(batch, self._answers(batch), strict=True):
                told = _told(sample, answer)
                if sample.key not in self.ctx.quarantined:
                    failed = failed + 1 if told["text"] is None else 0
                found.append(told)
        return answer_frame(found)

    def _answers(self, batch: Sequence[Sample]) -> list[Answer | Skip]:
        """The engine's answers; it is not asked about pictures that a worker died on."""
        bad = self.ctx.quarantined
        asks = [Ask(sample=sample, frames=partial(self._read, sample)) for sample in batch if sample.key not in bad]
        answers = self.captioner.caption(asks) if asks else []
        assert len(answers) == len(asks), f"{self.engine.by} gave {len(answers)} answers to {len(asks)} pictures"
        rest = iter(answers)
        return [Skip(Reason.of(bad[sample.key])) if sample.key in bad else next(rest) for sample in batch]

    def _read(self, sample: Sample) -> Frames:
        from shards.media import MediaReader

        self.ctx.mark(sample.key)
        if self.reader is None:
            self.reader = MediaReader()
        return self.reader.read(sample.media)


def _told(sample: Sample, answer: Answer | Skip) -> dict[str, Any]:
    """One row of `placing.answer_frame`; a blank text is none."""
    if isinstance(answer, Answer) and answer.text.strip():
        return {"key": sample.key, "text": answer.text, "checks": list(answer.checks), "reason": None, "detail": None}
    skip = answer if isinstance(answer, Skip) else Skip(Reason.NO_CAPTION)
    return {"key": sample.key, "text": None, "checks": [], "reason": skip.reason.value, "detail": skip.detail}
