"""XML as strangers write it: attacks read nothing and cost nothing, and characters by name are kept."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.scrapers.safe_xml import parse_xml
from shards.intake import Skip

LONG = b"x" * 50_000
LAUGHS = b'<!ENTITY l0 "laugh">' + b"".join(b'<!ENTITY l%d "%s">' % (i, b"&l%d;" % (i - 1) * 10) for i in range(1, 10))


def words(data: bytes) -> str:
    return "".join(parse_xml(data).itertext())


@pytest.fixture
def listener() -> Iterator[tuple[str, list[str]]]:
    """A port, and who connected to it."""
    came: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        stop = threading.Event()

        def accept() -> None:
            while not stop.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                came.append("connected")
                connection.close()

        thread = threading.Thread(target=accept)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/x.dtd", came
        stop.set()
        thread.join()


@pytest.mark.parametrize(
    "document",
    [
        '<!DOCTYPE a [<!ENTITY x SYSTEM "{}">]><a>&x;</a>',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "{}">]><a b="&x;"/>',
        '<!DOCTYPE a [<!ENTITY x PUBLIC "-//X//Y//EN" "{}">]><a>&x;</a>',
        '<!DOCTYPE a SYSTEM "{}"><a>&secret;</a>',
        '<!DOCTYPE a PUBLIC "-//NLM//DTD JATS 1.2//EN" "{}"><a>&secret;</a>',
        '<!DOCTYPE a [<!ENTITY % x SYSTEM "{}"> %x;]><a>&secret;</a>',
        '<a xmlns:i="http://www.w3.org/2001/XInclude"><i:include href="{}" parse="text"/></a>',
        '<?xml-stylesheet href="{}"?><a/>',
        '<a xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="{}"/>',
    ],
)
def test_no_file_and_no_network_is_read(document: str, tmp_path: Path, listener: tuple[str, list[str]]) -> None:
    url, came = listener
    text, dtd = tmp_path / "text", tmp_path / "dtd"
    text.write_text("SECRET")
    dtd.write_text('<!ENTITY secret "SECRET">')
    for where in (str(text), text.as_uri(), str(dtd), dtd.as_uri(), url):
        try:
            root = parse_xml(document.format(where).encode())
        except Skip:
            continue
        assert "SECRET" not in "".join(root.itertext())
        assert not any("SECRET" in value for value in root.attrib.values())
    time.sleep(0.1)
    assert not came


@pytest.mark.parametrize(
    "document",
    [
        b"<!DOCTYPE a [" + LAUGHS + b"]><a>&l9;</a>",
        b"<!DOCTYPE a [" + LAUGHS + b']><a b="&l9;"/>',
        b'<!DOCTYPE a [<!ENTITY q "' + LONG + b'">]><a>' + b"&q;" * 50_000 + b"</a>",
        b'<!DOCTYPE a [<!ENTITY q "' + LONG + b'">]><a b="' + b"&q;" * 50_000 + b'"/>',
        b"<!DOCTYPE a [<!ENTITY l '&m;'><!ENTITY m '&l;'>]><a b='&l;'/>",
        b"<a>" * 10**5 + b"</a>" * 10**5,
        b"<a>" * 257 + b"</a>" * 257,
        b"<a>" + b"x" * 11_000_000 + b"</a>",
        b"<a " + b"<![CDATA[" * 10**5,
        b"<a>" + b"&amp" * 10**5,
        b"",
        b"\0" * 1000,
        b"\xff\xfe",
        b"\x89PNG\r\n\x1a\n",
        b"<a>&nosuch;</a>",
        b"<a><b></a></b>",
        b"<a/><b/>",
        b"<html><body><p>one<br></body></html>",
        b"<?xml version='1.0' encoding='no-such'?><a/>",
    ],
)
def test_hostile_and_broken_documents_are_refused_at_once(document: bytes) -> None:
    started = time.process_time()
    with pytest.raises(Skip, match="corrupt: no XML"):
        parse_xml(document)
    assert time.process_time() - started < 2


def test_256_deep_is_read() -> None:
    assert words(b"<a>" * 256 + b"end" + b"</a>" * 256) == "end"


def test_characters_by_their_names() -> None:
    text = "&micro;&alpha;&nbsp;&le;&Delta;&deg;&hellip;&lt;&amp;&NotEqualTilde;&#x3b2;"
    assert words(f"<a>{text}</a>".encode()) == "\u00b5\u03b1\u00a0\u2264\u0394\u00b0\u2026<&\u2242\u0338\u03b2"
    dtd = '<!DOCTYPE article PUBLIC "-//NLM//DTD JATS 1.2//EN" "JATS-archivearticle1.dtd">'
    assert words(f"{dtd}<a>5 &micro;m</a>".encode()) == "5 \u00b5m"
    assert parse_xml(b'<a b="&alpha;"/>').get("b") == "\u03b1"
    assert words(b"<a><![CDATA[&alpha; <b>]]>&beta;</a>") == "&alpha; <b>\u03b2"
    assert words(b"<a>&amp;alpha;</a>") == "&alpha;"


def test_a_name_that_is_not_known_stays_an_entity() -> None:
    root = parse_xml(b'<!DOCTYPE a SYSTEM "a.dtd"><a>5 &house; m</a>')
    assert [child.text for child in root] == ["&house;"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8", "utf-8-sig", "iso-8859-1"])
def test_encodings(encoding: str) -> None:
    name = {"utf-16-le": "UTF-16", "utf-16-be": "UTF-16", "utf-8-sig": "UTF-8"}.get(encoding, encoding)
    assert words(f'<?xml version="1.0" encoding="{name}"?><a>\u00e9 &alpha;</a>'.encode(encoding)) == "\u00e9 \u03b1"


def test_comments_and_instructions_part_no_text() -> None:
    assert parse_xml(b"<a>one <!-- two --><?three four?>five</a>").text == "one five"
