"""The stage that gives a text to every pair that has none, and leaves every other text alone.

Words of a source are never replaced. Which of our own may be is said by `replace`, each value including the ones
before: `missing` fills rows without text, `template` also words template captions anew, `vlm` those of a model as well.
With `beside` the new caption stands beside those that a row has, so that a sample has several with their weights.
Who wrote a caption stays in its `by`. A row whose engine has no answer keeps the text that it had, and the reason
stands in that caption's checks; where it had none the template speaks for the engine if `otherwise` says so, else the
row is rejected, since a pair without text is no pair. The template does not speak where the reason may pass, such as a
server that was away or known pictures that were not named: such rows are rejects, and the next run asks again.

An engine that fails `stop_after` times in a row is asked no more. These are failures of the engine, counted whether
the row has a text or not and apart from the rejects: a dead engine costs no row that can stand without it. Pictures
that the engine was not asked about, since their terms or the prompt do not allow it, are no failures of it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from captioning.engine import Answer, Ask, Captioner, Engine, RowCaptioner, Untrusted
from captioning.hub_engine import HubEngine
from captioning.server_engine import ServerEngine
from captioning.template import BY, TemplateEngine
from shards.intake import NEVER_SKIPPED, Skip, place
from shards.reasons import Reason
from shards.stage import Context, Contract, Kind, Reject, Result, Unit

if TYPE_CHECKING:
    import polars as pl

    from shards.frames import Frames
    from shards.manifest import Sample
    from shards.media import MediaReader

LOG = logging.getLogger(__name__)

# the union of all engines' configurations; `kind` says which one a pipelines file means
AnyEngine = TemplateEngine | HubEngine | ServerEngine

NOT_ASKED = (Reason.EGRESS_FORBIDDEN, Reason.NO_CAPTION)  # of the row, whatever state the engine is in
MAY_PASS = [reason.value for reason in Reason if reason.transient]
OF_THE_FILE = (Reason.MISSING_FILE, Reason.UNREADABLE, Reason.MEDIA_CHANGED)
OF_THE_ENGINE = [code for code in MAY_PASS if code not in OF_THE_FILE]
SHOWN_CHARACTERS = 80  # of a text that is remarked upon
REPLACED = {"missing": (), "template": ("template@",), "vlm": ("template@", "vlm:")}  # starts of `by`


@dataclass(frozen=True, kw_only=True)
class FillCaptions:
    """Captions for rows without text, from one engine."""

    contract: ClassVar[Contract] = Contract(takes=(Kind.MANIFEST,), gives=Kind.MANIFEST, adds=("captions",), version=4)

    engine: AnyEngine = field(default_factory=TemplateEngine)
    replace: Literal["missing", "template", "vlm"] = "missing"
    beside: bool = False  # rows that have captions of others get one of this engine beside them
    weight: float = 1.0  # of a new caption among those of its sample; one that takes another's place takes its weight
    otherwise: Literal["reject", "template"] = "reject"  # for a row without text to which the engine has no answer

    def __post_init__(self) -> None:
        if not 0 <= self.weight < float("inf"):
            raise ValueError(f"weight: {self.weight} must be 0 or more")
        if self.beside and self.replace != "missing":
            raise ValueError("beside: the caption stands beside the others or replaces them: leave one of the two out")

    def identity(self, ctx: Context) -> Mapping[str, str]:
        """What the engine's captions depend on beyond its options."""
        spare = {"otherwise": BY} if self.otherwise == "template" else {}
        return {**self.engine.identity(ctx), **spare}

    def look_over(self, parts: Sequence[Path], identity: Mapping[str, str]) -> None:
        """Warn of each text that the engine's model gave to many different pictures."""
        by = identity.get("captioner", BY)
        if by == BY:  # a template says the same of what is known to be the same
            return
        from captioning.repeats import repeated

        for one in repeated(parts, by):
            LOG.warning(
                "%s said the same of %s of the %s different pictures that it captioned: %r%s. A model that does not "
                "look at pictures does so: see some of them (`medloom show --captions`) before any use",
                *(by, f"{one.pictures:,}", f"{one.of:,}"),
                *(one.text[:SHOWN_CHARACTERS], " ..." if len(one.text) > SHOWN_CHARACTERS else ""),
            )

    @contextmanager
    def open(self, ctx: Context) -> Iterator[Filler]:
        """A worker that holds the engine's captioner and, where it looks at pictures, their reader."""
        with self.engine.open(ctx) as captioner:
            yield Filler(self, captioner, ctx)


