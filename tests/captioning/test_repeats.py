"""A model that says the same of many pictures is remarked upon, however many rows there are; a template never is."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

from captioning.repeats import CANDIDATES, SKETCH, repeated
from pipelines.pool import SerialPool
from pipelines.run import RunOptions
from pipelines.run import run as run_pipeline
from pipelines.screen import Screen
from pipelines.spec import load
from shards.manifest import Caption, Sample, frame, write_part

CHAT = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("chat_server.py"))))
BY = "vlm:m@1"
SAME = "A radiograph of the chest."
SPEC = """\
version: 1
pipelines:
  films:
    root: out
    key: {public: toy}
    stages:
      films:
        use: "ingest.converters.table_images:TableImages"
        with: {source: films, table: ./films.csv, path: films, image: file, modality: CR, specialty: radiology,
               probe: true, unit_rows: 8, rights: {license: CC0-1.0}}
      caption: {use: "captioning.fill:FillCaptions", from: [films], with: {engine: ENGINE}}
"""
Write = Callable[[Iterable[tuple[str, str]]], Path]


@pytest.fixture
def part(tmp_path: Path, make_sample: Callable[..., Sample]) -> Write:
    """part((picture, text) ...): a part of a manifest, each caption by BY beside one of a source."""

    row = frame([make_sample(captions=(Caption(text="Chest film.", by="source"), Caption(text="?", by=BY)))])

    def write(said: Iterable[tuple[str, str]]) -> Path:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.parquet"
        given = pl.DataFrame(list(said), schema={"picture": pl.String, "text": pl.String}, orient="row")
        theirs, ours = (pl.col("captions").list.get(number) for number in (0, 1))
        rows = row.join(given, how="cross").with_columns(
            pl.format("nih-{}-{}", pl.lit(path.stem), pl.int_range(pl.len())).alias("key"),
            media=pl.col("media").struct.with_fields(sha256="picture"),
            captions=pl.concat_list(theirs, ours.struct.with_fields(text="text")),
        )
        write_part(rows.select(row.columns), path)
        return path

    return write


def test_a_text_is_told_where_more_than_twenty_pictures_and_a_twentieth_share_it(part: Write) -> None:
    others = [(f"other {n}", f"A radiograph of number {n}.") for n in range(300)]
    same = [(f"same {n}", SAME) for n in range(21)]
    (found,) = repeated([part(same[:12] + others), part(same[12:])], BY)
    assert (found.text, found.pictures, found.of) == (SAME, 21, 321)
    assert not repeated([part(same[:20])], BY)  # all of twenty
    more = [(f"more {n}", f"A radiograph of more {n}.") for n in range(120)]
    assert not repeated([part(same + others), part(more)], BY)  # under a twentieth of 441
    assert not repeated([part(same)], "vlm:another@1")
    assert not repeated([part(same)], "source.") == repeated([part(same)], "source") == []


def test_one_picture_that_comes_many_times_is_one(part: Write) -> None:
    copies = [("copy", SAME)] * 50
    assert not repeated([part(copies), part(copies), part([(f"p{n}", str(n)) for n in range(40)])], BY)


def test_many_rows_are_counted_in_little_memory(part: Write) -> None:
    """More texts than counters, the large ones spread thin, and more pictures than are counted exactly."""
    rows = 5 * SKETCH
    texts = ["Often." if n % 10 == 3 else "Now and then." if n % 16 == 4 else f"Number {n}." for n in range(rows)]
    said = [(f"p{n}", text) for n, text in enumerate(texts)]
    parts = [part(said[start::40]) for start in range(40)]
    assert len(set(texts)) > 10 * CANDIDATES
    often, seldom = repeated(parts, BY)
    assert (often.text, seldom.text) == ("Often.", "Now and then.")
    assert often.of == pytest.approx(rows, rel=0.07)
    assert often.pictures == rows // 10
    assert seldom.pictures == rows // 16


@pytest.mark.parametrize("says", ["the same", "what it sees"])
def test_a_run_remarks_on_a_model_that_says_one_thing(says: str, tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    for number in range(24):
        noise = np.random.default_rng(number).integers(0, 30, (20, 24)) + 9 * number
        Image.fromarray(noise.astype(np.uint8)).save(tmp_path / f"films/{number}.png")
    (tmp_path / "films.csv").write_text("file\n" + "\n".join(f"{number}.png" for number in range(24)))

    def collapsed(request: Any) -> str:
        return str(CHAT.described(request.pictures)) if request.is_known or says != "the same" else SAME

    with CHAT.serving(CHAT.ChatServer(says=collapsed)) as chat:
        engine = f'{{kind: server, model: tiny-vlm, rights: {{license: CC0-1.0}}, urls: ["{chat.url}"]}}'
        remarks = []
        for used in (engine, "{kind: template}"):
            (tmp_path / "pipelines.yaml").write_text(SPEC.replace("ENGINE", used))
            report = run_pipeline(
                load(tmp_path / "pipelines.yaml", "films"), RunOptions(), SerialPool, Screen(quiet=True)
            )
            assert not report.failed
            remarks.append([one for one in report.remarks.get("caption", []) if "said the same" in one])
    assert remarks[1] == []  # a template may: these radiographs are all alike to it
    if says == "the same":
        (remark,) = remarks[0]
        assert f"said the same of 24 of the 24 different pictures that it captioned: {SAME!r}. " in remark
    else:
        assert remarks[0] == []
    assert pl.read_parquet(tmp_path / "out/caption/parts/*.parquet").height == 24
