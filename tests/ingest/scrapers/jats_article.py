"""Articles in the schema of JATS, written for the tests."""

from __future__ import annotations

DEED = "https://creativecommons.org/licenses"
BY = (
    "<permissions><copyright-statement>\u00a9 2026 The Authors</copyright-statement><license><ali:license_ref "
    f'specific-use="textmining" content-type="ccbylicense">{DEED}/by/4.0/</ali:license_ref><license-p>This is an open '
    "access article distributed under the Creative Commons Attribution License.</license-p></license></permissions>"
)


def article(
    body: str = "",
    *,
    kind: str = "case-report",
    title: str = "A mass in the lung",
    permissions: str = BY,
    front: str = "",
    after: str = "",
    pmcid: str = "PMC11",
    dtd: bool = True,
) -> bytes:
    """One article; `front` goes into its metadata, `after` behind its body."""
    doctype = (
        '<!DOCTYPE article PUBLIC "-//NLM//DTD JATS (Z39.96) Journal Archiving and Interchange DTD v1.3 20210610//EN" '
        '"JATS-archivearticle1-3.dtd">'
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
{doctype if dtd else ""}
<article xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:mml="http://www.w3.org/1998/Math/MathML"
 xmlns:ali="http://www.niso.org/schemas/ali/1.0/" article-type="{kind}" xml:lang="en" dtd-version="1.3">
<front><journal-meta><journal-id journal-id-type="nlm-ta">J Cases</journal-id><journal-title-group>
<journal-title>Journal of Made Cases</journal-title></journal-title-group></journal-meta>
<article-meta><article-id pub-id-type="pmcid">{pmcid}</article-id>
<article-id pub-id-type="doi">10.5555/made.1</article-id>
<title-group><article-title>{title}</article-title></title-group>
<pub-date pub-type="epub"><day>3</day><month>4</month><year>2026</year></pub-date>
<pub-date pub-type="collection"><year>2025</year></pub-date>
<pub-date pub-type="pmc-release"><year>2019</year></pub-date>
{permissions}{front}
<kwd-group><kwd>lung</kwd><kwd><italic>mass</italic></kwd></kwd-group></article-meta></front>
<body><sec><title>Case</title>{body}</sec></body>{after}</article>""".encode()


def fig(
    caption: str, *, id_: str = "F1", label: str = "Figure 1", inside: str | None = None, href: str = "x-g001"
) -> str:
    """One figure."""
    graphic = f'<graphic xlink:href="{href}"/>' if inside is None else inside
    return f'<fig id="{id_}"><label>{label}</label><caption>{caption}</caption>{graphic}</fig>'
