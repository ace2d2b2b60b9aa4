"""Articles in JATS: whose they are, and what their figures say."""

from __future__ import annotations

import runpy
import time
from pathlib import Path
from typing import Any

import pytest

from ingest.scrapers.jats import Figure, is_retracted_title, read_article
from shards.intake import Skip

MADE: dict[str, Any] = runpy.run_path(str(Path(__file__).with_name("jats_article.py")))
article, fig, DEED = MADE["article"], MADE["fig"], MADE["DEED"]
CC0 = f'<permissions><license xlink:href="{DEED.replace("licenses", "publicdomain")}/zero/1.0/"/></permissions>'
OWNED = "<permissions><copyright-statement>\u00a9 Elsevier</copyright-statement></permissions>"
SUBJECT = "<article-categories><subj-group><subject>%s</subject></subj-group></article-categories>"


def figures(body: str, **options: str) -> list[Figure]:
    return list(read_article(article(body, **options)).figures)


def one(body: str, **options: str) -> Figure:
    (figure,) = figures(body, **options)
    return figure


def test_what_an_article_is() -> None:
    found = read_article(article(fig("<p>Axial CT.</p>")))
    assert (found.pmcid, found.doi, found.journal) == ("PMC11", "10.5555/made.1", "Journal of Made Cases")
    assert (found.title, found.article_type, found.year) == ("A mass in the lung", "case-report", "2025")
    assert (found.language, found.keywords, found.is_retracted) == ("en", ("lung", "mass"), False)
    assert found.license == "CC-BY-4.0"
    assert "\u00a9 2026 The Authors" in found.license_text


@pytest.mark.parametrize(("written", "read"), [("11", "PMC11"), ("PMC11", "PMC11"), ("PMC11.2", None), ("pmc", None)])
def test_pmcid(written: str, read: str | None) -> None:
    assert read_article(article(pmcid=written)).pmcid == read


@pytest.mark.parametrize(
    ("permissions", "expected"),
    [
        (f'<license license-type="open-access" xlink:href="{DEED}/by-nc/4.0/"/>', "CC-BY-NC-4.0"),
        (
            f"<license><license-p>See <ext-link xlink:href='{DEED}/by/3.0/'>it</ext-link></license-p></license>",
            "CC-BY-3.0",
        ),
        (f"<ali:license_ref>{DEED}/by-nd/4.0/</ali:license_ref>", "CC-BY-ND-4.0"),
        ("<license><p>Creative Commons Attribution-NonCommercial 4.0</p></license>", "CC-BY-NC-4.0"),
        ("<license><license-p>CC BY-SA 2.5</license-p></license>", "CC-BY-SA-2.5"),
        ('<license license-type="open-access"/>', None),
        ("<copyright-statement>\u00a9 all rights reserved</copyright-statement>", None),
        (f'<license xlink:href="{DEED}/by/4.0/"/><license xlink:href="{DEED}/by-nc/4.0/"/>', None),
        ("", None),
    ],
)
def test_licence_of_an_article(permissions: str, expected: str | None) -> None:
    assert read_article(article(permissions=f"<permissions>{permissions}</permissions>")).license == expected


def test_the_licence_of_a_figure_is_not_that_of_the_article() -> None:
    assert (
        read_article(article(fig("<p>A</p>", inside=f"{CC0}<graphic xlink:href='a'/>"), permissions="")).license is None
    )


@pytest.mark.parametrize(
    ("inside", "expected", "says"),
    [
        ("<graphic xlink:href='a'/>", None, False),
        (f"<graphic xlink:href='a'/>{CC0}", "CC0-1.0", True),
        (f"<graphic xlink:href='a'>{CC0}</graphic>", "CC0-1.0", True),
        (f"<alternatives><graphic xlink:href='a'>{CC0}</graphic></alternatives>", "CC0-1.0", True),
        (f"<graphic xlink:href='a'/>{OWNED}", None, True),
        ("<graphic xlink:href='a'/><permissions><copyright-year>2010</copyright-year></permissions>", None, True),
    ],
)
def test_a_figure_may_have_a_licence_of_its_own(inside: str, expected: str | None, says: bool) -> None:
    found = one(fig("<p>A mass.</p>", inside=inside))
    assert (found.license, bool(found.license_text)) == (expected, says)


@pytest.mark.parametrize(
    ("caption", "credit", "foreign"),
    [
        ("<p>A mass.</p>", "", False),
        ("<p>A mass. Reproduced from Smith et al. with permission.</p>", "", True),
        ("<p>A mass (\u00a9 Elsevier).</p>", "", True),
        ("<p>A mass. Adapted from <xref ref-type='bibr' rid='r'>[3]</xref>.</p>", "", True),
        ("<p>A mass, from Doe et al. [<xref ref-type='bibr' rid='r'>3</xref>].</p>", "", True),
        ("<p>A mass. Originally published in Doe 2001.</p>", "", True),
        ("<p>A mass.<attrib>Elsevier</attrib></p>", "", True),
        ("<p>A mass.</p>", "Photo: Jane Doe", True),
        ("<p>A mass.</p>", "Source: Springer, 2010", True),
        ("<p>A mass.</p>", "The authors' own photograph", False),
    ],
)
def test_figures_of_others(caption: str, credit: str, foreign: bool) -> None:
    inside = f"<attrib>{credit}</attrib><graphic xlink:href='a'/>" if credit else None
    found = one(fig(caption, inside=inside))
    assert found.is_foreign is foreign
    assert found.caption == "A mass." or foreign


