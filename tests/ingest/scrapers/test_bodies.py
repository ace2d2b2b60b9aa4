"""Bodies of the kind that was asked for, their ends, and what unpacks them."""

from __future__ import annotations

import gzip
import io
import json
import random
import time
import zlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from ingest.scrapers.answers import Wanted
from ingest.scrapers.body import PIECE_BYTES, Decoder, decoder_of
from ingest.scrapers.endings import TAIL_BYTES, has_end
from ingest.scrapers.retry import MayPass
from ingest.scrapers.wanted import check_kind
from shards.intake import Skip
from shards.sniff import HEAD_BYTES

TEXT = json.dumps([{"id": number, "text": f"finding {number * 7919 % 1000}"} for number in range(9000)]).encode()
PAGE = b"<!DOCTYPE html>\n<html><head><title>A case</title></head><body>" + b"<p>text</p>" * 500 + b"</body></html>\n"
JATS = (
    b'<?xml version="1.0"?>\n<!DOCTYPE article PUBLIC "-//NLM//DTD JATS" "x.dtd">\n<article>'
    + b"<p/>" * 500
    + b"</article>\n"
)


def picture(form: str) -> bytes:
    noise = Image.frombytes("L", (160, 120), random.Random(1).randbytes(160 * 120))
    data = io.BytesIO()
    noise.save(data, form)
    return data.getvalue()


PICTURES = {form: picture(form) for form in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP")}
VIDEO = b"\0\0\0\x18ftypmp42" + bytes(2000)
FITS: dict[Wanted, list[bytes]] = {
    "image": [*PICTURES.values()],
    "video": [VIDEO, PICTURES["GIF"]],
    "media": [*PICTURES.values(), VIDEO, b"ID3\4" + bytes(100)],
    "page": [PAGE, b"\xef\xbb\xbf" + PAGE, b"plain text", PAGE.decode().encode("utf-16"), "ü".encode("latin-1") * 9],
    "xml": [JATS, b"\xef\xbb\xbf<feed/>"],
    "json": [TEXT, b' {"a": 1}'],
    "table": [b"url,caption\nhttp://a/,b\n", b"sex,free,wide\n", b"PAR1" + bytes(9), b"PK\3\4" + bytes(9)],
    "any": [b"", PAGE, VIDEO],
}
WRONG: dict[Wanted, list[bytes]] = {
    "image": [b"", PAGE, JATS, TEXT, VIDEO, b"<!--skip to content-->", b"%PDF-1.7", b"<svg/>"],
    "video": [b"", PAGE, PICTURES["JPEG"], b"<!--free-->"],
    "media": [b"", PAGE, TEXT],
    "page": [b"", b" \n", *PICTURES.values(), VIDEO, b"%PDF-1.7", bytes(100)],
    "xml": [b"", PAGE, b"<?xml version='1.0'?><html xmlns='x'>", b"<!--a--><!--b--><html>", TEXT, PICTURES["PNG"]],
    "json": [b"", PAGE, JATS, b"callback({})"],
    "table": [b"", PAGE, PICTURES["JPEG"], VIDEO],
}


def test_kinds_that_fit() -> None:
    refused = []
    for wanted, bodies in FITS.items():
        for body in bodies:
            try:
                check_kind(wanted, body[:HEAD_BYTES])
            except Skip as skip:
                refused.append((wanted, body[:20], skip.detail))
    assert refused == []


def test_kinds_that_do_not_fit() -> None:
    for wanted, bodies in WRONG.items():
        for body in bodies:
            with pytest.raises(Skip) as skip:
                check_kind(wanted, body[:HEAD_BYTES])
            assert skip.value.reason == "wrong_content", (wanted, body[:20])
            assert f"instead of {wanted}" in skip.value.detail


def test_comments_do_not_stop_the_clock() -> None:
    """A head that a careless pattern would try in 2^100 ways."""
    head = b"<!---->" * 146
    begun = time.process_time()
    with pytest.raises(Skip):
        check_kind("image", head)
    check_kind("page", head)
    has_end(head, head, len(head))
    assert time.process_time() - begun < 0.5


@pytest.mark.parametrize("body", [PICTURES[form] for form in ("JPEG", "PNG", "GIF", "WEBP")] + [PAGE, JATS, TEXT])
def test_an_end_is_seen_and_missed(body: bytes) -> None:
    def told(part: bytes) -> bool | None:
        return has_end(part[:HEAD_BYTES], part[-TAIL_BYTES:], len(part))

    assert told(body)
    cuts = random.Random(1).sample(range(HEAD_BYTES, len(body) - 8), 100)
    assert sum(told(body[:cut]) is not False for cut in cuts) <= 2  # GIF's mark is one byte


@pytest.mark.parametrize("body", [VIDEO, b"url,caption\n", PICTURES["TIFF"], b""])
def test_a_format_without_an_end_mark(body: bytes) -> None:
    assert has_end(body[:HEAD_BYTES], body[-TAIL_BYTES:], len(body)) is None


def unpacked(decoder: Decoder, data: bytes, step: int) -> tuple[bytes, int]:
    """What comes out, and the largest part of it."""
    parts = [part for at in range(0, len(data), step) for part in decoder.parts(data[at : at + step])]
    return b"".join(parts), max(map(len, parts), default=0)


def deflated(data: bytes, wbits: int) -> bytes:
    packer = zlib.compressobj(wbits=wbits)
    return packer.compress(data) + packer.flush()


ENCODINGS = {
    "gzip": ("gzip", gzip.compress(TEXT)),
    "two members": ("x-gzip", gzip.compress(TEXT[:5000]) + gzip.compress(TEXT[5000:])),
    "padded": ("GZIP", gzip.compress(TEXT) + bytes(100)),
    "zlib": ("deflate", deflated(TEXT, 15)),
    "bare": ("deflate", deflated(TEXT, -15)),
}


@pytest.mark.parametrize("step", [2, 7, 1000, 10**6])
@pytest.mark.parametrize(("coding", "data"), ENCODINGS.values(), ids=ENCODINGS)
def test_encodings(coding: str, data: bytes, step: int) -> None:
    decoder = decoder_of((("Content-Encoding", "identity"), ("content-encoding", coding)))
    assert decoder is not None
    assert unpacked(decoder, data, step)[0] == TEXT
    assert decoder.ended


@given(st.integers(0, 3 * PIECE_BYTES), st.integers(2, 5000), st.sampled_from([31, 15, -15]))
@example(PIECE_BYTES + 1, 5000, -15)  # ends inside the decoder, with all of its input read
def test_what_unpacks_to_much_comes_in_pieces(size: int, step: int, wbits: int) -> None:
    decoder = Decoder(abs(wbits))
    data, largest = unpacked(decoder, deflated(bytes(size), wbits), step)
    assert data == bytes(size)
    assert largest <= PIECE_BYTES
    assert decoder.ended


def test_a_cut_or_damaged_body_is_known() -> None:
    data = gzip.compress(TEXT)
    decoder = Decoder(31)
    unpacked(decoder, data[:-1], 1000)
    assert not decoder.ended
    with pytest.raises(MayPass) as failure:
        unpacked(Decoder(31), data[:-6] + b"\0\0\0\0\0\0", 1000)
    assert failure.value.skip.reason == "corrupt"


def test_encodings_that_were_not_asked_for() -> None:
    assert decoder_of((("Content-Type", "image/png"), ("Content-Encoding", "identity"))) is None
    for coding in ("br", "zstd", "gzip, gzip", "nonsense"):
        with pytest.raises(Skip, match="wrong_content"):
            decoder_of((("Content-Encoding", coding),))
