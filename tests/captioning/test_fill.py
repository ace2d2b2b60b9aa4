"""The stage: fills what is missing, leaves the rest as it was, and works with any engine of the protocol."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

from captioning.engine import Answer, Ask, Untrusted
from captioning.fill import FillCaptions
from captioning.template import VERSION, TemplateEngine
from captioning.truth import false_statements
from shards.canonical import sha256_file
from shards.intake import Skip
from shards.manifest import Caption, Media, Sample, content_hash, frame, read_part, samples, write_part
from shards.reasons import Reason
from shards.stage import Context, Kind, Result, Unit

MakeSample = Callable[..., Sample]


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    return Context(root=tmp_path, out=tmp_path / "out", tmp=tmp_path / "tmp", folder=tmp_path)


def run(stage: FillCaptions, rows: list[Sample], ctx: Context) -> Result:
    path = ctx.root / "part.parquet"
    write_part(frame(rows), path)
    with stage.open(ctx) as worker:
        result = worker.process(Unit(id="part", payload={"part": str(path)}))
    assert result.accepted + len(result.rejects) == result.offered == len(rows)
    return result


def captions_of(result: Result) -> dict[str, tuple[Caption, ...]]:
    assert result.rows is not None
    return {sample.key: sample.captions for sample in samples(result.rows)}


SOURCE = Caption(text="Chest film, no comment.", by="source")
OLD = Caption(text="An old sentence.", by="template@0", weight=0.5)
VLM = Caption(text="A radiograph of a chest.", by="vlm:m@1", weight=0.25, checks=("shortened",))
BLANK = Caption(text="  ", by="source")
NEW = Caption(text="A radiograph.", by=f"template@{VERSION}")


@pytest.mark.parametrize(
    ("replaced", "before", "after"),
    [
        ("missing", (), (NEW,)),
        ("missing", (BLANK,), (NEW,)),
        ("missing", (SOURCE,), (SOURCE,)),
        ("missing", (OLD,), (OLD,)),
        ("missing", (SOURCE, BLANK), (SOURCE, BLANK)),
        ("template", (OLD,), (replace(NEW, weight=0.5),)),
        ("template", (SOURCE, OLD, VLM), (SOURCE, replace(NEW, weight=0.5), VLM)),
        ("template", (SOURCE,), (SOURCE,)),
        ("template", (VLM,), (VLM,)),
        ("vlm", (VLM, SOURCE), (replace(NEW, weight=0.25), SOURCE)),
        ("vlm", (SOURCE, VLM, OLD), (SOURCE, replace(NEW, weight=0.25))),
        ("vlm", (SOURCE,), (SOURCE,)),
    ],
)
def test_what_is_replaced(
    make_sample: MakeSample, ctx: Context, replaced: Any, before: tuple[Caption, ...], after: tuple[Caption, ...]
) -> None:
    result = run(FillCaptions(replace=replaced), [make_sample(captions=before)], ctx)
    assert captions_of(result) == {"nih-0001": after}


def test_rows_with_text_are_untouched_to_the_byte(make_sample: MakeSample, ctx: Context) -> None:
    rows = [make_sample(key=f"nih-{n}", captions=(SOURCE, VLM) if n % 2 else (), body_part="chest") for n in range(40)]
    result = run(FillCaptions(), rows, ctx)
    assert result.rows is not None
    assert result.rows.schema == read_part(ctx.root / "part.parquet").schema
    spoken = frame([row for row in rows if row.captions])
    assert content_hash(result.rows.filter(pl.col("key").is_in(spoken["key"].implode()))) == content_hash(spoken)
    filled = [sample for sample in samples(result.rows) if sample.captions[0].by == f"template@{VERSION}"]
    assert len(filled) == 20
    assert all(not false_statements(sample) for sample in filled)
    assert [sample.key for sample in samples(result.rows)] == [row["key"] for row in frame(rows).sort("key").to_dicts()]


def test_a_row_of_which_nothing_is_known_is_rejected_and_keeps_what_it_had(
    make_sample: MakeSample, ctx: Context
) -> None:
    stage = FillCaptions(engine=TemplateEngine(least_facts=1), replace="template")
    rows = [make_sample(key="nih-a"), make_sample(key="nih-b", captions=(OLD,)), make_sample(key="nih-c", age=40)]
    result = run(stage, rows, ctx)
    assert [(reject.item, reject.reason) for reject in result.rejects] == [("nih-a", "no_caption")]
    assert captions_of(result)["nih-b"] == (replace(OLD, checks=(f"template@{VERSION}: no_caption",)),)
    assert "aged 40" in captions_of(result)["nih-c"][0].text or "40-year-old" in captions_of(result)["nih-c"][0].text


@dataclass(frozen=True)
class Looker:
    """An engine that looks at the pictures and says how bright they are."""

    stop_after: int | None = 3
    by: str = "vlm:looker@1"

    def identity(self, ctx: Context) -> dict[str, str]:
        return {"captioner": self.by}

    @contextmanager
    def open(self, ctx: Context) -> Iterator[Looker]:
        yield self

    def caption(self, asks: Sequence[Ask]) -> Generator[Answer | Skip, None, None]:
        for ask in asks:
            try:
                yield Answer(text=f"Grey {int(ask.frames().pixels.mean())}.", checks=("looked",))
            except Skip as skip:
                yield skip


def picture(make_sample: MakeSample, folder: Path, key: str, grey: int) -> Sample:
    path = folder / f"{key}.png"
    Image.fromarray(np.full((8, 8), grey, dtype=np.uint8)).save(path)
    media = Media(uri=str(path), kind="image", sha256=sha256_file(path), width_px=8, height_px=8, frames=1)
    return replace(make_sample(key=key), media=media)


def test_an_engine_sees_the_pixels_and_its_failures_are_counted(make_sample: MakeSample, ctx: Context) -> None:
    rows = [picture(make_sample, ctx.root, f"nih-{n}", 10 * n) for n in range(5)]
    rows[2] = replace(rows[2], media=replace(rows[2].media, uri=str(ctx.root / "gone.png")))
    stage = FillCaptions(engine=Looker())  # type: ignore[arg-type]  # an engine of the user's own
    ctx.quarantined = {"nih-4": Reason.WORKER_DIED.value}
    result = run(stage, rows, ctx)
    assert {reject.item: reject.reason for reject in result.rejects} == {
        "nih-2": "missing_file",
        "nih-4": "worker_died",
    }
    assert captions_of(result)["nih-3"] == (Caption(text="Grey 30.", by="vlm:looker@1", checks=("looked",)),)


def test_a_picture_that_breaks_its_decoder_is_one_reject(make_sample: MakeSample, ctx: Context) -> None:
    rows = [picture(make_sample, ctx.root, f"nih-{n}", 10 * n) for n in range(3)]
    rows[1] = replace(rows[1], media=replace(rows[1].media, uri="/" + "x" * 5000))  # no file system takes such a name
    result = run(FillCaptions(engine=Looker()), rows, ctx)  # type: ignore[arg-type]  # a user's own
    assert [(each.item, each.reason) for each in result.rejects] == [("nih-1", "unexpected_error")]
    assert list(captions_of(result)) == ["nih-0", "nih-2"]


def test_an_engine_that_only_fails_is_stopped(make_sample: MakeSample, ctx: Context) -> None:
    rows = [make_sample(key=f"nih-{n:02}") for n in range(12)]
    result = run(FillCaptions(engine=Looker()), rows, ctx)  # type: ignore[arg-type]  # an engine of the user's own
    assert [reject.reason for reject in result.rejects] == ["missing_file"] * 3 + ["not_tried"] * 9


@dataclass
class Scripted:
    """An engine whose answers are written down: what it says of each key, else that it is out of order."""

    says: dict[str, str]
    batch: int = 1  # pictures at once
    untrusted_at: str = ""  # the key at which it is caught blind
    stop_after: int | None = 3
    by: str = "vlm:scripted@1"

    def __post_init__(self) -> None:
        self.asked: list[str] = []

    def identity(self, ctx: Context) -> dict[str, str]:
        return {}

    @contextmanager
    def open(self, ctx: Context) -> Iterator[Scripted]:
        yield self

    def caption(self, asks: Sequence[Ask]) -> Generator[Answer | Skip, None, None]:
        for number, ask in enumerate(asks):
            if number % self.batch == 0:
                self.asked += [each.sample.key for each in asks[number : number + self.batch]]
            if ask.sample.key == self.untrusted_at:
                raise Untrusted("a red circle was called nothing")
            said = self.says.get(ask.sample.key)
            yield Skip(Reason.UNEXPECTED_ERROR, "out of order") if said is None else Answer(text=said)


def test_a_dead_engine_costs_no_row_that_has_a_text(make_sample: MakeSample, ctx: Context) -> None:
    rows = [make_sample(key=f"nih-{n:02}", captions=(OLD,) if n % 2 else ()) for n in range(20)]
    dead = Scripted({})
    result = run(FillCaptions(engine=dead, replace="template"), rows, ctx)  # type: ignore[arg-type]  # of a user's own
    assert dead.asked == ["nih-00", "nih-01", "nih-02"]
    kept = captions_of(result)
    assert list(kept) == [f"nih-{n:02}" for n in range(1, 20, 2)]
    assert {caption.text for captions in kept.values() for caption in captions} == {OLD.text}
    assert kept["nih-01"][0].checks == ("vlm:scripted@1: unexpected_error",)
    assert kept["nih-03"][0].checks == kept["nih-19"][0].checks == ("vlm:scripted@1: not_tried",)
    reasons = {reject.item: (reject.reason, reject.detail) for reject in result.rejects}
    assert reasons["nih-02"] == ("unexpected_error", "out of order")
    assert reasons["nih-04"] == reasons["nih-18"] == ("not_tried", "")
    assert len(reasons) == 10


def test_rows_that_nobody_asked_about_outlive_the_stop_as_they_were(make_sample: MakeSample, ctx: Context) -> None:
    rows = [make_sample(key=f"nih-{n:02}", captions=(SOURCE,) if n % 2 else ()) for n in range(20)]
    result = run(FillCaptions(engine=Scripted({})), rows, ctx)  # type: ignore[arg-type]  # of a user's own
    assert captions_of(result) == {f"nih-{n:02}": (SOURCE,) for n in range(1, 20, 2)}


def test_good_answers_before_the_engine_fails_are_kept(make_sample: MakeSample, ctx: Context) -> None:
    rows = [make_sample(key=f"nih-{n:02}") for n in range(16)]
    says = {"nih-01": "A radiograph of one.", "nih-02": "A radiograph of two."}
    flaky = Scripted(says, batch=8)
    result = run(FillCaptions(engine=flaky), rows, ctx)  # type: ignore[arg-type]  # of a user's own
    assert {key: captions[0].text for key, captions in captions_of(result).items()} == says
    assert flaky.asked == [f"nih-{n:02}" for n in range(8)]
    tail = Scripted({"nih-00": "A radiograph of none."}, batch=8)
    result = run(FillCaptions(engine=tail), rows, ctx)  # type: ignore[arg-type]  # of a user's own
    assert list(captions_of(result)) == ["nih-00"]
    assert [reject.reason for reject in result.rejects] == ["unexpected_error"] * 3 + ["not_tried"] * 12


def test_a_picture_that_a_worker_died_on_keeps_its_text_and_is_not_asked_about(
    make_sample: MakeSample, ctx: Context
) -> None:
    ctx.quarantined = {"nih-a": Reason.WORKER_DIED.value, "nih-b": Reason.WORKER_DIED.value}
    rows = [make_sample(key="nih-a", captions=(OLD,)), make_sample(key="nih-b"), make_sample(key="nih-c")]
    engine = Scripted({"nih-c": "A radiograph of c."})
    result = run(FillCaptions(engine=engine, replace="template"), rows, ctx)  # type: ignore[arg-type]  # a user's own
    assert engine.asked == ["nih-c"]
    assert captions_of(result)["nih-a"] == (replace(OLD, checks=("vlm:scripted@1: worker_died",)),)
    assert [(reject.item, reject.reason) for reject in result.rejects] == [("nih-b", "worker_died")]


def test_the_stage_is_a_transform_of_manifests_and_its_version_is_in_the_fingerprint(ctx: Context) -> None:
    stage = FillCaptions()
    assert (stage.contract.takes, stage.contract.gives) == ((Kind.MANIFEST,), Kind.MANIFEST)
    assert stage.identity(ctx) == {"captioner": f"template@{VERSION}"}


def test_importing_the_stage_imports_nothing_heavy() -> None:
    code = (
        "import sys, captioning.fill\n"
        "heavy = {'polars', 'numpy', 'torch', 'cv2', 'av', 'PIL', 'transformers'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@dataclass
class Choosy(Scripted):
    """Asks nobody about the keys of `forbidden`."""

    forbidden: tuple[str, ...] = ()
    reason: Reason = Reason.EGRESS_FORBIDDEN

    def caption(self, asks: Sequence[Ask]) -> Generator[Answer | Skip, None, None]:
        for ask in asks:
            if ask.sample.key in self.forbidden:
                yield Skip(self.reason)
            else:
                yield from super().caption([ask])


@pytest.mark.parametrize("reason", [Reason.EGRESS_FORBIDDEN, Reason.NO_CAPTION])
def test_rows_that_nobody_may_be_asked_about_do_not_stop_the_engine(
    make_sample: MakeSample, ctx: Context, reason: Reason
) -> None:
    rows = [make_sample(key=f"nih-{n:02}") for n in range(20)]
    forbidden = tuple(f"nih-{n:02}" for n in range(10))
    says = {"nih-18": "A radiograph."}
    engine = Choosy(says, forbidden=forbidden, reason=reason)
    result = run(FillCaptions(engine=engine), rows, ctx)  # type: ignore[arg-type]  # a user's own
    assert engine.asked == ["nih-10", "nih-11", "nih-12"]
    assert {each.item for each in result.rejects if each.reason == reason.value} == set(forbidden)
    engine = Choosy({f"nih-{n:02}": "A radiograph." for n in range(20)}, forbidden=forbidden, reason=reason)
    result = run(FillCaptions(engine=engine), rows, ctx)  # type: ignore[arg-type]  # a user's own
    assert list(captions_of(result)) == [f"nih-{n:02}" for n in range(10, 20)]


def test_an_engine_that_was_caught_blind_has_nothing_to_say_of_the_whole_unit(
    make_sample: MakeSample, ctx: Context, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [make_sample(key=f"nih-{n}", captions=(OLD,) if n == 1 else ()) for n in range(5)]
    engine = Scripted({f"nih-{n}": f"A radiograph of {n}." for n in range(5)}, untrusted_at="nih-3")
    result = run(FillCaptions(engine=engine, replace="template"), rows, ctx)  # type: ignore[arg-type]  # a user's own
    assert captions_of(result) == {"nih-1": (replace(OLD, checks=("vlm:scripted@1: canary_failed",)),)}
    assert {(each.reason, each.detail) for each in result.rejects} == {
        ("canary_failed", "a red circle was called nothing")
    }
    assert len(result.rejects) == 4
    told = [record.getMessage() for record in caplog.records]
    assert told == ["a red circle was called nothing: no answer of that unit counts, and the next run asks again"]


def test_the_template_speaks_where_the_engine_has_no_answer(
    make_sample: MakeSample, ctx: Context, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [make_sample(key=f"nih-{n}", captions=(SOURCE,) if n == 2 else ()) for n in range(4)]
    engine = Scripted({"nih-0": "A radiograph of none."})
    stage = FillCaptions(engine=engine, otherwise="template", weight=0.5)  # type: ignore[arg-type]  # a user's own
    result = run(stage, rows, ctx)
    assert not result.rejects
    spoken = replace(NEW, weight=0.5, checks=("vlm:scripted@1: unexpected_error",))
    said = Caption(text="A radiograph of none.", by="vlm:scripted@1", weight=0.5)
    assert captions_of(result) == {"nih-0": (said,), "nih-1": (spoken,), "nih-2": (SOURCE,), "nih-3": (spoken,)}
    assert "more than half of a unit's pictures got no caption of the model" in caplog.text
    assert "(most often: unexpected_error)" in caplog.text
    caplog.clear()
    engine = Scripted({"nih-0": "A radiograph of none.", "nih-1": "A radiograph of one."})
    assert len(captions_of(run(replace(stage, engine=engine), rows, ctx))) == 4  # type: ignore[arg-type]
    assert not caplog.records


def test_the_template_does_not_speak_for_an_engine_that_may_answer_in_another_run(
    make_sample: MakeSample, ctx: Context
) -> None:
    rows = [make_sample(key=f"nih-{n}", captions=(SOURCE,) if n == 2 else ()) for n in range(4)]
    away = Choosy({}, forbidden=("nih-0",), reason=Reason.CONNECTION_FAILED, stop_after=None)
    result = run(FillCaptions(engine=away, otherwise="template"), rows, ctx)  # type: ignore[arg-type]  # a user's own
    assert [(each.item, each.reason) for each in result.rejects] == [("nih-0", "connection_failed")]
    assert list(captions_of(result)) == ["nih-1", "nih-2", "nih-3"]
    blind = Scripted({}, untrusted_at="nih-0")
    result = run(FillCaptions(engine=blind, otherwise="template"), rows, ctx)  # type: ignore[arg-type]  # a user's own
    assert {each.reason for each in result.rejects} == {"canary_failed"}
    assert captions_of(result) == {"nih-2": (SOURCE,)}


def test_a_caption_stands_beside_those_of_others_with_its_weight(make_sample: MakeSample, ctx: Context) -> None:
    said = Caption(text="A radiograph.", by="vlm:scripted@1", weight=3.0)
    rows = [
        make_sample(key="nih-0", captions=(SOURCE, OLD)),
        make_sample(key="nih-1"),
        make_sample(key="nih-2", captions=(SOURCE, said)),
        make_sample(key="nih-3", captions=(SOURCE, OLD)),
    ]
    engine = Scripted({f"nih-{n}": "A radiograph." for n in range(3)})
    result = run(FillCaptions(engine=engine, beside=True, weight=3.0), rows, ctx)  # type: ignore[arg-type]
    assert captions_of(result) == {
        "nih-0": (SOURCE, OLD, said),
        "nih-1": (said,),
        "nih-2": (SOURCE, said),
        "nih-3": (replace(SOURCE, checks=("vlm:scripted@1: unexpected_error",)), OLD),
    }
    assert engine.asked == ["nih-0", "nih-1", "nih-3"]
    blank = make_sample(key="nih-0", captions=(replace(said, text=" "),))
    result = run(FillCaptions(engine=engine, beside=True, weight=3.0), [blank], ctx)  # type: ignore[arg-type]
    assert captions_of(result) == {"nih-0": (said,)}
    with pytest.raises(ValueError, match="beside"):
        FillCaptions(beside=True, replace="vlm")


def test_a_row_that_keeps_its_text_while_the_engine_is_away_is_asked_about_again(
    make_sample: MakeSample, ctx: Context
) -> None:
    @dataclass
    class Away(Scripted):
        reason: Reason = Reason.CONNECTION_FAILED

        def caption(self, asks: Sequence[Ask]) -> Generator[Answer | Skip, None, None]:
            yield from [Skip(self.reason)] * len(asks)

    rows = [make_sample(key=f"nih-{n}", captions=(OLD,) if n else ()) for n in range(3)]
    for reason, owed in ((Reason.CONNECTION_FAILED, 2), (Reason.ANSWER_EMPTY, 0), (Reason.MISSING_FILE, 0)):
        engine = Away({}, stop_after=None, reason=reason)
        result = run(FillCaptions(engine=engine, replace="template"), rows, ctx)  # type: ignore[arg-type]
        assert (result.owed, [each.reason for each in result.rejects]) == (owed, [reason.value])
