"""Stages of a user: real ones of every shape, whose input says what goes wrong.

`Words` reads a folder of text files, a unit each and an item a line; the first word of a line is what it does.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import logging
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

import polars as pl

from shards.atomic import atomic_file, write_json
from shards.canonical import sample_key, sha256_of
from shards.intake import Intake, Skip
from shards.manifest import Caption, Media, Sample, frame, read_part, samples, write_part
from shards.reasons import Reason
from shards.stage import Context, Contract, Kind, Output, OutputFile, Part, Result, Unit, UserError

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Words:
    """A source: one unit a file, one item a line."""

    contract: ClassVar[Contract] = Contract(gives=Kind.MANIFEST, adds=("media",), version=1)
    path: str
    source: str = "words"
    pause_s: float = field(default=0.0, metadata={"fingerprint": False})

    def units(self, ctx: Context) -> Iterable[Unit]:
        for path in sorted(Path(ctx.resolve(self.path)).glob("*.txt")):
            stat = path.stat()
            yield Unit(
                id=f"{self.source}-{path.stem}",
                payload={"path": str(path)},
                inputs=(f"{path.name}|{stat.st_size}|{stat.st_mtime_ns}",),
                size_bytes=stat.st_size,
                items=len(path.read_text().splitlines()),
            )

    @contextmanager
    def open(self, ctx: Context) -> Iterator[WordsWorker]:
        yield WordsWorker(self, ctx)


@dataclass(frozen=True, kw_only=True)
class CheckedWords(Words):
    """A source that says that it has the state of its files among its inputs."""

    check_files: bool = True


class WordsWorker:
    def __init__(self, stage: Words, ctx: Context) -> None:
        self.stage = stage
        self.ctx = ctx

    def process(self, unit: Unit) -> Result:
        intake = Intake(self.ctx)
        (self.ctx.tmp / "scratch").write_text(unit.id)
        for number, line in enumerate(Path(unit.payload["path"]).read_text().splitlines()):
            intake.take(f"{unit.id}:{number}:{line}", self.rows, line)
            self.ctx.on_progress(number, 0, "lines")
        return intake.result(frame)

    def rows(self, line: str) -> list[Sample]:
        time.sleep(self.stage.pause_s)
        match line.split(maxsplit=1)[0]:
            case "gone" if not (self.ctx.folder / "there").exists():
                raise Skip(Reason.MISSING_FILE)
            case "bad":
                raise Skip(Reason.CORRUPT, "it says bad")
            case "boom":
                raise ValueError("the name of a patient")
            case "wrong":
                raise UserError("the list of words is in another language; translate it")
            case "lacks":
                raise ModuleNotFoundError("No module named 'dictionary'", name="dictionary")
            case "warn":
                LOG.warning("a word that is seldom used")
            case "bug":
                raise AssertionError("a bug")
            case "exit":
                raise SystemExit(5)
            case "die":
                os._exit(9)
            case "fall" if (trap := self.ctx.folder / line.replace(" ", "-")).exists():
                trap.unlink()  # somebody else ends the process here, once
                os._exit(9)
            case "hang":
                time.sleep(600)
            case "endless":
                deque(itertools.repeat(0), maxlen=0)  # outside Python, never looks up
        media = Media(uri=f"/words/{line}", kind="image", sha256=hashlib.sha256(line.encode()).hexdigest())
        key = sample_key(self.stage.source, line, "")
        return [
            Sample(
                key=key,
                media=media,
                modality="CT",
                specialty="radiology",
                group=f"image:{key[-8:]}",
                label_scope="image",
                source=self.stage.source,
                license="MIT",
            )
        ]


@dataclass(frozen=True, kw_only=True)
class Style:
    """Nested options."""

    end: str = "."
    loud: bool = False
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Say:
    """A transform without a version: its module's source counts."""

    contract: ClassVar[Contract] = Contract(
        takes=(Kind.MANIFEST,), gives=Kind.MANIFEST, needs=("media",), adds=("captions",)
    )
    word: str = "A picture of"
    style: Style = Style()
    tone: Literal["plain", "kind"] = "plain"
    model: str = ""

    def __post_init__(self) -> None:
        if not self.word:
            raise ValueError("`word` is empty; write a word such as `A picture of`")

    def identity(self, ctx: Context) -> Mapping[str, str]:
        return {"model": ctx.file_hash(ctx.resolve(self.model))} if self.model else {}

    @contextmanager
    def open(self, ctx: Context) -> Iterator[Say]:
        yield self

    def process(self, unit: Unit) -> Result:
        rows = [
            dataclasses.replace(
                sample, captions=(Caption(text=f"{self.word} {sample.media.uri[7:]}{self.style.end}", by="template@1"),)
            )
            for sample in samples(read_part(unit.payload["part"]))
        ]
        return Result(rows=frame(rows), offered=len(rows), accepted=len(rows))


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A build: `size` texts a file, listed in index.json."""

    contract: ClassVar[Contract] = Contract(
        takes=(Kind.MANIFEST,), gives=Kind.SHARDS, needs=("captions",), commits=("index.json",), version=1
    )
    size: int = 3
    codec: str = field(default="", metadata={"fingerprint": False})  # what it is known by stands in `identity`
    pause_s: float = field(default=0.0, metadata={"fingerprint": False})
    fail_commit: str = field(default="", metadata={"fingerprint": False})  # a file: while it is there, commit fails

    def identity(self, ctx: Context) -> Mapping[str, str]:
        return {"codec": self.codec} if self.codec else {}

    def plan(self, inputs: Sequence[Output], ctx: Context) -> Sequence[Unit]:
        rows = [sample for output in inputs for part in output.parts for sample in samples(read_part(part.path))]
        texts = sorted((sample.key, sample.captions[0].text) for sample in rows)
        return [
            Unit(
                id=f"bundle-{i:03d}",
                payload={"texts": texts[at : at + self.size]},
                inputs=(sha256_of(texts[at : at + self.size]),),
            )
            for i, at in enumerate(range(0, len(texts), self.size))
        ]

    @contextmanager
    def open(self, ctx: Context) -> Iterator[BundleWorker]:
        yield BundleWorker(ctx, self.pause_s)

    def commit(self, parts: Sequence[Part], ctx: Context) -> str:
        if self.fail_commit and Path(ctx.resolve(self.fail_commit)).exists():
            os._exit(9)
        listed = [[file.path, file.sha256] for part in parts for file in part.files]
        write_json(ctx.out / "index.json", listed)
        return sha256_of(listed)


class BundleWorker:
    def __init__(self, ctx: Context, pause_s: float) -> None:
        self.ctx = ctx
        self.pause_s = pause_s

    def process(self, unit: Unit) -> Result:
        time.sleep(self.pause_s)
        name = f"bundles/{unit.id}.txt"
        lines = [f"{key}\t{text}\n".encode() for key, text in unit.payload["texts"]]
        data = b"".join(lines)
        with atomic_file(self.ctx.out / name) as handle:
            for line in lines:
                handle.write(line)
        file = OutputFile(path=name, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        rows = pl.DataFrame({"key": [key for key, _ in unit.payload["texts"]], "member": name})
        return Result(rows=rows, files=(file,), offered=rows.height, accepted=rows.height)


@dataclass(frozen=True, kw_only=True)
class Learn:
    """A job that saves checkpoints and goes on from the newest."""

    contract: ClassVar[Contract] = Contract(takes=(Kind.SHARDS,), gives=Kind.CHECKPOINT, version=1)
    steps: int = 3
    rate: float = 0.1
    stop_at: str = field(default="", metadata={"fingerprint": False})  # a file: while it is there, die at half

    def run(self, inputs: Sequence[Output], ctx: Context) -> Result:
        folder = ctx.out / "checkpoints"
        done = max((int(path.stem) for path in folder.glob("*.json")), default=0)
        with (ctx.tmp / "log").open("w") as log:
            for step in range(done + 1, self.steps + 1):
                log.write(f"{step}\n")
                write_json(folder / f"{step}.json", {"step": step, "rate": self.rate, "pid": os.getpid()})
                trip = Path(ctx.resolve(self.stop_at))
                if self.stop_at and trip.exists() and step == self.steps // 2:
                    if trip.read_text() == "once":
                        trip.unlink()
                    os._exit(9)
        return Result(
            content=sha256_of([self.steps, self.rate, [output.content for output in inputs]]), offered=1, accepted=1
        )


@dataclass(frozen=True, kw_only=True)
class Letters:
    """A job that writes its parts itself."""

    contract: ClassVar[Contract] = Contract(takes=(Kind.MANIFEST,), gives=Kind.MANIFEST, adds=("captions",), version=1)
    says: Literal["content", "nothing", "no"] = field(default="content", metadata={"fingerprint": False})

    def run(self, inputs: Sequence[Output], ctx: Context) -> Result:
        if self.says == "no":
            raise ValueError("no letters are left; write some")
        parts = [part for output in inputs for part in output.parts]
        if self.says == "nothing":
            return Result(offered=1, accepted=1)
        for part in parts:
            write_part(read_part(part.path), ctx.out / "parts" / f"letters-{part.id}.parquet")
        return Result(offered=len(parts), accepted=len(parts))


@dataclass(frozen=True, kw_only=True)
class Count:
    """A job that gives a report."""

    contract: ClassVar[Contract] = Contract(
        takes=(Kind.MANIFEST,), may_take=(Kind.SHARDS, Kind.CHECKPOINT), gives=Kind.REPORT, version=1
    )

    def run(self, inputs: Sequence[Output], ctx: Context) -> Result:
        rows = sum(part.rows for output in inputs for part in output.parts)
        write_json(ctx.out / "count.json", rows)
        return Result(content=sha256_of([output.content for output in inputs]), offered=rows, accepted=rows)


class Tally:
    """A service: one number for the whole run."""

    def __init__(self) -> None:
        self.number = 0

    def next(self, name: str) -> int:
        if name == "stuck":
            time.sleep(600)
        if name == "refuse":
            raise ValueError("no more numbers")
        self.number += 1
        return self.number


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """A transform whose workers share one counter."""

    contract: ClassVar[Contract] = Contract(
        takes=(Kind.MANIFEST,), gives=Kind.MANIFEST, version=1, services={"tally": "toy_stages:Tally"}
    )
    label: str = ""

    @contextmanager
    def open(self, ctx: Context) -> Iterator[TicketWorker]:
        yield TicketWorker(self, ctx)


class TicketWorker:
    def __init__(self, stage: Ticket, ctx: Context) -> None:
        self.stage = stage
        self.ctx = ctx

    def process(self, unit: Unit) -> Result:
        intake = Intake(self.ctx)
        for sample in samples(read_part(unit.payload["part"])):
            intake.take(sample.key, self.rows, sample)
        return intake.result(frame)

    def rows(self, sample: Sample) -> list[Sample]:
        number = self.ctx.service("tally").next(self.stage.label)
        time.sleep(0.02)
        return [dataclasses.replace(sample, attributes=f'{{"ticket":{number},"pid":{os.getpid()}}}')]
