"""What robots.txt and headers say of training, before real servers: what is not asked for, what is kept, records."""

from __future__ import annotations

import base64
import json
import runpy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ingest.rights import Rights
from ingest.scrapers.settings import HostRule, LicenceRecord, Signal, Web
from ingest.scrapers.url_list import UrlList
from shards.canonical import sha256_hex
from shards.intake import Skip

HELPERS = runpy.run_path(str(Path(__file__).with_name("polite_server.py")))
site, worker, Page = HELPERS["site"], HELPERS["worker"], HELPERS["Page"]
WELL_KNOWN = "/.well-known/tdmrep.json"
SIGNAL = "Content-Signal: search=yes,ai-train=no,use=reference"
RESERVED = f"User-agent: *\n{SIGNAL}\nAllow: /\n"

# in the shape of the file that a large network puts before those of its customers
MANAGED = f"""# By using this site you accept these signals.
#
# (a)  yes: the content may be collected for this use.
# (b)  no: it may not.
#
# search: an index and its results.
# ai-input: text that is given to a model.
# ai-train: models that learn from it.
#
# What is restricted is reserved under article 4 of directive 2019/790.

# BEGIN Managed content

User-agent: *
{SIGNAL}
Allow: /

User-agent: Amazonbot
Disallow: /

User-agent: CCBot
Disallow: /

User-agent: GPTBot
Disallow: /

# END Managed content

User-agent: *
Disallow: /admin
Sitemap: https://a.example/sitemap.xml
"""


def record(*overrides: Signal) -> dict[str, HostRule]:
    allowed = LicenceRecord(rights=Rights(license="CC-BY-4.0"), evidence="a letter of 1 May 2026", overrides=overrides)
    return {"127.0.0.1": HostRule(min_delay_s=0.0, start_delay_s=0.0, record=allowed)}


def test_the_file_of_a_managed_site_reserves_all_of_it_and_nothing_else_is_asked_for(tmp_path: Path) -> None:
    with site(pages={"/page": Page()}) as here, worker(tmp_path) as polite:
        here.robots(MANAGED)
        with pytest.raises(Skip) as raised:
            polite.get(f"{here.url}/page")
        assert str(raised.value) == f"opted_out: {here.url}/robots.txt says {SIGNAL}"
        with pytest.raises(Skip, match="robots_disallowed"):
            polite.get(f"{here.url}/admin")
        assert here.asked() == ["/robots.txt"]


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("User-agent: *\nContent-Signal: search=yes, ai-train=yes", "200"),
        ("User-agent: *\nContent-Usage: train-ai=n", "opted_out"),
        ("User-agent: *\nContent-Usage: /page train-ai=n", "opted_out"),
        ("User-agent: *\nContent-Usage: /pages train-ai=n", "200"),
        ("User-agent: *\nContent-Usage: train-ai=n!", "opted_out"),  # a token, and no plain yes
        ("User-agent: *\nContent-Usage: train-ai=n)", "opted_out"),  # no dictionary, and no yes
        ("User-agent: *\nContent-Usage: search=n)", "200"),
        ("User-agent: other\nContent-Usage: train-ai=n", "200"),
        ("User-agent: medloom\nContent-Signal: ai-train=no", "opted_out"),
    ],
)
def test_a_page_is_fetched_unless_robots_txt_reserves_it(tmp_path: Path, text: str, outcome: str) -> None:
    with site(pages={"/page": Page()}) as here, worker(tmp_path) as polite:
        here.robots(text)
        try:
            found = str(polite.get(f"{here.url}/page").status)
        except Skip as skip:
            found = skip.reason.value
        assert found == outcome
        assert len(here.asked("/page")) == (outcome == "200")


