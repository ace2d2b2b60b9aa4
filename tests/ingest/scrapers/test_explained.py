"""`medloom explain` of what was fetched: where it came from, when, and who says what its licence is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ingest.scrapers import packing
from pipelines.explain import Explanation, explain, text
from pipelines.pool import SerialPool
from pipelines.run import RunOptions, run
from pipelines.screen import Screen
from pipelines.spec import load

BY = "https://creativecommons.org/licenses/by/4.0/"
SPEC = """\
version: 1
pipelines:
  crawl:
    root: out
    key: {{public: test}}
    stages:
      site:
        use: "ingest.scrapers.gallery:Gallery"
        with: {{source: atlas, start: ["{url}/list"], item: h2 > a,
               fields: {{caption: p, license: {{select: "a[rel=license]", attribute: href, within: page}}}},
               caption: caption, license_column: license, blank_license: rights, modality: XC, specialty: dermatology,
               rights: {{license: LicenseRef-site}},
               web: {{contact: a@b.org, loopback: true, every_host: {{min_delay_s: 0, start_delay_s: 0}}}}}}
"""


@pytest.fixture
def crawl(website: Any, web: Any, tmp_path: Path) -> Callable[[], dict[str, Explanation]]:
    """crawl(): two items are crawled; what is explained of each, by the end of the url that was asked for.

    The picture of the first has moved, and its licence is stated; that of the second is not.
    """
    website.put("/list", '<h2><a href="/case/1">one</a></h2><h2><a href="/case/2">two</a></h2>')
    website.put("/case/1", f"<p>A mole of the back.</p><img src='/old.jpg'><a rel='license' href='{BY}'>terms</a>")
    website.put("/case/2", "<p>Eczema of the hand.</p><img src='/b.jpg'>")
    website.pages["/old.jpg"] = web.Page(status=302, headers={"Location": "/media/a.jpg"})
    website.put("/media/a.jpg", web.jpeg(1), "image/jpeg")
    website.put("/b.jpg", web.jpeg(2), "image/jpeg")
    (tmp_path / "pipelines.yaml").write_text(SPEC.format(url=website.url))
    spec = load(tmp_path / "pipelines.yaml", "crawl")

    def explained() -> dict[str, Explanation]:
        screen = Screen(quiet=True)
        assert not run(spec, RunOptions(), lambda: SerialPool(screen.listen), screen).failed
        keys = pl.read_parquet(spec.root / "site/parts/*.parquet")["key"]
        found = [explain(spec.file, key) for key in keys]
        return {one.links[-1].facts["url"].rpartition("/")[2]: one for one in found}

    return explained


@pytest.mark.parametrize("lies", ["in a tar", "alone"])
def test_the_address_time_and_licence_of_what_was_fetched(
    lies: str, crawl: Any, website: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if lies == "alone":
        monkeypatch.setattr(packing, "ALONE_BYTES", 1)
    found = crawl()
    assert found["old.jpg"].links[-1].facts["media"]["uri"].endswith(".tar") is (lies == "in a tar")
    (table,) = (tmp_path / "out/.store/atlas/raw").glob("*.parquet")
    lines = text(found["old.jpg"]).splitlines()
    for line in (
        f"url {website.url}/old.jpg",
        f"came from {website.url}/media/a.jpg",
        "fetched 2026-11-01 12:00:00 UTC",
        f"licence stated there CC-BY-4.0 ({website.url}/case/1: {BY})",
        f"kept in {table}",
    ):
        assert f"  {line}" in lines
    silent = found["b.jpg"].links[-1].facts["provenance"]
    assert silent["came from"] == f"{website.url}/b.jpg"
    assert silent["licence stated there"] == "none that is known"


def test_a_table_that_has_gone_is_said(crawl: Any, tmp_path: Path) -> None:
    crawl()
    (table,) = (tmp_path / "out/.store/atlas/raw").glob("*.parquet")
    pl.read_parquet(table).head(0).write_parquet(table)
    assert crawl()["b.jpg"].links[-1].facts["provenance"]["kept in"].startswith(f"{table}, which has no row of http://")
    table.write_bytes(b"no table")
    assert "which is damaged" in crawl()["b.jpg"].links[-1].facts["provenance"]["kept in"]
    table.unlink()
    assert crawl()["b.jpg"].links[-1].facts["provenance"] == {"kept in": f"{table}, which is not there any more"}
