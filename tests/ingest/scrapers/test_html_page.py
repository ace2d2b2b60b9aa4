"""Pages as they are found: lazy pictures, source sets, base urls, and thirty kilobytes of bad markup."""

from __future__ import annotations

import random
import time

import pytest

from ingest.scrapers.html_page import MOST_DEPTH, MOST_TAGS, HtmlPage, text_of, widest
from shards.intake import Skip

URL = "http://site.example/cases/1.html"


def shown(markup: str, selector: str = "img") -> str | None:
    page = HtmlPage(markup.encode(), URL)
    element = page.soup.select_one(selector)
    assert element is not None
    return page.media(element)


@pytest.mark.parametrize(
    ("markup", "selector", "url"),
    [
        ('<img src="a.jpg">', "img", "http://site.example/cases/a.jpg"),
        ('<img src="/a.jpg">', "img", "http://site.example/a.jpg"),
        ('<img src="//cdn.example/a.jpg">', "img", "http://cdn.example/a.jpg"),
        ('<base href="/media/"><img src="a.jpg">', "img", "http://site.example/media/a.jpg"),
        ('<base target="_top"><base href="/m/"><base href="/n/"><img src="a">', "img", "http://site.example/m/a"),
        ('<img src="data:image/gif;base64,R0lGOD" data-src="a.jpg">', "img", "http://site.example/cases/a.jpg"),
        ('<img src="blank.gif" data-original=" a.jpg\n">', "img", "http://site.example/cases/a.jpg"),
        ('<img src="s.jpg" srcset="s.jpg 320w, m.jpg 640w, l.jpg 1280w">', "img", "http://site.example/cases/l.jpg"),
        ('<img src="s.jpg" srcset="s.jpg, m.jpg 1.5x, l.jpg 2x">', "img", "http://site.example/cases/l.jpg"),
        ('<img src="s.jpg" data-srcset="m.jpg 640w,l.jpg 1280w">', "img", "http://site.example/cases/l.jpg"),
        (
            '<picture><source srcset="w.webp 900w"><img src="s.jpg"></picture>',
            "img",
            "http://site.example/cases/w.webp",
        ),
        (
            '<picture><source data-srcset="m.jpg 1x, l.jpg 2x"><img src="x.gif" data-src="s.jpg"></picture>',
            "img",
            "http://site.example/cases/l.jpg",
        ),
        ('<a href="full.jpg"><img src="thumb.jpg"></a>', "a", "http://site.example/cases/full.jpg"),
        ('<video><source src="a.mp4"></video>', "video", "http://site.example/cases/a.mp4"),
        ('<figure><p>x</p><img src="a.jpg"></figure>', "figure", "http://site.example/cases/a.jpg"),
        ('<meta property="og:image" content="og.jpg">', "meta", "http://site.example/cases/og.jpg"),
        ("<img alt=none>", "img", None),
        ('<img src="javascript:alert(1)">', "img", None),
        ('<img src="http://[bad/a.jpg">', "img", None),
    ],
)
def test_the_address_of_what_an_element_shows(markup: str, selector: str, url: str | None) -> None:
    assert shown(markup, selector) == url


def test_a_url_with_a_comma_in_a_source_set() -> None:
    assert widest("https://a.org/w_300,h_200/a.jpg 300w, https://a.org/w_900,h_600/a.jpg 900w") == (
        "https://a.org/w_900,h_600/a.jpg"
    )


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("a 1x,b 2x", "b"),
        ("a.jpg 50h 100w, b.jpg 60w", "a.jpg"),
        ("a 1 thing, b", "b"),
        ("a,b", "a,b"),
        (" a,, b 2x,", "b"),
        (", ,", ""),
        ("", ""),
    ],
)
def test_the_widest_of_a_source_set(text: str, url: str) -> None:
    assert widest(text) == url


