"""Articles of PubMed Central, from a bucket and searches on the loopback that answer as the real ones do."""

from __future__ import annotations

import gzip
import io
import json
import runpy
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

from ingest.rights import Rights
from ingest.scrapers.pmc import COLUMNS, PmcArticles
from ingest.scrapers.pmc_ids import inventory_rows
from ingest.scrapers.settings import HostRule, Web
from shards.intake import Skip
from shards.manifest import Media
from shards.media import MediaReader

HERE = Path(__file__).parent
MADE = SimpleNamespace(**runpy.run_path(str(HERE / "jats_article.py")))
SERVER = SimpleNamespace(**runpy.run_path(str(HERE / "pmc_server.py")))
CT = "<p>Axial CT of the chest shows a mass in the left lung (arrow).</p>"
FIGURES = SimpleNamespace(**runpy.run_path(str(HERE / "compound_figures.py")))
FREE = HostRule(min_delay_s=0, start_delay_s=0)


@pytest.fixture
def archive(website: Any, web: Any) -> Iterator[Any]:
    archive = SERVER.Archive()
    website.pages = SERVER.Routes(archive, web.Page)
    return archive


def stage(site: Any, **more: Any) -> PmcArticles:
    options: dict[str, Any] = {
        "source": "pmc",
        "specialty": "radiology",
        "web": Web(contact="a@b.org", loopback=True, every_host=FREE, tries=1),
        "bucket": f"{site.url}/bucket/",
        "e_utilities": f"{site.url}/eutils/",
        "europe_pmc_url": f"{site.url}/europe/",
    }
    return PmcArticles(**{**options, **more})


def table(folder: Path, *ids: str) -> dict[str, Any]:
    (folder / "ids.csv").write_text("pmcid\n" + "\n".join(ids) + "\n")
    return {"ids": "ids.csv"}


def put(
    archive: Any, web: Any, pmcid: str, body: str = "", number: int = 1, *, xml: bytes | None = None, **facts: Any
) -> None:
    """An article with one figure of a CT, unless told otherwise."""
    text = xml or MADE.article(body or MADE.fig(CT), pmcid=pmcid)
    archive.add(pmcid, text, {"x-g001.jpg": web.jpeg(int(pmcid[3:]))}, number, **facts)


def jpeg_of(figure: Any) -> bytes:
    data = io.BytesIO()
    Image.fromarray(figure.pixels).save(data, "JPEG", quality=92)
    return data.getvalue()


def captions(found: Any) -> dict[str, list[str]]:
    return {row["url"].rpartition("/bucket/")[2]: [one["text"] for one in row["captions"]] for row in found.rows}


def test_a_figure_with_all_that_its_article_says(website: Any, web: Any, archive: Any, tmp_path: Path) -> None:
    put(archive, web, "PMC11")
    found = web.crawl_stage(stage(website, **table(tmp_path, "PMC11")), tmp_path)
    (row,) = found.rows
    assert captions(found) == {"PMC11.1/x-g001.jpg": ["Axial CT of the chest shows a mass in the left lung (arrow)."]}
    assert (row["license"], row["modality"], row["specialty"]) == ("CC-BY-4.0", "CT", "radiology")
    assert row["group"].startswith("article:")
    assert json.loads(row["attributes"]) == {"figure_label": "Figure 1", "language": "en"}
    assert row["terms"]["train"]["answer"] == "yes"
    assert MediaReader().read(Media(**row["media"])).pixels.shape[1:3] == (48, 64)
    (entry,) = (
        pl.read_parquet(tmp_path / "root/.store/pmc/raw/*.parquet").filter(pl.col("license") != "").rows(named=True)
    )
    assert entry["url"].endswith("/bucket/PMC11.1/x-g001.jpg")
    assert "code CC BY" in entry["license_evidence"]
    assert "creativecommons.org/licenses/by/4.0/" in entry["license_evidence"]


