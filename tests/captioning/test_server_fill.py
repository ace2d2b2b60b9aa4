"""Captions from a server through the stage: what is filled, what is refused, what may leave the machine."""

from __future__ import annotations

import json
import runpy
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from PIL import Image

from captioning.fill import FillCaptions
from captioning.server_engine import ServerEngine
from captioning.vlm import ModelRights
from shards.canonical import sha256_file
from shards.manifest import Caption, Media, Sample, Term, Terms, content_hash, frame, samples, write_part
from shards.stage import Context, Result, Unit

L = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("chat_lines.py"))))
CHAT, ctx, chat, soon = L.CHAT, L.ctx, L.chat, L.soon
BY = f"vlm:{CHAT.MODEL}@general.1"
MIMIC = Path(__file__).parents[2] / "ingest/recipes/mimic_cxr_jpg.yaml"

MakeSample = Callable[..., Sample]
Rows = Callable[[int], list[Sample]]


@pytest.fixture
def rows(make_sample: MakeSample, tmp_path: Path) -> Rows:
    """Radiographs of 12 x 8 pixels, each of its own grey: 0, 1, 2, ..."""

    def make(count: int) -> list[Sample]:
        made = []
        for grey in range(count):
            path = tmp_path / f"{grey:03}.png"
            Image.fromarray(np.full((8, 12), grey, dtype=np.uint8)).save(path)
            media = Media(uri=str(path), kind="image", sha256=sha256_file(path), width_px=12, height_px=8, frames=1)
            made.append(replace(make_sample(key=f"nih-{grey:03}"), media=media))
        return made

    return make


def stage(chat: Any, *, tries: int = 1, **options: Any) -> FillCaptions:
    engine = ServerEngine(
        kind="server", model=CHAT.MODEL, rights=ModelRights(license="CC0-1.0"), urls=(chat.url,), tries=tries
    )
    return FillCaptions(engine=engine, **options)


def run(fill: FillCaptions, given: list[Sample], ctx: Context) -> Result:
    path = ctx.root / "part.parquet"
    write_part(frame(given), path)
    with fill.open(ctx) as worker:
        result = worker.process(Unit(id="part", payload={"part": str(path)}))
    assert result.accepted + len(result.rejects) == result.offered == len(given)
    return result


def captions_of(result: Result) -> dict[str, tuple[Caption, ...]]:
    assert result.rows is not None
    return {sample.key: sample.captions for sample in samples(result.rows)}


def said(grey: int) -> str:
    return str(CHAT.described([np.full((8, 12, 3), grey, dtype=np.uint8)]))


def grey_of(request: Any) -> int:
    return int(request.pictures[0][0, 0, 0])


def settle(chat: Any) -> None:
    """Wait for requests that had been sent when a run ended, and forget them all."""
    seen = -1
    while chat.busy or seen != len(chat.requests):
        seen = len(chat.requests)
        time.sleep(0.1)
    chat.requests.clear()


def test_only_missing_captions_are_filled_and_a_second_run_asks_nothing(chat: Any, ctx: Context, rows: Rows) -> None:
    spoken = (Caption(text="Chest film, no comment.", by="source"), Caption(text="A film.", by="vlm:m@1", weight=0.5))
    given = [replace(row, captions=spoken) if n % 3 else row for n, row in enumerate(rows(60))]
    result = run(stage(chat), given, ctx)
    assert not result.rejects
    kept = captions_of(result)
    assert [kept[f"nih-{n:03}"] for n in range(0, 60, 3)] == [(Caption(text=said(n), by=BY),) for n in range(0, 60, 3)]
    assert result.rows is not None
    others = frame([row for row in given if row.captions])
    assert content_hash(result.rows.filter(pl.col("key").is_in(others["key"].implode()))) == content_hash(others)
    assert sorted(grey_of(request) for request in chat.of_rows()) == list(range(0, 60, 3))
    chat.requests.clear()
    assert captions_of(run(stage(chat), given, ctx)) == kept
    assert chat.of_rows() == []


