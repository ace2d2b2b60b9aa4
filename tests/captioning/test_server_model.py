"""A model behind a server: what is sent, what is read, in what order, and that closing ends it."""

from __future__ import annotations

import gc
import runpy
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from captioning.questions import REFUSED, Reply, Sampling, Shown
from captioning.server_model import connected
from shards.intake import Skip
from shards.reasons import Reason
from shards.stage import Cancelled, Context

L = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("chat_lines.py"))))
ctx, chat, soon = L.ctx, L.chat, L.soon


def test_the_request_is_what_the_servers_document(chat: Any, ctx: Context) -> None:
    sampling = Sampling(temperature=0.5, top_p=0.9, top_k=7, max_new_tokens=50)
    line = L.Line(9, text="What is this?", system="Be brief.", sampling=sampling, seed=11)
    (done,) = L.answered(L.engine(chat, request={"top_p": None, "min_p": 0.1}), ctx, [line])
    assert done.said == L.GOOD[9]
    request = chat.requests[0]
    assert {name: value for name, value in request.body.items() if name != "messages"} == {
        "model": L.CHAT.MODEL,
        "max_tokens": 50,
        "temperature": 0.5,
        "top_k": 7,
        "seed": 11,
        "stream": False,
        "min_p": 0.1,
        "chat_template_kwargs": {"enable_thinking": False},
    }
    assert request.body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert [part["type"] for part in request.parts] == ["image_url", "text"]
    np.testing.assert_array_equal(request.pictures[0], np.full((8, 8, 3), 9, dtype=np.uint8))
    assert "Authorization" not in request.headers


def test_a_clip_goes_as_pictures_with_their_times_or_as_one_film(chat: Any, ctx: Context) -> None:
    frames = tuple(np.full((9, 7, 3), 50 * n, dtype=np.uint8) for n in range(4))
    shown = Shown(pictures=frames, times_s=(0.25, 0.75, 1.25, 1.75))
    L.answered(L.engine(chat, video_url=False), ctx, [L.Line(0, show=lambda: shown)])
    parts = chat.requests[0].parts
    assert [part.get("text") for part in parts[::2]] == [
        "Frame at 0.25 s:",
        "Frame at 0.75 s:",
        "Frame at 1.25 s:",
        "Frame at 1.75 s:",
        "Describe this picture.",
    ]
    for sent, frame in zip(chat.requests[0].pictures, frames, strict=True):
        np.testing.assert_array_equal(sent, frame)
    chat.requests.clear()
    L.answered(L.engine(chat, video_url=True), ctx, [L.Line(0, show=lambda: shown)])
    film, text = chat.requests[0].parts
    assert (film["type"], text["text"]) == ("video_url", "Describe this picture.")
    assert _film(film["video_url"]["url"]) == (4, (10, 8), 2.0)


def _film(url: str) -> tuple[int, tuple[int, int], float]:
    import base64
    import io

    import av

    kind, _, data = url.partition(";base64,")
    assert kind == "data:video/mp4"
    with av.open(io.BytesIO(base64.b64decode(data))) as opened:
        frames = [frame.to_ndarray(format="rgb24") for frame in opened.decode(video=0)]
        rate = float(opened.streams.video[0].average_rate or 0)
    assert all(abs(float(frame.mean()) - 50 * n) < 4 for n, frame in enumerate(frames))
    return len(frames), frames[0].shape[:2], rate


def test_talks_come_out_in_their_order_and_no_more_than_allowed_are_in_flight(chat: Any, ctx: Context) -> None:
    lines = [L.Line(n, more=n % 3 == 0) for n in range(60)]
    chat.plan = lambda server, request, handler: time.sleep(0.002 * (7 * len(server.requests) % 11))
    done = L.answered(L.engine(chat, in_flight=6), ctx, lines)
    assert [line.number for line in done] == list(range(60))
    assert [line.said for line in done] == [L.GOOD[n] for n in range(60)]
    assert [len(line.heard) for line in done] == [2 if n % 3 == 0 else 1 for n in range(60)]
    assert 2 <= chat.busiest <= 6
    assert len({name for line in done for name in line.threads}) == 1


