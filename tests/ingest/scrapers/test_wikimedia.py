"""Files of Wikimedia Commons, from a MediaWiki on the loopback."""

from __future__ import annotations

import hashlib
import json
import runpy
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from ingest.scrapers.commons_files import in_language, licence_of_file, plain
from ingest.scrapers.settings import HostRule, Web
from ingest.scrapers.wikimedia import WikimediaCommons

SERVER = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("commons_server.py"))))
FREE = HostRule(min_delay_s=0, start_delay_s=0)


@pytest.fixture
def commons(website: Any, web: Any) -> Iterator[Any]:
    commons = SERVER.Commons(website.url)
    website.pages = SERVER.Routes(commons, web.Page)
    return commons


def stage(site: Any, **more: Any) -> WikimediaCommons:
    options: dict[str, Any] = {
        "source": "commons",
        "categories": ("Chest",),
        "modality": "CR",
        "specialty": "radiology",
        "web": Web(contact="a@b.org", loopback=True, every_host=FREE, tries=1),
        "api": f"{site.url}/w/api.php",
    }
    return WikimediaCommons(**{**options, **more})


def titles(found: Any) -> list[str]:
    return sorted(row["url"].rpartition("/")[2] for row in found.rows)


def test_a_file_with_all_that_is_said_of_it(website: Any, web: Any, commons: Any, tmp_path: Path) -> None:
    commons.add("Chest", "A b.jpg", web.jpeg(1))
    found = web.crawl_stage(stage(website), tmp_path)
    (row,) = found.rows
    assert [one["text"] for one in row["captions"]] == ["Chest X-ray of a man with a mass."]
    assert (row["license"], row["modality"]) == ("CC-BY-SA-4.0", "CR")
    assert row["url"] == f"{website.url}/upload/A%20b.jpg"
    assert json.loads(row["attributes"]) == {"language": "en"}
    (entry,) = (
        pl.read_parquet(tmp_path / "root/.store/commons/raw/*.parquet").filter(pl.col("license") != "").rows(named=True)
    )
    assert entry["license_evidence"].startswith(
        f"{website.url}/wiki/File%3AA%20b.jpg: CC BY-SA 4.0; https://creativecommons"
    )
    assert entry["license_evidence"].endswith("by Jane Doe; Own work")
    assert all("medloom" in one.headers["User-Agent"] and "a@b.org" in one.headers["User-Agent"] for one in website.log)


KEPT_OUT: list[tuple[str, str, dict[str, Any]]] = [  # reason, name, what is said of it
    ("licence_not_allowed", "nc.jpg", {"LicenseUrl": "https://creativecommons.org/licenses/by-nc/4.0"}),
    ("licence_not_allowed", "none.jpg", {"LicenseUrl": None, "LicenseShortName": None, "License": None}),
    ("licence_not_allowed", "gfdl.jpg", {"LicenseUrl": None, "LicenseShortName": "GFDL", "License": "gfdl"}),
    ("licence_not_allowed", "nonfree.jpg", {"NonFree": "true"}),
    ("licence_not_allowed", "person.jpg", {"Restrictions": "personality|trademarked"}),
    ("not_recognised", "drawing.svg", {"mime": "image/svg+xml"}),
    ("not_recognised", "video.webm", {"mime": "video/webm"}),
    ("no_caption", "german.jpg", {"ImageDescription": {"de": "R\u00f6ntgenbild", "_type": "lang"}}),
    ("no_caption", "silent.jpg", {"ImageDescription": None}),
]


def test_what_keeps_a_file_out(website: Any, web: Any, commons: Any, tmp_path: Path) -> None:
    for number, (_, name, said) in enumerate(KEPT_OUT):
        commons.add("Chest", name, web.jpeg(number), **said)
    commons.add("Chest", "odd.jpg", web.jpeg(20))
    commons.files["File:odd.jpg"][1]["extmetadata"] = []
    found = web.crawl_stage(stage(website), tmp_path)
    assert not found.rows
    assert found.rejects == sorted(
        [*((f"File:{name}", reason) for reason, name, _ in KEPT_OUT), ("File:odd.jpg", "corrupt")]
    )
    assert not any("/upload/" in path for path in website.asked())
    allowed = stage(website, restrictions=("personality", "trademarked"), language="de", source="again")
    assert titles(web.crawl_stage(allowed, tmp_path)) == ["german.jpg"]


@pytest.mark.parametrize("apart", [False, True])
def test_batches_are_continued_and_every_file_comes_once(
    apart: bool, website: Any, web: Any, commons: Any, tmp_path: Path
) -> None:
    commons.apart = apart
    for number in range(5):
        commons.add("Chest", f"{number}.jpg", web.jpeg(number))
    found = web.crawl_stage(stage(website, categories=("Category:Chest",)), tmp_path)
    assert titles(found) == [f"{number}.jpg" for number in range(5)]
    assert len(commons.asked) == (6 if apart else 3)
    commons.asked.clear()
    again = web.crawl_stage(stage(website, categories=("Category:Chest",)), tmp_path)
    assert (again.rows, commons.asked) == (found.rows, [])


