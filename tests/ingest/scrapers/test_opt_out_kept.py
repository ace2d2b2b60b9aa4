"""What keeps a picture out is kept itself, with its time and in the site's own bytes, and is asked for once."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ingest.rights import Rights
from ingest.scrapers.settings import HostRule, LicenceRecord, Web
from ingest.scrapers.url_list import UrlList

NOAI = "max-snippet:0, noai \u00e4"


def stage(folder: Path, urls: list[str], *overrides: Any) -> UrlList:
    folder.mkdir(exist_ok=True)
    pl.DataFrame({"url": urls, "text": [f"picture number {n}" for n in range(len(urls))]}).write_csv(folder / "u.csv")
    record = LicenceRecord(rights=Rights(license="CC-BY-4.0"), evidence="a letter", overrides=overrides)
    rule = HostRule(min_delay_s=0, start_delay_s=0, record=record)
    web = Web(contact="a@b.org", loopback=True, hosts={"127.0.0.1": rule})
    return UrlList(source="mine", table="u.csv", caption="text", modality="XC", specialty="dermatology", web=web)


def reserve(website: Any, web: Any) -> list[str]:
    reserved = {"Content-Type": "image/jpeg", "X-Robots-Tag": NOAI}
    website.pages["/a.jpg"] = web.Page(web.jpeg(1), headers=reserved)
    website.pages["/b.jpg"] = web.Page(status=301, headers={"Location": "/c.jpg", "TDM-Reservation": "1"})
    website.put("/c.jpg", web.jpeg(2), "image/jpeg")
    return [f"{website.url}/a.jpg", f"{website.url}/b.jpg"]


def table(folder: Path) -> dict[str, dict[str, Any]]:
    paths = (folder / "root/.store/mine/raw").glob("*.parquet")
    rows = [row for path in paths for row in pl.read_parquet(path).iter_rows(named=True)]
    return {row["url"].rpartition("/")[2]: row for row in rows}


def test_a_header_that_reserves_is_kept_with_time_and_bytes_and_is_not_asked_again(
    website: Any, web: Any, tmp_path: Path
) -> None:
    urls = reserve(website, web)
    begun = datetime.now(UTC)
    for _ in range(2):
        found = web.crawl_stage(stage(tmp_path, urls), tmp_path)
        assert found.rejects == [(url, "opted_out") for url in urls]
        assert found.rows == []
    assert website.asked().count("/a.jpg") == website.asked().count("/b.jpg") == 1
    assert "/c.jpg" not in website.asked()
    rows = table(tmp_path)
    assert [(rows[name]["opted_out"], rows[name]["status"], rows[name]["body_bytes"]) for name in sorted(rows)] == [
        (True, 200, 0),
        (True, 301, 0),
    ]
    (seen,) = json.loads(rows["a.jpg"]["seen"])
    (said,) = [one for one in seen["statements"] if one["reserves"]]
    assert said["raw"].encode("latin-1") == f"X-Robots-Tag: {NOAI}".encode("latin-1")
    assert begun <= datetime.fromisoformat(said["time"]) <= datetime.now(UTC)
    assert said["where"] == urls[0]
    assert ["X-Robots-Tag", NOAI] in json.loads(rows["a.jpg"]["headers"])
    (seen,) = json.loads(rows["b.jpg"]["seen"])
    assert [one["raw"] for one in seen["statements"]] == ["TDM-Reservation: 1"]


def test_a_record_of_later_fetches_what_was_reserved_and_without_it_nothing_is_used(
    website: Any, web: Any, tmp_path: Path
) -> None:
    urls = reserve(website, web)
    web.crawl_stage(stage(tmp_path, urls), tmp_path)
    found = web.crawl_stage(stage(tmp_path, urls, "opt_out"), tmp_path)
    assert (len(found.rows), found.rejects) == (2, [])
    assert [table(tmp_path)[name]["opted_out"] for name in ("a.jpg", "b.jpg")] == [False, False]
    asked = len(website.log)
    found = web.crawl_stage(stage(tmp_path, urls), tmp_path)
    assert found.rejects == [(url, "opted_out") for url in urls]
    assert len(website.log) == asked


def test_what_was_had_against_tdmrep_json_by_a_record_is_not_used_without_it(
    website: Any, web: Any, tmp_path: Path
) -> None:
    website.put("/a.jpg", web.jpeg(1), "image/jpeg")
    website.put("/.well-known/tdmrep.json", '[{"location": "/", "tdm-reservation": 1}]', "application/json")
    urls = [f"{website.url}/a.jpg"]
    assert web.crawl_stage(stage(tmp_path, urls), tmp_path).rejects == [(urls[0], "opted_out")]
    assert len(web.crawl_stage(stage(tmp_path, urls, "opt_out"), tmp_path).rows) == 1
    assert web.crawl_stage(stage(tmp_path, urls), tmp_path).rejects == [(urls[0], "opted_out")]
    assert website.asked().count("/a.jpg") == 1


def test_what_was_had_by_a_record_that_has_gone_is_asked_for_again_once(website: Any, web: Any, tmp_path: Path) -> None:
    website.put("/a.jpg", web.jpeg(1), "image/jpeg")
    urls = [f"{website.url}/a.jpg"]
    for overrides in (("opt_out", "robots"), (), ()):
        assert len(web.crawl_stage(stage(tmp_path, urls, *overrides), tmp_path).rows) == 1
    assert website.asked().count("/a.jpg") == 2
    website.put("/robots.txt", "User-agent: *\nDisallow: /", "text/plain")
    web.crawl_stage(stage(tmp_path / "other", urls, "robots"), tmp_path / "other")
    found = web.crawl_stage(stage(tmp_path / "other", urls), tmp_path / "other")
    assert found.rejects == [(urls[0], "robots_disallowed")]


@pytest.mark.parametrize("field", ["opted_out"])
def test_a_table_from_before_a_column_is_read(website: Any, web: Any, tmp_path: Path, field: str) -> None:
    website.put("/a.jpg", web.jpeg(1), "image/jpeg")
    urls = [f"{website.url}/a.jpg"]
    web.crawl_stage(stage(tmp_path, urls), tmp_path)
    (path,) = (tmp_path / "root/.store/mine/raw").glob("*.parquet")
    pl.read_parquet(path).drop(field).write_parquet(path)
    asked = len(website.log)
    assert len(web.crawl_stage(stage(tmp_path, urls), tmp_path).rows) == 1
    assert len(website.log) == asked
