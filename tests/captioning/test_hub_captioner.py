"""A captioner that was trained for real, driven through the whole engine. A test of the wiring.

What it names are slices between those that it was trained on, of the same brain: that it names them right proves that
each row's own pixels reach the model and its own words come back, and nothing of how well such a model captions.
tests/captioning/small_captioner.py trains it, in less than 90 s of one core, and keeps it among the temporary files.
"""

from __future__ import annotations

import os
import runpy
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers
import yaml
from PIL import Image

from captioning.engine import Answer
from captioning.fill import FillCaptions
from captioning.hub_engine import HubEngine
from captioning.hub_processor import load_processor
from captioning.questions import Sampling
from captioning.vlm import ModelRights
from shards.canonical import sha256_file
from shards.intake import Skip
from shards.manifest import Sample, frame, read_part, samples, write_part
from shards.media import MediaReader
from shards.reasons import Reason
from shards.stage import Context, Result, Unit
from shards.uri import local_path

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
SMALL = SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "small_captioner.py")))
MakeSample = Callable[..., Sample]
NEW = 24  # tokens
KNOWN = ("Magnetic resonance image of a brain, axial", "Map of grey matter of a brain, coronal", "brain, sagittal")


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder() -> Path:
    found: Path = SMALL.trained()
    return found


@pytest.fixture(scope="module")
def left_out() -> list[Any]:
    """Slices that the captioner has not seen, with their true captions."""
    return [each for each in SMALL.slices(MediaReader()) if each.left_out]


@pytest.fixture
def rows(left_out: Sequence[Any], make_sample: MakeSample) -> list[Sample]:
    hashes = {uri: sha256_file(local_path(uri) or Path()) for uri in {each.media.uri for each in left_out}}
    return [
        replace(make_sample("MR", key=f"nih-{number:04}"), media=replace(each.media, sha256=hashes[each.media.uri]))
        for number, each in enumerate(left_out)
    ]