def test_categories_inside_are_followed_so_far_and_no_circle(
    website: Any, web: Any, commons: Any, tmp_path: Path
) -> None:
    for number, category in enumerate(("Chest", "Lung", "Lobe")):
        commons.add(category, f"{category}.jpg", web.jpeg(number))
    commons.categories["Chest"] += ["Category:Lung"]
    commons.categories["Lung"] += ["Category:Chest", "Category:Lobe", "File:Chest.jpg"]
    for depth, expected in enumerate((["Chest.jpg"], ["Chest.jpg", "Lung.jpg"], ["Chest.jpg", "Lobe.jpg", "Lung.jpg"])):
        assert titles(web.crawl_stage(stage(website, depth=depth, source=f"d{depth}"), tmp_path)) == expected


def test_a_search(website: Any, web: Any, commons: Any, tmp_path: Path) -> None:
    commons.add("Chest", "lung.jpg", web.jpeg(1))
    commons.add("Chest", "heart.jpg", web.jpeg(2))
    made = stage(website, categories=(), searches=("lung", "heart"))
    units = web.units_of(made, tmp_path)
    assert {unit.id.partition("..")[0] for unit in units} == {"commons-commons"}
    assert len(units) == 2
    assert titles(web.crawl_stage(made, tmp_path)) == ["heart.jpg", "lung.jpg"]


def test_renditions_of_a_width(website: Any, web: Any, commons: Any, tmp_path: Path) -> None:
    commons.add("Chest", "a.jpg", web.jpeg(1))
    (row,) = web.crawl_stage(stage(website, width_px=32), tmp_path).rows
    assert row["url"].endswith("/thumb/a.jpg")
    (row,) = web.crawl_stage(stage(website, width_px=640, source="wide"), tmp_path).rows
    assert row["url"].endswith("/upload/a.jpg")  # the file is no wider
    assert row["media"]["sha256"] == hashlib.sha256(web.jpeg(1)).hexdigest()


def test_a_server_that_lags_is_asked_again(website: Any, web: Any, commons: Any, tmp_path: Path) -> None:
    commons.add("Chest", "a.jpg", web.jpeg(1))
    lag = {"code": "maxlag", "info": "Waiting for a database server: 7 seconds lagged", "lag": 7}
    commons.errors = [lag]
    given_up = web.crawl_stage(stage(website), tmp_path)
    assert [why for _, why in given_up.rejects] == ["http_failed"]
    commons.errors = [lag]
    patient = Web(contact="a@b.org", loopback=True, every_host=FREE, tries=2)
    assert titles(web.crawl_stage(stage(website, web=patient), tmp_path)) == ["a.jpg"]
    commons.errors = [{"code": "invalidcategory", "info": "The category name is not valid"}]
    assert [why for _, why in web.crawl_stage(stage(website, source="x"), tmp_path).rejects] == ["wrong_content"]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"LicenseUrl": "https://creativecommons.org/licenses/by-sa/3.0/de/deed.en"}, "CC-BY-SA-3.0-DE"),
        ({"License": "cc-by-sa-3.0-de", "LicenseShortName": "CC BY-SA 3.0 de"}, "CC-BY-SA-3.0-DE"),
        ({"LicenseShortName": "CC BY 2.0"}, "CC-BY-2.0"),
        ({"License": "cc-zero", "LicenseShortName": "CC0"}, "CC0-1.0"),
        ({"License": "pd", "LicenseShortName": "Public domain"}, "LicenseRef-public-domain"),
        ({"LicenseShortName": "GFDL"}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_licences(said: dict[str, str], expected: str | None) -> None:
    assert licence_of_file(said) == expected


def test_texts() -> None:
    assert in_language({"en": "a", "de": "b"}, "de") == "b"
    assert in_language({"en": "a"}, "de") == ""
    assert in_language("a", "de") == "a"
    assert in_language(None, "de") == ""
    assert plain("<p>Stain of a&nbsp;node<br>here</p><script>x()</script>") == "Stain of a node here"
    assert plain("  two\nlines ") == "two lines"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"categories": ()}, "name at least one"),
        ({"api": "https://commons.wikimedia.org/wiki/"}, "api.php"),
        ({"depth": -1}, "below 0"),
        ({"language": "English!"}, "no code"),
        ({"licences": ()}, "leave nothing"),
        ({"caption": "description"}, "there are title"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"source": "c", "categories": ("Chest",), "modality": "CR", "specialty": "radiology"}
    with pytest.raises(ValueError, match=message):
        WikimediaCommons(**{**given, "web": Web(contact="a@b.org"), **options})