def test_words_of_a_figure() -> None:
    found = one(fig("<title>CT of the chest</title><p>A mass [<xref ref-type='bibr' rid='r1'>1</xref>] (arrow).</p>"))
    assert (found.label, found.caption, found.pictures) == (
        "Figure 1",
        "CT of the chest. A mass (arrow).",
        (("x-g001",),),
    )
    assert (found.is_video, found.is_readable, found.group_caption) == (False, True, "")
    assert one(fig("<p>Figure 7. Stain of &mystery;.</p>", label="")).label == "Figure 7"
    assert not one(fig("<p>Stain of &mystery;.</p>")).is_readable
    assert one("<fig><caption><p>A</p></caption><graphic xlink:href='a'/></fig>").id == "figure-1"


def test_alternatives_are_one_picture_and_graphics_are_several() -> None:
    both = "<graphic xlink:href='a.tif'/><graphic xlink:href='a.jpg'/>"
    assert one(fig("<p>A</p>", inside=f"<alternatives>{both}</alternatives>")).pictures == (("a.tif", "a.jpg"),)
    assert one(fig("<p>A</p>", inside=both)).pictures == (("a.tif",), ("a.jpg",))
    assert one(fig("<p>A</p>", inside="<p>no picture</p>")).pictures == ()
    formula = "<disp-formula><graphic xlink:href='e1'/></disp-formula><graphic xlink:href='a'/>"
    assert one(
        fig("<p>A <inline-formula><inline-graphic xlink:href='i'/></inline-formula></p>", inside=formula)
    ).pictures == (("a",),)


def test_groups_share_their_caption() -> None:
    group = (
        "<fig-group><label>Figure 2</label><caption><p>Scans of the chest [2].</p></caption>"
        + fig("<p>Axial CT.</p>", id_="a", label="(A)", href="g2a")
        + fig("<p>Coronal CT.</p>", id_="b", label="(B)", href="g2b")
        + "</fig-group>"
    )
    first, second = figures(group)
    assert (first.caption, first.group_caption) == ("Scans of the chest. Axial CT.", "Scans of the chest.")
    assert (second.caption, second.pictures, second.label) == ("Scans of the chest. Coronal CT.", (("g2b",),), "(B)")
    foreign = group.replace("[2]", "reproduced from Doe 2001")
    assert [found.is_foreign for found in figures(foreign)] == [True, True]
    owned = group.replace("<fig-group>", f"<fig-group>{OWNED}")
    assert all(found.license_text for found in figures(owned))


def test_a_group_s_caption_of_panels_is_that_of_none_of_its_figures() -> None:
    def group(*labelled: tuple[str, str]) -> list[str]:
        inside = "".join(
            fig(caption, id_=f"f{n}", label=label, href=f"g{n}") for n, (label, caption) in enumerate(labelled)
        )
        shared = "<caption><p>Chest CT. (A) Axial view. (B) Coronal view.</p></caption>"
        return [found.caption for found in figures(f"<fig-group>{shared}{inside}</fig-group>")]

    assert group(("A", ""), ("(b).", "")) == ["Axial view.", "Coronal view."]
    assert group(("A", "<p>A mass.</p>"), ("", "")) == ["A mass.", ""]
    assert group(("C", ""), ("Figure 2", "")) == ["", ""]


def test_a_licence_around_a_figure_is_its_own() -> None:
    inner = fig("<p>A mass.</p>")
    for around in ("boxed-text", "fig-group"):
        assert one(f"<{around}>{CC0}{inner}</{around}>").license == "CC0-1.0"
        assert one(f"<{around}>{CC0}<fig-group>{inner}</fig-group></{around}>").license == "CC0-1.0"
    assert one(f"<boxed-text>{CC0}<p>Beside it.</p></boxed-text>{inner}").license_text == ""


def test_thousands_of_formulas_take_no_longer_than_they_are_long() -> None:
    begun = time.process_time()
    assert not one(fig("<p>" + "<tex-math>a</tex-math>" * 20_000 + "</p>")).is_readable
    assert one(fig("<p>A mass" + ", " * 100_000 + "</p>")).caption == "A mass"
    assert time.process_time() - begun < 5


