"""What headers, pages and tdmrep.json say about machine learning, as they say it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from ingest.scrapers.host_files import HostFile, Outcome
from ingest.scrapers.signals import RESERVING, of_headers, of_page, robots_values
from ingest.scrapers.tdmrep import Rules

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
URL = "https://a.example/page"


@pytest.mark.parametrize(
    ("line", "reserves"),
    [
        ("noai", True),
        ("NoImageAI", True),
        ("noml", True),
        ("noindex", True),
        ("noimageindex", True),
        ("none", True),
        ("all", False),
        ("nofollow, noarchive", False),
        ("index, follow, noai", True),
        ("noindex nofollow", True),
        ("nofollow;noai", True),
        ("max-snippet:0, noai", True),
        ("noai, max-snippet:0", True),
        ("max-snippet: 0, max-image-preview: large, noai", True),
        ("max-something: 3, noai", True),  # a value that is not known yet is no crawler's name
        ("googlebot: noindex", False),
        ("googlebot: nofollow, noai", False),
        ("googlebot: max-snippet:0, noai", False),
        ("medloom: noindex", True),
        ("MEDLOOM: nofollow, noai", True),
        ("medloom: max-snippet:0, noai", True),
        ("noai, googlebot: nofollow", True),
        ("googlebot: nofollow, medloom: noai", True),
        ("googlebot: nofollow, *: noai", True),
        ("unavailable_after: Wed, 25 Jun 2031 15:00:00 PST", False),
        ("unavailable_after: Wed, 25 Jun 2031 15:00:00 PST, noai", True),
        ("noaid, annoai", False),
        ("", False),
        (":,;:", False),
    ],
)
def test_x_robots_tag(line: str, reserves: bool) -> None:
    assert bool(RESERVING & set(robots_values(line))) == reserves
    said = of_headers((("x-robots-tag", line),), URL, NOW)
    assert any(statement.reserves for statement in said) == reserves


def test_several_lines_each_with_its_own_crawler() -> None:
    lines = (("X-Robots-Tag", "googlebot: noindex"), ("Date", "x"), ("X-Robots-Tag", "noml"), ("x-robots-tag", "all"))
    said = of_headers(lines, URL, NOW)
    assert [(one.value, one.reserves, one.raw) for one in said] == [
        ("noml", True, b"X-Robots-Tag: noml"),
        ("all", False, b"X-Robots-Tag: all"),
    ]
    assert said[0].as_json() == {
        "signal": "x-robots-tag",
        "value": "noml",
        "reserves": True,
        "where": URL,
        "time": "2026-11-27T12:00:00+00:00",
        "raw": "X-Robots-Tag: noml",
        "policy": "",
    }


@pytest.mark.parametrize(
    ("value", "reserves"), [("1", True), (" 1 ", True), ("0", False), ("2", False), ("0, 1", True)]
)
def test_the_tdm_header(value: str, reserves: bool) -> None:
    (said,) = of_headers((("tdm-reservation", value), ("TDM-Policy", "https://a.example/p.json")), URL, NOW)
    assert said.reserves == reserves
    assert said.policy == "https://a.example/p.json"


PAGE = b"""<!DOCTYPE html><html><head><meta charset=utf-8>
<!-- <meta name="robots" content="noai"> --><script>var x = '<meta name="robots" content="noml">';</script>
%s</head><body><p>text</p><textarea><meta name="robots" content="none"></textarea></body></html>"""


@pytest.mark.parametrize(
    ("meta", "said"),
    [
        (b"", []),
        (b'<meta name="robots" content="index, follow">', []),
        (b'<META NAME="Robots" CONTENT="index, NOIMAGEAI">', [("meta robots", "noimageai")]),
        (b"<meta content='noindex nofollow' name=robots>", [("meta robots", "noindex")]),
        (b'<meta name="medloom" content="noindex"/>', [("meta medloom", "noindex")]),
        (b'<meta name="googlebot" content="noindex">', []),
        (b'<meta name="tdm-reservation" content="1">', [("meta tdm-reservation", "1")]),
        (b'<meta name="tdm-reservation" content="0">', []),
        (b'<meta name="robots"><meta content="noai"><meta name="robots" content="noml" <p>', [("meta robots", "noml")]),
        (b'<meta http-equiv="X-Robots-Tag" content="noai">', [("meta x-robots-tag", "noai")]),
        (b'<meta charset="utf-16"><meta name="robots" content="noai">', [("meta robots", "noai")]),  # it is not
        (b'<meta charset="iso-2022-jp">\xe4<meta name="robots" content="noai">', [("meta robots", "noai")]),
        (b'<title>caf\xe9</title><meta name="robots" content="noai">', [("meta robots", "noai")]),  # not UTF-8
    ],
)
def test_meta_elements(meta: bytes, said: list[tuple[str, str]]) -> None:
    text = (PAGE % meta).decode("latin-1")
    for page in (PAGE % meta, *(text.encode(name) for name in ("utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"))):
        assert [(one.signal, one.value) for one in of_page(page, URL, NOW) if one.reserves] == said


def test_a_page_s_tdm_policy_is_kept() -> None:
    metas = b'<meta name="tdm-policy" content="https://a.example/p"><meta name="tdm-reservation" content="1">'
    (said,) = of_page(PAGE % metas, URL, NOW)
    assert (said.policy, said.raw) == ("https://a.example/p", b'<meta name="tdm-reservation" content="1">')


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xd8\xff\xe0" * 50, b"{}", b"<", b"<meta name='" * 1000, b"<div>" * 100_000]
)
def test_what_is_no_page_says_nothing(body: bytes) -> None:
    assert of_page(body, URL, NOW) == []


def tdm(rules: Any) -> Rules:
    body = rules if isinstance(rules, bytes) else json.dumps(rules).encode()
    url = "https://a.example/.well-known/tdmrep.json"
    file = HostFile(url=url, final_url=url, outcome=Outcome.FOUND, detail="200", asked=NOW, fetched=NOW, body=body)
    return Rules(file)


def test_the_first_location_that_matches_counts() -> None:
    policy = "https://a.example/policies/policy.json"
    rules = tdm(
        [
            {"location": "/directory-a/", "tdm-reservation": 1},
            {"location": "/directory-b/html/", "tdm-reservation": 1, "tdm-policy": policy},
            {"location": "/directory-b/images/*.jpg$", "tdm-reservation": 0},
            {"location": "/directory-b", "tdm-reservation": 1},
        ]
    )
    said = {
        path: rules.statement(f"https://a.example{path}")
        for path in ("/directory-a/x", "/directory-b/html/x", "/directory-b/images/x.jpg", "/directory-b/x", "/", "/A")
    }
    assert [None if one is None else one.reserves for one in said.values()] == [True, True, False, True, None, None]
    html = said["/directory-b/html/x"]
    assert html is not None
    assert html.policy == policy
    assert json.loads(html.raw) == {"location": "/directory-b/html/", "tdm-reservation": 1, "tdm-policy": policy}
    assert html.time == NOW


@pytest.mark.parametrize(
    ("rules", "reserves"),
    [
        ([{"location": "/", "tdm-reservation": 1}], True),
        ([{"location": "/", "tdm-reservation": "1"}], True),
        ([{"location": "*", "tdm-reservation": 1}], True),
        ([{"location": "page", "tdm-reservation": 1}], True),
        ([{"location": "https://a.example/page", "tdm-reservation": 1}], True),
        ([{"location": "/page$", "tdm-reservation": 1}], True),
        ([{"location": "/p$", "tdm-reservation": 1}], False),
        ([{"tdm-reservation": 1}], True),
        ({"location": "/", "tdm-reservation": 1}, True),
        ([{"location": "/", "tdm-reservation": 2}], False),
        ([{"location": "/\nAllow: /", "tdm-reservation": 1}], False),  # a path with odd letters, not a second line
        ([{"location": "/#x", "tdm-reservation": 1}], False),
        ([{"location": "/"}, 7, None, "x"], False),
        ([], False),
        (b"<html>not found</html>", False),
        (b"\xef\xbb\xbf" + b'[{"location": "/", "tdm-reservation": 1}]', True),
        (b"[" * 100_000, False),
    ],
)
def test_files_as_they_are_written(rules: Any, reserves: bool) -> None:
    said = tdm(rules).statement(URL)
    assert (said is not None and said.reserves) == reserves