def test_all_that_was_said_is_noted_whether_it_reserves_or_not(tmp_path: Path) -> None:
    headers = ("Content-Type: text/html", "Content-Signal: ai-train=yes, ai-input=no", "Content-Usage: search = n")
    with site(pages={"/page": Page(headers=headers)}) as here, worker(tmp_path) as polite:
        here.robots("User-agent: *\nContent-Signal: search=no\nContent-Usage: train-ai=y")
        polite.get(f"{here.url}/page")
        (seen,) = json.loads(polite.gate.seen(f"{here.url}/page"))
    where = {"/robots.txt": f"{here.url}/robots.txt", "/page": f"{here.url}/page"}
    assert [(one["where"], one["signal"], one["value"], one["reserves"]) for one in seen["statements"]] == [
        (where["/robots.txt"], "content-signal", "search=no", False),
        (where["/robots.txt"], "content-usage", "train-ai=y", False),
        (where["/page"], "content-signal", "ai-train=yes, ai-input=no", False),
        (where["/page"], "content-usage", "unreadable: search = n", False),
    ]


def test_a_redirect_to_a_path_that_is_reserved_is_not_followed(tmp_path: Path) -> None:
    with site(pages={"/images/a": Page()}) as here, worker(tmp_path) as polite:
        here.robots("User-agent: *\nContent-Usage: /images/ train-ai=n")
        here.pages["/moved"] = Page(b"", ("Location: /images/a",), "301 Moved")
        with pytest.raises(Skip, match=r"opted_out: .*/robots\.txt says Content-Usage: /images/ train-ai=n"):
            polite.get(f"{here.url}/moved")
        assert here.asked("/moved")
        assert not here.asked("/images/a")


OUTCOMES: list[tuple[str, tuple[Signal, ...], str, list[str]]] = [
    (RESERVED, ("robots",), "opted_out", ["/robots.txt"]),
    (RESERVED, ("deny_list",), "opted_out", ["/robots.txt"]),
    (RESERVED, ("opt_out",), "200", ["/robots.txt", "/page"]),
    (RESERVED, ("opt_out", "robots"), "200", ["/page"]),
    (f"{RESERVED}Disallow: /page", (), "robots_disallowed", ["/robots.txt"]),
    (f"{RESERVED}Disallow: /page", ("opt_out",), "robots_disallowed", ["/robots.txt"]),
    (f"{RESERVED}Disallow: /page", ("robots",), "opted_out", ["/robots.txt"]),
    (f"{RESERVED}Disallow: /page", ("opt_out", "robots"), "200", ["/page"]),
    ("User-agent: *\nDisallow: /", ("robots",), "200", ["/robots.txt", WELL_KNOWN, "/page"]),
]


@pytest.mark.parametrize(("text", "overrides", "outcome", "asked"), OUTCOMES)
def test_a_record_overrides_what_it_names_and_no_more(
    tmp_path: Path, text: str, overrides: tuple[Signal, ...], outcome: str, asked: list[str]
) -> None:
    with site(pages={"/page": Page()}) as here, worker(tmp_path, hosts=record(*overrides)) as polite:
        here.robots(text)
        try:
            found = str(polite.get(f"{here.url}/page").status)
        except Skip as skip:
            found = skip.reason.value
        assert (found, here.asked()) == (outcome, asked)


def test_a_file_that_was_kept_before_these_lines_were_read_is_read(tmp_path: Path) -> None:
    with site(pages={"/page": Page()}) as here:
        url, now = f"{here.url}/robots.txt", datetime.now(UTC).isoformat()
        folder = tmp_path / "store" / "robots"
        folder.mkdir(parents=True)
        held: dict[str, Any] = {"url": url, "final_url": url, "outcome": "found", "detail": "200", "cut": False}
        held |= {"asked": now, "fetched": now, "sha256": sha256_hex(RESERVED.encode())}
        held["body_base64"] = base64.b64encode(RESERVED.encode()).decode()
        (folder / f"{sha256_hex(url.encode())[:32]}.json").write_text(json.dumps(held))
        with worker(tmp_path) as polite, pytest.raises(Skip, match=r"opted_out: .*/robots\.txt says Content-Signal"):
            polite.get(f"{here.url}/page")
        assert here.asked() == []


