"""A run that captions over HTTP is killed and repeated: nothing that was answered is asked again."""

from __future__ import annotations

import os
import runpy
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from shards.manifest import read_part, samples

CHAT = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("chat_server.py"))))
IN_FLIGHT = 8
ROWS, PARTS = 200, 4

SPEC = """\
version: 1
pipelines:
  films:
    root: out
    key: {public: toy}
    stages:
      films: {use: "film_stage:Films", with: {path: films}}
      caption:
        use: "captioning.fill:FillCaptions"
        from: [films]
        with:
          engine:
            kind: server
            model: tiny-vlm
            rights: {license: CC0-1.0}
            urls: ["URL"]
            in_flight: IN_FLIGHT
            chat_template_kwargs: {enable_thinking: false, thinking: false}
            request: {min_p: null}
"""
STAGE = """
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from shards.canonical import sample_key
from shards.manifest import Media, Sample, frame
from shards.media import MediaReader
from shards.stage import Contract, Kind, Result, Unit


@dataclass(frozen=True, kw_only=True)
class Films:
    contract = Contract(gives=Kind.MANIFEST, adds=("media", "split"), version=1)
    path: str

    def units(self, ctx):
        for path in sorted(Path(ctx.resolve(self.path)).iterdir()):
            yield Unit(id=f"p-{path.name}", payload={"path": str(path)}, inputs=(path.name,))

    @contextmanager
    def open(self, ctx):
        yield self

    def process(self, unit):
        reader, rows = MediaReader(), []
        for path in sorted(Path(unit.payload["path"]).iterdir()):
            facts = {k: v for k, v in asdict(reader.facts(str(path))).items() if k in Media.__dataclass_fields__}
            rows.append(Sample(
                key=sample_key("films", path.name, ""), media=Media(uri=str(path), **facts), modality="CR",
                specialty="radiology", group=f"image:{path.stem}", label_scope="image", source="films",
                license="CC0-1.0", split="train",
            ))
        return Result(rows=frame(rows), offered=len(rows), accepted=len(rows))
"""


def prepare(folder: Path, url: str) -> None:
    folder.mkdir()
    (folder / "film_stage.py").write_text(STAGE)
    (folder / "pipelines.yaml").write_text(SPEC.replace("URL", url).replace("IN_FLIGHT", str(IN_FLIGHT)))
    for number in range(ROWS):
        path = folder / "films" / str(number % PARTS) / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(number).integers(0, 40, (10, 10)) + number
        Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8)).save(path)


def start(folder: Path) -> subprocess.Popen[str]:
    code = "import sys\nfrom pipelines.cli import main\nsys.argv[0] = 'medloom'\nmain()\n"
    return subprocess.Popen(
        [sys.executable, "-P", "-c", code, "run", "films", "--serial"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(folder: Path) -> None:
    run = start(folder)
    told, _ = run.communicate(timeout=120)
    assert run.returncode == 0, told


def captions(folder: Path) -> dict[str, Any]:
    parts = (folder / "out/caption/parts").glob("*.parquet")
    return {sample.key: sample.captions for part in parts for sample in samples(read_part(part))}


def stored(folder: Path) -> int:
    """Answers that outlived a run."""
    count = 0
    for path in (folder / "out/.store/answers").glob("*.sqlite"):
        with sqlite3.connect(path) as kept:
            count += kept.execute("SELECT count(*) FROM answers").fetchone()[0]
    return count


@pytest.mark.long
def test_a_killed_run_pays_for_no_answer_twice(tmp_path: Path) -> None:
    with CHAT.serving() as chat:
        prepare(tmp_path / "whole", chat.url)
        finish(tmp_path / "whole")
        whole = captions(tmp_path / "whole")
        once = Counter(request.sha256 for request in chat.of_rows())
        assert len(whole) == ROWS
        assert set(once.values()) == {1}
        assert len({text for (caption,) in whole.values() for text in [caption.text]}) > 50
    for number, moment in enumerate((20, 90, 170)):
        folder = tmp_path / f"killed-{number}"
        with CHAT.serving(CHAT.ChatServer(latency_s=0.04)) as chat:
            prepare(folder, chat.url)
            run = start(folder)
            while len(chat.of_rows()) < moment:
                assert run.poll() is None
                time.sleep(0.005)
            os.killpg(run.pid, signal.SIGKILL)
            run.communicate()
            while chat.busy:
                time.sleep(0.01)
            first, kept = len(chat.of_rows()), stored(folder)
            assert moment - IN_FLIGHT <= kept <= first < ROWS
            assert first - kept <= IN_FLIGHT
            finish(folder)
            asked = Counter(request.sha256 for request in chat.of_rows())
        assert captions(folder) == whole
        assert set(asked) == set(once)
        assert asked.total() == first + ROWS - kept  # none of those that were stored
        assert sum(count - 1 for count in asked.values()) == first - kept