@pytest.fixture
def known(left_out: Sequence[Any], tmp_path: Path) -> str:
    """A list of known pictures: three of the slices, each from the middle of its stack."""
    entries, reader = [], MediaReader()
    for number, words in enumerate(KNOWN):
        alike = [each for each in left_out if words in each.caption]
        middle = alike[len(alike) // 2]
        Image.fromarray(reader.read(middle.media).pixels[0]).save(tmp_path / f"{number}.png")
        says = middle.caption.replace(",", r"\s?,").replace(".", r"\s?\.")
        entries.append({"picture": f"{number}.png", "ask": SMALL.TEXT, "says": [rf"\A{says}\Z"]})
    (tmp_path / "known.yaml").write_text(yaml.safe_dump(entries))
    return "known.yaml"


@dataclass(frozen=True)
class Plain:
    """The one question that the captioner knows."""

    version: str = "plain.1"
    system: str = ""

    def ask(self, sample: Sample) -> str:
        return str(SMALL.TEXT)

    def judge(self, text: str, sample: Sample) -> Answer | Skip:
        return Answer(text=text)

    def again(self, sample: Sample, reason: Reason, said: str) -> str:
        return self.ask(sample)


Fill = Callable[[list[Sample]], Result]


@pytest.fixture
def stage(folder: Path, known: str, monkeypatch: pytest.MonkeyPatch) -> FillCaptions:
    monkeypatch.setattr("captioning.prompts.read_prompt", lambda name, ctx: Plain())
    return FillCaptions(
        engine=HubEngine(
            kind="transformers",
            model=str(folder),
            rights=ModelRights(license="Apache-2.0"),
            batch=16,
            sampling=Sampling(max_new_tokens=NEW),
            canaries=known,
        )
    )


@pytest.fixture
def fill(stage: FillCaptions, tmp_path: Path) -> Fill:
    ctx = Context(root=tmp_path, out=tmp_path / "out", tmp=tmp_path / "tmp", folder=tmp_path)

    def run(rows: list[Sample]) -> Result:
        write_part(frame(rows), tmp_path / "part.parquet")
        with stage.open(ctx) as worker:
            return worker.process(Unit(id="part", payload={"part": str(tmp_path / "part.parquet")}))

    return run


def said_of(result: Result) -> dict[str, str]:
    return {} if result.rows is None else {row.key: row.captions[0].text for row in samples(result.rows)}


def true_words(processor: Any, left_out: Sequence[Any]) -> dict[str, str]:
    tokens = [processor.tokenizer.tokenize(each.caption) for each in left_out]
    return {f"nih-{number:04}": " ".join(words) for number, words in enumerate(tokens)}


def share(said: dict[str, str], true: dict[str, str]) -> float:
    return sum(said.get(key) == text for key, text in true.items()) / len(true)


def test_slices_between_those_it_was_trained_on_are_named_as_a_bare_loop_names_them(
    fill: Fill, rows: list[Sample], left_out: list[Any], folder: Path
) -> None:
    """A test of the wiring: what is named here are near-duplicates of what was learnt."""
    processor: Any = transformers.AutoProcessor.from_pretrained(folder)
    true = true_words(processor, left_out)
    said = said_of(fill(rows))
    assert share(said, true) >= 0.9
    model: Any = transformers.AutoModelForImageTextToText.from_pretrained(folder).eval()
    reader = MediaReader()
    for key, each in list(zip(true, left_out, strict=True))[::4]:
        picture = Image.fromarray(reader.read(each.media).pixels[0]).convert("RGB")
        inputs = processor(text=SMALL.prompt_of(processor), images=picture, return_tensors="pt")
        tokens = model.generate(**inputs, max_new_tokens=NEW, do_sample=False)[0, inputs["input_ids"].shape[1] :]
        assert said[key] == processor.tokenizer.decode(tokens, skip_special_tokens=True)


def test_rows_with_the_pictures_of_others_are_not_named(
    fill: Fill, rows: list[Sample], left_out: list[Any], folder: Path
) -> None:
    true = true_words(transformers.AutoProcessor.from_pretrained(folder), left_out)
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0)).tolist()
    mixed = [replace(row, media=rows[other].media) for row, other in zip(rows, order, strict=True)]
    assert share(said_of(fill(mixed)), true) <= 0.25


def test_without_its_pictures_the_model_says_one_thing(left_out: list[Any], folder: Path) -> None:
    processor: Any = transformers.AutoProcessor.from_pretrained(folder)
    model: Any = transformers.AutoModelForImageTextToText.from_pretrained(folder).eval()
    inputs = processor.tokenizer(SMALL.prompt_of(processor).replace("<image>", ""), return_tensors="pt")
    tokens = model.generate(**inputs, max_new_tokens=NEW, do_sample=False)[0, inputs["input_ids"].shape[1] :]
    said = processor.tokenizer.decode(tokens, skip_special_tokens=True)
    true = true_words(processor, left_out)
    assert share(dict.fromkeys(true, said), true) <= 0.25


