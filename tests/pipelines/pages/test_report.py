"""`medloom report`: what the page says is what the files say, it fetches nothing, and it reads well as a document."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines.pool import SerialPool
from pipelines.report.data import limits
from pipelines.report.page import report, write_report
from pipelines.run import RunOptions, run
from pipelines.screen import Screen
from pipelines.show import select
from pipelines.spec import PipelineSpec, load
from pipelines.status import status
from shards.manifest import read_part, write_part

VOID = {"meta", "link", "img", "br", "rect", "line", "circle", "path", "polyline"}


class Document(HTMLParser):
    """The elements of a page, and its text without styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        assert self.open == [], self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    def all(self, *tags: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag in tags]


@pytest.fixture(scope="module")
def html(atlas: PipelineSpec) -> str:
    return report(atlas)


@pytest.fixture(scope="module")
def page(html: str) -> Document:
    return Document(html)


def test_first_lines_say_what_the_data_cannot_show(page: Document) -> None:
    start = page.text[: page.text.index("What was left out")]
    assert "41 pictures and 1 clip with captions, and a model trained on them" in start
    assert "36 of 42 pairs are slices of one single anatomy. No split" in start
    assert "Scores within one volume show fit and not generalisation" in start
    assert "A model trained on one anatomy memorises it" in start
    assert "This page shows that the machinery works" in start
    assert "For 4 pairs no patient or study is known" in start
    assert "Train only, since fewer than 3 groups" in start
    assert "Generated pictures are synthetic" in start


def test_no_limits_are_claimed_that_the_data_do_not_set(atlas: PipelineSpec, tmp_path: Path) -> None:
    spec = only(atlas, tmp_path, "pictures")
    text = Document(report(spec)).text
    assert "anatomy" not in text
    assert "synthetic" not in text
    assert "memorises" not in text


def test_what_was_made_from_other_options_is_said_to_be_of_an_earlier_run(atlas: PipelineSpec, page: Document) -> None:
    """New scores beside an old model, or old ones beside a new one, would be read as belonging together."""
    assert "Of an earlier run" not in page.text
    changed = load(atlas.file, "atlas", ["train.steps=7"])
    assert [state.stage for state in status(changed) if state.state == "changed"] == ["train", "judge"]
    said = "Of an earlier run: what is shown of train, judge was made from other inputs or options"
    assert said in Document(report(changed)).text


def test_volumes_that_share_slabs_are_one_anatomy() -> None:
    slices = [("t1", "a"), ("t1", "b"), ("grey", "b"), ("white", "c"), ("white", "a"), ("other", "x")]
    rows = pl.DataFrame(
        {
            "group": [f"slab:{slab}" for _, slab in slices] + ["patient:p"],
            "volume": [volume for volume, _ in slices] + [None],
            "modality": "MR",
            "split": "train",
        }
    )
    first, *_ = limits(rows, trained=False, measured=False)
    assert first.startswith("6 of 7 pairs are slices of 2 anatomies, in 4 volumes. ")
    first, second, *_ = limits(rows.filter(pl.col("volume") != "other"), trained=True, measured=True)
    assert first.startswith("5 of 5 pairs are slices of one single anatomy, in 3 volumes. ")
    assert "lies close to training slices; the figures on nearest neighbours below show how close." in second


def test_numbers_are_those_of_the_records(atlas: PipelineSpec, page: Document) -> None:
    for state in status(atlas):
        for reason, items in state.rejected.items():
            assert f"{state.stage} {reason} {items} of {state.offered}" in page.text
    assert "The object is not a picture for display (segmentation, dose, report, presentation)." in page.text
    assert "8130 of 8192 bytes of pixels (1)" in page.text
    table = json.loads((atlas.root / "curate" / "table1.json").read_text())
    for row in table["by_medisyn_modality"]:
        assert f"{row['modality']} {row['images'] or '–'} {row['clips'] or '–'}" in page.text
    assert "123 members compared with their SHA-256, 41 decoded; nothing wrong" in page.text
    assert "samples seen 4,800" in page.text
    assert "family msdm" in page.text


def test_pairs_carry_their_provenance(atlas: PipelineSpec, page: Document) -> None:
    rows = select(atlas.root / "curate", 100).specimens
    by_modality = Counter(row.sample.modality for row in rows)
    assert len([e for e in page.all("figure") if e.get("class") == "card"]) == sum(
        min(count, 8) for count in by_modality.values()
    )
    fundus = next(row.sample for row in rows if row.sample.modality == "OP")
    for words in ("A fundus photograph. caption by source", "licence CC0-1.0", f"key {fundus.key}", fundus.group):
        assert words in page.text
    assert "label drusen absent (image, expert)" in page.text
    assert "shown from 0 to 228" in page.text
    assert "frames 9 to 24 of 30, counted from 0, drawn by (seed, key)" in page.text


