"""A body on its way into a file: decoded, hashed, capped, and known to be whole or not.

Bytes are counted on the wire and again after decoding, and a decoder never gives more than one piece at a time, so that
200 kB which unpack to 200 MB cost one piece of memory and stop at the cap.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from ingest.scrapers.answers import Headers, Wanted, every
from ingest.scrapers.endings import TAIL_BYTES, has_end
from ingest.scrapers.retry import MayPass
from ingest.scrapers.transport import Reply
from ingest.scrapers.wanted import check_kind
from shards.intake import Skip
from shards.reasons import Reason
from shards.sniff import HEAD_BYTES

PIECE_BYTES = 2**17
_GZIP = 31  # `wbits` of zlib: the gzip format of RFC 1952
_ZLIB = 15  # RFC 1950, what `deflate` means
_DEFLATE = -15  # RFC 1951, what some servers send for it


class Body(AbstractContextManager["Body"]):
    """The file that one body goes into; several replies may bring it, each going on where the one before broke off."""

    def __init__(self, path: Path, *, wanted: Wanted, max_bytes: int, md5: str) -> None:
        self._wanted: Wanted = wanted
        self._max_bytes = max_bytes
        self._md5 = md5.lower()
        self._file = path.open("wb+", buffering=0)
        self.restart()

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def restart(self) -> None:
        """Forget what came so far."""
        self._file.seek(0)
        self._file.truncate()
        self.size = 0
        self._head = b""
        self._sha256 = hashlib.sha256()
        self._md5_so_far = hashlib.md5(usedforsecurity=False)

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    def take(self, reply: Reply, check: Callable[[], None]) -> None:
        """Add the body of a reply, to its end.

        Raises MayPass where it is not whole or has another md5, and Skip(TOO_LARGE), Skip(WRONG_CONTENT).
        """
        decoder = decoder_of(reply.headers)
        wire_bytes = self.size
        if wire_bytes + (reply.length or 0) > self._max_bytes:
            self._too_large(wire_bytes + (reply.length or 0))
        while piece := reply.read(PIECE_BYTES):
            check()
            wire_bytes += len(piece)
            if wire_bytes > self._max_bytes:
                self._too_large(wire_bytes)
            for part in decoder.parts(piece) if decoder is not None else (piece,):
                self._add(part)
        if self.size < HEAD_BYTES:
            check_kind(self._wanted, self._head)
        if decoder is not None and not decoder.ended:
            raise MayPass(Skip(Reason.CONNECTION_FAILED, "the compressed body ends before its end mark"))
        self._judge(stated=reply.chunked or reply.length is not None or decoder is not None)

    def _add(self, part: bytes) -> None:
        if self.size + len(part) > self._max_bytes:
            self._too_large(self.size + len(part))
        before = self.size
        self.size += len(part)
        self._sha256.update(part)
        if self._md5:
            self._md5_so_far.update(part)
        self._file.write(part)
        if before < HEAD_BYTES:
            self._head += part[: HEAD_BYTES - before]
            if self.size >= HEAD_BYTES:
                check_kind(self._wanted, self._head)

    def _judge(self, stated: bool) -> None:
        """Whether all of it has come, and as it should; lines end where their connection does (RFC 9112 6.3)."""
        if self._md5:
            if self._md5_so_far.hexdigest() != self._md5:
                self.restart()
                raise MayPass(Skip(Reason.CHECKSUM_DIFFERS, f"md5 is not {self._md5}"))
        elif not stated and self._wanted != "lines":
            tail = os.pread(self._file.fileno(), TAIL_BYTES, max(0, self.size - TAIL_BYTES))
            ended = has_end(self._head, tail, self.size)
            if ended is None:
                raise Skip(Reason.TRUNCATED, "nothing tells whether it is whole: no length and no mark at its end")
            if not ended:
                raise MayPass(Skip(Reason.CONNECTION_FAILED, "the body lacks its end"))

    def _too_large(self, size: int) -> None:
        raise Skip(Reason.TOO_LARGE, f"{size} bytes or more, {self._max_bytes} are fetched")


class Decoder:
    """Undoes one Content-Encoding, a piece at a time."""

    def __init__(self, wbits: int) -> None:
        self._wbits = wbits
        self._zlib = zlib.decompressobj(wbits)
        self._begun = False
        self.ended = False

    def parts(self, piece: bytes) -> Iterator[bytes]:
        """What the next bytes unpack to, in parts of PIECE_BYTES at most; MayPass(CORRUPT) where they are damaged."""
        try:
            yield from self._parts(piece)
        except zlib.error as error:
            raise MayPass(Skip(Reason.CORRUPT, "the compressed body is damaged")) from error

    def _parts(self, piece: bytes) -> Iterator[bytes]:
        if not self._begun and self._wbits == _ZLIB and not _has_zlib_header(piece):
            self._zlib = zlib.decompressobj(_DEFLATE)
        self._begun = True
        part = b""
        while piece or len(part) == PIECE_BYTES:  # the second: more may wait inside the decoder
            if self.ended:
                if self._wbits != _GZIP or not piece.startswith(b"\x1f"):
                    return  # padding after the end mark
                self._zlib, self.ended = zlib.decompressobj(_GZIP), False  # a further member
            part = self._zlib.decompress(piece, PIECE_BYTES)
            self.ended = self._zlib.eof
            piece = self._zlib.unused_data if self.ended else self._zlib.unconsumed_tail
            if part:
                yield part


def _has_zlib_header(piece: bytes) -> bool:
    return len(piece) >= 2 and piece[0] & 0x0F == 8 and (piece[0] << 8 | piece[1]) % 31 == 0


def decoder_of(headers: Headers) -> Decoder | None:
    """The decoder that an answer needs; Skip(WRONG_CONTENT) for an encoding that was not asked for."""
    text = ",".join(every(headers, "Content-Encoding")).lower()
    codings = [coding for coding in (part.strip() for part in text.split(",")) if coding not in {"", "identity"}]
    if not codings:
        return None
    if codings in (["gzip"], ["x-gzip"]):
        return Decoder(_GZIP)
    if codings == ["deflate"]:
        return Decoder(_ZLIB)
    raise Skip(Reason.WRONG_CONTENT, f"Content-Encoding {text[:40]!r} was not asked for")
