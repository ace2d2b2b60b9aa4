"""A server on the loopback that answers byte by byte what a test tells it to, and counts what it saw."""

from __future__ import annotations

import contextlib
import io
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from PIL import Image


class Exchange:
    """One request, and the way to answer it."""

    def __init__(self, server: Server, connection: socket.socket, head: str, number: int) -> None:
        self.server, self.connection, self.number = server, connection, number
        lines = head.split("\r\n")
        self.path = lines[0].split(" ")[1]
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        self.keep = True  # the connection, after the answer

    def send(self, *parts: bytes | str) -> None:
        for part in parts:
            data = part.encode("latin-1") if isinstance(part, str) else part
            self.connection.sendall(data)
            self.server.sent_bytes += len(data)

    def answer(self, status: str, *headers: str, body: bytes = b"", length: bool = True) -> None:
        """A whole answer."""
        stated = (f"Content-Length: {len(body)}",) if length else ()
        self.send("\r\n".join((f"HTTP/1.1 {status}", *headers, *stated, "\r\n")).encode("latin-1") + body)
        self.keep = self.keep and length

    def drip(self, data: bytes, every_s: float) -> None:
        """One byte after the other."""
        for place in range(len(data)):
            self.send(data[place : place + 1])
            time.sleep(every_s)


class Server:
    """Counts connections, handshakes, requests and bytes; `talk` answers each request."""

    def __init__(self, talk: Callable[[Exchange], None], context: ssl.SSLContext | None, host: str) -> None:
        self.talk, self.context, self.host = talk, context, host
        self.connections = self.handshakes = self.sent_bytes = 0
        self.requests: list[Exchange] = []
        self.open: set[socket.socket] = set()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.create_server((host, 0), family=family, backlog=64)
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.accept, daemon=True)

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.context else 'http'}://{host}:{self.port}"

    def accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.connections += 1
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), contextlib.ExitStack() as stack:
            stack.callback(plain.close)
            connection = self.context.wrap_socket(plain, server_side=True) if self.context else plain
            self.handshakes += self.context is not None
            self.open.add(connection)
            stack.callback(self.open.discard, connection)
            stack.callback(connection.close)
            while head := read_head(connection):
                exchange = Exchange(self, connection, head, len(self.requests))
                self.requests.append(exchange)
                self.talk(exchange)
                if not exchange.keep:
                    return


def read_head(connection: Any) -> str:
    """The head of a request; empty where the connection ends."""
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        piece = connection.recv(1)
        if not piece:
            return ""
        data += piece
    return data.decode("latin-1").removesuffix("\r\n\r\n")


@contextmanager
def serving(
    talk: Callable[[Exchange], None], context: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> Iterator[Server]:
    """The server, until the block ends."""
    server = Server(talk, context, host)
    server.thread.start()
    try:
        yield server
    finally:
        server.listener.shutdown(socket.SHUT_RDWR)
        server.listener.close()
        server.thread.join()
        for connection in list(server.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def jpeg(width_px: int, height_px: int) -> bytes:
    """A picture of noise: nothing in it can be left out unseen."""
    data = io.BytesIO()
    noise = Image.frombytes("L", (width_px, height_px), random.Random(1).randbytes(width_px * height_px))
    noise.save(data, "JPEG")
    return data.getvalue()
