"""Sockets that know how much is left: of the time for a whole request, and of the bytes that it may bring.

A time-out of a socket begins anew with every byte, so a slow server can stretch it for ever, in the headers as in the
body. Here each operation gets what is left of one deadline, and each byte is counted where it comes in: before headers,
chunk sizes and trailers are read from it. A large body has more time, by the rate that is asked of it at least; so what
comes steadily arrives, and nothing takes longer than the deadline and its bytes at that rate. What is allowed hangs on
the thread, which makes one request at a time.
"""

from __future__ import annotations

import math
import socket
import ssl
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from ingest.scrapers.addresses import Addresses
from ingest.scrapers.retry import MayPass
from shards.intake import Skip
from shards.reasons import Reason

CONNECT_S = 20.0  # to one address, where the deadline is later
_WRAPPERS = ("requests.", "urllib3.")  # whose errors have the one that happened behind them


@dataclass(slots=True)
class Allowance:
    """What one request may still take; the sockets of its thread keep to it."""

    addresses: Addresses
    until: float  # time.monotonic()
    room_bytes: int  # that may come in
    came_bytes: int = 0
    slowest_bytes_per_s: float = math.inf  # of a body: each byte of it moves `until` on by its share of a second ...
    longest_s: float = 0.0  # ... to so far from now at most, so that nothing is saved up for a silence
    grown_s: float = 0.0  # by how much `until` was moved on in all
    sent: float = math.inf  # when the request was sent
    opened: bool = False  # for it no kept connection is used

    def seconds(self) -> float:
        """What is left of the time; TimeoutError where nothing is."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline is over")
        return left

    def came(self, count: int) -> None:
        """Count what came in, and give it its time."""
        self.came_bytes += count
        if self.came_bytes > self.room_bytes:
            raise Skip(Reason.TOO_LARGE, f"more than {self.room_bytes} bytes come in")
        room_s = time.monotonic() + self.longest_s - self.until
        more_s = max(0.0, min(count / self.slowest_bytes_per_s, room_s))
        self.until += more_s
        self.grown_s += more_s

    def failure(self, error: BaseException) -> Skip | MayPass:
        """What an error of the network comes to. Of the error only its type is told: its text may hold the url."""
        if self.until <= time.monotonic():
            return Skip(Reason.TIMED_OUT, "")
        while type(error).__module__.startswith(_WRAPPERS) and (inner := error.__cause__ or error.__context__):
            error = inner
        return MayPass(Skip(Reason.CONNECTION_FAILED, type(error).__name__))


class _Current(threading.local):
    """Of the request that this thread makes."""

    allowance: Allowance


current = _Current()


class PlainSocket(socket.socket):
    """A socket whose every wait ends with the deadline of the request."""

    def recv_into(self, *args: Any) -> int:
        allowance = current.allowance
        self.settimeout(allowance.seconds())
        count = super().recv_into(*args)
        allowance.came(count)
        return count

    def sendall(self, *args: Any) -> None:
        allowance = current.allowance
        self.settimeout(allowance.seconds())
        allowance.sent = time.monotonic()
        super().sendall(*args)


class TLSSocket(ssl.SSLSocket):
    """The same over TLS; each call of OpenSSL keeps to one time-out however many packets it takes."""

    def do_handshake(self, block: bool = False) -> None:
        self.settimeout(current.allowance.seconds())
        super().do_handshake(block)

    def read(self, *args: Any) -> Any:
        allowance = current.allowance
        self.settimeout(allowance.seconds())
        count: Any = super().read(*args)  # with a buffer, as `recv_into` calls it
        allowance.came(count)
        return count

    def send(self, *args: Any) -> int:
        allowance = current.allowance
        self.settimeout(allowance.seconds())
        allowance.sent = time.monotonic()
        return super().send(*args)


def connect(host: str, port: int) -> tuple[socket.socket, str]:
    """A connection to the first address of a host that takes it, and that address."""
    allowance = current.allowance
    allowance.opened = True
    last: OSError = OSError("no address")
    try:
        found = allowance.addresses.of(host, allowance.seconds())
        for others, address in zip(reversed(range(len(found))), found, strict=True):
            limit_s = min(allowance.seconds() / (1 + others), CONNECT_S)
            connection = PlainSocket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
            with ExitStack() as unless_connected:
                unless_connected.callback(connection.close)
                try:
                    connection.settimeout(limit_s)
                    connection.connect((address, port))
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                except OSError as error:
                    last = error
                else:
                    unless_connected.pop_all()
                    return connection, address
    except TimeoutError as error:
        last = error
    raise allowance.failure(last)