def test_the_newest_version_that_is_no_manuscript(website: Any, web: Any, archive: Any, tmp_path: Path) -> None:
    put(archive, web, "PMC1137")
    put(archive, web, "PMC11370360")  # which its prefix must not find
    for number in (2, 9, 10, 11):
        put(
            archive,
            web,
            "PMC1137",
            number=number,
            is_manuscript=number == 11,
            license_code="TDM" if number == 11 else "CC BY",
        )
    put(archive, web, "PMC20", is_manuscript=True)
    found = web.crawl_stage(stage(website, **table(tmp_path, "PMC1137", "PMC20", "PMC99")), tmp_path)
    assert list(captions(found)) == ["PMC1137.10/x-g001.jpg"]
    assert found.rejects == [("PMC20", "licence_not_allowed"), ("PMC99", "http_missing")]
    assert not any("PMC11370360" in path for path in website.asked())


TWO_FILES = "<graphic xlink:href='x-g001'/><graphic xlink:href='b'/>"
KEPT_OUT: list[tuple[str, dict[str, Any]]] = [  # reason, what the archive knows; `xml` is what the article is made of
    ("licence_not_allowed", {"is_pmc_openaccess": False}),
    ("licence_not_allowed", {"license_code": "TDM"}),
    ("licence_not_allowed", {"license_code": None}),
    ("licence_not_allowed", {"license_code": "CC BY-NC-ND"}),
    ("licence_not_allowed", {"license_code": "CC BY-NC"}),  # which this crawl does not list
    ("retracted", {"is_retracted": True}),
    ("retracted", {"is_retracted": "yes"}),
    ("retracted", {"title": "RETRACTED ARTICLE: A mass"}),
    ("corrupt", {"is_retracted": None}),
    ("corrupt", {"version": 7}),
    ("corrupt", {"media_urls": [f"s3://pmc-oa-opendata/PMC1.1/other.jpg?md5={'0' * 32}"]}),
    ("corrupt", {"media_urls": ["https://example.org/a.jpg"]}),
    ("no_media", {"media_urls": []}),
    ("retracted", {"xml": {"body": MADE.fig(CT), "kind": "retraction"}}),
    ("retracted", {"xml": {"body": MADE.fig(CT), "title": "Retracted: A mass"}}),
    ("corrupt", {"xml": {"body": MADE.fig(CT), "pmcid": "PMC9999"}}),
    ("no_media", {"xml": {"body": "<p>no figure</p>"}}),
    ("licence_not_allowed", {"xml": {"body": MADE.fig(CT), "permissions": MADE.BY.replace("/by/", "/by-nc/")}}),
    ("wrong_content", {"xml": b"<html><body>moved</body></html>"}),
    ("corrupt", {"xml": b"<article><front/></article>"}),
    ("licence_not_allowed", {"xml": {"body": MADE.fig("<p>Figure 1. Reproduced from Doe 2001.</p>")}}),
    ("no_caption", {"xml": {"body": MADE.fig("")}}),
    ("bad_row", {"xml": {"body": MADE.fig("<p>A mass of &mystery;.</p>")}}),
    ("no_media", {"xml": {"body": MADE.fig(CT, href="y-g002")}}),
    ("no_media", {"xml": {"body": MADE.fig(CT, inside=TWO_FILES)}}),  # one of them is not there
]


def test_what_keeps_an_article_out(website: Any, web: Any, archive: Any, tmp_path: Path) -> None:
    for number, (_, facts) in enumerate(KEPT_OUT, 1):
        pmcid, xml = f"PMC{number}", facts.get("xml")
        made = MADE.article(**{"pmcid": pmcid, **xml}) if isinstance(xml, dict) else xml
        put(archive, web, pmcid, **{**facts, "xml": made})
    ids = [f"PMC{number}" for number in range(1, len(KEPT_OUT) + 1)]
    found = web.crawl_stage(stage(website, **table(tmp_path, *ids), licences=("CC BY",)), tmp_path)
    assert not found.rows
    told = {item.partition("/")[0]: reason for item, reason in found.rejects}
    assert [(told.get(pmcid), facts) for pmcid, (_, facts) in zip(ids, KEPT_OUT, strict=True)] == KEPT_OUT
    assert not any(path.endswith(".jpg") for path in website.asked())


