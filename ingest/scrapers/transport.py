"""One request and its answer: requests over urllib3, to addresses that were checked, by sockets that keep to limits.

One session with one TLS context serves all threads of a worker. Its connections are kept by scheme, host and port; each
belongs for its life to the address that was checked when it was made, so using it again needs no second look.
"""

from __future__ import annotations

import contextlib
import http.client
import logging
import math
import os
import ssl
import time
from contextlib import AbstractContextManager
from functools import cache
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar, extract_cookies_to_jar
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError
from urllib3.poolmanager import PoolManager

from ingest.scrapers.addresses import Addresses
from ingest.scrapers.answers import Headers
from ingest.scrapers.retry import MayPass
from ingest.scrapers.sockets import Allowance, TLSSocket, connect, current
from shards.intake import Skip
from shards.reasons import Reason

MAX_HEADER_BYTES = 2**17
FRAMING_BYTES = 2**16  # chunk sizes and trailers, beside as many bytes again as the body may have
DRAIN_BYTES = 2**16  # what of an unwanted body is read, so that its connection can be used again
DRAIN_S = 0.25
HOSTS = 64  # whose connections are kept
_BROKEN = (requests.RequestException, HTTPError, http.client.HTTPException, OSError)


class _Message(http.client.HTTPResponse):
    """An answer as `http.client` reads it, and in two places as RFC 9112 wants it."""

    def _read_status(self) -> tuple[str, int, str]:
        """Every interim answer (103 Early Hints) is passed over as 100 is; taken for the last, it would leave the real
        one to the next request."""
        version, status, reason = super()._read_status()  # type: ignore[misc]
        return version, 100 if status < 200 else status, reason

    def _read_next_chunk_size(self) -> int:
        """No chunk has a negative size: -1 would read to the end of the connection."""
        size: int = super()._read_next_chunk_size()  # type: ignore[misc]
        if size < 0:
            raise ValueError("negative chunk size")
        return size


class _PlainConnection(HTTPConnection):
    response_class = _Message
    address = ""

    def connect(self) -> None:
        self.sock, self.address = connect(self.host, self.port)


class _TLSConnection(HTTPSConnection):
    response_class = _Message
    address = ""

    def connect(self) -> None:
        connection, self.address = connect(self.host, self.port)
        assert self.ssl_context is not None
        try:
            self.sock = self.ssl_context.wrap_socket(connection, server_hostname=self.host)
        except ssl.SSLCertVerificationError as error:
            raise Skip(Reason.CONNECTION_FAILED, f"certificate: {error.verify_message}") from None
        except OSError as error:
            raise current.allowance.failure(error) from None
        self.is_verified = True


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


class _Adapter(HTTPAdapter):
    """Hands every request to a pool of the connections above, all with one TLS context."""

    def __init__(self, context: ssl.SSLContext, threads: int) -> None:
        self._context = context
        super().__init__(pool_connections=HOSTS, pool_maxsize=threads)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        manager: PoolManager = self.poolmanager
        manager.pool_classes_by_scheme = {"http": _PlainPool, "https": _TLSPool}

    def build_connection_pool_key_attributes(self, *args: Any) -> tuple[Any, Any]:
        host, _ = super().build_connection_pool_key_attributes(*args)
        return host, {"ssl_context": self._context} if host["scheme"] == "https" else {}

    def cert_verify(self, *args: Any) -> None:
        """Nothing: the context verifies, and would load its certificates again for every connection."""


class _Session(requests.Session):
    """A session that keeps no cookies, asks nothing of the environment and never looks where a redirect leads."""

    def __init__(self, context: ssl.SSLContext, threads: int) -> None:
        super().__init__()
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            self.mount(scheme, _Adapter(context, threads))

    def get_redirect_target(self, resp: Any) -> None:
        """None: `requests` would read the body of a redirect whole, however large, to look at the next request."""


