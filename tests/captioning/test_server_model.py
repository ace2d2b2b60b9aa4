"""A model behind servers: what is sent, in what order, what becomes of failures, and that closing ends it."""

from __future__ import annotations

import gc
import runpy
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from captioning.questions import REFUSED, Question, Reply, Sampling, Shown
from captioning.server_engine import ServerEngine
from captioning.server_model import connected
from captioning.vlm import ModelRights
from pipelines.options import plain
from shards.intake import Skip
from shards.reasons import Reason
from shards.stage import Cancelled, Context, UserError

CHAT = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("chat_server.py"))))
Plan = Callable[[Any, Any, Any], bool]


class Line:
    """A talk of one question, or of as many as `more` says."""

    def __init__(self, number: int, *, more: int = 0, **asked: Any) -> None:
        self.number = number
        self.more = more
        self.heard: list[Reply | Skip] = []
        self.threads: set[str] = set()
        picture = np.full((8, 8, 3), number % 256, dtype=np.uint8)
        self.asked = {"show": lambda: Shown(pictures=(picture,)), "text": "Describe this picture.", **asked}
        self.question: Question | None = Question(**self.asked)

    def hear(self, reply: Reply | Skip) -> None:
        self.heard.append(reply)
        self.threads.add(threading.current_thread().name)
        self.question = Question(**self.asked) if len(self.heard) <= self.more else None

    @property
    def said(self) -> Any:
        """The text, or the reason why there is none."""
        return self.heard[-1].reason if isinstance(self.heard[-1], Skip) else self.heard[-1].text


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("FIRST_WAIT_S", 0.02), ("LONGEST_WAIT_S", 0.1)):
        monkeypatch.setattr(f"captioning.server_retry.{name}", seconds)
    for name, seconds in (("FIRST_REST_S", 0.02), ("LONGEST_REST_S", 0.1), ("LOOK_S", 0.02)):
        monkeypatch.setattr(f"captioning.server_pool.{name}", seconds)


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    return Context(root=tmp_path, out=tmp_path / "out", tmp=tmp_path / "tmp", folder=tmp_path)


@pytest.fixture
def chat() -> Iterator[Any]:
    with CHAT.serving() as server:
        yield server


def engine(*servers: Any, **options: Any) -> ServerEngine:
    urls = tuple(getattr(server, "url", server) for server in servers)
    rights = ModelRights(license="CC0-1.0")
    return ServerEngine(**{"kind": "server", "model": CHAT.MODEL, "rights": rights, "urls": urls, **options})


def answered(options: ServerEngine, ctx: Context, lines: list[Line]) -> list[Line]:
    with connected(options, ctx) as model, closing(model.answer(iter(lines))) as talks:  # type: ignore[type-var]
        return list(talks)  # type: ignore[arg-type]


def at(*numbers: int, what: Plan) -> Plan:
    """`what` for the POSTs of these numbers, in the order in which they came."""

    def plan(server: Any, request: Any, handler: Any) -> bool:
        return server.requests.index(request) in numbers and what(server, request, handler)

    return plan


def sends(status: int = 200, data: bytes | None = None, **headers: str) -> Plan:
    def plan(server: Any, request: Any, handler: Any) -> bool:
        if data is None:
            handler.send_json({"error": {"message": "not now", "type": "x"}}, status, **headers)
        else:
            handler.send_bytes(data, status, **headers)
        return True

    return plan


def says(**message: Any) -> Plan:
    """A sound answer with other fields in its message."""

    def plan(server: Any, request: Any, handler: Any) -> bool:
        handler.send_json(server.answer(request, **message))
        return True

    return plan


def ends(reason: Any) -> Plan:
    def plan(server: Any, request: Any, handler: Any) -> bool:
        answer = server.answer(request)
        answer["choices"][0]["finish_reason"] = reason
        handler.send_json(answer)
        return True

    return plan


def resets(server: Any, request: Any, handler: Any) -> bool:
    handler.reset()
    return True