def test_a_caption_that_names_no_modality_needs_one_from_the_options(
    website: Any, web: Any, archive: Any, tmp_path: Path
) -> None:
    put(archive, web, "PMC11", MADE.fig("<p>A mass in the lung, as large as a fist.</p>"))
    options = table(tmp_path, "PMC11")
    assert web.crawl_stage(stage(website, **options), tmp_path).rejects == [("PMC11/F1", "unknown_modality")]
    (row,) = web.crawl_stage(stage(website, **options, modality="FIG"), tmp_path).rows
    assert row["modality"] == "FIG"


def test_the_licence_of_a_figure_overrides_the_articles(website: Any, web: Any, archive: Any, tmp_path: Path) -> None:
    stated = {
        "F1": "",
        "F2": f'<permissions><license xlink:href="{MADE.DEED}/by-sa/3.0/"/></permissions>',
        "F3": f'<permissions><license xlink:href="{MADE.DEED}/by-nd/4.0/"/></permissions>',
        "F4": "<permissions><copyright-statement>\u00a9 Springer 2001</copyright-statement></permissions>",
    }
    graphic = "<graphic xlink:href='{}'/>{}"
    body = "".join(MADE.fig(CT, id_=name, inside=graphic.format(name, words)) for name, words in stated.items())
    archive.add("PMC11", MADE.article(body), {f"{name}.jpg": web.jpeg(i) for i, name in enumerate(stated)})
    found = web.crawl_stage(stage(website, **table(tmp_path, "PMC11")), tmp_path)
    assert {row["url"][-6:-4]: row["license"] for row in found.rows} == {"F1": "CC-BY-4.0", "F2": "CC-BY-SA-3.0"}
    assert found.rejects == [("PMC11/F3", "licence_not_allowed"), ("PMC11/F4", "licence_not_allowed")]


def test_files_are_found_by_their_stems(website: Any, web: Any, archive: Any, tmp_path: Path) -> None:
    cases = [  # as the article writes it, files, the one that is taken
        ("a.b-g001", ["a.b-g001.tif", "a.b-g001.gif", "a.b-g001.jpg"], "a.b-g001.jpg"),
        ("a-g001.tif", ["a-g001.tif", "a-g001.jpg"], "a-g001.jpg"),
        ("A-G001.TIF", ["a-g001.JPG"], "a-g001.JPG"),
        ("a-g001", ["a-g0011.jpg", "a-g001.png"], "a-g001.png"),
        ("pone.001.g001", ["pone.001.g001.jpg", "pone.001.jpg"], "pone.001.g001.jpg"),
        ("a g+1%", ["a g+1%.jpg"], "a g+1%.jpg"),
    ]
    for number, (href, files, _) in enumerate(cases, 1):
        xml = MADE.article(MADE.fig(CT, href=href), pmcid=f"PMC{number}")
        archive.add(f"PMC{number}", xml, {name: web.jpeg(10 * number + i) for i, name in enumerate(files)})
    ids = [f"PMC{number}" for number in range(1, len(cases) + 1)]
    found = web.crawl_stage(stage(website, **table(tmp_path, *ids)), tmp_path)
    assert found.rejects == []
    expected = {archive.sha256(f"{pmcid}.1/{taken}") for pmcid, (_, _, taken) in zip(ids, cases, strict=True)}
    assert {row["media"]["sha256"] for row in found.rows} == expected
    for row in found.rows:
        assert MediaReader().read(Media(**row["media"])).pixels.shape[1:3] == (48, 64)


def test_bytes_that_are_not_those_of_the_stated_md5_are_not_taken(
    website: Any, web: Any, archive: Any, tmp_path: Path
) -> None:
    put(archive, web, "PMC11")
    archive.objects["PMC11.1/x-g001.jpg"] = (web.jpeg(99), "image/jpeg")
    found = web.crawl_stage(stage(website, **table(tmp_path, "PMC11")), tmp_path)
    assert found.rejects == [("PMC11/F1", "checksum_differs")]


