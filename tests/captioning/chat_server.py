"""A chat-completions server on the loopback that looks at its pictures, counts requests, and misbehaves by plan.

What it says of a picture depends on the picture alone: of a drawing colour and shape, of any other how bright it is,
in words that no label has to state.
Run as a script it serves from a process of its own: `chat_server.py PORT_FILE LATENCY_S`.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
import os
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

MODEL = "tiny-vlm"
COLOURS = {"red": (220, 20, 20), "green": (20, 150, 30), "blue": (20, 40, 220), "yellow": (245, 220, 20)}
LOOKS = ("even", "plain", "soft", "crisp", "hazy", "grainy", "matte", "glossy", "calm", "busy", "clean", "dusty")
FILLED = {"circle": math.pi / 4, "square": 1.0, "triangle": 0.5}  # of its frame


@dataclass
class Request:
    """One POST that came."""

    body: dict[str, Any]
    sha256: str
    nbytes: int
    began: float
    headers: dict[str, str]
    ended: float | None = None  # when the answer had been written

    @property
    def parts(self) -> list[dict[str, Any]]:
        content = self.body["messages"][-1]["content"]
        return content if isinstance(content, list) else [{"type": "text", "text": content}]

    @property
    def text(self) -> str:
        return str(self.parts[-1]["text"])

    @property
    def pictures(self) -> list[np.ndarray]:
        urls = [part["image_url"]["url"] for part in self.parts if part["type"] == "image_url"]
        return [_decoded(url) for url in urls]

    @property
    def is_known(self) -> bool:
        """Whether this is about a picture whose content is known."""
        return "What is drawn" in self.text or "What kind of medical picture" in self.text


Plan = Callable[["ChatServer", Request, Any], bool]  # True where the plan has dealt with the request


@dataclass
class ChatServer:
    """The server's conduct, and what came to it."""

    latency_s: float = 0.0
    plan: Plan | None = None  # asked first about each POST
    models: list[dict[str, Any]] = field(default_factory=lambda: [{"id": MODEL, "root": "org/tiny", "created": 1}])
    says: Callable[[Request], str] | None = None
    counts_tokens: bool = True
    blind: bool = False  # drops the pictures
    keep: bool = True  # the requests, with their pictures
    requests: list[Request] = field(default_factory=list)
    hashes: Counter[str] = field(default_factory=Counter)
    lists: int = 0  # times that its models were asked for
    lists_status: int = 200
    busy: int = 0
    busiest: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    url: str = ""

    def of_rows(self) -> list[Request]:
        """Requests about pictures of rows."""
        return [each for each in self.requests if each.pictures and not each.is_known]

    def answer(self, request: Request, **message: Any) -> dict[str, Any]:
        """A sound answer, with what `message` says otherwise."""
        said = self.says(request) if self.says is not None else described([] if self.blind else request.pictures)
        words = sum(len(part["text"].split()) for part in request.parts if part["type"] == "text")
        seen = 0 if self.blind else sum(1 for part in request.parts if part["type"] != "text")
        usage = {"usage": {"prompt_tokens": 9 + words + 64 * seen, "completion_tokens": 5}}
        return {
            "id": "x",
            "created": int(time.time()),
            "choices": [
                {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": said, **message}}
            ],
            **(usage if self.counts_tokens else {}),
        }


def described(pictures: list[np.ndarray]) -> str:
    """What the server says of pictures."""
    if not pictures:
        return "A picture of something."
    first = pictures[0].astype(float)
    if first.shape[0] == first.shape[1] == 336 and (first[0, 0] == 255).all():
        drawn = np.abs(first - 255).sum(axis=2) > 60
        height, width = drawn.any(axis=1).sum(), drawn.any(axis=0).sum()
        middle = first[drawn].mean(axis=0)
        colour = min(COLOURS, key=lambda name: float(np.abs(middle - COLOURS[name]).sum()))
        shape = min(FILLED, key=lambda name: abs(FILLED[name] - drawn.sum() / (height * width)))
        return f"A {colour} {shape}."
    steps = round(float(first.mean()) * 4)  # quarters of a grey level
    first_look, second_look = LOOKS[steps // len(LOOKS) % len(LOOKS)], LOOKS[steps % len(LOOKS)]
    return f"A {first_look} radiograph on a {second_look} ground."


def _decoded(url: str) -> np.ndarray:
    kind, _, data = url.partition(";base64,")
    assert kind == "data:image/png", kind
    with Image.open(io.BytesIO(base64.b64decode(data, validate=True))) as picture:
        return np.asarray(picture.convert("RGB"))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        server: ChatServer = self.server.chat  # type: ignore[attr-defined]
        server.lists += 1
        self.send_json({"object": "list", "data": server.models}, status=server.lists_status)

    def do_POST(self) -> None:
        server: ChatServer = self.server.chat  # type: ignore[attr-defined]
        data = self.rfile.read(int(self.headers["Content-Length"]))
        request = Request(
            body=json.loads(data),
            sha256=hashlib.sha256(data).hexdigest(),
            nbytes=len(data),
            began=time.monotonic(),
            headers=dict(self.headers),
        )
        with server.lock:
            if server.keep:
                server.requests.append(request)
            server.hashes[request.sha256] += 1
            server.busy += 1
            server.busiest = max(server.busiest, server.busy)
        try:
            if server.plan is None or not server.plan(server, request, self):
                answer = server.answer(request)
                time.sleep(max(0.0, server.latency_s - (time.monotonic() - request.began)))
                self.send_json(answer)
        finally:
            request.ended = time.monotonic()
            with server.lock:
                server.busy -= 1

    def send_json(self, value: Any, status: int = 200, **headers: str) -> None:
        self.send_bytes(json.dumps(value).encode(), status, **headers)

    def send_bytes(self, data: bytes, status: int = 200, kind: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def reset(self) -> None:
        """End the connection with an RST."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Silence."""


class _Threads(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


@contextmanager
def serving(chat: ChatServer | None = None, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[ChatServer]:
    """A server that runs until the block is left."""
    chat = chat or ChatServer()
    with _Threads((host, port), _Handler) as http:
        http.chat = chat  # type: ignore[attr-defined]
        chat.url = f"http://{host}:{http.server_address[1]}/v1"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield chat
        finally:
            http.shutdown()
            thread.join()


def _unlooked(request: Request) -> str:
    """Of a known picture what it shows; of any other some caption, without the work of looking."""
    if request.is_known:
        return described(request.pictures)
    return f"A {LOOKS[int(request.sha256[:4], 16) % len(LOOKS)]} radiograph on a plain ground."


def _main(port_file: str, latency_s: str) -> None:
    with serving(ChatServer(latency_s=float(latency_s), keep=False, says=_unlooked)) as chat:
        unready = Path(f"{port_file}.part")
        unready.write_text(chat.url)
        unready.rename(port_file)
        while os.getppid() != 1:
            time.sleep(0.2)


if __name__ == "__main__":
    _main(*sys.argv[1:])
