"""Several servers with one model: each request goes to the one with the fewest in flight.

A server that fails PATIENCE times in a row is left alone for a while, longer each time, and then tried with one request
before it gets its share again; the others go on meanwhile. One that says that it has too much to do is left alone for
as long as it asks. When all of them have failed for as long as one request may take, questions are given up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

PATIENCE = 3  # failures in a row
FIRST_REST_S, LONGEST_REST_S = 1.0, 30.0
LOOK_S = 1.0  # between two looks at servers that rest


class Silent(Exception):
    """All servers have failed for too long."""


@dataclass
class Server:
    """One url and how it is doing. All of it belongs to the event loop."""

    url: str  # up to and with /v1
    busy: int = 0  # requests in flight
    failed: int = 0  # in a row
    rests_until: float = 0.0  # on the loop's clock; inf for good
    looked_at: bool = False  # its list of models is known to be what it should
    proven: bool = False  # it has answered a question

    def takes(self, now: float, most: int) -> bool:
        """Whether it gets another request."""
        return now >= self.rests_until and self.busy < (most if self.failed < PATIENCE else 1)


class Pool:
    """The servers, for the tasks of one event loop."""

    def __init__(self, urls: Sequence[str], *, in_flight: int, silent_s: float) -> None:
        self.servers = [Server(url.rstrip("/")) for url in urls]
        self.in_flight = in_flight  # to each
        self.silent_s = silent_s  # after which questions are given up
        self.silent_since: float | None = None  # the first failure after the last answer of any
        self.waiting: deque[asyncio.Future[None]] = deque()

    async def take(self, but: Server | None = None) -> Server:
        """A server that has room, as soon as there is one; `but` only where no other has. Give it back with `free`.

        Raises Silent.
        """
        while True:
            now = _now()
            able = [server for server in self.servers if server.takes(now, self.in_flight)]
            if able:
                chosen = min(able, key=lambda server: (server is but, server.busy))
                chosen.busy += 1
                return chosen
            if self.silent_since is not None and now - self.silent_since > self.silent_s:
                raise Silent
            turn = asyncio.get_running_loop().create_future()
            self.waiting.append(turn)
            await asyncio.wait([turn], timeout=LOOK_S)
            turn.cancel()  # where nobody gave it a turn

    def free(self, server: Server) -> None:
        """A request of `take` is over."""
        server.busy -= 1
        while self.waiting:
            turn = self.waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def answered(self, server: Server) -> None:
        """It answered a question."""
        server.failed, server.proven = 0, True
        self.silent_since = None

    def failed(self, server: Server) -> None:
        """A request to it failed; those that fail while it rests had begun before."""
        now = _now()
        if self.silent_since is None:
            self.silent_since = now
        if now < server.rests_until:
            return
        server.failed += 1
        if server.failed >= PATIENCE:
            server.looked_at = False  # it may come back as another
            server.rests_until = now + min(FIRST_REST_S * 2.0 ** (server.failed - PATIENCE), LONGEST_REST_S)

    def rest(self, server: Server, seconds: float) -> None:
        """It is to get no requests for so long; inf: never again."""
        server.rests_until = max(server.rests_until, _now() + seconds)

    def has_other(self, server: Server) -> bool:
        """Whether a server beside this one is at work."""
        now = _now()
        return any(each is not server and now >= each.rests_until and each.failed < PATIENCE for each in self.servers)


def _now() -> float:
    return asyncio.get_running_loop().time()
