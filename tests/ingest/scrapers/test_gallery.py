"""A small website with everything that real ones have, crawled by selectors alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ingest.rights import Rights
from ingest.scrapers.gallery import Field, Gallery
from ingest.scrapers.settings import HostRule, LicenceRecord, Web
from shards.manifest import Media
from shards.media import MediaReader

BY = "https://creativecommons.org/licenses/by/4.0/"
FREE = HostRule(min_delay_s=0, start_delay_s=0)


def item(picture: str, caption: str, licence: str = BY, head: str = "") -> str:
    return (
        f"<html><head><title>Case</title>{head}</head><body><figure>{picture}<figcaption>{caption}</figcaption></figure>"
        f'<a rel="license" href="{licence}">licence</a></body></html>'
    )


def gallery(site: Any, **more: Any) -> Gallery:
    options: dict[str, Any] = {
        "source": "atlas",
        "start": (f"{site.url}/list?page=1",),
        "next_page": "a.next",
        "item": "h2 > a",
        "block": "figure",
        "fields": {
            "caption": Field(select="figcaption", clean=True),
            "license": Field(select="a[rel=license]", attribute="href", within="page"),
        },
        "needs": ("caption",),
        "caption": "caption",
        "license_column": "license",
        "rights": Rights(license="LicenseRef-none"),
        "modality": "XC",
        "specialty": "dermatology",
        "web": Web(contact="a@b.org", loopback=True, every_host=FREE),
    }
    return Gallery(**{**options, **more})


def fill(site: Any, jpeg: Any) -> None:
    """Two listing pages that lead in a circle, and items of every kind."""
    items = "".join(f'<h2><a href="/case/{n}">case</a></h2>' for n in (1, 2, 3, 4))
    more = "".join(f'<h2><a href="/case/{n}#top">case</a></h2>' for n in (4, 5, 6, 7, 8, 9))
    site.put("/list?page=1", f'{items}<a class="next" href="?page=2">next</a>')
    site.put(
        "/list?page=2", f'{more}<a class="next" href="/list?page=1">first</a><a class="next" href="/list?page=2">x'
    )
    site.put("/case/1", item('<img src="/a.jpg">', "Figure 1. A mole of 5&nbsp;mm [3]."))
    site.put(
        "/case/2", item('<img src="x.gif" data-src="b.jpg">', "Fig. 2: Psoriasis.", head='<base href="/deep/media/">')
    )
    site.put("/case/3", item('<img srcset="s.jpg 100w, /wide.jpg 900w" src="s.jpg">', "Eczema of the hand."))
    site.put("/case/4", item('<img src="/gone.jpg">', "A picture that is gone."))
    site.put("/case/5", item('<img src="/page.jpg">', "A page in place of a picture."))
    site.put("/case/6", item('<img src="/a.jpg?2">', "Same bytes. Reproduced from Smith 2001."))
    site.put("/case/7", item('<img src="/kept.jpg">', "For people only.", head='<meta name="robots" content="noai">'))
    site.put(
        "/case/8", item('<img src="/c.jpg">', "A lesion.", licence="https://creativecommons.org/licenses/by-nc/4.0/")
    )
    site.put("/case/9", "<p>No picture here.</p>")
    for number, path in enumerate(["/a.jpg", "/a.jpg?2", "/deep/media/b.jpg", "/wide.jpg", "/kept.jpg", "/c.jpg"]):
        site.put(path, jpeg(number), "image/jpeg")
    site.put("/page.jpg", "<html>error</html>")


def test_pairs_are_true_and_every_drop_has_its_reason(website: Any, web: Any, tmp_path: Path) -> None:
    fill(website, web.jpeg)
    found = web.crawl_stage(gallery(website), tmp_path)
    told = {row["url"].removeprefix(website.url): row for row in found.rows}
    assert {url: [c["text"] for c in row["captions"]] for url, row in told.items()} == {
        "/a.jpg": ["A mole of 5 mm."],
        "/deep/media/b.jpg": ["Psoriasis."],
        "/wide.jpg": ["Eczema of the hand."],
        "/c.jpg": ["A lesion."],
    }
    assert {url: row["license"] for url, row in told.items()} == dict.fromkeys(told, "CC-BY-4.0") | {
        "/c.jpg": "CC-BY-NC-4.0"
    }
    assert len({row["group"] for row in found.rows if row["group"].startswith("article:")}) == len(found.rows)
    assert json.loads(told["/a.jpg"]["attributes"]) == {"figure_label": "Figure 1"}
    assert told["/a.jpg"]["retrieved"].isoformat() == "2026-11-01T12:00:00+00:00"
    assert [(item.removeprefix(website.url), reason) for item, reason in found.rejects] == [
        ("/a.jpg?2", "licence_not_allowed"),
        ("/case/7", "opted_out"),
        ("/case/9", "no_media"),
        ("/gone.jpg", "http_missing"),
        ("/page.jpg", "wrong_content"),
    ]
    assert "/kept.jpg" not in website.asked()
    assert "/a.jpg?2" not in website.asked()
    for row in found.rows:
        media = Media(**row["media"])
        path = row["url"].removeprefix(website.url)
        assert website.pages[path].body[:2] == b"\xff\xd8"  # type: ignore[union-attr]
        frames = MediaReader().read(media).pixels
        assert frames.shape[1:3] == (48, 64)


def test_nothing_is_asked_twice_and_another_parser_asks_nothing(website: Any, web: Any, tmp_path: Path) -> None:
    fill(website, web.jpeg)
    first = web.crawl_stage(gallery(website), tmp_path)
    asked = website.asked()
    assert len(asked) == len(set(asked))
    before = {path.name: path.read_bytes() for path in (tmp_path / "root/.store/atlas/raw").iterdir()}
    website.log.clear()
    again = web.crawl_stage(gallery(website), tmp_path)
    assert again.rows == first.rows
    assert [
        one for one in website.asked(but_robots=False) if one not in ("/page.jpg",)
    ] == []  # no answer was kept of it
    titled = web.crawl_stage(gallery(website, fields={"caption": "title", "license": "a[rel=license]"}), tmp_path)
    assert {row["captions"][0]["text"] for row in titled.rows} == set()  # the text of the link is no licence
    assert {path.name: path.read_bytes() for path in (tmp_path / "root/.store/atlas/raw").iterdir()} == before


def test_the_store_says_where_an_answer_came_from_and_its_licence(website: Any, web: Any, tmp_path: Path) -> None:
    fill(website, web.jpeg)
    website.put("/robots.txt", "User-agent: *\nDisallow: /deep/\n", "text/plain")
    found = web.crawl_stage(gallery(website), tmp_path)
    assert (f"{website.url}/deep/media/b.jpg", "robots_disallowed") in found.rejects
    assert "/deep/media/b.jpg" not in website.asked()
    [table] = (tmp_path / "root/.store/atlas/raw").glob("*.parquet")
    rows = {row["url"].removeprefix(website.url): row for row in pl.read_parquet(table).iter_rows(named=True)}
    assert rows["/a.jpg"]["license"] == "CC-BY-4.0"
    assert BY in rows["/a.jpg"]["license_evidence"]
    assert json.loads(rows["/a.jpg"]["hops"])[0][1:] == [200, "127.0.0.1"]
    assert "Disallow" not in json.dumps(rows["/gone.jpg"]["headers"])
    assert "robots.txt" in rows["/a.jpg"]["seen"]
    assert rows["/gone.jpg"]["status"] == 404


def test_what_has_changed_since_a_day_is_asked_for_again(website: Any, web: Any, tmp_path: Path) -> None:
    fill(website, web.jpeg)
    body = web.jpeg(0)

    def tagged(asked: Any) -> Any:
        same = asked.headers.get("If-None-Match") == '"one"'
        return web.Page(b"" if same else body, 304 if same else 200, {"Content-Type": "image/jpeg", "ETag": '"one"'})

    website.pages["/a.jpg"] = tagged
    first = web.crawl_stage(gallery(website), tmp_path)
    website.put("/wide.jpg", web.jpeg(99), "image/jpeg")
    website.log.clear()
    again = Web(contact="a@b.org", loopback=True, every_host=FREE, refresh="2026-11-20")
    second = web.crawl_stage(gallery(website, web=again), tmp_path)
    old = {row["url"]: row["media"]["sha256"] for row in first.rows}
    new = {row["url"]: row["media"]["sha256"] for row in second.rows}
    assert {url.removeprefix(website.url) for url in new if new[url] != old[url]} == {"/wide.jpg"}
    assert next(one for one in website.log if one.path == "/a.jpg").headers["If-None-Match"] == '"one"'


def test_a_record_of_the_owner_overrides_what_it_names(website: Any, web: Any, tmp_path: Path) -> None:
    fill(website, web.jpeg)
    website.put("/robots.txt", "User-agent: *\nDisallow: /\n", "text/plain")
    rejects = {reason for _, reason in web.crawl_stage(gallery(website), tmp_path / "a").rejects}
    assert rejects == {"robots_disallowed"}
    record = LicenceRecord(
        rights=Rights(license="LicenseRef-letter"), evidence="letter of 2026-10-02", overrides=("robots", "opt_out")
    )
    rule = HostRule(min_delay_s=0, start_delay_s=0, record=record)
    found = web.crawl_stage(
        gallery(website, web=Web(contact="a@b.org", loopback=True, hosts={"127.0.0.1": rule})), tmp_path / "b"
    )
    assert f"{website.url}/kept.jpg" in {row["url"] for row in found.rows}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"item": "h2 >"}, "no CSS selector"),
        ({"caption": "captoin"}, "are no fields"),
        ({"fields": {"language": "p"}}, "columns that every item has"),
        ({"start": ()}, "at least one listing page"),
        ({"needs": ("text",)}, r"needs: \['text'\] are no fields; there are caption, license"),
    ],
)
def test_a_mistake_is_said_before_anything_is_asked(website: Any, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gallery(website, **change)


@pytest.mark.parametrize(
    ("pattern", "message"), [("(", "no regular expression"), ("a", "one group"), ("(a)(b)", "one")]
)
def test_a_pattern_that_keeps_nothing_or_several_parts(pattern: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Field(select="p", pattern=pattern)
