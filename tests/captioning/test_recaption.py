"""A new prompt in a mixed manifest: captions of the model change, everything else stays the same file or byte."""

from __future__ import annotations

import hashlib
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipelines.pool import SerialPool
from pipelines.run import RunOptions
from pipelines.run import run as run_pipeline
from pipelines.screen import Screen
from pipelines.spec import load
from shards.index import read_index
from shards.manifest import Sample, content_hash, frame, read_part, samples
from shards.reader import read_split
from shards.verify import verify

CHAT = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("chat_server.py"))))
ROWS, WITHOUT, IN_SHARD = 24, 9, 4  # rows, those without text, rows of a shard

SPEC = """\
version: 1
pipelines:
  films:
    root: out
    key: {public: toy}
    stages:
      films: {use: "mixed_films:MixedFilms", with: {path: films}}
      caption:
        use: "captioning.fill:FillCaptions"
        from: [films]
        with:
          replace: vlm
          engine: {kind: server, model: tiny-vlm, rights: {license: CC0-1.0}, urls: ["URL"], prompt: PROMPT}
      pack: {use: "shards.pack:PackShards", from: [caption], with: {preset: square-16, shard_samples: 4}}
"""
STAGE = f"""
import hashlib
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from shards.canonical import sample_key
from shards.manifest import Caption, Media, Sample, frame
from shards.media import MediaReader
from shards.stage import Contract, Kind, Result, Unit


@dataclass(frozen=True, kw_only=True)
class MixedFilms:
    contract = Contract(gives=Kind.MANIFEST, adds=("media", "captions", "split"), version=1)
    path: str

    def units(self, ctx):
        yield Unit(id="all", payload={{"path": ctx.resolve(self.path)}}, inputs=("all",))

    @contextmanager
    def open(self, ctx):
        yield self

    def process(self, unit):
        reader, rows = MediaReader(), []
        paths = Path(unit.payload["path"]).iterdir()  # in the order of groups in shards
        ordered = sorted(paths, key=lambda path: hashlib.sha256(f"image:{{path.stem}}".encode()).hexdigest())
        for at, path in enumerate(ordered):
            facts = {{k: v for k, v in asdict(reader.facts(str(path))).items() if k in Media.__dataclass_fields__}}
            said = (Caption(text=f"Film {{path.stem}}.", by="source"),) if at >= {WITHOUT} else ()
            rows.append(Sample(
                key=sample_key("films", path.name, ""), media=Media(uri=str(path), **facts), modality="CR",
                specialty="radiology", group=f"image:{{path.stem}}", label_scope="image", source="films",
                license="CC0-1.0", split="train", captions=said,
            ))
        return Result(rows=frame(rows), offered=len(rows), accepted=len(rows))
"""
PROMPT = """\
version: 1
system: You write captions of medical pictures.
texts: {default: "Say briefly what this {modality} shows, ground first."}
rules: {most_words: 40}
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "mixed_films.py").write_text(STAGE)
    (tmp_path / "brief.yaml").write_text(PROMPT)
    (tmp_path / "films").mkdir()
    for number in range(ROWS):
        noise = np.random.default_rng(number).integers(0, 30, (20, 24)) + 9 * number
        Image.fromarray(noise.astype(np.uint8)).save(tmp_path / "films" / f"{number:02}.png")
    yield tmp_path
    sys.modules.pop("mixed_films", None)
    sys.path[:] = [path for path in sys.path if not path.startswith(str(tmp_path))]


def run(home: Path, chat: Any, prompt: str, **options: Any) -> None:
    (home / "pipelines.yaml").write_text(SPEC.replace("URL", chat.url).replace("PROMPT", prompt))
    report = run_pipeline(
        load(home / "pipelines.yaml", "films", ()), RunOptions(**options), SerialPool, Screen(quiet=True)
    )
    assert not report.failed


def captioned(home: Path) -> list[Sample]:
    return [row for part in (home / "out/caption/parts").glob("*.parquet") for row in samples(read_part(part))]


def files(home: Path) -> dict[str, tuple[int, str]]:
    """Inode and hash of every shard."""
    found = sorted((home / "out/pack").rglob("*.tar"))
    return {path.name: (path.stat().st_ino, hashlib.sha256(path.read_bytes()).hexdigest()) for path in found}


def members(home: Path) -> dict[str, dict[str, bytes]]:
    return {one.key: one.members for one in read_split(home / "out/pack", "train")}


def test_a_new_prompt_rewrites_the_captions_of_the_model_and_nothing_else(home: Path) -> None:
    def says(request: Any) -> str:
        text = str(CHAT.described(request.pictures))
        if "briefly" not in request.text or not request.pictures:
            return text
        look, ground = text.removeprefix("A ").removesuffix(" ground.").split(" radiograph on a ")
        return f"On a {ground} ground, a {look} radiograph."

    with CHAT.serving(CHAT.ChatServer(says=says)) as chat:
        run(home, chat, "general")
        rows, old_files, old_members = captioned(home), files(home), members(home)
        asked = len(chat.of_rows())
        assert asked == WITHOUT
        run(home, chat, "brief.yaml", until="caption")
        assert len(chat.of_rows()) == 2 * WITHOUT
    for path in (home / "films").iterdir():
        path.unlink()  # what packs now cannot decode anything
    with CHAT.serving() as elsewhere:  # at another port, which is no reason to caption anew
        run(home, elsewhere, "brief.yaml")
        assert (elsewhere.lists, elsewhere.requests) == (0, [])
    new_rows, new_files, new_members = captioned(home), files(home), members(home)
    theirs = {row.key for row in rows if row.captions[0].by == "source"}
    assert len(rows) == len(new_rows) == ROWS
    assert len(theirs) == ROWS - WITHOUT
    assert content_hash(frame([row for row in new_rows if row.key in theirs])) == content_hash(
        frame([row for row in rows if row.key in theirs])
    )
    ours = [row for row in new_rows if row.key not in theirs]
    assert {len(row.captions) for row in ours} == {1}
    assert {row.captions[0].by.split("@")[1].rpartition(".")[0] for row in ours} == {"brief.1"}
    assert all(row.captions[0].text.startswith("On a ") for row in ours)
    same = old_files.items() & new_files.items()
    touched = {0, 1, 2}  # the nine rows without text fill two shards, and one lies in a third
    assert len(old_files) == len(new_files) == ROWS // IN_SHARD
    assert len(same) == ROWS // IN_SHARD - len(touched)
    assert {name for name in new_files if name not in old_files} == {f"medloom-{n:06}.r1.tar" for n in touched}
    assert {key for key in new_members if new_members[key] != old_members[key]} == {row.key for row in ours}
    assert all(new_members[key]["jpg"] == old_members[key]["jpg"] for key in new_members)
    assert {row.key: new_members[row.key]["txt"].decode() for row in ours} == {
        row.key: row.captions[0].text for row in ours
    }
    assert read_index(home / "out/pack").splits == {"train": ROWS}
    assert verify(home / "out/pack").good