@pytest.mark.parametrize("text", ["a" * 10**5 + " b c", "a b " * 10**4, ", " * 10**5, " " * 10**5])
def test_a_source_set_takes_no_longer_than_it_is_long(text: str) -> None:
    begun = time.process_time()
    widest(text)
    assert time.process_time() - begun < 1


def test_a_page_of_millions_of_tags_is_not_read() -> None:
    HtmlPage(b"<p>" * 1000, URL)
    begun = time.process_time()
    with pytest.raises(Skip, match="too_large"):
        HtmlPage(b"<p>" * (MOST_TAGS + 1), URL)
    with pytest.raises(Skip, match="too_large"):
        HtmlPage(b"<b>x" * (MOST_DEPTH + 1), URL)
    assert text_of(HtmlPage(b"<b>x" * (MOST_DEPTH - 10), URL).soup) == "x" * (MOST_DEPTH - 10)
    assert time.process_time() - begun < 1


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("retina<sup><a href='#r3'>3</a></sup> x", "retina[3] x"),
        ("<a href='#r3'><sup>3</sup></a>", "[3]"),
        ("x<sup><a href='#n'><span>[</span>1<span>]</span></a></sup>", "x[1]"),
        ("retina.<sup>3</sup> Next", "retina.[3] Next"),
        ("retina<sup>1,2</sup>, lens<sup>3-5</sup>", "retina[1,2], lens[3-5]"),
        ("10<sup>3</sup> mm<sup>2</sup>, 10<sup>-3</sup>, <sup>131</sup>I, 1<sup>st</sup>", "10³ mm², 10⁻³, 131I, 1st"),
    ],
)
def test_raised_marks_of_references_are_told_from_powers(markup: str, text: str) -> None:
    assert text_of(HtmlPage(markup.encode(), URL).soup) == text


def test_texts_are_what_a_reader_sees() -> None:
    markup = (
        "<figcaption>CO<sub>2</sub> of 10<sup>3</sup>&nbsp;mm &amp; <b>mass</b><br>in&#32;lung<p>Second</p>"
        "<!-- hidden --><script>var x</script><style>p{}</style><template>no</template></figcaption>"
    )
    element = HtmlPage(markup.encode(), URL).soup.select_one("figcaption")
    assert element is not None
    assert text_of(element) == "CO2 of 10\u00b3 mm & mass in lung Second"


def test_links_of_items_inside_and_around_the_element_each_once() -> None:
    page = HtmlPage(
        b'<a href="1.html"><h2 class="t">one</h2></a><h2 class="t"><a href="2.html#x">two</a></h2>'
        b'<h2 class="t"><a href="1.html">again</a></h2><a class="t" href="mailto:a@b.org">mail</a>'
        b'<a class="t">none</a>',
        URL,
    )
    assert page.links(".t") == ["http://site.example/cases/1.html", "http://site.example/cases/2.html#x"]


@pytest.mark.parametrize("charset", [None, "utf-8", "no-such-charset"])
def test_bytes_of_any_charset(charset: str | None) -> None:
    assert text_of(HtmlPage("<p>Länge 5 µm</p>".encode(), URL, charset).soup) == "Länge 5 µm"
    assert text_of(HtmlPage('<meta charset="latin-1"><p>Länge</p>'.encode("latin-1"), URL).soup) == "Länge"


def test_thirty_kilobytes_of_bad_markup_give_what_can_be_read_and_no_error() -> None:
    draw = random.Random(5)
    pieces = [
        "<div",
        "<img src='a.jpg'>",
        "</p>",
        "<a href=",
        "\x00",
        "&#xffffff;",
        "<!--",
        "]]>",
        "<table><td>",
        '"',
        "é",
    ]
    for _ in range(5):
        junk = "".join(draw.choice(pieces) for _ in range(5000))
        page = HtmlPage(b"<img class=first src=ok.jpg>" + junk.encode()[:30_000], URL)
        element = page.soup.select_one("img.first")
        assert element is not None
        assert page.media(element) == "http://site.example/cases/ok.jpg"
        page.links("a")
        text_of(page.soup)
