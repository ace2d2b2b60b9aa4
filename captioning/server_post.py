"""One request and its answer over HTTP, whatever the server does.

The deadline holds for all of it: connecting, headers and body. An answer is read up to a number of bytes and never
unpacked. No redirect is followed, since it could lead pictures to another host; no proxy, cookie or password is taken
from the environment.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp

from captioning.server_reply import MOST_BYTES, complaint
from captioning.server_retry import Fault, asked_wait_s, may_pass
from shards.reasons import Reason

KEEP_S = 4.0  # an idle connection: less than the 5 s after which servers built on uvicorn close theirs
MOST_SAID_BYTES = 1 << 16  # of why a request failed
WRONG = (401, 402, 404, 405)  # no picture can be at fault


class Refused(Exception):
    """The server refuses this request and would refuse it again."""

    def __init__(self, status: int, said: str, location: str = "") -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.said = said  # in the server's words, which may quote the request
        self.location = location  # where a redirect leads

    @property
    def is_general(self) -> bool:
        """Whether any other request would be refused as well."""
        return self.status in WRONG or 300 <= self.status < 400


@asynccontextmanager
async def session(key: str) -> AsyncIterator[aiohttp.ClientSession]:
    """What requests are made with; `key` goes with each of them."""
    headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "medloom"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=headers,
        timeout=aiohttp.ClientTimeout(total=None),
        auto_decompress=False,
        trust_env=False,
    ) as opened:
        yield opened


async def exchange(opened: aiohttp.ClientSession, url: str, *, body: bytes | None = None, deadline_s: float) -> bytes:
    """The body of the answer to a POST of `body`, or to a GET. Raises Fault and Refused."""
    method = "GET" if body is None else "POST"
    headers = {"Content-Type": "application/json"} if body is not None else {}
    try:
        async with (
            asyncio.timeout(deadline_s),
            opened.request(method, url, data=body, headers=headers, allow_redirects=False) as answer,
        ):
            if 200 <= answer.status < 300:
                return await _capped(answer)
            raise _failure(answer.status, answer.headers, await answer.content.read(MOST_SAID_BYTES))
    except TimeoutError:
        raise Fault(Reason.TIMED_OUT, f"no whole answer within {deadline_s:g} s") from None
    except (aiohttp.ClientError, OSError) as error:
        raise Fault(Reason.CONNECTION_FAILED, type(error).__name__) from None


async def _capped(answer: aiohttp.ClientResponse) -> bytes:
    found = bytearray()
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise Fault(Reason.ANSWER_MALFORMED, "a packed body, which was not asked for")
    async for chunk in answer.content.iter_any():
        found += chunk
        if len(found) > MOST_BYTES:
            raise Fault(Reason.ANSWER_MALFORMED, f"more than {MOST_BYTES} bytes")
    return bytes(found)


def _failure(status: int, headers: Mapping[str, str], said: bytes) -> Exception:
    if may_pass(status):
        asked_s = asked_wait_s(headers)
        busy = status == 429 or asked_s is not None
        return Fault(Reason.HTTP_FAILED, f"HTTP {status}", asked_s=asked_s, busy=busy)
    return Refused(status, complaint(said), headers.get("Location", ""))