@pytest.mark.parametrize("fault", ["mixed", "dropped", "black"])
def test_a_captioner_that_does_not_look_at_each_rows_picture_is_caught(
    fault: str, fill: Fill, rows: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Faulty:
        """A processor that gives each row the picture of the next, none, or a black one."""

        def __init__(self, folder: Path, **options: Any) -> None:
            self.whole = load_processor(folder, **options)
            self.tokenizer, self.chat_template = self.whole.tokenizer, self.whole.chat_template

        def __call__(self, *, text: list[str], images: list[Any], **options: Any) -> Any:
            if fault == "mixed":
                images = [*images[1:], images[0]]
            elif fault == "black":
                images = [[Image.new("RGB", each.size) for each in row] for row in images]
            inputs = self.whole(text=text, images=images, **options)
            if fault == "dropped":
                inputs["input_ids"][inputs["input_ids"] == self.whole.image_token_id] = 2
            return inputs

    monkeypatch.setattr("captioning.hub_model.load_processor", Faulty)
    result = fill(rows[:40])
    assert said_of(result) == {}
    assert {reject.reason for reject in result.rejects} == {Reason.CANARY_FAILED}
    assert len(result.rejects) == 40


def test_a_unit_that_is_repeated_asks_the_model_nothing(
    stage: FillCaptions, rows: list[Sample], tmp_path: Path
) -> None:
    ctx = Context(root=tmp_path, out=tmp_path / "out", tmp=tmp_path / "tmp", folder=tmp_path)
    write_part(frame(rows[:40]), tmp_path / "part.parquet")
    unit = Unit(id="part", payload={"part": str(tmp_path / "part.parquet")})
    with stage.open(ctx) as worker:
        first = said_of(worker.process(unit))
    assert len(first) == 40
    with stage.open(ctx) as worker:
        model: Any = worker.captioner.model  # type: ignore[attr-defined]
        model.model = None
        assert said_of(worker.process(unit)) == first


PIPELINE = """
version: 1
pipelines:
  p:
    root: {root}
    key: {{public: a-test}}
    stages:
      pictures:
        use: "ingest.converters.table_images:TableImages"
        with:
          source: pictures
          table: ./pictures.csv
          path: .
          image: file
          group: file
          group_is: series
          modality: MR
          specialty: radiology
          attribute_columns: {{plane: plane}}
          attributes: {{body_part: brain}}
          probe: true
          rights: {{license: CC0-1.0}}
      captions:
        use: "captioning.fill:FillCaptions"
        from: [pictures]
        with:
          engine:
            kind: transformers
            model: {model}
            prompt: ./asked.yaml
            rights: {{license: Apache-2.0}}
            sampling: {{max_new_tokens: 24, temperature: 0.5}}
            canaries: ./known.yaml
            batch: {batch}
"""


def test_a_killed_run_of_the_command_ends_in_the_same_captions(
    folder: Path, left_out: list[Any], known: str, tmp_path: Path
) -> None:
    reader, table = MediaReader(), ["file,plane"]
    for number, each in enumerate(left_out[::2]):
        Image.fromarray(reader.read(each.media).pixels[0]).save(tmp_path / f"row-{number}.png")
        table.append(f"row-{number}.png,{each.caption.split(', ')[1].split()[0]}")
    (tmp_path / "pictures.csv").write_text("\n".join(table))
    (tmp_path / "asked.yaml").write_text(yaml.safe_dump({"version": 1, "text": SMALL.TEXT}))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def start(root: str, batch: int) -> subprocess.Popen[bytes]:
        file = tmp_path / f"{root}-{batch}.yaml"
        file.write_text(PIPELINE.format(root=tmp_path / root, model=folder, batch=batch))
        command = [str(Path(sys.executable).with_name("medloom")), "run", "p", "--serial", "-f", str(file)]
        return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)

    def stored(root: str) -> int:
        with suppress(sqlite3.Error), closing(sqlite3.connect(tmp_path / root / ".store/answers/00000.sqlite")) as file:
            return int(file.execute("SELECT count(*) FROM answers").fetchone()[0])
        return 0

    def captions(root: str) -> list[Sample]:
        parts = sorted((tmp_path / root).glob("captions/parts/*.parquet"))
        return [row for part in parts for row in samples(read_part(part))]

    assert start("whole", 8).wait() == 0
    killed = start("killed", 1)
    while stored("killed") < 10:
        assert killed.poll() is None
        time.sleep(0.02)
    killed.kill()
    killed.wait()
    assert 10 <= stored("killed") < stored("whole")
    assert captions("killed") == []
    assert start("killed", 4).wait() == 0
    assert stored("killed") == stored("whole")
    expected = {row.key: row.captions for row in captions("whole")}
    assert {row.key: row.captions for row in captions("killed")} == expected
    assert len(expected) >= 0.9 * (len(table) - 1)
