"""robots.txt as text: what it allows, faults of other parsers, odd encodings, Crawl-delay, the line that decides."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.scrapers.host_files import HostFile, Outcome
from ingest.scrapers.robots import Rules

NOW = datetime(2026, 11, 27, tzinfo=UTC)


def rules(body: bytes | str, outcome: Outcome = Outcome.FOUND) -> Rules:
    data = body.encode() if isinstance(body, str) else body
    url = "https://a.example/robots.txt"
    return Rules(HostFile(url=url, final_url=url, outcome=outcome, detail="", asked=NOW, fetched=NOW, body=data))


@pytest.mark.parametrize(
    ("text", "allowed", "forbidden"),
    [
        ("User-agent: *\nDisallow: /*.jpg$", ["/a.png", "/a.jpg?x"], ["/a.jpg", "/b/c.jpg"]),
        ("User-agent: *\nDisallow: /a\n\nDisallow: /b\n", ["/c"], ["/a", "/b"]),  # a blank line inside a group
        ("User-agent: *\nAllow: /a/b\nDisallow: /a", ["/a/b/c"], ["/a/c"]),
        ("User-agent: *\nDisallow: /\nUser-agent: medloom\nDisallow: /x", ["/y"], ["/x"]),  # the own group alone
        ("User-agent: MedLoom\nUser-agent: other\nDisallow: /x", ["/y"], ["/x"]),
        ("User-agent: loom\nDisallow: /\n", ["/"], []),  # another crawler's name
        ("User-agent: med\nAllow: /\n\nUser-agent: *\nDisallow: /a", ["/b"], ["/a"]),  # the beginning of ours
        ("User-agent: medloom/0.1\nDisallow: /a", ["/b"], ["/a"]),
        ("User-agent: medloom/0.1 (+you@example.org)\nDisallow: /a\n\nUser-agent: *\nAllow: /", ["/b"], ["/a"]),
        ("useragent medloom*\nDisallow: /a", ["/b"], ["/a"]),
        ("User-agent: * all\nDisallow: /a", ["/b"], ["/a"]),
        ("\ufeffUser-agent: *\nDisallow: /a", ["/b"], ["/a"]),
        ("\ufeff\ufeffUser-agent: *\nDisallow: /a", ["/b"], ["/a"]),
        ("User-agent: *\nDisallow: /a # all of it\nCrawl-delay: 1\nSitemap: https://a.example/s.xml", ["/"], ["/a"]),
        ("User-agent: *\rDisallow: /a\r", ["/b"], ["/a"]),
        ("<html><title>404</title>Disallow: /</html>", ["/a"], []),
        ("", ["/a"], []),
        ("User-agent: *\nDisallow:", ["/a"], []),
        ("User-agent: *\nDisallow: /ä", ["/a"], ["/%C3%A4"]),
    ],
)
def test_what_a_file_allows(text: str, allowed: list[str], forbidden: list[str]) -> None:
    read = rules(text)
    for path in allowed:
        assert read.verdict(f"https://a.example{path}").allowed, path
    for path in forbidden:
        assert not read.verdict(f"https://a.example{path}").allowed, path


@pytest.mark.parametrize("mark", [b"", b"\xfe\xff"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-16-le", "utf-8-sig"])
def test_byte_order_marks_are_read(encoding: str, mark: bytes) -> None:
    text = "User-agent: *\nDisallow: /a".encode(encoding)
    read = rules(mark + text if encoding == "utf-16-be" else text)
    assert not read.verdict("https://a.example/a").allowed
    assert read.verdict("https://a.example/b").allowed


def test_a_file_that_is_not_utf_8_forbids_both_spellings_of_its_paths() -> None:
    read = rules("User-agent: *\nDisallow: /privé/".encode("latin-1"))
    for path in ("/priv%E9/a", "/priv%C3%A9/a"):
        assert not read.verdict(f"https://a.example{path}").allowed, path
    assert read.verdict("https://a.example/priva/a").allowed


@pytest.mark.parametrize(
    ("text", "delay_s"),
    [
        ("User-agent: *\nCrawl-delay: 0.5", 0.5),
        ("User-agent: *\nCrawl-delay: 10", 10.0),
        ("User-agent: *\nCrawl-delay: 5\nUser-agent: medloom\nDisallow: /x", 0.0),
        ("User-agent: *\nRequest-rate: 1/30", 30.0),
        ("User-agent: *\nRequest-rate: 2/1m\nCrawl-delay: 3", 30.0),
        ("User-agent: *\nCrawl-delay: 10s", 10.0),
        ("User-agent: *\nCrawl-delay: 10 seconds # please", 10.0),
        ("User-agent: *\nCrawl-delay 1,5", 1.5),
        ("User-agent: *\nCrawl-delay: nan", 0.0),
        ("User-agent: *\nCrawl-delay: -1", 0.0),
        ("User-agent: *\nCrawl-delay: soon", 0.0),
    ],
)
def test_crawl_delay(text: str, delay_s: float) -> None:
    assert rules(text).verdict("https://a.example/").crawl_delay_s == delay_s


def test_thousands_of_names_do_not_multiply_thousands_of_rules() -> None:
    names = "".join(f"User-agent: a{number}\n" for number in range(10_000))
    begun = time.process_time()
    read = rules(f"{names}User-agent: *\n" + "Disallow: /a\n" * 10_000)
    assert not read.verdict("https://a.example/a").allowed
    assert time.process_time() - begun < 5  # 10^8 rules take a minute and all memory


def test_the_line_that_decides_is_named() -> None:
    text = "User-agent: *\nDisallow: /a\nAllow: /a/b  # but this\nDisallow: /a/b/c\n\nDisallow: /*.jpg$\n"
    read = rules(f"{text}User-agent: x\nDisallow: /")
    named = {path: read.verdict(f"https://a.example{path}").line for path in ("/a/c", "/a/b", "/a/b/c", "/z.jpg", "/z")}
    assert named == {
        "/a/c": "Disallow: /a",
        "/a/b": "Allow: /a/b  # but this",
        "/a/b/c": "Disallow: /a/b/c",
        "/z.jpg": "Disallow: /*.jpg$",
        "/z": "",
    }
    own = rules(f"{text}User-agent: medloom\nDisallow: /z")
    assert own.verdict("https://a.example/z").line == "Disallow: /z"
    assert own.verdict("https://a.example/a").line == ""


def test_what_could_not_be_had_forbids_everything() -> None:
    assert not rules("", Outcome.UNREACHABLE).verdict("https://a.example/.well-known/tdmrep.json").allowed
    assert rules("", Outcome.ABSENT).verdict("https://a.example/").allowed


PIECES = st.sampled_from(["/", "a", "b", "*", "$", "/a", ".jpg"])
LINES = st.tuples(
    st.sampled_from(["User-agent: *", "User-agent: medloom", "User-agent: x", "Allow", "Disallow"]), PIECES, PIECES
)


@given(st.lists(LINES, max_size=12), st.lists(st.sampled_from(["/", "a", "b", ".jpg", "/a"]), max_size=4))
def test_a_url_that_is_forbidden_has_a_line_that_forbids_it(lines: list[tuple[str, str, str]], path: list[str]) -> None:
    text = "\n".join(name if ":" in name else f"{name}: /{first}{second}" for name, first, second in lines)
    verdict = rules(text).verdict(f"https://a.example/{''.join(path)}")
    assert verdict.allowed or verdict.line.startswith("Disallow: ")