def test_each_row_without_an_answer_is_counted_by_its_reason(chat: Any, ctx: Context, rows: Rows) -> None:
    given = rows(24)
    Path(given[20].media.uri).unlink()

    def plan(server: Any, request: Any, handler: Any) -> bool:
        if not request.pictures or request.is_known or grey_of(request) >= 9:
            return False
        answer = server.answer(request)
        choice = answer["choices"][0]
        message = choice["message"]
        match grey_of(request):
            case 0:
                message["content"] = None
            case 1:
                message["content"] = "<think>It may be</think> A radiograph."
            case 2:
                choice["finish_reason"] = "length"
            case 3:
                message |= {"content": None, "refusal": "I cannot look at this."}
            case 4:
                answer["usage"]["prompt_tokens"] = 9 + sum(len(part.get("text", "").split()) for part in request.parts)
            case 5:
                handler.send_json({"error": {"message": "broken picture"}}, 400)
                return True
            case 6:
                answer["choices"] = []
            case 7:
                handler.reset()
                return True
            case 8:
                message["content"] = "This is a picture that was made in 1987 of John Smith."
        handler.send_json(answer)
        return True

    chat.plan = plan
    result = run(stage(chat), given, ctx)
    assert {reject.item: reject.reason for reject in result.rejects} == {
        "nih-000": "answer_empty",
        "nih-001": "answer_thinks",
        "nih-002": "answer_cut",
        "nih-003": "answer_refuses",
        "nih-004": "picture_not_seen",
        "nih-005": "http_refused",
        "nih-006": "answer_malformed",
        "nih-007": "connection_failed",
        "nih-008": "answer_identifies",
        "nih-020": "missing_file",
    }
    kept = captions_of(result)
    assert all(kept[f"nih-{n:03}"] == (Caption(text=said(n), by=BY),) for n in range(9, 24) if n != 20)


@pytest.mark.parametrize("counts_tokens", [True, False])
def test_a_server_that_drops_the_pictures_gets_no_caption_into_the_data(
    chat: Any, ctx: Context, rows: Rows, counts_tokens: bool
) -> None:
    chat.blind, chat.counts_tokens = True, counts_tokens
    given = rows(30)
    result = run(stage(chat), given, ctx)
    assert Counter(reject.reason for reject in result.rejects) == {"canary_failed": 30}
    told = "pictures are dropped on the way" if counts_tokens else "known pictures that the model did not name: a "
    assert {told in reject.detail for reject in result.rejects} == {True}
    settle(chat)
    chat.blind = False
    result = run(stage(chat), given, ctx)
    assert not result.rejects
    assert len(chat.of_rows()) == 30  # nothing that was said blindly had been kept
    assert captions_of(result)["nih-007"] == (Caption(text=said(7), by=BY),)


def test_a_server_that_hands_answers_to_the_wrong_questions_is_found_out(chat: Any, ctx: Context, rows: Rows) -> None:
    def swapped(request: Any) -> str:
        with chat.lock:
            others = [each for each in chat.requests if each.pictures and each.sha256 != request.sha256]
        return str(CHAT.described(others[-1].pictures if others else []))

    chat.says = swapped
    assert {reject.reason for reject in run(stage(chat), rows(8), ctx).rejects} == {"canary_failed"}