def test_a_request_has_its_place_until_its_reply_is_stored(chat: Any, ctx: Context) -> None:
    """So that a run that is killed has to repeat no more requests than are allowed in flight."""
    chat.counts_tokens = False
    stored, most = 0, 0

    class Slow(L.Line):
        def hear(self, reply: Reply | Skip) -> None:
            nonlocal stored, most
            time.sleep(0.02)
            most = max(most, len(chat.requests) - stored)
            super().hear(reply)
            stored += 1

    L.answered(L.engine(chat, in_flight=3), ctx, [Slow(n) for n in range(30)])
    assert stored == 30
    assert most == 3


def test_what_a_model_says_is_read_from_its_content_alone(chat: Any, ctx: Context) -> None:
    plans = [
        L.says(content="A radiograph.", reasoning_content="Let me see, a dog."),
        L.says(content=[{"type": "text", "text": "A "}, {"type": "text", "text": "film."}]),
        L.says(content=None, reasoning="Still thinking"),
        L.says(content=None, refusal="I cannot help with that."),
        L.ends("length"),
        L.ends(None),
    ]
    chat.plan = lambda server, request, handler: plans[request.pictures[0][0, 0, 0]](server, request, handler)
    chat.counts_tokens = False
    done = L.answered(L.engine(chat), ctx, [L.Line(n) for n in range(6)])
    assert [line.heard for line in done] == [
        [Reply(text="A radiograph.", finish="stop")],
        [Reply(text="A film.", finish="stop")],
        [Reply(text=None, finish="stop")],
        [Reply(text="I cannot help with that.", finish=REFUSED)],
        [Reply(text=L.GOOD[4], finish="length")],
        [Reply(text=L.GOOD[5], finish="not given")],
    ]


def test_the_tokens_of_pictures_are_counted_by_asking_once_without_them(chat: Any, ctx: Context) -> None:
    done = L.answered(L.engine(chat, in_flight=4), ctx, [L.Line(n) for n in range(30)])
    assert {line.heard[0].picture_tokens for line in done} == {64}  # type: ignore[union-attr]
    assert [request.body["max_tokens"] for request in chat.requests if not request.pictures] == [1]
    chat.requests.clear()
    chat.blind = True
    done = L.answered(L.engine(chat), ctx, [L.Line(n) for n in range(3)])
    assert {line.heard[0].picture_tokens for line in done} == {0}  # type: ignore[union-attr]


def test_a_text_whose_tokens_could_not_be_counted_is_asked_about_again(chat: Any, ctx: Context) -> None:
    failed: list[Any] = []

    def plan(server: Any, request: Any, handler: Any) -> bool:
        if request.pictures or len(failed) >= 2:
            return False
        failed.append(request)
        return L.sends(500)(server, request, handler)

    chat.plan = plan
    done = L.answered(L.engine(chat, in_flight=1), ctx, [L.Line(n) for n in range(6)])
    counted = [line.heard[0].picture_tokens for line in done]  # type: ignore[union-attr]
    assert counted == [None, None, 64, 64, 64, 64]


def test_texts_that_differ_are_asked_about_without_pictures_now_and_then(chat: Any, ctx: Context) -> None:
    done = L.answered(L.engine(chat), ctx, [L.Line(n, text=f"Describe picture {n}.") for n in range(300)])
    counted = [line.heard[0].picture_tokens for line in done]  # type: ignore[union-attr]
    assert counted.count(64) == len([each for each in chat.requests if not each.pictures]) == 5
    assert counted.count(None) == 295


def test_a_server_that_counts_nothing_is_remarked_upon_once(
    chat: Any, ctx: Context, caplog: pytest.LogCaptureFixture
) -> None:
    chat.counts_tokens = False
    done = L.answered(L.engine(chat), ctx, [L.Line(n) for n in range(5)])
    assert {line.heard[0].picture_tokens for line in done} == {None}  # type: ignore[union-attr]
    assert sum("counts no tokens" in each for each in caplog.messages) == 1
    assert len(chat.requests) == 5