def test_scores_stand_beside_floor_and_ceilings(page: Document) -> None:
    words = (
        "These figures show fit within one volume and not generalisation.",
        "FD of what the model draws is 6.47 (6.1 to 6.9), at most 0.17 of the untrained model's and 0.04 of noise's; "
        "real pictures among themselves have 2; the ranges over the seeds do not overlap.",
        "noise held-out real ceiling 60 3 161 (160 to 163)",
        "names the right class of 97 % (90 to 99) of the generated ones and of 100 % (90 to 100) of held-out real ones",
        "all 60 0.75 (0.6 to 0.85) 31.2 –",
        "spectrum: fewer samples than dimensions",
        "spectrum 30 0.4 0.8 0.5 75 % (60 to 85) 5 % (1 to 10) flip 100 %",
        "correlation 0.990 key-0",
    )
    for text in words:
        assert text in page.text
    strips = [svg["aria-label"] for svg in page.all("svg") if svg["class"] == "strip"]
    assert strips[0].startswith("FD in spectrum. generated (result) 6.467, 6.1 to 6.9; training real (floor) 2")


def test_a_record_of_another_schema_is_refused(atlas: PipelineSpec, tmp_path: Path) -> None:
    spec = only(atlas, tmp_path, "curate", "pack", "judge")
    (spec.root / "judge" / "metrics.json").write_text('{"schema": 99}')
    with pytest.raises(ValueError, match="not of schema 1: run the stage again with `--force judge`"):
        report(spec)


def test_small_pictures_are_shown_from_their_source(atlas: PipelineSpec, html: str, tmp_path: Path) -> None:
    """The shards hold 128 px; the fundus photograph has 1,411, and the page shows 288 of them."""
    key = next(row.sample.key for row in select(atlas.root / "curate", 100).specimens if row.sample.modality == "OP")
    card = html[html.index(f'id="{key}"') :]
    assert 'width="288" height="288"' in card[: card.index("alt=")]
    assert "is shown from its source file" in html
    spec = only(atlas, tmp_path, "curate", "pack", "clips")
    part = next((spec.root / "curate" / "parts").glob("*pictures*"))
    media = pl.col("media").struct.with_fields(uri=pl.lit(str(tmp_path / "gone.jpg")))
    write_part(read_part(part).with_columns(media.alias("media")), part)
    packed = report(spec)
    card = packed[packed.index(f'id="{key}"') :]
    assert 'width="128" height="128"' in card[: card.index("alt=")]


def test_page_stands_alone_and_is_small(html: str, page: Document) -> None:
    assert len(html) < 15e6
    for attributes in page.all("img", "video", "link", "source", "script", "iframe", "use", "image"):
        for name in ("src", "href", "xlink:href", "poster"):
            assert (attributes.get(name) or "data:").startswith("data:")
    assert page.all("script") == []
    assert "url(" not in html[html.index("<style>") : html.index("</style>")]
    assert "@import" not in html
    assert any("default-src 'none'" in (meta.get("content") or "") for meta in page.all("meta"))


def test_page_names_no_person_and_no_place(atlas: PipelineSpec, html: str) -> None:
    assert not re.search(r"Mary|Major|Jane|\bDoe\b|\bRoe\b", html)
    assert str(atlas.root) not in html
    assert not re.search(r"anonym|complian|privacy.preserving", html, re.IGNORECASE)


def test_a_cell_that_a_reject_quotes_stays_where_the_data_are(tmp_path: Path) -> None:
    (tmp_path / "pictures.csv").write_text("file,kind\nihc.png,SM\ncell.png,Jane Doe\n")
    options = "source: pictures, table: ./pictures.csv, path: package://skimage/data, image: file, caption: kind"
    more = "modality_column: kind, specialty: pathology, probe: true, rights: {license: CC0-1.0}"
    (tmp_path / "pipelines.yaml").write_text(
        "version: 1\npipelines:\n  mine:\n    root: out\n    key: {public: toy}\n    stages:\n"
        f'      pictures: {{use: "ingest.converters.table_images:TableImages", with: {{{options}, {more}}}}}\n'
    )
    spec = load(tmp_path / "pipelines.yaml", "mine")
    run(spec, RunOptions(), SerialPool, Screen(quiet=True))
    (rejects,) = (tmp_path / "out/pictures/rejects").glob("*")
    assert "Jane Doe" in pl.read_parquet(rejects)["detail"].item()
    page = report(spec)
    assert "unknown_modality" in page
    assert "Doe" not in page