def test_an_unchanged_article_is_not_fetched_again(website: Any, web: Any, archive: Any, tmp_path: Path) -> None:
    put(archive, web, "PMC11")
    options = table(tmp_path, "PMC11")
    first = web.crawl_stage(stage(website, **options), tmp_path)
    website.log.clear()
    assert web.crawl_stage(stage(website, **options), tmp_path).rows == first.rows
    assert website.asked(but_robots=False) == []
    again = stage(
        website, **options, web=Web(contact="a@b.org", loopback=True, every_host=FREE, tries=1, refresh="2026-12-01")
    )
    assert web.crawl_stage(again, tmp_path).rows == first.rows
    asked = {one.path: one.headers.get("If-None-Match") for one in website.log if "x-g001" in one.path}
    assert all(asked.values())
    assert len(asked) == 1


def test_compound_figures(website: Any, web: Any, archive: Any, tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    said = "<p>Findings in the chest. (A) Axial CT shows a mass. (B) Sagittal MRI shows the mass. (C) Chest X-ray.</p>"
    row = FIGURES.figure("row", 3, draw, letters="inside", kinds=("scan",), size=(600, 300))
    joined = FIGURES.figure("row", 3, draw, gap_px=0, letters="none", kinds=("scan",), size=(600, 300))
    plain = FIGURES.figure("row", 2, draw, letters="none", kinds=("scan",), size=(600, 300))
    pictures = {"row": row, "joined": joined, "plain": plain}
    body = MADE.fig(said, href="row") + MADE.fig(said, id_="F2", href="joined") + MADE.fig(CT, id_="F3", href="plain")
    archive.add("PMC11", MADE.article(body), {f"{name}.jpg": jpeg_of(figure) for name, figure in pictures.items()})
    found = web.crawl_stage(stage(website, **table(tmp_path, "PMC11"), modality="FIG"), tmp_path)
    assert found.rejects == []
    told = {}
    for line in found.rows:
        about = json.loads(line["attributes"])
        (caption,) = line["captions"]
        told[line["url"].rpartition("/")[2], about["figure_label"]] = (
            caption["text"],
            line["modality"],
            about.get("compound"),
        )
    whole = said[3:-4]
    assert told == {
        ("row.jpg", "Figure 1A"): ("Findings in the chest. Axial CT shows a mass.", "CT", None),
        ("row.jpg", "Figure 1B"): ("Findings in the chest. Sagittal MRI shows the mass.", "MR", None),
        ("row.jpg", "Figure 1C"): ("Findings in the chest. Chest X-ray.", "CR", None),
        ("joined.jpg", "Figure 1"): (whole, "FIG", True),
        ("plain.jpg", "Figure 1"): (CT[3:-4], "CT", True),
    }
    assert len({line["key"] for line in found.rows}) == 5
    assert len({line["group"] for line in found.rows}) == 1
    for line in found.rows:
        media = Media(**line["media"])
        shown = MediaReader().read(media).pixels
        assert shown.shape[1:3] == (media.height_px, media.width_px)
    (first,) = (line for line in found.rows if "Axial" in line["captions"][0]["text"] and "row.jpg" in line["url"])
    left, top, right, _ = row.panels[0]
    shown = MediaReader().read(Media(**first["media"])).pixels[0].astype(int)
    assert abs(shown.shape[1] - (right - left)) <= 2
    assert np.abs(shown[:200, :150] - row.pixels[top : top + 200, left : left + 150].astype(int)).mean() < 6
    assert web.crawl_stage(stage(website, **table(tmp_path, "PMC11"), modality="FIG"), tmp_path).rows == found.rows
    unsplit = web.crawl_stage(stage(website, **table(tmp_path, "PMC11"), modality="FIG", split_panels=False), tmp_path)
    assert [json.loads(line["attributes"]).get("compound") for line in unsplit.rows].count(True) == 2


def test_figures_of_several_files(website: Any, web: Any, archive: Any, tmp_path: Path) -> None:
    said = "<p>(a) Axial CT of the chest. (b) Sagittal MRI of the spine.</p>"
    lettered = "<graphic xlink:href='g1a'/><graphic xlink:href='g1b'/>"
    numbered = "<graphic xlink:href='g2x'/><graphic xlink:href='g2y'/>"
    body = MADE.fig(said, inside=lettered) + MADE.fig(said, id_="F2", inside=numbered)
    names = ("g1a", "g1b", "g2x", "g2y")
    archive.add("PMC11", MADE.article(body), {f"{name}.jpg": web.jpeg(i) for i, name in enumerate(names)})
    found = web.crawl_stage(stage(website, **table(tmp_path, "PMC11")), tmp_path)
    assert {line["url"][-7:]: (line["captions"][0]["text"], line["modality"]) for line in found.rows} == {
        "g1a.jpg": ("Axial CT of the chest.", "CT"),
        "g1b.jpg": ("Sagittal MRI of the spine.", "MR"),
    }
    assert found.rejects == [("PMC11/F2", "bad_row")]


def test_what_is_no_picture_is_a_reject_of_its_figure(website: Any, web: Any, archive: Any, tmp_path: Path) -> None:
    archive.add("PMC11", MADE.article(MADE.fig(CT)), {"x-g001.jpg": web.jpeg(1)[:400] + b"\xff\xd9"})
    found = web.crawl_stage(stage(website, **table(tmp_path, "PMC11")), tmp_path)
    assert [(item, why) for item, why in found.rejects] == [("PMC11/F1", "corrupt")]


def test_videos(website: Any, web: Any, archive: Any, tmp_path: Path) -> None:
    video = '<supplementary-material id="S1"><caption><p>Ultrasound of a beating heart.</p></caption><media xlink:href="m.mp4" mimetype="video"/></supplementary-material>'  # noqa: E501
    archive.add("PMC11", MADE.article(MADE.fig(CT) + video), {"x-g001.jpg": web.jpeg(1), "m.mp4": b"no video"})
    found = web.crawl_stage(stage(website, **table(tmp_path, "PMC11"), videos=True), tmp_path)
    assert found.rejects == [("PMC11/S1", "wrong_content")]
    assert not any("jpg" in path for path in website.asked())


def test_ids_of_a_table(website: Any, web: Any, archive: Any, tmp_path: Path) -> None:
    for number in range(1, 8):
        put(archive, web, f"PMC{number}")
    options = {
        **table(tmp_path, "PMC1", "2", "pmc3", "PMC4.1", "PMC5", "PMC6", "PMC7", "PMC1", "x7", ""),
        "unit_articles": 2,
    }
    made = stage(website, **options)
    units = web.units_of(made, tmp_path)
    assert len(units) > 2
    assert {unit.id.partition("..")[0] for unit in units} == {"pmc-pmc"}
    found = web.crawl_stage(made, tmp_path)
    assert len(found.rows) == 7
    assert [why for _, why in found.rejects] == ["bad_row"] * 2
    (tmp_path / "ids.csv").write_text((tmp_path / "ids.csv").read_text() + "PMC8\n")
    again = web.units_of(made, tmp_path)
    assert len({unit.inputs for unit in again} - {unit.inputs for unit in units}) == 1  # the others are as they were


def test_ids_of_e_utilities(website: Any, web: Any, archive: Any, tmp_path: Path) -> None:
    for number in range(1, 6):
        put(archive, web, f"PMC{number}")
    archive.found = {"2025-11": ["PMC1", "PMC2", "PMC3", "PMC4", "PMC5"], "2026-01": ["PMC5"]}
    made = stage(website, query="case reports[pt]", first_month="2025-11", last_month="2026-01")
    assert [unit.id[-7:] for unit in web.units_of(made, tmp_path)] == ["2025-11", "2025-12", "2026-01"]
    found = web.crawl_stage(made, tmp_path)
    assert len(found.rows) == 6
    assert found.rejects == []
    first = archive.asked[0]
    assert (first["mindate"], first["maxdate"], first["datetype"]) == ("2025/11/01", "2025/11/30", "pdat")
    assert [one["retstart"] for one in archive.asked if one["mindate"] == "2025/11/01"] == ["0", "2", "4"]
    assert first["term"] == "(case reports[pt]) AND open_access[filter]"


def test_a_search_that_fails_is_a_reject(website: Any, web: Any, archive: Any, tmp_path: Path) -> None:
    unknown = {"count": "0", "idlist": [], "errorlist": {"phrasesnotfound": ["masss"], "fieldsnotfound": []}}
    archive.errors = {
        "2025-01": {"ERROR": "Search Backend failed: no such thing"},
        "2025-02": unknown,
        "2025-03": {"count": "5", "idlist": []},
        "2025-04": {"count": "1", "idlist": ["PMC1"]},
        "2025-05": {},
    }
    found = web.crawl_stage(stage(website, query="x", first_month="2025-01", last_month="2025-05"), tmp_path)
    assert [why for _, why in found.rejects] == ["http_failed", "wrong_content", "corrupt", "corrupt", "corrupt"]


def test_an_error_that_passes_is_not_kept(website: Any, web: Any, archive: Any, tmp_path: Path) -> None:
    put(archive, web, "PMC1")
    archive.found = {"2025-01": ["PMC1"]}
    archive.errors = {"2025-01": {"ERROR": "Search Backend failed"}}
    made = stage(website, query="x", first_month="2025-01", last_month="2025-01")
    assert web.crawl_stage(made, tmp_path).rejects == [(web.units_of(made, tmp_path)[0].id, "http_failed")]
    archive.fail_once = True
    patient = Web(contact="a@b.org", loopback=True, every_host=FREE, tries=2)
    made = stage(website, query="x", first_month="2025-01", last_month="2025-01", web=patient)
    assert len(web.crawl_stage(made, tmp_path).rows) == 1
    assert len(archive.asked) == 3


def test_ids_of_europe_pmc(website: Any, web: Any, archive: Any, tmp_path: Path) -> None:
    for number in range(1, 6):
        put(archive, web, f"PMC{number}")
    archive.found = {"2025-02": ["PMC1", "PMC2", "PMC3", "PMC4", "PMC5"]}
    made = stage(website, europe_pmc='PUB_TYPE:"case-report"', first_month="2025-02", last_month="2025-02")
    found = web.crawl_stage(made, tmp_path)
    assert len(found.rows) == 5
    assert [one["cursorMark"] for one in archive.asked] == ["*", "mark/2", "mark/4", "mark/5"]
    query = archive.asked[0]["query"]
    assert "FIRST_PDATE:[2025-02-01 TO 2025-02-28]" in query
    assert 'LICENSE:"cc by" OR' in query
    assert 'LICENSE:"cc0"' in query


def test_ids_of_an_inventory(website: Any, web: Any, archive: Any, tmp_path: Path) -> None:
    for number in range(1, 8):
        put(archive, web, f"PMC{number}")
    put(archive, web, "PMC3", number=2)
    put(archive, web, "PMC4", number=2, is_manuscript=True)
    archive.inventory()
    made = stage(website, inventory=SERVER.DAY, slices=3)
    found = web.crawl_stage(made, tmp_path)
    assert sorted(captions(found)) == [
        *("PMC1.1/x-g001.jpg", "PMC2.1/x-g001.jpg", "PMC3.2/x-g001.jpg", "PMC4.1/x-g001.jpg", "PMC5.1/x-g001.jpg"),
        *("PMC6.1/x-g001.jpg", "PMC7.1/x-g001.jpg"),
    ]
    asked = website.asked()
    assert sum("csv.gz" in path for path in asked) == 2  # once for all units
    assert sum("prefix=PMC" in path for path in asked) == 1  # only where the newest is a manuscript
    raw = tmp_path / "root/.store/pmc/raw"
    assert sum(SERVER.INVENTORIES + "data" in url for url in pl.read_parquet(raw / "*.parquet")["url"]) == 0


def test_a_day_without_an_inventory_and_a_broken_one(website: Any, web: Any, archive: Any, tmp_path: Path) -> None:
    put(archive, web, "PMC1")
    archive.inventory()
    missing = web.crawl_stage(stage(website, inventory="2026-11-04", slices=1), tmp_path)
    assert [why for _, why in missing.rejects] == ["http_missing"]
    key = f"{SERVER.INVENTORIES}data/0.csv.gz"
    archive.objects[key] = (archive.objects[key][0][:-9], "application/x-gzip")
    broken = web.crawl_stage(stage(website, inventory=SERVER.DAY, slices=1), tmp_path)
    assert [why for _, why in broken.rejects] == ["corrupt"]


def test_an_inventory_that_unpacks_to_one_endless_line_costs_no_memory() -> None:
    bomb = gzip.compress(bytes(200 * 2**20), 6)
    tracemalloc.start()
    with pytest.raises(Skip, match="corrupt"):
        list(inventory_rows(bomb))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 2**22
    good = gzip.compress(b'"b","metadata/PMC7.2.json","2026-11-03","e"\n' * 3)
    assert list(inventory_rows(good)) == [("PMC7", 2)] * 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give one of ids, query"),
        ({"ids": "a.csv", "query": "x"}, "not ids and query"),
        ({"query": "x"}, "needs first_month"),
        ({"query": "x", "first_month": "2025-12", "last_month": "2025-01"}, "in this order"),
        ({"query": "x", "first_month": "2025-13", "last_month": "2026-01"}, "needs first_month"),
        ({"inventory": "yesterday"}, "isoformat"),
        ({"ids": "a.csv", "bucket": "ftp://ftp.ncbi.nlm.nih.gov/pub/pmc/"}, "2026;468:e8"),
        ({"ids": "a.csv", "bucket": "https://pmc-oa-opendata.s3.amazonaws.com/oa_comm/xml/all/"}, "2026;468:e8"),
        ({"ids": "a.csv", "bucket": "https://www.ncbi.nlm.nih.gov/pmc/utils/oa/oa.fcgi/"}, "2026;468:e8"),
        ({"ids": "ftp://ftp.ncbi.nlm.nih.gov/pub/pmc/oa_file_list.csv"}, "2026;468:e8"),
        ({"ids": "a.csv", "bucket": "s3://pmc-oa-opendata/"}, "ends in a slash"),
        ({"ids": "a.csv", "licences": ("TDM",)}, "no licence for figures"),
        ({"ids": "a.csv", "licences": ("CC BY-ND",)}, "allow no changed form"),
        ({"ids": "a.csv", "licences": ("CC-BY-4.0",)}, "no list of codes"),
        ({"ids": "a.csv", "licences": ()}, "no list of codes"),
        ({"ids": "a.csv", "slices": 0}, "at least 1"),
        ({"ids": "a.csv", "caption": "captions"}, "there are pmcid"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], message: str) -> None:
    web = Web(contact="a@b.org")
    with pytest.raises(ValueError, match=message):
        PmcArticles(**{"source": "pmc", "specialty": "radiology", "web": web, **options})


def test_unchanged_forms_may_be_allowed_and_all_columns_are_made(
    website: Any, web: Any, archive: Any, tmp_path: Path
) -> None:
    put(
        archive,
        web,
        "PMC11",
        xml=MADE.article(
            MADE.fig(CT),
            permissions=MADE.BY.replace("/by/", "/by-nd/").replace("Attribution", "Attribution-NoDerivatives"),
        ),
        license_code="CC BY-ND",
    )
    options = {"derivatives": False, "split_panels": False, "licences": ("CC BY-ND",)}
    found = web.crawl_stage(stage(website, **table(tmp_path, "PMC11"), **options), tmp_path)
    assert [row["license"] for row in found.rows] == ["CC-BY-ND-4.0"]
    assert set(COLUMNS) >= set(stage(website, ids="a.csv").columns().values())
    assert Rights(license="CC-BY-ND-4.0").manifest_terms().derivatives.answer == "no"