def test_closing_ends_what_is_in_flight_at_once_and_nothing_is_heard_after(chat: Any, ctx: Context) -> None:
    chat.plan = L.hangs_from_three
    lines = [L.Line(n) for n in range(40)]
    with connected(L.engine(chat, in_flight=8), ctx) as model:
        talks = model.answer(iter(lines))
        next(talks)
        begun = time.monotonic()
        talks.close()  # type: ignore[attr-defined]
        assert time.monotonic() - begun < 1
        heard = [len(line.heard) for line in lines]
        time.sleep(0.3)
        assert [len(line.heard) for line in lines] == heard
        assert len(chat.requests) <= 3 + 8 + 1  # answered, in flight, and one without its picture
        chat.plan = None
        assert [line.number for line in model.answer([L.Line(7), L.Line(8)])] == [7, 8]  # type: ignore[attr-defined]


def test_a_run_that_is_cancelled_waits_for_no_server(chat: Any, ctx: Context) -> None:
    chat.plan = L.hangs
    begun = time.monotonic()
    ctx.is_cancelled = lambda: time.monotonic() > begun + 0.5
    with pytest.raises(Cancelled):
        L.answered(L.engine(chat), ctx, [L.Line(0)])
    assert time.monotonic() - begun < 1.8


def test_nothing_hangs_when_the_thread_of_the_requests_dies(chat: Any, ctx: Context) -> None:
    chat.plan = L.hangs_from_three
    begun = time.monotonic()
    with connected(L.engine(chat), ctx) as model:
        talks = model.answer(L.Line(n) for n in range(9))
        next(talks)
        model.thread.loop.call_soon_threadsafe(model.thread.loop.stop)
        with pytest.raises(RuntimeError, match="thread of the requests has died"):
            list(talks)
    assert time.monotonic() - begun < 3


def test_pictures_that_cannot_be_shown_are_heard_and_bugs_stop_the_run(chat: Any, ctx: Context) -> None:
    def gone() -> Shown:
        raise Skip(Reason.MISSING_FILE)

    def broken() -> Shown:
        raise ZeroDivisionError

    done = L.answered(L.engine(chat), ctx, [L.Line(0), L.Line(1, show=gone), L.Line(2)])
    assert [line.said for line in done] == [L.GOOD[0], Reason.MISSING_FILE, L.GOOD[2]]
    with pytest.raises(ZeroDivisionError):
        L.answered(L.engine(chat), ctx, [L.Line(0), L.Line(1, show=broken), L.Line(2)])


def test_pictures_are_held_only_while_their_questions_are_under_way(chat: Any, ctx: Context) -> None:
    alive, shown, heard, most, lock = 0, 0, 0, 0, threading.RLock()

    class Held(np.ndarray):
        """An array that can be watched."""

    class Watched(L.Line):
        def hear(self, reply: Reply | Skip) -> None:
            nonlocal heard
            super().hear(reply)
            with lock:
                heard += 1

    def gone() -> None:
        nonlocal alive
        with lock:
            alive -= 1

    def show(number: int) -> Callable[[], Shown]:
        def made() -> Shown:
            nonlocal alive, shown, most
            picture = np.full((64, 64, 3), number % 256, dtype=np.uint8).view(Held)
            weakref.finalize(picture, gone)
            with lock:
                alive, shown = alive + 1, shown + 1
                most = max(most, shown - heard)
            return Shown(pictures=(picture,))

        return made

    chat.latency_s = 0.005
    pulled = 0

    def lines() -> Iterator[Any]:
        nonlocal pulled
        for number in range(300):
            pulled += 1
            yield Watched(number, show=show(number))

    with connected(L.engine(chat, in_flight=4), ctx) as model:
        for given, _ in enumerate(model.answer(lines())):
            assert pulled - given <= 4 * 4 + 1
    gc.collect()
    assert (alive, shown, heard) == (0, 300, 300)
    assert 4 < most <= 4 + 4  # in flight and ready
