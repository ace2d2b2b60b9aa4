"""Servers that fail: what passes costs nothing, what stays is counted by its reason, and the other servers go on."""

from __future__ import annotations

import runpy
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from captioning.server_model import connected
from captioning.server_retry import MOST
from shards.reasons import Reason
from shards.stage import Context, UserError

L = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("chat_lines.py"))))
ctx, chat, soon = L.ctx, L.chat, L.soon
Plan = Callable[[Any, Any, Any], bool]


FAULTS: dict[str, tuple[Plan, Reason]] = {
    "busy": (L.sends(429), Reason.HTTP_FAILED),
    "busy for a second": (L.sends(429, Retry_After="1"), Reason.HTTP_FAILED),
    "overloaded": (L.sends(529), Reason.HTTP_FAILED),
    "failing": (L.sends(500), Reason.HTTP_FAILED),
    "a page instead of an answer": (L.sends(502, b"<html>Bad gateway</html>"), Reason.HTTP_FAILED),
    "reset": (L.resets, Reason.CONNECTION_FAILED),
    "half a body": (L.sends_half, Reason.CONNECTION_FAILED),
    "no headers in time": (L.hangs, Reason.TIMED_OUT),
    "a body that never ends": (L.dawdles, Reason.TIMED_OUT),
    "no HTTP": (L.sends_raw(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), Reason.CONNECTION_FAILED),
    "a header without end": (L.sends_raw(L.OK + b"X: " + b"x" * 100_000), Reason.CONNECTION_FAILED),
    "headers without end": (L.sends_raw(L.OK + b"X: x\r\n" * 10_000), Reason.CONNECTION_FAILED),
    "broken chunks": (L.sends_raw(L.OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}"), Reason.CONNECTION_FAILED),
    "a length that is none": (L.sends_raw(L.OK + b"Content-Length: many\r\n\r\n{}"), Reason.CONNECTION_FAILED),
    "chunks without end": (
        L.sends_raw(L.OK + b"Transfer-Encoding: chunked\r\n\r\n" + (b"8000\r\n" + b" " * 0x8000 + b"\r\n") * 99),
        Reason.ANSWER_MALFORMED,
    ),
    "JSON cut short": (L.sends(200, b'{"choices": [{"message": {"content": "A rad'), Reason.ANSWER_MALFORMED),
    "another schema": (L.sends(200, b'{"response": "A radiograph."}'), Reason.ANSWER_MALFORMED),
    "a list": (L.sends(200, b'["A radiograph."]'), Reason.ANSWER_MALFORMED),
    "nested without end": (L.sends(200, b"[" * 100_000), Reason.ANSWER_MALFORMED),
    "no choices": (L.sends(200, b'{"choices": []}'), Reason.ANSWER_MALFORMED),
    "no message": (L.sends(200, b'{"choices": [{"text": "A radiograph."}]}'), Reason.ANSWER_MALFORMED),
    "content that is a number": (L.says(content=7), Reason.ANSWER_MALFORMED),
    "broken off": (L.ends("abort"), Reason.ANSWER_MALFORMED),
    "half a surrogate pair": (L.says(content="\ud83d"), Reason.ANSWER_MALFORMED),
    "huge": (L.sends(200, b'{"choices": [], "x": "' + b"x" * 3_000_000 + b'"}'), Reason.ANSWER_MALFORMED),
    "packed": (L.sends(200, b"\x1f\x8b\x08", Content_Encoding="gzip"), Reason.ANSWER_MALFORMED),
    "a stream": (L.sends(200, b'data: {"choices": [{"delta": {"content": "A"}}]}\n\n'), Reason.ANSWER_MALFORMED),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_passes_costs_nothing(chat: Any, ctx: Context, fault: str) -> None:
    chat.plan = L.at(2, 4, what=FAULTS[fault][0])
    chat.counts_tokens = False
    done = L.answered(L.engine(chat, in_flight=3, deadline_s=0.6), ctx, [L.Line(n) for n in range(8)])
    assert [line.said for line in done] == [L.GOOD[n] for n in range(8)]
    assert len(chat.requests) == 10


@pytest.mark.parametrize(
    "fault", [name for name, (_, reason) in FAULTS.items() if reason is not Reason.TIMED_OUT and "second" not in name]
)
def test_a_fault_that_stays_is_counted_by_its_reason(chat: Any, ctx: Context, fault: str) -> None:
    plan, reason = FAULTS[fault]
    chat.plan = lambda server, request, handler: request.pictures[0][0, 0, 0] == 3 and plan(server, request, handler)
    chat.counts_tokens = False
    done = L.answered(L.engine(chat, in_flight=8), ctx, [L.Line(n) for n in range(8)])
    assert [line.said for line in done] == [reason if n == 3 else L.GOOD[n] for n in range(8)]

    assert len(chat.requests) == 7 + MOST[reason]


def test_time_outs_are_few_and_counted(chat: Any, ctx: Context) -> None:
    chat.plan = L.at(0, 1, 2, what=L.hangs)
    done = L.answered(L.engine(chat, deadline_s=0.3), ctx, [L.Line(0)])
    assert [line.said for line in done] == [Reason.TIMED_OUT]
    assert len(chat.requests) == 3


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_server_that_asks_for_time_gets_it(chat: Any, ctx: Context, form: str) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    asked = "1" if form == "seconds" else date
    chat.plan = L.at(0, what=L.sends(429, Retry_After=asked))
    L.answered(L.engine(chat), ctx, [L.Line(0), L.Line(1)])
    first, later = chat.requests[0], [each for each in chat.requests if each.began > chat.requests[0].ended]
    assert later[-1].began - first.began > 0.95
    assert all(each.began - first.began > 0.95 for each in later if each.sha256 == first.sha256)


def test_a_picture_that_is_refused_is_rejected_alone(chat: Any, ctx: Context) -> None:
    chat.plan = lambda server, request, handler: (
        bool(request.pictures) and request.pictures[0][0, 0, 0] == 0 and L.sends(400)(server, request, handler)
    )
    done = L.answered(L.engine(chat, in_flight=1), ctx, [L.Line(n) for n in range(4)])
    assert [line.said for line in done] == [Reason.HTTP_REFUSED, L.GOOD[1], L.GOOD[2], L.GOOD[3]]
    assert sum(request.is_known for request in chat.requests) == 1  # a drawing tells that the picture is at fault


def test_work_is_spread_and_goes_on_when_a_server_dies(chat: Any, ctx: Context) -> None:
    with ExitStack() as stack:
        dying = L.CHAT.ChatServer(latency_s=0.01)
        chat.latency_s = 0.01
        gone = ExitStack()
        stack.push(gone)
        gone.enter_context(L.CHAT.serving(dying))
        lines = [L.Line(n) for n in range(200)]
        with connected(L.engine(chat, dying, in_flight=4), ctx) as model:
            talks = model.answer(iter(lines))
            done = list(islice(talks, 80))
            assert min(len(chat.requests), len(dying.requests)) > 20
            dying.plan = L.resets
            gone.close()
            done += talks
    assert [line.said for line in done] == [L.GOOD[n] for n in range(200)]  # type: ignore[attr-defined]


def test_a_server_that_loses_its_model_is_left_to_the_others(chat: Any, ctx: Context) -> None:
    with L.CHAT.serving() as other:
        other.plan = lambda server, request, handler: (
            len(server.requests) > 20 and L.sends(404)(server, request, handler)
        )
        done = L.answered(L.engine(chat, other, in_flight=4), ctx, [L.Line(n) for n in range(150)])
    assert [line.said for line in done] == [L.GOOD[n] for n in range(150)]
    assert 20 < len(other.requests) < 60


def test_a_server_that_is_away_when_a_worker_starts_gets_its_share_when_it_comes(
    chat: Any, ctx: Context, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("captioning.server_ask.LIST_S", 0.2)
    with L.CHAT.serving() as other:
        port = int(other.url.split(":")[2].split("/")[0])
    chat.latency_s = 0.02
    with connected(L.engine(chat, f"http://127.0.0.1:{port}/v1", in_flight=2), ctx) as model, ExitStack() as stack:
        assert sum("does not answer" in each for each in caplog.messages) == 1
        talks = model.answer(L.Line(n) for n in range(200))
        done = list(islice(talks, 20))
        late = stack.enter_context(L.CHAT.serving(port=port))
        done += talks
    assert len(done) == 200
    assert late.lists >= 1
    assert len(late.requests) > 20


def test_no_server_at_all_is_told(ctx: Context) -> None:
    with L.CHAT.serving() as gone:
        pass
    with pytest.raises(UserError, match="no server answers"):
        L.answered(L.engine(gone), ctx, [])


def test_questions_are_given_up_when_all_servers_stay_silent(chat: Any, ctx: Context) -> None:
    chat.plan = L.resets
    begun = time.monotonic()
    done = L.answered(L.engine(chat, deadline_s=1.0, in_flight=4), ctx, [L.Line(n) for n in range(40)])
    assert {line.said for line in done} == {Reason.CONNECTION_FAILED}
    assert time.monotonic() - begun < 20
    assert len(chat.requests) < 60
