"""A list of urls: hosts need a record, equal rows are asked once, and units hold hosts together."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ingest.rights import Answer, Rights
from ingest.scrapers.settings import HostRule, LicenceRecord, Web
from ingest.scrapers.url_list import UrlList
from ingest.scrapers.url_rows import BUCKET, ordered
from ingest.tables import Table
from pipelines.lineage import in_slice
from shards.stage import Context


def record(licence: str = "CC-BY-4.0", **terms: Any) -> HostRule:
    known = LicenceRecord(rights=Rights(license=licence, terms=terms), evidence="a letter")
    return HostRule(min_delay_s=0, start_delay_s=0, record=known)


def url_list(folder: Path, rows: list[dict[str, Any]], hosts: dict[str, HostRule], **more: Any) -> UrlList:
    folder.mkdir(exist_ok=True, parents=True)
    pl.DataFrame(rows).write_csv(folder / "urls.csv")
    options: dict[str, Any] = {
        "source": "mine",
        "table": "urls.csv",
        "caption": "text",
        "shortest_caption": 1,
        "modality": "XC",
        "specialty": "dermatology",
        "web": Web(contact="a@b.org", loopback=True, hosts=hosts),
    }
    return UrlList(**{**options, **more})


def test_rows_become_pairs_or_rejects_with_their_reason(website: Any, web: Any, tmp_path: Path) -> None:
    for number in range(3):
        website.put(f"/{number}.jpg", web.jpeg(number), "image/jpeg")
    sums = [hashlib.md5(web.jpeg(0)).hexdigest(), "0" * 32]
    rows = [
        {"url": f"{website.url}/0.jpg", "text": "zero", "md5": sums[0]},
        {"url": f"{website.url}/1.jpg", "text": "one", "md5": sums[1]},
        {"url": f"HTTP://127.0.0.1:{website.port}/x/../2.jpg#top", "text": "two", "md5": None},
        {"url": f"{website.url}/2.jpg", "text": "two again", "md5": None},
        {"url": f"{website.url}/3.jpg", "text": "three", "md5": None},
        {"url": "http://other.example/4.jpg", "text": "four", "md5": None},
        {"url": "ftp://127.0.0.1/5.jpg", "text": "five", "md5": None},
        {"url": None, "text": "six", "md5": None},
    ]
    found = web.crawl_stage(
        url_list(tmp_path, rows, {"127.0.0.1": record()}, md5_column="md5"),
        tmp_path,
    )
    assert {row["captions"][0]["text"] for row in found.rows} == {"zero", "two"}
    assert {row["license"] for row in found.rows} == {"CC-BY-4.0"}
    assert found.rejects == sorted(
        [
            (f"{website.url}/1.jpg", "checksum_differs"),
            (f"{website.url}/2.jpg", "duplicate_key"),
            (f"{website.url}/3.jpg", "http_missing"),
            ("http://other.example/4.jpg", "no_licence_record"),
            ("ftp://127.0.0.1/5.jpg", "bad_url"),
            ("row 8", "bad_row"),
        ]
    )
    assert sorted(set(website.asked()) - {"/.well-known/tdmrep.json"}) == ["/0.jpg", "/1.jpg", "/2.jpg", "/3.jpg"]
    assert website.asked().count("/2.jpg") == 1


def test_a_redirect_to_a_host_without_a_record_is_not_followed(website: Any, web: Any, tmp_path: Path) -> None:
    with web.serving(web.Website(), "127.0.0.2") as other:
        other.put("/a.jpg", web.jpeg(1), "image/jpeg")
        elsewhere = f"http://127.0.0.2:{other.port}/a.jpg"
        website.pages["/a.jpg"] = web.Page(status=302, headers={"Location": elsewhere})
        rows = [{"url": f"{website.url}/a.jpg", "text": "a"}]
        found = web.crawl_stage(url_list(tmp_path, rows, {"127.0.0.1": record()}), tmp_path)
        assert [reason for _, reason in found.rejects] == ["no_licence_record"]
        assert other.log == []


@pytest.mark.parametrize(("there", "reasons"), [("CC-BY-4.0", []), ("CC-BY-NC-4.0", ["licence_not_allowed"])])
def test_a_redirect_to_a_host_whose_record_gives_other_rights_gives_none(
    website: Any, web: Any, tmp_path: Path, there: str, reasons: list[str]
) -> None:
    with web.serving(web.Website(), "127.0.0.2") as other:
        other.put("/a.jpg", web.jpeg(1), "image/jpeg")
        website.pages["/a.jpg"] = web.Page(status=302, headers={"Location": f"http://127.0.0.2:{other.port}/a.jpg"})
        rows = [{"url": f"{website.url}/a.jpg", "text": "a"}]
        hosts = {"127.0.0.1": record(), "127.0.0.2": record(there)}
        for _ in range(2):
            found = web.crawl_stage(url_list(tmp_path, rows, hosts), tmp_path)
            assert [reason for _, reason in found.rejects] == reasons
            assert [row["license"] for row in found.rows] == ([] if reasons else ["CC-BY-4.0"])
        assert other.asked().count("/a.jpg") == 1


def test_nobody_can_allow_something_for_all_hosts() -> None:
    with pytest.raises(ValueError, match="name them under `hosts`"):
        Web(contact="a@b.org", every_host=record())


def test_each_row_has_the_licence_and_terms_of_its_host_unless_it_has_its_own(
    website: Any, web: Any, tmp_path: Path
) -> None:
    for number in range(3):
        website.put(f"/{number}.jpg", web.jpeg(number), "image/jpeg")
    rows = [{"url": f"{website.url}/{n}.jpg", "text": str(n), "own": ["CC0-1.0", "", "not given"][n]} for n in range(3)]
    rule = record("LicenseRef-letter", train=Answer(answer="yes", evidence="letter, page 2"))
    of_host = web.crawl_stage(url_list(tmp_path / "a", rows, {"127.0.0.1": rule}), tmp_path / "a")
    assert {row["license"] for row in of_host.rows} == {"LicenseRef-letter"}
    assert {row["terms"]["train"]["answer"] for row in of_host.rows} == {"yes"}
    own = url_list(tmp_path / "b", rows, {"127.0.0.1": rule}, license_column="own")
    found = web.crawl_stage(own, tmp_path / "b")
    assert {row["license"] for row in found.rows} == {"CC0-1.0"}
    assert {reason for _, reason in found.rejects} == {"bad_row"}


def test_two_records_of_one_licence_must_agree() -> None:
    one = record("LicenseRef-letter", train=Answer(answer="yes", evidence="letter, page 2"))
    with pytest.raises(ValueError, match="two records of LicenseRef-letter"):
        UrlList(
            source="mine",
            table="u.csv",
            modality="XC",
            specialty="dermatology",
            web=Web(contact="a@b.org", hosts={"a.org": one, "b.org": record("LicenseRef-letter")}),
        )


def context(folder: Path) -> Context:
    return Context(root=folder, out=folder / "out", tmp=folder / "tmp", folder=folder)


def test_a_host_lies_in_one_slice_and_a_new_row_changes_few_units(tmp_path: Path) -> None:
    rows = [{"url": f"http://h{n % 300}.org/{n}.jpg", "text": str(n)} for n in range(5000)]
    stage = url_list(tmp_path, rows, {"*.org": record()}, unit_rows=100)
    ctx = context(tmp_path)
    units = {unit.id: unit for unit in stage.units(ctx)}
    assert sum(unit.items for unit in units.values()) == 5000
    assert max(unit.items for unit in units.values()) <= 100
    table = ordered(stage, Table(str(tmp_path / "urls.csv"), stage.file))
    slices: dict[str, set[int]] = {}
    for unit in units.values():
        chosen = table.slice(unit.payload["start"], unit.items)["url"]
        for host in {url.split("/")[2] for url in chosen}:
            slices.setdefault(host, set()).add(next(i for i in range(4) if in_slice(unit.id, (i, 4))))
    assert len(slices) == 300
    assert all(len(found) == 1 for found in slices.values())
    assert set.union(*slices.values()) == {0, 1, 2, 3}
    grown = url_list(
        tmp_path, [*rows, {"url": "http://h7.org/new.jpg", "text": "new"}], {"*.org": record()}, unit_rows=100
    )
    changed = [
        unit for unit in grown.units(context(tmp_path)) if unit.id not in units or units[unit.id].inputs != unit.inputs
    ]
    assert 1 <= len(changed) <= 4


def test_hosts_take_turns_inside_a_unit(tmp_path: Path) -> None:
    rows = [{"url": f"http://h{n // 10}.org/{n}.jpg", "text": str(n)} for n in range(50)]
    stage = url_list(tmp_path, rows, {"*.org": record()}, unit_rows=100)
    urls = ordered(stage, Table(str(tmp_path / "urls.csv"), stage.file))["url"].to_list()
    assert {url.split("/")[2] for url in urls[:5]} == {f"h{n}.org" for n in range(5)}


def test_a_host_is_one_however_its_urls_are_written(tmp_path: Path) -> None:
    hosts = ("b\u00fccher.org", "xn--bcher-kva.org", "B\u00dcCHER.ORG.", "b%C3%BCcher.org")
    other = [f"h{n}.org" for n in range(60)]
    rows = [{"url": f"http://{host}/{n}.jpg", "text": str(n)} for n, host in enumerate((*hosts, *other))]
    stage = url_list(tmp_path, rows, {"*.org": record()}, unit_rows=1)
    table = ordered(stage, Table(str(tmp_path / "urls.csv"), stage.file))
    buckets = dict(zip(table["url"].to_list(), table[BUCKET].to_list(), strict=True))
    assert len({buckets[row["url"]] for row in rows[: len(hosts)]}) == 1
    assert len(set(buckets.values())) > 10