def sends_half(server: Any, request: Any, handler: Any) -> bool:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [{"mess')
    handler.wfile.flush()
    handler.close_connection = True
    return True


def dawdles(server: Any, request: Any, handler: Any) -> bool:
    """A body of one byte at a time."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.05)
    return True


def hangs(server: Any, request: Any, handler: Any) -> bool:
    time.sleep(2)
    return True


def hangs_from_three(server: Any, request: Any, handler: Any) -> bool:
    """No answer to pictures but the first three."""
    return bool(request.pictures) and request.pictures[0][0, 0, 0] >= 3 and hangs(server, request, handler)


def sends_raw(data: bytes, times: int = 1) -> Plan:
    """Bytes on the wire that are no HTTP, or broken HTTP."""

    def plan(server: Any, request: Any, handler: Any) -> bool:
        for _ in range(times):
            handler.wfile.write(data)
        handler.close_connection = True
        return True

    return plan


OK = b"HTTP/1.1 200 OK\r\n"
GOOD = {n: CHAT.described([np.full((8, 8, 3), n, dtype=np.uint8)]) for n in range(256)}


def test_the_request_is_what_the_servers_document(chat: Any, ctx: Context) -> None:
    sampling = Sampling(temperature=0.5, top_p=0.9, top_k=7, max_new_tokens=50)
    line = Line(9, text="What is this?", system="Be brief.", sampling=sampling, seed=11)
    (done,) = answered(engine(chat, request={"top_p": None, "min_p": 0.1}), ctx, [line])
    assert done.said == GOOD[9]
    request = chat.requests[0]
    assert {name: value for name, value in request.body.items() if name != "messages"} == {
        "model": CHAT.MODEL,
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
    answered(engine(chat, video_url=False), ctx, [Line(0, show=lambda: shown)])
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
    answered(engine(chat, video_url=True), ctx, [Line(0, show=lambda: shown)])
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
    lines = [Line(n, more=n % 3 == 0) for n in range(60)]
    chat.plan = lambda server, request, handler: time.sleep(0.002 * (7 * len(server.requests) % 11))
    done = answered(engine(chat, in_flight=6), ctx, lines)
    assert [line.number for line in done] == list(range(60))
    assert [line.said for line in done] == [GOOD[n] for n in range(60)]
    assert [len(line.heard) for line in done] == [2 if n % 3 == 0 else 1 for n in range(60)]
    assert 2 <= chat.busiest <= 6
    assert len({name for line in done for name in line.threads}) == 1


def test_a_request_has_its_place_until_its_reply_is_stored(chat: Any, ctx: Context) -> None:
    """So that a run that is killed has to repeat no more requests than are allowed in flight."""
    chat.counts_tokens = False
    stored, most = 0, 0

    class Slow(Line):
        def hear(self, reply: Reply | Skip) -> None:
            nonlocal stored, most
            time.sleep(0.02)
            most = max(most, len(chat.requests) - stored)
            super().hear(reply)
            stored += 1

    answered(engine(chat, in_flight=3), ctx, [Slow(n) for n in range(30)])
    assert stored == 30
    assert most == 3


FAULTS: dict[str, tuple[Plan, Reason]] = {
    "busy": (sends(429), Reason.HTTP_FAILED),
    "busy for a second": (sends(429, Retry_After="1"), Reason.HTTP_FAILED),
    "overloaded": (sends(529), Reason.HTTP_FAILED),
    "failing": (sends(500), Reason.HTTP_FAILED),
    "a page instead of an answer": (sends(502, b"<html>Bad gateway</html>"), Reason.HTTP_FAILED),
    "reset": (resets, Reason.CONNECTION_FAILED),
    "half a body": (sends_half, Reason.CONNECTION_FAILED),
    "no headers in time": (hangs, Reason.TIMED_OUT),
    "a body that never ends": (dawdles, Reason.TIMED_OUT),
    "no HTTP": (sends_raw(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), Reason.CONNECTION_FAILED),
    "a header without end": (sends_raw(OK + b"X: " + b"x" * 100_000), Reason.CONNECTION_FAILED),
    "headers without end": (sends_raw(OK + b"X: x\r\n" * 10_000), Reason.CONNECTION_FAILED),
    "broken chunks": (sends_raw(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}"), Reason.CONNECTION_FAILED),
    "a length that is none": (sends_raw(OK + b"Content-Length: many\r\n\r\n{}"), Reason.CONNECTION_FAILED),
    "chunks without end": (
        sends_raw(OK + b"Transfer-Encoding: chunked\r\n\r\n" + (b"8000\r\n" + b" " * 0x8000 + b"\r\n") * 99),
        Reason.ANSWER_MALFORMED,
    ),
    "JSON cut short": (sends(200, b'{"choices": [{"message": {"content": "A rad'), Reason.ANSWER_MALFORMED),
    "another schema": (sends(200, b'{"response": "A radiograph."}'), Reason.ANSWER_MALFORMED),
    "a list": (sends(200, b'["A radiograph."]'), Reason.ANSWER_MALFORMED),
    "nested without end": (sends(200, b"[" * 100_000), Reason.ANSWER_MALFORMED),
    "no choices": (sends(200, b'{"choices": []}'), Reason.ANSWER_MALFORMED),
    "no message": (sends(200, b'{"choices": [{"text": "A radiograph."}]}'), Reason.ANSWER_MALFORMED),
    "content that is a number": (says(content=7), Reason.ANSWER_MALFORMED),
    "half a surrogate pair": (says(content="\ud83d"), Reason.ANSWER_MALFORMED),
    "huge": (sends(200, b'{"choices": [], "x": "' + b"x" * 3_000_000 + b'"}'), Reason.ANSWER_MALFORMED),
    "packed": (sends(200, b"\x1f\x8b\x08", Content_Encoding="gzip"), Reason.ANSWER_MALFORMED),
    "a stream": (sends(200, b'data: {"choices": [{"delta": {"content": "A"}}]}\n\n'), Reason.ANSWER_MALFORMED),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_passes_costs_nothing(chat: Any, ctx: Context, fault: str) -> None:
    chat.plan = at(2, 4, what=FAULTS[fault][0])
    chat.counts_tokens = False
    done = answered(engine(chat, in_flight=3, deadline_s=0.6), ctx, [Line(n) for n in range(8)])
    assert [line.said for line in done] == [GOOD[n] for n in range(8)]
    assert len(chat.requests) == 10


@pytest.mark.parametrize(
    "fault", [name for name, (_, reason) in FAULTS.items() if reason is not Reason.TIMED_OUT and "second" not in name]
)
def test_a_fault_that_stays_is_counted_by_its_reason(chat: Any, ctx: Context, fault: str) -> None:
    plan, reason = FAULTS[fault]
    chat.plan = lambda server, request, handler: request.pictures[0][0, 0, 0] == 3 and plan(server, request, handler)
    chat.counts_tokens = False
    done = answered(engine(chat, in_flight=8), ctx, [Line(n) for n in range(8)])
    assert [line.said for line in done] == [reason if n == 3 else GOOD[n] for n in range(8)]
    from captioning.server_retry import MOST

    assert len(chat.requests) == 7 + MOST[reason]


def test_time_outs_are_few_and_counted(chat: Any, ctx: Context) -> None:
    chat.plan = at(0, 1, 2, what=hangs)
    done = answered(engine(chat, deadline_s=0.3), ctx, [Line(0)])
    assert [line.said for line in done] == [Reason.TIMED_OUT]
    assert len(chat.requests) == 3


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_server_that_asks_for_time_gets_it(chat: Any, ctx: Context, form: str) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    asked = "1" if form == "seconds" else date
    chat.plan = at(0, what=sends(429, Retry_After=asked))
    answered(engine(chat), ctx, [Line(0), Line(1)])
    first, later = chat.requests[0], [each for each in chat.requests if each.began > chat.requests[0].ended]
    assert later[-1].began - first.began > 0.95
    assert all(each.began - first.began > 0.95 for each in later if each.sha256 == first.sha256)


def test_what_a_model_says_is_read_from_its_content_alone(chat: Any, ctx: Context) -> None:
    plans = [
        says(content="A radiograph.", reasoning_content="Let me see, a dog."),
        says(content=[{"type": "text", "text": "A "}, {"type": "text", "text": "film."}]),
        says(content=None, reasoning="Still thinking"),
        says(content=None, refusal="I cannot help with that."),
        ends("length"),
        ends(None),
    ]
    chat.plan = lambda server, request, handler: plans[request.pictures[0][0, 0, 0]](server, request, handler)
    chat.counts_tokens = False
    done = answered(engine(chat), ctx, [Line(n) for n in range(6)])
    assert [line.heard for line in done] == [
        [Reply(text="A radiograph.", finish="stop")],
        [Reply(text="A film.", finish="stop")],
        [Reply(text=None, finish="stop")],
        [Reply(text="I cannot help with that.", finish=REFUSED)],
        [Reply(text=GOOD[4], finish="length")],
        [Reply(text=GOOD[5], finish="not given")],
    ]


def test_the_tokens_of_pictures_are_counted_by_asking_once_without_them(chat: Any, ctx: Context) -> None:
    done = answered(engine(chat, in_flight=4), ctx, [Line(n) for n in range(30)])
    assert {line.heard[0].picture_tokens for line in done} == {64}  # type: ignore[union-attr]
    assert [request.body["max_tokens"] for request in chat.requests if not request.pictures] == [1]
    chat.requests.clear()
    chat.blind = True
    done = answered(engine(chat), ctx, [Line(n) for n in range(3)])
    assert {line.heard[0].picture_tokens for line in done} == {0}  # type: ignore[union-attr]


def test_a_text_whose_tokens_could_not_be_counted_is_asked_about_again(chat: Any, ctx: Context) -> None:
    failed: list[Any] = []

    def plan(server: Any, request: Any, handler: Any) -> bool:
        if request.pictures or len(failed) >= 2:
            return False
        failed.append(request)
        return sends(500)(server, request, handler)

    chat.plan = plan
    done = answered(engine(chat, in_flight=1), ctx, [Line(n) for n in range(6)])
    counted = [line.heard[0].picture_tokens for line in done]  # type: ignore[union-attr]
    assert counted == [None, None, 64, 64, 64, 64]


def test_texts_that_differ_are_asked_about_without_pictures_now_and_then(chat: Any, ctx: Context) -> None:
    done = answered(engine(chat), ctx, [Line(n, text=f"Describe picture {n}.") for n in range(300)])
    counted = [line.heard[0].picture_tokens for line in done]  # type: ignore[union-attr]
    assert counted.count(64) == len([each for each in chat.requests if not each.pictures]) == 5
    assert counted.count(None) == 295


def test_a_server_that_counts_nothing_is_remarked_upon_once(
    chat: Any, ctx: Context, caplog: pytest.LogCaptureFixture
) -> None:
    chat.counts_tokens = False
    done = answered(engine(chat), ctx, [Line(n) for n in range(5)])
    assert {line.heard[0].picture_tokens for line in done} == {None}  # type: ignore[union-attr]
    assert sum("counts no tokens" in each for each in caplog.messages) == 1
    assert len(chat.requests) == 5


def test_a_picture_that_is_refused_is_rejected_alone(chat: Any, ctx: Context) -> None:
    chat.plan = lambda server, request, handler: (
        bool(request.pictures) and request.pictures[0][0, 0, 0] == 0 and sends(400)(server, request, handler)
    )
    done = answered(engine(chat, in_flight=1), ctx, [Line(n) for n in range(4)])
    assert [line.said for line in done] == [Reason.HTTP_REFUSED, GOOD[1], GOOD[2], GOOD[3]]
    assert sum(request.is_known for request in chat.requests) == 1  # a drawing tells that the picture is at fault


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        (sends(400), "HTTP 400 to a plain question with a picture (not now)"),
        (sends(422), "HTTP 422 to a plain question"),
        (sends(401), "name the environment variable that holds its key: api_key_env"),
        (sends(404), "up to and with /v1"),
        (sends(307, b"", Location="http://elsewhere.example/v1"), "'http://elsewhere.example/v1' and is not followed"),
    ],
)
def test_a_wrong_configuration_is_told_and_ends_the_run(chat: Any, ctx: Context, plan: Plan, told: str) -> None:
    chat.plan = plan
    with pytest.raises(UserError) as caught:
        answered(engine(chat), ctx, [Line(n) for n in range(50)])
    assert told in str(caught.value)


def test_no_redirect_is_followed(chat: Any, ctx: Context) -> None:
    with CHAT.serving() as other:
        chat.plan = sends(308, b"", Location=f"{other.url}/chat/completions")
        with pytest.raises(UserError, match="is not followed"):
            answered(engine(chat), ctx, [Line(0)])
    assert (other.requests, other.lists) == ([], 0)


def test_where_the_servers_are_is_no_reason_to_caption_anew_but_who_they_are_is(ctx: Context) -> None:
    here, there = engine("http://127.0.0.1:1/v1"), engine("http://127.0.0.1:2/v1", in_flight=2, deadline_s=9.0)
    foreign = engine("https://api.example.org/v1")
    trusted = engine("https://api.example.org/v1", trusted_hosts=("api.example.org",))
    assert plain(here) == plain(there) == plain(foreign) == plain(trusted)
    assert here.identity(ctx) == there.identity(ctx) == trusted.identity(ctx)
    assert foreign.identity(ctx) == {**here.identity(ctx), "foreign": "api.example.org"}
    assert plain(here) != plain(engine("http://127.0.0.1:1/v1", request={"min_p": 0.1}))


def test_a_model_that_the_server_has_not_is_told_with_those_that_it_has(chat: Any, ctx: Context) -> None:
    chat.models = [{"id": "b"}, {"id": "a"}, {"no": "id"}]
    with pytest.raises(UserError, match=r"no 'tiny-vlm'; it has a, b$"):
        answered(engine(chat), ctx, [])
    chat.models = [{"id": f"{CHAT.MODEL}:latest"}]
    assert answered(engine(chat), ctx, []) == []


def test_what_the_server_says_of_the_model_is_kept_but_no_time(chat: Any, ctx: Context) -> None:
    chat.models = [{"id": CHAT.MODEL, "root": "org/tiny", "revision": "abc", "created": 5, "owned_by": "vllm"}]
    with connected(engine(chat, revision="mine"), ctx) as model:
        assert model.facts == {
            "engine": "server",
            "model": CHAT.MODEL,
            "revision": "mine",
            "asked": '[{"enable_thinking":false},{},false]',
            "server's revision": "abc",
            "server's root": "org/tiny",
        }


def test_a_server_without_a_list_of_models_is_asked_all_the_same(chat: Any, ctx: Context) -> None:
    chat.lists_status = 404
    assert answered(engine(chat), ctx, [Line(1)])[0].said == GOOD[1]


def test_servers_that_disagree_on_the_model_are_told(chat: Any, ctx: Context) -> None:
    other = CHAT.ChatServer(models=[{"id": CHAT.MODEL, "root": "org/other"}])
    with CHAT.serving(other), pytest.raises(UserError, match="start them alike"):
        answered(engine(chat, other), ctx, [])


def test_the_key_comes_from_the_environment_and_only_there(
    chat: Any, ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="MEDLOOM_TEST_KEY holds no key"):
        answered(engine(chat, api_key_env="MEDLOOM_TEST_KEY"), ctx, [])
    monkeypatch.setenv("MEDLOOM_TEST_KEY", "sesame")
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    netrc = ctx.root / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    options = engine(chat, api_key_env="MEDLOOM_TEST_KEY")
    answered(options, ctx, [Line(1)])
    assert {request.headers["Authorization"] for request in chat.requests} == {"Bearer sesame"}
    assert not any("Cookie" in request.headers for request in chat.requests)
    chat.requests.clear()
    answered(engine(chat), ctx, [Line(1)])
    assert not any("Authorization" in request.headers for request in chat.requests)


def test_cookies_are_not_kept(chat: Any, ctx: Context) -> None:
    chat.plan = lambda server, request, handler: (
        handler.send_json(server.answer(request), Set_Cookie="id=1; Path=/") or True
    )
    answered(engine(chat, in_flight=1), ctx, [Line(n) for n in range(3)])
    assert not any("Cookie" in request.headers for request in chat.requests)


def test_work_is_spread_and_goes_on_when_a_server_dies(chat: Any, ctx: Context) -> None:
    with ExitStack() as stack:
        dying = CHAT.ChatServer(latency_s=0.01)
        chat.latency_s = 0.01
        gone = ExitStack()
        stack.push(gone)
        gone.enter_context(CHAT.serving(dying))
        lines = [Line(n) for n in range(200)]
        with connected(engine(chat, dying, in_flight=4), ctx) as model:
            talks = model.answer(iter(lines))
            done = list(islice(talks, 80))
            assert min(len(chat.requests), len(dying.requests)) > 20
            dying.plan = resets
            gone.close()
            done += talks
    assert [line.said for line in done] == [GOOD[n] for n in range(200)]  # type: ignore[attr-defined]


def test_a_server_that_loses_its_model_is_left_to_the_others(chat: Any, ctx: Context) -> None:
    with CHAT.serving() as other:
        other.plan = lambda server, request, handler: len(server.requests) > 20 and sends(404)(server, request, handler)
        done = answered(engine(chat, other, in_flight=4), ctx, [Line(n) for n in range(150)])
    assert [line.said for line in done] == [GOOD[n] for n in range(150)]
    assert 20 < len(other.requests) < 60


def test_a_server_that_is_away_when_a_worker_starts_gets_its_share_when_it_comes(
    chat: Any, ctx: Context, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("captioning.server_ask.LIST_S", 0.2)
    with CHAT.serving() as other:
        port = int(other.url.split(":")[2].split("/")[0])
    chat.latency_s = 0.02
    with connected(engine(chat, f"http://127.0.0.1:{port}/v1", in_flight=2), ctx) as model, ExitStack() as stack:
        assert sum("does not answer" in each for each in caplog.messages) == 1
        talks = model.answer(Line(n) for n in range(200))
        done = list(islice(talks, 20))
        late = stack.enter_context(CHAT.serving(port=port))
        done += talks
    assert len(done) == 200
    assert late.lists >= 1
    assert len(late.requests) > 20


def test_no_server_at_all_is_told(ctx: Context) -> None:
    with CHAT.serving() as gone:
        pass
    with pytest.raises(UserError, match="no server answers"):
        answered(engine(gone), ctx, [])


def test_questions_are_given_up_when_all_servers_stay_silent(chat: Any, ctx: Context) -> None:
    chat.plan = resets
    begun = time.monotonic()
    done = answered(engine(chat, deadline_s=1.0, in_flight=4), ctx, [Line(n) for n in range(40)])
    assert {line.said for line in done} == {Reason.CONNECTION_FAILED}
    assert time.monotonic() - begun < 20
    assert len(chat.requests) < 60


def test_closing_ends_what_is_in_flight_at_once_and_nothing_is_heard_after(chat: Any, ctx: Context) -> None:
    chat.plan = hangs_from_three
    lines = [Line(n) for n in range(40)]
    with connected(engine(chat, in_flight=8), ctx) as model:
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
        assert [line.number for line in model.answer([Line(7), Line(8)])] == [7, 8]  # type: ignore[attr-defined]


def test_a_run_that_is_cancelled_waits_for_no_server(chat: Any, ctx: Context) -> None:
    chat.plan = hangs
    begun = time.monotonic()
    ctx.is_cancelled = lambda: time.monotonic() > begun + 0.5
    with pytest.raises(Cancelled):
        answered(engine(chat), ctx, [Line(0)])
    assert time.monotonic() - begun < 1.8


def test_nothing_hangs_when_the_thread_of_the_requests_dies(chat: Any, ctx: Context) -> None:
    chat.plan = hangs_from_three
    begun = time.monotonic()
    with connected(engine(chat), ctx) as model:
        talks = model.answer(Line(n) for n in range(9))
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

    done = answered(engine(chat), ctx, [Line(0), Line(1, show=gone), Line(2)])
    assert [line.said for line in done] == [GOOD[0], Reason.MISSING_FILE, GOOD[2]]
    with pytest.raises(ZeroDivisionError):
        answered(engine(chat), ctx, [Line(0), Line(1, show=broken), Line(2)])


def test_pictures_are_held_only_while_their_questions_are_under_way(chat: Any, ctx: Context) -> None:
    alive, shown, heard, most, lock = 0, 0, 0, 0, threading.RLock()

    class Held(np.ndarray):
        """An array that can be watched."""

    class Watched(Line):
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

    def lines() -> Iterator[Line]:
        nonlocal pulled
        for number in range(300):
            pulled += 1
            yield Watched(number, show=show(number))

    with connected(engine(chat, in_flight=4), ctx) as model:
        for given, _ in enumerate(model.answer(lines())):
            assert pulled - given <= 4 * 4 + 1
    gc.collect()
    assert (alive, shown, heard) == (0, 300, 300)
    assert 4 < most <= 4 + 4  # in flight and ready


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"urls": ()}, "urls"),
        ({"urls": ("http://127.0.0.1/v1", "http://127.0.0.1/v1")}, "none twice"),
        ({"urls": ("ftp://127.0.0.1/v1",)}, "urls"),
        ({"urls": ("http://me:secret@127.0.0.1/v1",)}, "without name and password"),
        ({"in_flight": 0}, "in_flight"),
        ({"deadline_s": 0.0}, "deadline_s"),
        ({"request": {"stream": True}}, "request: stream"),
    ],
)
def test_wrong_options_are_told(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        engine("http://127.0.0.1/v1", **options)
