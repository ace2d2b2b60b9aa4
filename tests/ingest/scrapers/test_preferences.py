"""Content-Signal and Content-Usage as text: what each line says of training, in which group, for which path."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from protego import Protego

from ingest.scrapers.addresses import canonical
from ingest.scrapers.host_files import READ_BYTES, HostFile, Outcome
from ingest.scrapers.preferences import NOTED, Preference, Preferences, of_field, of_line
from ingest.scrapers.robots import Rules
from ingest.scrapers.signals import Statement, of_headers

NOW = datetime(2026, 11, 27, tzinfo=UTC)
SITE = "https://a.example"


def rules(text: str | bytes) -> Rules:
    body = text if isinstance(text, bytes) else text.encode()
    url = f"{SITE}/robots.txt"
    return Rules(HostFile(url=url, final_url=url, outcome=Outcome.FOUND, detail="", asked=NOW, fetched=NOW, body=body))


def said(text: str | bytes, path: str = "/page") -> list[Statement]:
    return rules(text).statements(f"{SITE}{path}")


def reserved(text: str | bytes, path: str = "/page") -> bool:
    return any(one.reserves for one in said(text, path))


@pytest.mark.parametrize(
    ("text", "reserves"),
    [
        ("search=yes,ai-train=no,use=reference", True),
        ("ai-train=no", True),
        ("AI-Train = NO", True),
        ("search=yes , ai-train= no", True),
        ("search=yes; ai-train=no", True),
        ("search=yes ai-train=no", True),
        ("ai-train: no", True),
        ('"ai-train=no"', True),
        ("ai_train=no", True),
        ("train-ai=n", True),  # as the other line has it
        ("ai-train=no, ai-train=yes", True),
        ("ai-train=yes, ai-train=no", True),
        ("ai-train=conditional", True),  # no plain yes
        ("ai-train=", True),
        ("ai-train=, search=yes", True),
        ("all=no", True),
        ("all=no, ai-train=yes", False),
        ("ai-train=yes", False),
        ("ai-train=Yes, search=no", False),
        ("search=no, ai-input=no, use=reference", None),
        ("use=immediate", None),
        ("no-ai-train", None),
        ("my-ai-train=no", None),
        ("=no", None),
        ("ai-train", None),
        ("", None),
    ],
)
def test_what_a_content_signal_says_of_training(text: str, reserves: bool | None) -> None:
    assert of_field("content-signal", text, b"").reserves is reserves
    (header,) = of_headers((("content-signal", text),), f"{SITE}/page", NOW)
    (line,) = said(f"User-agent: *\nContent-Signal: {text}")
    for one in (header, line):
        assert (one.signal, one.value, one.reserves) == ("content-signal", text, bool(reserves))


@pytest.mark.parametrize(
    ("text", "reserves"),
    [
        ("train-ai=n", True),
        ("train-ai=y", False),
        ("train-ai=n, search=y", True),
        ("search=y,train-ai=n", True),
        ("search=y  ,\ttrain-ai=n", True),
        ("train-genai=n", True),
        ("train-ai=y, train-genai=n", True),
        ("train-ai=n, train-genai=y", False),
        ("ai=n", True),  # labels of earlier versions of the vocabulary
        ("genai=n, ai=y", True),
        ("tdm=n", True),
        ("bots=n", True),
        ("all=n", True),
        ("all=n, train-ai=y", False),
        ("all=y, train-ai=n", True),
        ("bots=n, search=y", True),
        ("ai-train=n", True),  # the label of Content-Signal
        ("train-ai=no", True),  # neither y nor n, as the next five
        ("train-ai=N", True),
        ('train-ai="n"', True),
        ("train-ai=?0", True),
        ("train-ai", True),
        ("train-ai=(y n)", True),
        ("train-ai=yes", False),
        ("train-ai=n, train-ai=y", False),  # the last counts
        ("train-ai=y, train-ai=n", True),
        ("train-ai;allow=n, train-ai=y", False),
        ("train-ai=n;exceptions=cc-cr-ec", True),
        ("train-ai=y;why=n", False),
        ("train-ai=n; search=y", True),  # which is a parameter
        ('x="a, train-ai=n", search=y', None),  # inside a string
        ('x="\\"", y=(1 2.5;p "s" tok :aGk=:), z=@1659578233, d=%"f%c3", train-ai=n', True),
        ("ai-use=n, ai-output=n, search=n", None),
        ("something-new=n", None),
        ("", None),
    ],
)
def test_what_a_content_usage_says_of_training(text: str, reserves: bool | None) -> None:
    assert of_field("content-usage", text, b"").reserves is reserves
    (header,) = of_headers((("Content-Usage", text),), f"{SITE}/page", NOW)
    (line,) = said(f"User-agent: *\nContent-Usage: {text}")
    for one in (header, line):
        assert (one.signal, one.value, one.reserves) == ("content-usage", text, bool(reserves))


@pytest.mark.parametrize(
    "text",
    [
        "Train-AI=n",
        "train-ai = n",
        "train-ai=n,",
        "train-ai=n,,search=y",
        "train-ai=n search=y",
        "train-ai=",
        'train-ai=n, x="',
        "train-ai=n, x=(",
        "train-ai=n, x=(a,b)",
        "train-ai=n, x=1234567890123456",
        "train-ai=n, x=1.",
        "train-ai=n, x=?2",
        "=n",
        "train-ai=n, é=y",
    ],
)
def test_a_content_usage_that_is_no_dictionary_is_noted_and_reserves_in_doubt(text: str) -> None:
    for one in (*of_headers((("Content-Usage", text),), SITE, NOW), *said(f"User-agent: *\nContent-Usage: {text}")):
        assert (one.value, one.reserves) == (f"unreadable: {text}", text != "=n")
        assert text.encode("latin-1") in one.raw or text.encode() in one.raw


@pytest.mark.parametrize("text", ["Train-AI = Y", "search = n", "train-ai = y,", "no training, please"])
def test_a_content_usage_that_is_no_dictionary_permits_nothing(text: str) -> None:
    assert of_field("content-usage", text, b"").reserves is None


def test_each_header_line_counts_by_itself() -> None:
    lines = (("Content-Usage", "train-ai=n"), ("Content-Usage", "train-ai=y"), ("Content-Signal", "ai-train=yes"))
    assert [(one.raw, one.reserves) for one in of_headers(lines, SITE, NOW)] == [
        (b"Content-Signal: ai-train=yes", False),
        (b"Content-Usage: train-ai=n", True),
        (b"Content-Usage: train-ai=y", False),
    ]


NO = "Content-Signal: ai-train=no\n"


@pytest.mark.parametrize(
    ("text", "reserves"),
    [
        (f"User-agent: *\n{NO}Allow: /", True),
        ("user-agent:*\n  content-signal :  AI-TRAIN=NO  # please\n", True),
        ("User-agent: *\nContent-Signals: ai-train=no", True),
        ("User-agent: *\nContent signal: ai-train=no", True),
        ("User-agent: *\n# Content-Signal: ai-train=no", False),
        ("User-agent: *\nX-Content-Signal: ai-train=no", False),
        (f"{NO}User-agent: x\nDisallow: /", True),  # before any group
        (f"{NO}User-agent: medloom\nAllow: /", True),
        (f"Sitemap: https://a.example/s.xml\n{NO}", True),
        (f"User-agent: medloom\n{NO}User-agent: *\nContent-Signal: ai-train=yes", True),
        (f"User-agent: *\n{NO}User-agent: medloom\nContent-Signal: ai-train=yes", False),  # the own group alone
        (f"User-agent: *\n{NO}User-agent: MedLoom/0.1\nAllow: /", False),
        (f"User-agent: other\n{NO}", False),
        (f"User-agent: other\n{NO}User-agent: *\nAllow: /", False),
        (f"User-agent: other\nUser-agent: *\n{NO}", True),
        (f"User-agent: *\nSitemap: https://a.example/s.xml\nUser-agent: other\n{NO}", True),
        (f"User-agent: *\nAllow: /\n\nUser-agent: x\nDisallow: /\n\nUser-agent: *\n{NO}", True),  # groups are combined
        (f"User-agent: *\nAllow: /\n\n{NO}", True),  # a blank line ends no group
        (f"User-agent: *\n{NO}User-agent: *\nContent-Signal: ai-train=yes", True),
        ("User-agent: *\nContent-Signal: ai-train=yes\nContent-Usage: train-ai=n", True),
        (f"User-agent: *\n{NO}Content-Usage: train-ai=y", True),  # neither takes the other back
        (f"User-agent: *\n{NO}Disallow: /", True),  # of paths that are forbidden, too
        (f"\ufeffUser-agent: *\r{NO}", True),
        ("", False),
        ("<html>Content-Signal, ai-train=no</html>", False),
    ],
)
def test_groups(text: str, reserves: bool) -> None:
    assert reserved(text) == reserves
    for encoding in ("utf-16", "utf-8-sig"):
        assert reserved(text.encode(encoding)) == reserves


@pytest.mark.parametrize("name", ["Content-Usage", "Content-Signal"])
@pytest.mark.parametrize(
    ("lines", "free", "kept"),
    [
        (["/images/ train-ai=n"], ["/", "/image", "/Images/"], ["/images/", "/images/a.jpg?b"]),
        (["/\ttrain-ai=n"], [], ["/", "/a"]),
        (["train-ai=n", "/open/ train-ai=y"], ["/open/a"], ["/", "/openly"]),
        (["/open/ train-ai=y", "train-ai=n"], ["/open/a"], ["/"]),  # their order says nothing
        (["/ train-ai=n", "/open train-ai=y", "/open/but train-ai=n"], ["/open/a"], ["/", "/open/but/a"]),
        (["/a train-ai=y", "/a train-ai=n"], ["/b"], ["/a"]),  # the same path
        (["train-ai=n", "/docs/ search=y"], [], ["/docs/a", "/"]),  # which says nothing of training
        (["/*.jpg$ train-ai=n"], ["/a.png", "/a.jpg?x"], ["/a.jpg", "/b/c.jpg"]),
        (["/a*b*c train-ai=n"], ["/acb", "/abb"], ["/abc", "/a/b/c/d"]),
        (["/a$ train-ai=n"], ["/ab", "/"], ["/a"]),
        (["/*a$ train-ai=n"], ["/ab"], ["/a", "/ba"]),
        (["/aa*aa$ train-ai=n"], ["/aaa"], ["/aaaa", "/aabaa"]),
        (["/%c3%a4 train-ai=n", "/%7euser train-ai=n"], ["/a"], ["/%C3%A4", "/~user/a"]),
        (["/ä train-ai=n"], ["/a"], ["/%C3%A4/b"]),
        (["/a-%2A.html train-ai=n"], ["/a-b.html"], ["/a-*.html", "/a-%2a.html"]),  # RFC 9309 2.2.3
        (["/foo-%24 train-ai=n"], ["/foo-"], ["/foo-$", "/foo-%24"]),
        (["/a$b train-ai=n"], ["/a"], ["/a$b", "/a%24b"]),
        (["/100%/ train-ai=n"], ["/100/"], ["/100%/a", "/100%25/a"]),
        (["/page"], ["/page"], []),
    ],
)
def test_paths(name: str, lines: list[str], free: list[str], kept: list[str]) -> None:
    text = "User-agent: *\nAllow: /\n" + "".join(f"{name}: {line}\n" for line in lines)
    for path in free:
        assert not reserved(text, path), path
    for path in kept:
        assert reserved(text, path), path


def test_the_example_of_the_draft() -> None:
    text = (
        "User-Agent: *\nAllow: /\nDisallow: /never/\nContent-Usage: train-ai=n\nContent-Usage: /ai-ok/ train-ai=y\n\n"
        "User-Agent: ExampleBot\nAllow: /\nContent-Usage: train-ai=y\n"
    )
    for read in (text, text.replace("Usage: train", "Usage: / train")):
        assert [(one.value, one.reserves) for one in said(read, "/test")] == [("train-ai=n", True)]
        assert [(one.value, one.reserves) for one in said(read, "/ai-ok/test")] == [("train-ai=y", False)]


def test_a_line_is_noted_as_it_stands_with_the_file_and_its_time() -> None:
    text = "User-agent: *\n  Content-Usage : /\xe4 train-ai=n # no\r\nContent-Signal: search=yes, use=full"
    for encoding in ("utf-8", "latin-1"):
        statements = said(text.encode(encoding), "/%C3%A4")
        assert [(one.signal, one.value, one.reserves, one.raw) for one in statements] == [
            ("content-signal", "search=yes, use=full", False, b"Content-Signal: search=yes, use=full"),
            ("content-usage", "train-ai=n", True, "Content-Usage : /\xe4 train-ai=n # no".encode(encoding)),
        ]
        assert {(one.where, one.time) for one in statements} == {(f"{SITE}/robots.txt", NOW)}
    assert str(said("Content-Usage: train-ai=n")[0]) == f"{SITE}/robots.txt says Content-Usage: train-ai=n"


def test_many_lines_and_long_ones_do_not_swell_what_is_noted() -> None:
    lines = "".join(f"Content-Signal: search=yes, x{number}=yes\n" for number in range(1000))
    statements = said(f"User-agent: *\n{lines}Content-Signal: ai-train=no, {'x' * 100_000}")
    assert [one.reserves for one in statements] == [True, *[False] * (NOTED - 1)]
    assert all(len(one.raw) <= 1000 and len(one.value) <= 1000 for one in statements)


HOSTILE = {
    "lines": "Content-Usage: train-ai=y\n",
    "numbered": "Content-Usage: /{number} train-ai=y\n",
    "wildcards": "Content-Usage: /*{number}*a*$ train-ai=y\n",
    "signals": "Content-Signal: /{number}* ai-train=yes, search=yes\n",
    "names": "User-agent: a{number}\n",
    "groups": "User-agent: *\nContent-Signal: x{number}=y\n",
    "one name": "a",
    "one key": "Content-Usage: train-ai=n, " + "a" * READ_BYTES,
    "spaces": "Content-Usage: train-ai=n" + " " * READ_BYTES + "x",
    "equals": "Content-Signal: " + "=" * READ_BYTES,
    "escapes": "Content-Usage: /" + "%41" * (READ_BYTES // 3),
    "stars": "Content-Usage: /" + "*a" * (READ_BYTES // 2) + " train-ai=n",
    "string": 'Content-Usage: x="' + "\\\\" * (READ_BYTES // 2),
    "list": "Content-Usage: x=(" + "a " * (READ_BYTES // 2),
    "parameters": "Content-Usage: x" + ";a" * (READ_BYTES // 2) + "!",
    "members": "Content-Usage: " + "a," * (READ_BYTES // 2),
    "digits": "Content-Usage: x=" + "1" * READ_BYTES,
    "slashes": "Content-Signal: " + "/" * READ_BYTES,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_robots_txt_says_of_use_is_read_in_time_that_grows_with_its_bytes(kind: str) -> None:
    line = HOSTILE[kind]
    many = "".join(line.replace("{number}", str(number)) for number in range(READ_BYTES // len(line) or 1))
    lines = [one.partition(": ")[::2] for one in many[:READ_BYTES].splitlines()]
    begun = time.process_time()
    read = Preferences(one for name, value in lines if (one := of_line(name, value, value.encode())) is not None)
    assert len(read.of(f"{SITE}/{'a' * 8000}")) <= NOTED
    assert time.process_time() - begun < 2  # a tenth of it; what grows by the square takes hours


PIECES = ("/", "a", "b", "%41", "%2f", "%c3%a4", "?", "(", "%28", ".jpg", "~")
PATTERNS = st.lists(st.sampled_from([*PIECES, "*"]), max_size=6)
PATHS = st.lists(st.sampled_from(PIECES), max_size=6)


@given(PATTERNS, st.sampled_from(["", "$"]), PATHS)
def test_a_path_fits_where_it_would_in_a_disallow(pattern: list[str], end: str, path: list[str]) -> None:
    url = canonical(f"{SITE}/{''.join(path)}")
    rule = f"/{''.join(pattern)}{end}"
    line = Preference(signal="content-usage", path=rule, value="", reserves=True, raw=b"")
    assert bool(Preferences([line]).of(url)) != Protego.parse(f"User-agent: *\nDisallow: {rule}").can_fetch(url, "x")