def test_known_pictures_are_asked_about_again_in_a_long_unit(
    chat: Any, ctx: Context, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("captioning.canaries.EVERY", 20)
    assert not run(stage(chat), rows(50), ctx).rejects
    known = [request for request in chat.requests if request.is_known and request.pictures]
    assert len(known) == 3 * (2 + 3)
    assert len({request.sha256 for request in known if "What is drawn" in request.text}) > 2


def test_known_pictures_that_cannot_be_asked_about_reject_the_unit_but_cost_no_answer(
    chat: Any, ctx: Context, rows: Rows
) -> None:
    answered = threading.Event()

    def plan(server: Any, request: Any, handler: Any) -> bool:
        if not request.is_known:
            answered.set()
            return False
        answered.wait(5)
        return "technique" in request.text and bool(request.pictures) and (handler.reset() or True)

    chat.plan = plan
    given = rows(30)
    result = run(stage(chat), given, ctx)
    assert Counter(reject.reason for reject in result.rejects) == {"canary_failed": 30}
    assert result.rejects[0].detail.startswith("no answer about known pictures: connection_failed")
    with sqlite3.connect(next((ctx.root / ".store/answers").glob("*.sqlite"))) as kept:
        (count,) = kept.execute("SELECT count(*) FROM answers").fetchone()
    assert count > 0
    settle(chat)
    chat.plan = None
    assert not run(stage(chat), given, ctx).rejects
    assert len(chat.of_rows()) == 30 - count


def test_a_row_whose_picture_is_gone_does_not_make_the_model_blind(chat: Any, ctx: Context, rows: Rows) -> None:
    given = rows(30)
    for at in (0, 10, 20):  # those that the model would be shown as known pictures
        Path(given[at].media.uri).unlink()
    result = run(stage(chat), given, ctx)
    assert {reject.item: reject.reason for reject in result.rejects} == {
        f"nih-{at:03}": "missing_file" for at in (0, 10, 20)
    }


PARTY = """
import json, sys
from pathlib import Path
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
from captioning.fill import FillCaptions
from captioning.server_engine import ServerEngine
from captioning.vlm import ModelRights
from shards.stage import Context, Unit
folder, url = Path(sys.argv[1]), sys.argv[2]
engine = ServerEngine(kind="server", model="tiny-vlm", rights=ModelRights(license="CC0-1.0"), urls=(url,))
ctx = Context(root=folder, out=folder / "out", tmp=folder / "tmp", folder=folder)
with FillCaptions(engine=engine).open(ctx) as worker:
    result = worker.process(Unit(id="part", payload={"part": str(folder / "part.parquet")}))
print(json.dumps({
    "rejects": {each.item: [each.reason, each.detail] for each in result.rejects},
    "kept": result.rows["key"].to_list(),
    "opened": sorted({Path(name).name for name in opened if name.endswith(".png")}),
}))
"""


def third_party(folder: Path, chat: Any) -> Any:
    """What becomes of `part.parquet` where the server's address is not that of this machine by name."""
    url = chat.url.replace("127.0.0.1", "0.0.0.0")  # leads to the loopback, but is none
    command = [sys.executable, "-P", "-c", PARTY, str(folder), url]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_nothing_of_data_that_may_not_go_to_others_leaves_for_a_foreign_server(
    chat: Any, tmp_path: Path, rows: Rows
) -> None:
    recipe = yaml.safe_load(MIMIC.read_text())
    stated = recipe["with"]["rights"]["terms"]["third_party_processing"]
    assert stated["answer"] is False or stated["answer"] == "no"
    mimic = Terms(third_party_processing=Term(answer="no", evidence=stated["evidence"]))
    given = [replace(row, terms=mimic) if n % 2 else row for n, row in enumerate(rows(20))]  # of the others unknown
    write_part(frame(given), tmp_path / "part.parquet")
    found = third_party(tmp_path, chat)
    assert found["kept"] == []
    assert found["opened"] == []
    assert chat.requests == []
    assert found["rejects"] == {
        f"nih-{n:03}": [
            "egress_forbidden",
            f"third_party_processing is {'no' if n % 2 else 'unknown'}; server 0.0.0.0, not in `trusted_hosts`",
        ]
        for n in range(20)
    }


def test_of_a_mixed_part_only_pictures_that_may_go_are_opened_and_sent(chat: Any, tmp_path: Path, rows: Rows) -> None:
    yes = Terms(third_party_processing=Term(answer="yes", evidence="CC0-1.0"))
    no = Terms(third_party_processing=Term(answer="no", evidence="a licence"))
    given = [replace(row, terms=yes if n % 5 == 0 else no) for n, row in enumerate(rows(20))]
    write_part(frame(given), tmp_path / "part.parquet")
    found = third_party(tmp_path, chat)
    assert found["kept"] == ["nih-000", "nih-005", "nih-010", "nih-015"]
    assert {reason for reason, _ in found["rejects"].values()} == {"egress_forbidden"}
    assert len(found["rejects"]) == 16
    assert found["opened"] == ["000.png", "005.png", "010.png", "015.png"]
    sent = {grey_of(request) for request in chat.requests if request.pictures and "What is drawn" not in request.text}
    assert sent == {0, 5, 10, 15}


def test_answers_are_kept_under_what_they_depend_on(chat: Any, ctx: Context, rows: Rows) -> None:
    given = rows(4)
    run(stage(chat), given, ctx)
    with sqlite3.connect(next((ctx.root / ".store/answers").glob("*.sqlite"))) as kept:
        assert kept.execute("SELECT count(*) FROM answers").fetchone() == (4,)
    chat.requests.clear()
    chat.models = [{"id": CHAT.MODEL, "root": "org/tiny", "revision": "another"}]
    run(stage(chat), given, ctx)
    assert len(chat.of_rows()) == 4  # the server says that it is another model now
