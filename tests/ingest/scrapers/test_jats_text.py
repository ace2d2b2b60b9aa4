"""The words of captions in JATS."""

from __future__ import annotations

import time

import pytest

from ingest.scrapers.jats_text import all_words, is_from_reference, text_of
from ingest.scrapers.raised import raised
from ingest.scrapers.safe_xml import UNREADABLE, parse_xml

MML = 'xmlns:mml="http://www.w3.org/1998/Math/MathML"'


def words(inner: str) -> str:
    dtd = '<!DOCTYPE caption SYSTEM "JATS.dtd">'
    return text_of(
        parse_xml(f'{dtd}<caption xmlns:xlink="http://www.w3.org/1999/xlink" {MML}>{inner}</caption>'.encode())
    )


def ref(text: str, kind: str = "bibr") -> str:
    return f'<xref ref-type="{kind}" rid="r1">{text}</xref>'


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ("<p>Axial   CT\n of the <italic>left</italic> lung.</p>", "Axial CT of the left lung."),
        ("<title>MRI of the brain</title><p>T2-weighted.</p>", "MRI of the brain. T2-weighted."),
        ("<title>MRI of the brain.</title><p>T2-weighted.</p>", "MRI of the brain. T2-weighted."),
        ("<title>Stain</title><p>of a node</p>", "Stain of a node"),
        ("<p>Two:<list><list-item><label>A</label><p>One</p></list-item></list></p>", "Two: A. One"),
        # references
        (f"<p>Mass [{ref('3')}].</p>", "Mass."),
        (f"<p>Mass [{ref('3')}, {ref('5')}\u2013{ref('7')}] of bone.</p>", "Mass of bone."),
        (f"<p>Mass<sup>{ref('3')},{ref('4')}</sup> of bone.</p>", "Mass of bone."),
        (f"<p>Mass<sup>[{ref('3')}]</sup>.</p>", "Mass."),
        (f"<p>Mass {ref('1')}, {ref('2')} and {ref('4')} of bone.</p>", "Mass of bone."),
        (f"<p>Mass ({ref('Smith et al., 2010')}; {ref('Doe, 2011')}).</p>", "Mass."),
        (f"<p>Mass (n = 3; {ref('Doe, 2011')}).</p>", "Mass (n = 3)."),
        (f"<p>As {ref('Smith et al. (2010)')} saw it.</p>", "As Smith et al. (2010) saw it."),
        (f"<p>Signs{ref('*', 'fn')} of {ref('a', 'table-fn')}it.</p>", "Signs of it."),
        (f"<p>See {ref('Table 2', 'table')} and {ref('Figure 3A', 'fig')}.</p>", "See Table 2 and Figure 3A."),
        # raised and lowered
        ("<p>10<sup>5</sup> cells/mm<sup>2</sup></p>", "10\u2075 cells/mm\u00b2"),
        ("<p>10<sup>\u22123</sup> of Ca<sup>2+</sup></p>", "10\u207b\u00b3 of Ca\u00b2\u207a"),
        ("<p><sup>18</sup>F-FDG and <sup>99m</sup>Tc</p>", "18F-FDG and 99mTc"),
        ("<p>the 1<sup>st</sup> CO<sub>2</sub> of T<sub>1</sub></p>", "the 1st CO2 of T1"),
        # formulas
        (
            "<p>at <inline-formula><mml:math><mml:mi>p</mml:mi><mml:mo>&lt;</mml:mo><mml:mn>0.05</mml:mn></mml:math>"
            "</inline-formula>.</p>",
            "at p<0.05.",
        ),
        (
            "<p>in <inline-formula><alternatives><tex-math>10^{5}</tex-math><mml:math><mml:msup><mml:mn>10</mml:mn>"
            "<mml:mn>5</mml:mn></mml:msup></mml:math></alternatives></inline-formula> cells</p>",
            "in 10\u2075 cells",
        ),
        (
            "<p><mml:math><mml:msup><mml:mi>e</mml:mi><mml:mi>k</mml:mi></mml:msup><mml:mo>\u2062</mml:mo>"
            "<mml:msub><mml:mi>T</mml:mi><mml:mn>2</mml:mn></mml:msub></mml:math></p>",
            "e^kT2",
        ),
        ("<p>a <inline-formula><tex-math>\\frac{1}{2}</tex-math></inline-formula> dose</p>", f"a {UNREADABLE} dose"),
        (
            "<p><mml:math><mml:mfrac><mml:mn>1</mml:mn><mml:mn>2</mml:mn></mml:mfrac></mml:math> dose</p>",
            f"{UNREADABLE} dose",
        ),
        (
            "<p><mml:math><mml:msup><mml:mrow><mml:mi>a</mml:mi><mml:mo>+</mml:mo><mml:mi>b</mml:mi></mml:mrow>"
            "<mml:mn>2</mml:mn></mml:msup></mml:math></p>",
            UNREADABLE,
        ),
        # what has no text
        ('<p>the <inline-graphic xlink:href="x.gif"/> sign</p>', f"the {UNREADABLE} sign"),
        ("<p>5 &micro;m of &mystery;</p>", f"5 \u00b5m of {UNREADABLE}"),
        ("<p>hidden \ue000 letter</p>", f"hidden {UNREADABLE} letter"),
        # what is not said of the picture
        ('<p>Scan. <ext-link xlink:href="https://x.org">https://x.org/a</ext-link></p>', "Scan."),
        ('<p>Scan of <ext-link xlink:href="https://x.org">the atlas</ext-link></p>', "Scan of the atlas"),
        ("<p>Scan<fn><p>not here</p></fn><email>a@b.org</email></p>", "Scan"),
        ("<p>Large, p &lt; .05 ( n = 3 )</p>", "Large, p < .05 ( n = 3)"),
        ("", ""),
    ],
)
def test_words(inner: str, expected: str) -> None:
    assert words(inner) == expected


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        (f"<p>Mass, from [{ref('3')}].</p>", True),
        (f"<p>Mass (from ref. {ref('3')}).</p>", True),
        (f"<p>Mass. From Smith et al. [{ref('3')}].</p>", True),
        (f"<p>Mass. Source: {ref('Smith 2010')}.</p>", True),
        (f"<p>Mass after {ref('Smith 2010')}.</p>", True),
        (f"<p>Mass from a patient [{ref('3')}].</p>", False),
        (f"<p>Mass, from {ref('Figure 2', 'fig')}.</p>", False),
        ("<p>From the left.</p>", False),
    ],
)
def test_what_comes_from_another_work(inner: str, expected: bool) -> None:
    assert is_from_reference(parse_xml(f"<caption>{inner}</caption>".encode())) is expected


def test_nothing_is_nothing() -> None:
    assert text_of(None) == ""
    assert all_words(parse_xml(b"<a>one <b>two</b>\n three</a>")) == "one two three"


def test_many_pieces_take_no_long() -> None:
    inner = f"<p>{'<sup>2</sup>' * 20_000}{ref('3') * 20_000}</p>"
    started = time.process_time()
    assert len(words(inner)) > 10_000
    assert time.process_time() - started < 3


def test_raised() -> None:
    assert raised("2", "m") == "\u00b2"
    assert raised("2", " ") == "2"
    assert raised("+", "a") == "\u207a"
    assert raised("nd", "2") == "nd"
    assert raised("", "2") == ""
    assert raised("[3]", "s") == "[3]"
    assert raised("1,2", "s") == "1,2"
    assert raised("n\u22121", "x") == "\u207f\u207b\u00b9"
    assert raised("n", "x") == "n"