def stage(folder: Path, url: str, *overrides: Signal, refresh: str = "") -> UrlList:
    pl.DataFrame({"url": [url], "text": ["a picture"]}).write_csv(folder / "u.csv")
    web = Web(contact="a@b.org", loopback=True, hosts=record(*overrides), refresh=refresh)
    return UrlList(source="mine", table="u.csv", caption="text", modality="XC", specialty="dermatology", web=web)


def row(folder: Path) -> dict[str, Any]:
    """That of the one url in the tables of the raw store."""
    tables = [pl.read_parquet(path) for path in (folder / "root/.store/mine/raw").glob("*.parquet")]
    return pl.concat(tables).row(0, named=True)


def test_a_line_of_robots_txt_stands_in_the_row_of_what_a_record_lets_be_fetched_and_outlives_the_record(
    website: Any, web: Any, tmp_path: Path
) -> None:
    website.put("/a.jpg", web.jpeg(1), "image/jpeg")
    website.put("/robots.txt", MANAGED, "text/plain")
    url = f"{website.url}/a.jpg"
    assert web.crawl_stage(stage(tmp_path, url), tmp_path).rejects == [(url, "opted_out")]
    assert website.asked() == []
    assert len(web.crawl_stage(stage(tmp_path, url, "opt_out"), tmp_path).rows) == 1
    (seen,) = json.loads(row(tmp_path)["seen"])
    (said,) = seen["statements"]
    (held,) = [json.loads(path.read_bytes()) for path in (tmp_path / "root/.store/mine/robots").glob("*.json")]
    assert said == {
        "signal": "content-signal",
        "value": "search=yes,ai-train=no,use=reference",
        "reserves": True,
        "where": f"{website.url}/robots.txt",
        "time": held["fetched"],
        "raw": SIGNAL,
        "policy": "",
    }
    assert (seen["overrides"], seen["evidence"]) == (["opt_out"], "a letter of 1 May 2026")
    for overrides in ((), ("robots",)):
        assert web.crawl_stage(stage(tmp_path, url, *overrides), tmp_path).rejects == [(url, "opted_out")]
    assert website.asked() == ["/a.jpg"]


def test_what_was_kept_before_robots_txt_reserved_it_is_not_used_once_it_is_to_be_asked_for_again(
    website: Any, web: Any, tmp_path: Path
) -> None:
    website.put("/a.jpg", web.jpeg(1), "image/jpeg")
    url = f"{website.url}/a.jpg"
    assert len(web.crawl_stage(stage(tmp_path, url), tmp_path).rows) == 1
    website.put("/robots.txt", MANAGED, "text/plain")
    for path in (tmp_path / "root/.store/mine/robots").glob("*.json"):
        path.unlink()
    assert len(web.crawl_stage(stage(tmp_path, url), tmp_path).rows) == 1
    tomorrow = str(datetime.now(UTC).date() + timedelta(days=1))
    assert web.crawl_stage(stage(tmp_path, url, refresh=tomorrow), tmp_path).rejects == [(url, "opted_out")]
    assert website.asked().count("/a.jpg") == 1


@pytest.mark.parametrize(
    ("name", "value"), [("Content-Signal", "search=yes, ai-train=no"), ("Content-Usage", "search=y, train-ai=n")]
)
def test_a_header_that_reserves_is_kept_without_a_body_and_is_not_asked_again(
    website: Any, web: Any, tmp_path: Path, name: str, value: str
) -> None:
    website.put("/a.jpg", web.jpeg(1), "image/jpeg", **{name: value})
    url = f"{website.url}/a.jpg"
    for _ in range(2):
        assert web.crawl_stage(stage(tmp_path, url), tmp_path).rejects == [(url, "opted_out")]
    assert website.asked().count("/a.jpg") == 1
    found = row(tmp_path)
    assert (found["opted_out"], found["body_bytes"]) == (True, 0)
    (seen,) = json.loads(found["seen"])
    assert [(one["signal"], one["raw"], one["where"]) for one in seen["statements"]] == [
        (name.lower(), f"{name}: {value}", url)
    ]
    assert len(web.crawl_stage(stage(tmp_path, url, "opt_out"), tmp_path).rows) == 1