class Filler:
    """Captions the rows of one part after another."""

    def __init__(self, stage: FillCaptions, captioner: Captioner, ctx: Context) -> None:
        self.stage = stage
        self.engine: Engine = stage.engine
        self.captioner = captioner
        self.ctx = ctx
        self.reader: MediaReader | None = None
        self.reading = Lock()  # an engine may decode in threads of its own; one item at a time is the one in work

    def process(self, unit: Unit) -> Result:
        """The part with its missing captions filled, and every other row as it was."""
        from captioning.placing import Place, placed, wanted
        from shards.manifest import read_part

        place = Place(
            by=self.captioner.by,
            replaced=REPLACED[self.stage.replace],
            beside=self.stage.beside,
            weight=self.stage.weight,
        )
        rows = read_part(Path(unit.payload["part"]))
        asked = rows.filter(wanted(place))
        if isinstance(self.captioner, RowCaptioner):
            answers = self.captioner.caption_rows(asked)
        else:
            answers = self._ask_all(asked, rows.height - asked.height)
            _tell_of_few(answers)
        spare = self._spare(rows, answers)
        kept, dropped = placed(rows, answers, place, spare=spare, spare_by=BY)
        rejects = [Reject(item=key, reason=reason, detail=detail or "") for key, reason, detail in dropped.iter_rows()]
        failed, lost = (int(found["reason"].is_in(OF_THE_ENGINE).sum()) for found in (answers, dropped))
        return Result(rows=kept, rejects=rejects, offered=rows.height, accepted=kept.height, owed=failed - lost)

    def _spare(self, rows: pl.DataFrame, answers: pl.DataFrame) -> pl.DataFrame | None:
        """The template's captions of the rows to which the engine had no answer, and will have none in another run."""
        from captioning.rows import answer_rows

        if self.stage.otherwise == "reject" or isinstance(self.captioner, RowCaptioner):
            return None
        silent = answers.filter(answers["text"].is_null() & ~answers["reason"].is_in(MAY_PASS))
        template = TemplateEngine()
        found = rows.join(silent.select("key"), on="key", how="semi", maintain_order="left")
        return answer_rows(found, seed=template.seed, least_facts=template.least_facts)

    def _ask_all(self, asked: pl.DataFrame, done: int) -> pl.DataFrame:
        """What the engine says of each row, as `placing.answer_frame` holds it."""
        from captioning.placing import answer_frame
        from shards.manifest import samples

        every = list(samples(asked))
        bad = self.ctx.quarantined  # the engine is not asked about pictures that a worker died on
        found = {sample.key: _told(sample, Skip(Reason.of(bad[sample.key]))) for sample in every if sample.key in bad}
        rest = [sample for sample in every if sample.key not in bad]
        try:
            for answered, (sample, answer) in enumerate(self._answers(rest), start=done + len(found) + 1):
                found[sample.key] = _told(sample, answer)
                self.ctx.check()
                self.ctx.on_progress(answered, done + len(every), "captions")
        except Untrusted as caught:
            LOG.warning("%s: no answer of that unit counts, and the next run asks again", caught)
            found |= {sample.key: _told(sample, Skip(Reason.CANARY_FAILED, str(caught))) for sample in rest}
        return answer_frame([found[sample.key] for sample in every])

    def _answers(self, asked: Sequence[Sample]) -> Iterator[tuple[Sample, Answer | Skip]]:
        """The engine's answers until it has failed too often in a row, then NOT_TRIED."""
        limit, failed = self.engine.stop_after, 0  # failed: in a row
        asks = [Ask(sample=sample, frames=partial(self._read, sample)) for sample in asked]
        rest = iter(asked)
        with closing(self.captioner.caption(asks)) as answers:
            while limit is None or failed < limit:
                sample = next(rest, None)
                if sample is None:
                    return
                answer = next(answers)
                if not isinstance(answer, Skip):
                    failed = 0
                elif answer.reason not in NOT_ASKED:
                    failed += 1
                yield sample, answer
        yield from ((sample, Skip(Reason.NOT_TRIED)) for sample in rest)

    def _read(self, sample: Sample) -> Frames:
        """The pixels of one row; what goes wrong with them is a reject of that row, as everywhere (shards.intake)."""
        from shards.media import MediaReader

        with self.reading:
            self.ctx.mark(sample.key)
            if self.reader is None:
                self.reader = MediaReader()
            try:
                return self.reader.read(sample.media)
            except (Skip, *NEVER_SKIPPED):
                raise
            except Exception as error:
                raise Skip(Reason.UNEXPECTED_ERROR, place(error)) from error


def _tell_of_few(answers: pl.DataFrame) -> None:
    """Say so where the engine gave few captions, since rows that can stand without one are no rejects."""
    lost = answers.filter(answers["text"].is_null() & ~answers["reason"].is_in(MAY_PASS))
    if 2 * lost.height > answers.height:
        most = lost["reason"].mode().sort()[0]
        LOG.warning("more than half of a unit's pictures got no caption of the model (most often: %s)", most)


def _told(sample: Sample, answer: Answer | Skip) -> dict[str, Any]:
    """One row of `placing.answer_frame`; a blank text is none."""
    if isinstance(answer, Answer) and answer.text.strip():
        return {"key": sample.key, "text": answer.text, "checks": list(answer.checks), "reason": None, "detail": None}
    skip = answer if isinstance(answer, Skip) else Skip(Reason.NO_CAPTION)
    return {"key": sample.key, "text": None, "checks": [], "reason": skip.reason.value, "detail": skip.detail}