def test_the_same_root_gives_the_same_page(atlas: PipelineSpec, html: str, tmp_path: Path) -> None:
    assert write_report(atlas, tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text() == html


def test_a_page_that_is_up_to_date_is_left_alone(atlas: PipelineSpec, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert write_report(atlas, page)
    before = page.stat().st_mtime_ns
    assert not write_report(atlas, page)
    assert page.stat().st_mtime_ns == before
    page.write_text(page.read_text() + "edited")
    assert write_report(atlas, page)


def test_whatever_makes_the_page_differ_writes_it_again(
    atlas: PipelineSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code of another package, a file that no record speaks of: what a page is made of is not listed but made."""
    page = tmp_path / "page.html"
    assert write_report(atlas, page)
    monkeypatch.setattr("pipelines.report.data.headline", lambda found, trained: "Another headline")
    assert write_report(atlas, page)
    assert "Another headline" in page.read_text()


def test_document_is_accessible(page: Document) -> None:
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(image.get("alt") for image in page.all("img"))
    assert all(element.get("aria-label") for element in page.all("svg", "video"))
    assert all(element.get("scope") for element in page.all("th"))
    names = [element["id"] for _, element in page.elements if "id" in element]
    assert len(names) == len(set(names))
    links = [element["href"] for element in page.all("a")]
    assert links
    assert all(link in {f"#{name}" for name in names} for link in links)
    assert [element.get("lang") for element in page.all("html")] == ["en"]


def test_colours_have_contrast() -> None:
    """WCAG 2.2, 1.4.3: 4.5 to 1 for text, in both modes."""
    css = (Path(__file__).parents[3] / "pipelines" / "report" / "style.css").read_text()
    light, dark = css.split("@media (prefers-color-scheme: dark)")
    modes = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", part.split("}")[0])) for part in (light, dark)]
    for colours in modes:
        for paper in ("paper", "panel"):
            for ink in ("ink", "muted", "accent", "made", *(f"c{n}" for n in range(8))):
                assert contrast(colours[ink], colours[paper]) >= 4.5, (ink, paper, colours[ink])
        assert contrast(colours["warn-ink"], colours["warn-paper"]) >= 4.5


def contrast(one: str, other: str) -> float:
    bright, dark = sorted(map(luminance, (one, other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def only(atlas: PipelineSpec, folder: Path, *stages: str) -> PipelineSpec:
    """A copy of the root in which only some stages have run."""
    shutil.copy(atlas.file, folder / "pipelines.yaml")
    for stage in stages:
        shutil.copytree(atlas.root / stage, folder / "out" / stage)
    return load(folder / "pipelines.yaml", "atlas")


def test_stages_that_have_not_run_are_left_out(atlas: PipelineSpec, tmp_path: Path) -> None:
    text = Document(report(only(atlas, tmp_path, "brain", "pictures", "word"))).text
    assert "Where the pairs come from" in text
    assert "42 pictures and 1 clip with captions " in text
    for title in ("Table 1", "Training", "Real beside generated"):
        assert title not in text
    assert "not begun" in text


def test_nothing_finished_is_said(atlas: PipelineSpec, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no finished stage in .*`medloom run atlas` first"):
        report(only(atlas, tmp_path))


def test_a_damaged_file_names_its_stage(atlas: PipelineSpec, tmp_path: Path) -> None:
    spec = only(atlas, tmp_path, "curate", "pack", "judge")
    (spec.root / "judge" / "grid.json").write_text("[{")
    with pytest.raises(ValueError, match=r"grid\.json is damaged .*`--force judge`"):
        report(spec)


MEASURE = """
Promise.all([...document.querySelectorAll('video')].map(video => new Promise(done =>
  video.readyState > 0 ? done() : video.addEventListener('loadedmetadata', done))))
.then(() => ({
  pictures: [...document.images].map(image => image.naturalWidth * image.naturalHeight),
  seconds: [...document.querySelectorAll('video')].map(video => video.duration),
  beyond_px: document.scrollingElement.scrollWidth - innerWidth,
  paper: getComputedStyle(document.body).backgroundColor,
  injected: document.querySelectorAll('.text img').length,
}))
"""


@pytest.mark.browser
def test_in_a_browser(html: str, browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(html)
    papers = set()
    for width_px, scheme in ((1280, "light"), (390, "dark")):
        seen = browser.look(path, MEASURE, width_px, scheme)
        assert seen.requests
        assert seen.foreign == []
        assert seen.complaints == []
        assert len(seen.value["pictures"]) > 20
        assert min(seen.value["pictures"]) > 0
        assert len(seen.value["seconds"]) == 2
        assert min(seen.value["seconds"]) > 0.4
        assert seen.value["beyond_px"] <= 0
        assert seen.value["injected"] == 0
        papers.add(seen.value["paper"])
    assert len(papers) == 2


@pytest.mark.browser
def test_the_browser_would_have_seen_a_request(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text('<img src="http://127.0.0.1:9/pixel.png"><script>console.error("no")</script>')
    seen = browser.look(path, "1")
    assert seen.foreign == ["http://127.0.0.1:9/pixel.png"]
    assert any("no" in complaint for complaint in seen.complaints)
