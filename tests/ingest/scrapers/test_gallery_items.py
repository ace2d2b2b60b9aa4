"""What a page shows gets the text and the licence that are its own, or is rejected with what to write instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ingest.rights import Rights
from ingest.scrapers.gallery import Field, Gallery
from ingest.scrapers.settings import HostRule, Web

DEED = "https://creativecommons.org/licenses"
CAPTION = Field(select="figcaption", clean=True)
LICENCE = {"caption": CAPTION, "license": Field(select="a.cc", attribute="href", within="page")}
ROW = {"fields": LICENCE, "license_column": "license"}


def figure(picture: str, *captions: str) -> str:
    shown = f'<img src="{picture}.jpg">' if "<" not in picture else picture
    return f"<figure>{shown}{''.join(f'<figcaption>{text}</figcaption>' for text in captions)}</figure>"


def crawl(website: Any, web: Any, tmp_path: Path, page: str, **more: Any) -> tuple[dict[str, str], dict[str, str]]:
    """Captions of what was accepted and reasons of what was not, by the name of the file or the path of the page.

    The reasons of files name the page, which is taken off here.
    """
    website.put("/", page)
    for number in range(1, 5):
        website.put(f"/{number}.jpg", web.jpeg(number), "image/jpeg")
    options: dict[str, Any] = {
        "source": "atlas",
        "start": (f"{website.url}/",),
        "block": "figure",
        "fields": {"caption": CAPTION},
        "needs": ("caption",),
        "caption": "caption",
        "rights": Rights(license="CC-BY-4.0"),
        "modality": "XC",
        "specialty": "dermatology",
        "web": Web(contact="a@b.org", loopback=True, every_host=HostRule(min_delay_s=0, start_delay_s=0)),
    }
    found = web.crawl_stage(Gallery(**{**options, **more}), tmp_path)
    told = {row["url"].removeprefix(f"{website.url}/"): row["captions"][0]["text"] for row in found.rows}
    rejects = [reject for result in found.results.values() for reject in result.rejects]
    page_named = f", on {website.url}/"
    assert all(one.detail.endswith(page_named) for one in rejects if one.item.endswith((".jpg", ".mp4")))
    details = {one.item: f"{one.reason}: {one.detail.removesuffix(page_named)}" for one in rejects}
    return told, {item.removeprefix(f"{website.url}/"): detail for item, detail in details.items()}


@pytest.mark.parametrize(
    ("page", "more", "told", "refused"),
    [
        pytest.param(
            figure("1", "First lesion.") + figure("2", "Second lesion."),
            {"block": ""},
            {},
            dict.fromkeys(("1.jpg", "2.jpg"), "2 texts fit `caption` and 2 pictures share them: select with `block`"),
            id="a page with several pictures and texts",
        ),
        pytest.param(
            '<img src="1.jpg">' + figure("2", "A lesion."),
            {"block": ""},
            {},
            dict.fromkeys(("1.jpg", "2.jpg"), "2 pictures of the page share `caption`"),
            id="a logo does not get the caption of the figure",
        ),
        pytest.param(
            f"<main>{figure('1', 'First lesion.')}{figure('2', 'Second lesion.')}</main>{figure('3', 'Third lesion.')}",
            {"block": "main, body > figure", "media": "img"},
            {"3.jpg": "Third lesion."},
            dict.fromkeys(("1.jpg", "2.jpg"), "2 texts fit `caption`"),
            id="a block with several pictures and texts",
        ),
        pytest.param(
            "<h1>Lesion of the hand</h1><h1>Lesion of the foot</h1>" + figure("1") + figure("2"),
            {"fields": {"caption": Field(select="h1", within="page")}},
            {},
            dict.fromkeys(("1.jpg", "2.jpg"), "2 texts fit `caption`"),
            id="texts of the page for pictures of the page",
        ),
        pytest.param(
            "<h1>Lesion of the hand</h1>" + figure("1") + figure("2"),
            {"fields": {"caption": Field(select="h1", within="page")}},
            {"1.jpg": "Lesion of the hand", "2.jpg": "Lesion of the hand"},
            {},
            id="one text of the page for all blocks",
        ),
        pytest.param(
            '<h1>Lesion of the hand</h1><img src="1.jpg"><img src="2.jpg">',
            {"block": "", "fields": {"caption": Field(select="h1", within="page")}},
            {"1.jpg": "Lesion of the hand", "2.jpg": "Lesion of the hand"},
            {},
            id="one text of the page for all its pictures, as the option says",
        ),
        pytest.param(
            figure('<img src="1.jpg"><img src="2.jpg">', "Both hands."),
            {},
            {"1.jpg": "Both hands.", "2.jpg": "Both hands."},
            {},
            id="one text of a block for its pictures",
        ),
        pytest.param(
            figure("1", "Lesion.", "More of it."),
            {"fields": {"caption": Field(select="figcaption", join=" ")}},
            {"1.jpg": "Lesion. More of it."},
            {},
            id="joined",
        ),
        pytest.param(
            figure(figure("1", "First lesion.") + figure("2", "Second lesion."), "Both."),
            {},
            {"1.jpg": "First lesion.", "2.jpg": "Second lesion."},
            {},
            id="a figure inside a figure",
        ),
        pytest.param(
            f"<figure><img src='3.jpg'>{figure('1', 'First lesion.')}<figcaption>The whole arm.</figcaption></figure>",
            {},
            {"1.jpg": "First lesion.", "3.jpg": "The whole arm."},
            {},
            id="the outer figure has its own text",
        ),
    ],
)
def test_no_picture_gets_the_text_of_another(
    website: Any, web: Any, tmp_path: Path, page: str, more: Any, told: Any, refused: Any
) -> None:
    found, rejects = crawl(website, web, tmp_path, page, **more)
    assert found == told
    assert set(rejects) == set(refused)
    for name, detail in refused.items():
        assert rejects[name].startswith(f"bad_row: {detail}")


@pytest.mark.parametrize(
    ("caption", "foot", "more", "detail"),
    [
        (
            "A lesion, CC BY-NC 4.0",
            "",
            {},
            "beside the picture stands CC-BY-NC-4.0, and the row's licence is CC-BY-4.0",
        ),
        (
            "A lesion, CC BY-NC",
            "",
            {},
            "beside the picture stands LicenseRef-CC-BY-NC, and the row's licence is CC-BY-4.0",
        ),
        (
            f'A lesion <a href="{DEED}/by-nd/4.0/">(licence)</a>',
            f'<a class="cc" href="{DEED}/by/4.0/">',
            ROW,
            "beside the picture stands CC-BY-ND-4.0, and the row's licence is CC-BY-4.0",
        ),
        (
            "A lesion.",
            f'<a class="cc" href="{DEED}/by/4.0/"></a><a class="cc" href="{DEED}/by-nc/4.0/"></a>',
            ROW,
            "CC-BY-4.0 and CC-BY-NC-4.0: `license` must fit the one of the picture",
        ),
        (
            "A lesion. Reproduced with permission.",
            "",
            {"fields": {"caption": "figcaption"}},
            "the caption says that the picture is someone else's",
        ),
        (
            "A lesion. Copyright Smith.",
            "",
            {"fields": {"caption": Field(select="figcaption", clean=True, pattern=r"(.*?\.)")}},
            "the caption says that the picture is someone else's",
        ),
    ],
)
def test_a_picture_of_another_licence_or_owner_is_left_out(
    website: Any, web: Any, tmp_path: Path, caption: str, foot: str, more: Any, detail: str
) -> None:
    found, rejects = crawl(website, web, tmp_path, figure("1", caption) + foot, **more)
    assert found == {}
    assert rejects == {"1.jpg": f"licence_not_allowed: {detail}"}
    assert "/1.jpg" not in website.asked()


@pytest.mark.parametrize(
    ("caption", "foot", "more"),
    [
        ("A lesion, CC BY 4.0", "", {}),
        ("A lesion, CC BY", "", {}),
        ("A lesion, CC BY-NC 4.0", "", {"rights": Rights(license="LicenseRef-letter")}),
        ("A lesion.", f'<a class="cc" href="{DEED}/by/4.0/"></a><a class="cc" href="{DEED}/by/4.0/deed.de"></a>', ROW),
        (
            f'A lesion <a class="cc" href="{DEED}/by/4.0/">CC BY</a> (<a href="{DEED}/by-nc/4.0/">text</a>)',
            f'<a class="cc" href="{DEED}/by-nc/4.0/"></a>',
            {**ROW, "fields": {**LICENCE, "license": Field(select="a.cc", attribute="href")}},
        ),
    ],
)
def test_a_picture_of_the_licence_of_its_row_stays(
    website: Any, web: Any, tmp_path: Path, caption: str, foot: str, more: Any
) -> None:
    found, rejects = crawl(website, web, tmp_path, figure("1", caption) + foot, **more)
    assert list(found) == ["1.jpg"]
    assert rejects == {}


@pytest.mark.parametrize(
    ("page", "more", "refused"),
    [
        (figure("1", "A lesion."), {"block": "div"}, {"": "no_media: nothing on the page fits `block` 'div'"}),
        (figure("1", "A lesion."), {"media": "i"}, {"": "no_media: nothing on the page fits `media` 'i'"}),
        (
            figure('<img src="data:image/gif;base64,R0lGOD">', "A lesion."),
            {},
            {" block 1": "no_media: what fits `media` 'img' names no file"},
        ),
        (figure("1"), {}, {"1.jpg": "bad_row: no `caption`: nothing there fits 'figcaption'"}),
        (figure("1", "<b>Fig. 2</b>"), {}, {"1.jpg": "bad_row: no `caption`: what fits 'figcaption' says nothing"}),
        (
            figure('<video src="1.mp4"></video>', "A lesion."),
            {"media": "img, video"},
            {"1.mp4": "no_media: <video>: a stage of its own with `kind: video` takes it"},
        ),
        (
            figure("1", "A lesion."),
            {"kind": "video"},
            {"1.jpg": "no_media: <img>: a stage of its own with `kind: image` takes it"},
        ),
        (figure("1", "A lesion."), ROW, {"1.jpg": "bad_row: no licence is stated: nothing there fits 'a.cc'"}),
        (
            figure("1", "A lesion.") + '<a class="cc">free</a>',
            ROW,
            {"1.jpg": "bad_row: no licence is stated: what fits 'a.cc' says nothing"},
        ),
        (
            figure("1", "A lesion.") + '<p class="cc">Free to use.</p>',
            {**ROW, "fields": {**LICENCE, "license": Field(select=".cc", within="page")}},
            {"1.jpg": "bad_row: 'Free to use.' is no licence that is known: word it in `license_names`"},
        ),
        (figure("1", "A lesion."), {"item": "a"}, {"": "no_media: no link on the page fits `item` 'a'"}),
        (
            '<a href="ftp://a.org/1">case</a>',
            {"item": "a"},
            {"ftp://a.org/1": "bad_url: scheme 'ftp': http and https are fetched"},
        ),
    ],
)
def test_a_selector_that_leads_nowhere_is_named(
    website: Any, web: Any, tmp_path: Path, page: str, more: Any, refused: dict[str, str]
) -> None:
    assert crawl(website, web, tmp_path, page, **more) == ({}, refused)
    assert "/1.jpg" not in website.asked()


def test_words_of_the_site_and_pictures_without_a_licence_of_their_own(website: Any, web: Any, tmp_path: Path) -> None:
    page = figure("1", "A lesion.") + '<p class="cc">Free to use.</p>'
    fields = {**LICENCE, "license": Field(select=".cc", within="page")}
    words = {**ROW, "fields": fields, "license_names": {"Free to use.": "LicenseRef-free"}}
    assert crawl(website, web, tmp_path / "words", page, **words)[0] == {"1.jpg": "A lesion."}
    blank = {**ROW, "blank_license": "rights"}
    assert crawl(website, web, tmp_path / "blank", page.replace("cc", "other"), **blank)[0] == {"1.jpg": "A lesion."}


def test_listing_pages_that_do_not_go_on_are_told_and_their_items_are_kept(
    website: Any, web: Any, tmp_path: Path
) -> None:
    found, rejects = crawl(website, web, tmp_path, figure("1", "A lesion."), next_page="a.next")
    assert found == {"1.jpg": "A lesion."}
    assert rejects == {"": "no_media: no listing page has a link that fits `next_page` 'a.next'"}


def test_a_thumbnail_inside_the_link_to_its_picture_is_that_picture(website: Any, web: Any, tmp_path: Path) -> None:
    linked = figure('<a href="1.jpg"><img src="2.jpg"></a>', "A linked lesion.")
    page = linked + figure("3", "A lesion.") + figure('<a name="x"><img src="4.jpg"></a>', "A named lesion.")
    found, rejects = crawl(website, web, tmp_path, page, media="a, img")
    assert found == {"1.jpg": "A linked lesion.", "3.jpg": "A lesion.", "4.jpg": "A named lesion."}
    assert rejects == {}


def test_pages_without_a_picture_do_not_end_the_crawl(website: Any, web: Any, tmp_path: Path) -> None:
    links = "".join(f'<a href="/case/{number}">case</a>' for number in range(7))
    for number in range(6):
        website.put(f"/case/{number}", "<p>No figure.</p>")
    website.put("/case/6", figure("../1", "A lesion."))
    found, rejects = crawl(website, web, tmp_path, links, item="a", stop_after=3)
    assert found == {"1.jpg": "A lesion."}
    assert {reason.split(":")[0] for reason in rejects.values()} == {"no_media"}
    assert len(rejects) == 6