class Reply(AbstractContextManager["Reply"]):
    """What came back: status and headers; the body is read piece by piece. Leaving it early ends the connection."""

    def __init__(self, response: requests.Response, allowance: Allowance) -> None:
        raw = response.raw
        self.status: int = raw.status
        self.headers: Headers = tuple(raw.headers.iteritems())
        self.cookie: str = response.request.headers.get("Cookie", "")  # as it was sent
        self.address: str = getattr(raw.connection, "address", "")
        self.seconds = max(0.0, time.monotonic() - allowance.sent)  # from sending to the end of the headers
        self.chunked: bool = raw.chunked
        self.length: int | None = raw.length_remaining  # of the body on the wire, None where nothing states it
        self.grown_s = 0.0  # by how much the bytes of the body moved the deadline on
        self._response = response
        self._allowance = allowance

    def __exit__(self, *error: object) -> None:
        self._response.close()

    def read(self, size: int) -> bytes:
        """Up to `size` bytes of the body without chunk sizes, still encoded; empty at its end.

        Raises Skip(TIMED_OUT), Skip(TOO_LARGE), and MayPass where the connection breaks before the end.
        """
        current.allowance = self._allowance
        try:
            return self._response.raw.read(size, decode_content=False) or b""
        except _BROKEN as error:
            raise self._allowance.failure(error) from None
        finally:
            self.grown_s = self._allowance.grown_s

    def drain(self) -> None:
        """Read a body that nobody wants, if it is short, so that its connection can be used again."""
        self._allowance.slowest_bytes_per_s = math.inf
        self._allowance.until = min(self._allowance.until, time.monotonic() + DRAIN_S)
        self._allowance.room_bytes = self._allowance.came_bytes + DRAIN_BYTES
        with contextlib.suppress(Skip, MayPass):
            while self.read(DRAIN_BYTES):
                pass


@cache
def tls_context(cert_file: str | None) -> ssl.SSLContext:
    """One context a process, since making one costs as much as twenty pictures; `cert_file` is what OpenSSL reads."""
    context = ssl.create_default_context()  # the certificates of the system, or of SSL_CERT_FILE
    context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)  # and those of certifi
    context.set_alpn_protocols(["http/1.1"])
    context.sslsocket_class = TLSSocket
    return context


class Transport:
    """The connections of one worker; safe for its threads."""

    def __init__(self, addresses: Addresses, threads: int, slowest_bytes_per_s: float) -> None:
        self._addresses = addresses
        self._slowest_bytes_per_s = slowest_bytes_per_s
        self._session = _Session(tls_context(os.environ.get("SSL_CERT_FILE")), threads)
        logging.getLogger("urllib3").setLevel(logging.ERROR)  # its warnings quote whole urls

    def close(self) -> None:
        """Close all connections that are not in use."""
        self._session.close()

    def open(self, url: str, headers: Headers, *, seconds: float, max_bytes: int, cookies: RequestsCookieJar) -> Reply:
        """Send one GET for a canonical url and read the headers of its answer.

        The whole, body included, has so many seconds, and those that its body takes at the slowest rate; it may bring
        so many bytes of body. `cookies` takes what the answer sets. Raises Skip and MayPass with reasons of the web.
        """
        request = _prepared(url, headers, cookies)
        allowance = Allowance(self._addresses, time.monotonic() + seconds, MAX_HEADER_BYTES)
        while True:
            current.allowance = allowance
            allowance.sent = math.inf
            try:
                response = self._session.send(request, stream=True, allow_redirects=False, proxies={})
                break
            except _BROKEN as error:
                ended = allowance.sent < math.inf and not allowance.opened and not allowance.came_bytes
                if not ended or allowance.until <= time.monotonic():
                    raise allowance.failure(error) from None
                # a kept connection had ended meanwhile: RFC 9112 9.3.1 lets the request be sent again
        framing = response.raw.headers.get("Transfer-Encoding", "chunked")
        if framing.lower() != "chunked":
            response.close()
            raise Skip(Reason.HTTP_FAILED, f"Transfer-Encoding {framing[:40]!r}")
        extract_cookies_to_jar(cookies, request, response.raw)  # type: ignore[no-untyped-call]
        allowance.room_bytes = allowance.came_bytes + 2 * max_bytes + FRAMING_BYTES
        allowance.slowest_bytes_per_s, allowance.longest_s = self._slowest_bytes_per_s, seconds
        return Reply(response, allowance)


def no_cookies() -> RequestsCookieJar:
    """A jar for one chain of redirects."""
    return RequestsCookieJar()


def cookie_header(cookies: RequestsCookieJar, url: str) -> str:
    """What would be sent to `url`; tells apart the visits of a page that sets a cookie and leads back to itself."""
    return str(_prepared(url, (), cookies).headers.get("Cookie", ""))


def _prepared(url: str, headers: Headers, cookies: RequestsCookieJar) -> requests.PreparedRequest:
    """A GET for exactly this url."""
    request = requests.PreparedRequest()
    try:
        request.prepare(method="GET", url=url, headers=dict(headers), cookies=cookies)
    except requests.exceptions.InvalidURL:
        raise Skip(Reason.BAD_URL, "no request can be made of it") from None
    request.url = url
    return request