def test_videos() -> None:
    material = (
        '<supplementary-material id="S1"><label>Video 1</label><caption><p>Beating heart.</p></caption><media '
        'xlink:href="m1.mp4" mimetype="video" mime-subtype="mp4"><caption><p>Click here for additional data file.'
        "(1.2M, mp4)</p></caption></media></supplementary-material>"
    )
    found = one(material)
    assert (found.id, found.label, found.caption) == ("S1", "Video 1", "Beating heart.")
    assert (found.is_video, found.pictures) == (True, (("m1.mp4",),))
    inside = '<media xlink:href="m2.avi"/><graphic xlink:href="poster"/>'
    found = one(fig("<p>Gait.</p>", inside=inside))
    assert (found.is_video, found.pictures) == (True, (("m2.avi",),))
    table = '<supplementary-material><media xlink:href="t.xlsx" mimetype="application"/></supplementary-material>'
    assert figures(table) == []


def test_where_figures_may_stand() -> None:
    floats = f"<floats-group>{fig('<p>In floats.</p>', id_='F2')}</floats-group>"
    other = f'<sub-article article-type="reply"><body>{fig("<p>Not its own.</p>", id_="F9")}</body></sub-article>'
    answer = f"<response><body>{fig('<p>Nor this.</p>', id_='F8')}</body></response>"
    back = f"<back><app-group><app>{fig('<p>In the appendix.</p>', id_='F3')}</app></app-group></back>"
    boxed = f"<boxed-text><sec>{fig('<p>In a box.</p>')}</sec></boxed-text>"
    abstract = f'<abstract abstract-type="graphical">{fig("<p>In short.</p>", id_="F0")}</abstract>'
    found = figures(boxed, front=abstract, after=back + floats + other + answer)
    assert [figure.id for figure in found] == ["F0", "F1", "F3", "F2"]


@pytest.mark.parametrize(
    ("options", "retracted"),
    [
        ({}, False),
        ({"kind": "retraction"}, True),
        ({"kind": "retracted-article"}, True),
        ({"kind": "partial-retraction"}, True),
        ({"front": SUBJECT % "Retraction Notice"}, True),
        ({"front": SUBJECT % "Case Report"}, False),
        ({"title": "RETRACTED ARTICLE: A mass in the lung"}, True),
        ({"front": '<related-article related-article-type="retraction-forward" id="r" ext-link-type="pmc"/>'}, True),
        ({"front": '<related-article related-article-type="retracted-article" id="r" ext-link-type="pmc"/>'}, True),
        ({"front": '<related-article related-article-type="corrected-article" id="r" ext-link-type="pmc"/>'}, False),
    ],
)
def test_retracted(options: dict[str, str], retracted: bool) -> None:
    assert read_article(article(**options)).is_retracted is retracted


@pytest.mark.parametrize(
    ("title", "retracted"),
    [
        ("Retracted: a mass in the lung", True),
        ("[Retracted] A mass in the lung", True),
        ("RETRACTED A mass in the lung", True),
        ("WITHDRAWN: A mass", True),
        ("Retraction Note to: A mass", True),
        ("Retraction: A mass", True),
        ("Retraction", True),
        ("Retraction of \u201cA mass\u201d", True),
        ("Statement of Retraction: A mass", True),
        ("A mass in the lung [Retracted]", True),
        ("A mass in the lung (retracted article)", True),
        ("A mass in the lung \u2013 RETRACTED", True),
        ("REMOVED: A mass", True),
        ("Temporary Removal: A mass", True),
        ("Retraction to: A mass", True),
        ("Removed: teeth and their roots", True),  # better one too many
        ("Retraction of the ear drum in children", False),
        ("Retraction pockets: a review", False),
        ("Retracted ear drums in children", False),
        ("Withdrawal of life support", False),
        ("Nerve injury by retraction", False),
        ("", False),
    ],
)
def test_titles_of_retracted_articles(title: str, retracted: bool) -> None:
    assert is_retracted_title(title) is retracted


def test_an_article_may_lie_inside_a_collection() -> None:
    inner = article(fig("<p>A</p>"), dtd=False).decode().partition("?>")[2]
    found = read_article(f"<pmc-articleset>{inner}</pmc-articleset>".encode())
    assert (found.pmcid, len(found.figures)) == ("PMC11", 1)


@pytest.mark.parametrize("data", [b"<html/>", b"<article/>", b"<article><front/></article>", b"{}", article()[:900]])
def test_what_is_no_article(data: bytes) -> None:
    with pytest.raises(Skip, match="corrupt"):
        read_article(data)


def test_a_caption_reads_no_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("SECRET")
    attack = article(fig("<p>&x; and</p>")).decode()
    attack = attack.replace('dtd">', f'dtd" [<!ENTITY x SYSTEM "{secret.as_uri()}">]>', 1)
    (found,) = read_article(attack.encode()).figures
    assert "SECRET" not in found.caption
    assert not found.is_readable


def test_bytes_of_utf_16() -> None:
    text = article(fig("<p>5 \u00b5m &alpha;</p>")).decode().replace("UTF-8", "UTF-16")
    assert read_article(text.encode("utf-16")).figures[0].caption == "5 \u00b5m \u03b1"
