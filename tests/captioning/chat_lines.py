"""Fixtures, talks of one question, the engine around a server of the tests, and plans by which it misbehaves."""

from __future__ import annotations

import runpy
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from captioning.questions import Question, Reply, Shown
from captioning.server_engine import ServerEngine
from captioning.server_model import connected
from captioning.vlm import ModelRights
from shards.intake import Skip
from shards.stage import Context

CHAT = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("chat_server.py"))))
Plan = Callable[[Any, Any, Any], bool]


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    return Context(root=tmp_path, out=tmp_path / "out", tmp=tmp_path / "tmp", folder=tmp_path)


@pytest.fixture
def chat() -> Iterator[Any]:
    with CHAT.serving() as server:
        yield server


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short waits before requests are made again."""
    waits = {"retry.FIRST_WAIT_S": 0.02, "retry.LONGEST_WAIT_S": 0.1, "pool.FIRST_REST_S": 0.02}
    for name, seconds in {**waits, "pool.LONGEST_REST_S": 0.1, "pool.LOOK_S": 0.02}.items():
        monkeypatch.setattr(f"captioning.server_{name}", seconds)


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
