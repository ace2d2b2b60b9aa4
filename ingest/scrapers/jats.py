"""An article in JATS (ANSI/NISO Z39.96): what it is, under which licence, and its figures with their captions.

Figures of answers, reviews and translations (`sub-article`, `response`) are not the article's. A figure may hold
figures (`fig-group`), each of which is then its own, with the group's caption before it; where that speaks of panels,
each has its own caption, else the part that its label names, else none. A licence inside a figure, or inside a box or
group around it, overrides the article's, and so does a sentence that says whose the figure is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ingest.scrapers.clean_text import clean_caption
from ingest.scrapers.jats_text import all_words, is_from_reference, name_of, text_of
from ingest.scrapers.licence_texts import licence_of
from ingest.scrapers.panels import speaks_of_panels, split_caption
from ingest.scrapers.safe_xml import UNREADABLE, parse_xml
from shards.intake import Skip
from shards.reasons import Reason

HREF = "{http://www.w3.org/1999/xlink}href"
LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_OTHERS = ("sub-article", "response")
_NOT_PICTURES = {"caption", "disp-formula", "inline-formula", "table-wrap", "permissions", "attrib"}
_VIDEOS = (".mp4", ".mov", ".avi", ".mpg", ".mpeg", ".webm", ".wmv", ".m4v", ".mkv")
_TITLE_RETRACTED = re.compile(
    r"^\W*(?:retracted|withdrawn|retraction|withdrawal)\s*(?:[:\])]|[\u2013\u2014-]\s|\W*$)"
    r"|^\W*(?:retracted|withdrawn)\s+(?:article|paper|chapter)\b|(?-i:^\W*RETRACTED\b)"
    r"|^\W*(?:temporary removal|removed|removal notice)\s*[:\])]"
    r"|^\W*(?:retraction|withdrawal)\s+(?:note|notice|statement|to\s*:|of\s*:?\s*[\"'\u201c\u2018])"
    r"|^\W*(?:statement|notice) of (?:retraction|withdrawal)\b"
    r"|[\[(:\u2013\u2014-]\s*(?:retracted|withdrawn)(?:\s+article)?\W*$",
    re.IGNORECASE,
)
_RETRACTED = re.compile(r"retract|withdraw", re.IGNORECASE)  # in article-type and related-article-type
_OWN_WORK = re.compile(r"\bauthors?\b|\bown (?:work|figure|image|photograph|data|collection)\b", re.IGNORECASE)
_CLICK = re.compile(r"^click here\b[^.]*\.?\s*(?:\([\d.]+ ?[KMG]B?, ?\w+\))?\s*", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One figure or video of an article."""

    id: str  # of the element, else its place
    label: str  # "Figure 3"
    caption: str  # cleaned; the group's before its own
    group_caption: str  # cleaned
    pictures: tuple[tuple[str, ...], ...]  # names as the article writes them; of each picture its alternatives
    is_video: bool
    license: str | None  # SPDX id that the figure itself states
    license_text: str  # in which words; empty where the figure says nothing of its own
    is_foreign: bool  # the caption or a credit says that it is someone else's
    is_readable: bool  # False: the caption holds a formula or a character that has no plain text
    removed: tuple[str, ...]  # what was taken out of the caption


@dataclass(frozen=True, kw_only=True, slots=True)
class Article:
    """What an article says of itself, and its figures."""

    pmcid: str | None  # PMC123
    doi: str | None
    title: str
    journal: str
    article_type: str
    language: str | None  # ISO 639-1, as the article states it
    year: str | None  # of the first publication
    keywords: tuple[str, ...]
    license: str | None  # SPDX id
    license_text: str
    is_retracted: bool  # or the notice of a retraction: by its type, its title, or what it is related to
    figures: tuple[Figure, ...]


def read_article(data: bytes) -> Article:
    """The article in a JATS document; Skip(CORRUPT) where it is none."""
    root = parse_xml(data)
    article = root if name_of(root) == "article" else root.find(".//{*}article")
    if article is None:
        raise Skip(Reason.CORRUPT, f"no article, but {name_of(root)[:40]}")
    meta = article.find("{*}front/{*}article-meta")
    if meta is None:
        raise Skip(Reason.CORRUPT, "an article without its metadata (front/article-meta)")
    title = text_of(meta.find("{*}title-group/{*}article-title"))
    kind = article.get("article-type", "")
    subjects = [text_of(one) for one in meta.iterfind("{*}article-categories//{*}subject")]
    related = " ".join(one.get("related-article-type", "") for one in meta.iterfind(".//{*}related-article"))
    licence, words = _licence(meta.find("{*}permissions"))
    return Article(
        pmcid=_pmcid(meta),
        doi=_id(meta, "doi"),
        title=title,
        journal=text_of(article.find("{*}front/{*}journal-meta//{*}journal-title")),
        article_type=kind,
        language=article.get(LANG, "")[:2].lower() or None,
        year=_year(meta),
        keywords=tuple(word for one in meta.iterfind(".//{*}kwd") if (word := text_of(one))),
        license=licence,
        license_text=words,
        is_retracted=any(map(is_retracted_title, (title, *subjects))) or bool(_RETRACTED.search(f"{kind} {related}")),
        figures=tuple(_figures(article)),
    )


def is_retracted_title(title: str) -> bool:
    """Whether a title says that its article is retracted, or is the notice of it; `Retraction of the ear` does not."""
    return bool(_TITLE_RETRACTED.search(title))


def _id(meta: Any, *kinds: str) -> str | None:
    for one in meta.iterfind("{*}article-id"):
        if one.get("pub-id-type") in kinds and (text := text_of(one)):
            return text
    return None


def _pmcid(meta: Any) -> str | None:
    text = _id(meta, "pmcid", "pmc") or ""
    digits = re.fullmatch(r"(?:PMC)?(\d+)", text)
    return f"PMC{digits[1]}" if digits else None


def _year(meta: Any) -> str | None:
    dates = [one for one in meta.iterfind("{*}pub-date") if one.get("pub-type") != "pmc-release"]
    years = [year for one in dates if re.fullmatch(r"\d{4}", year := text_of(one.find("{*}year")))]
    return min(years, default=None)


def _licence(permissions: Any) -> tuple[str | None, str]:
    """SPDX id and words of a `permissions` element; (None, "") where there is none."""
    if permissions is None:
        return None, ""
    found: list[str] = []
    for one in permissions.iter("{*}license", "{*}license_ref", "{*}ext-link", "{*}uri"):
        found += [one.get(HREF) or "", (one.text or "") if name_of(one) == "license_ref" else ""]
    urls = " ".join(dict.fromkeys(url.strip() for url in found if url.strip()))
    words = " ".join(all_words(one) for one in permissions.iterfind("{*}license"))
    owner = " ".join(all_words(one) for one in permissions.iterfind("{*}copyright-statement"))
    text = " ".join(part for part in (urls, words, owner) if part)
    return licence_of(f"{urls} {words}"), text or "permissions without a licence"


def _figures(article: Any) -> Iterator[Figure]:
    for number, element in enumerate(_elements(article), 1):
        yield _figure(element, number)


def _elements(element: Any) -> Iterator[Any]:
    """Figures, and videos that are in no figure."""
    for child in element:
        name = name_of(child)
        if name == "fig" or (name == "media" and _is_video(child)):
            yield child
        elif name not in _OTHERS:
            yield from _elements(child)


def _is_video(media: Any) -> bool:
    return media.get("mimetype") == "video" or (media.get(HREF) or "").lower().endswith(_VIDEOS)


def _figure(element: Any, number: int) -> Figure:
    above = next((one for one in element.iterancestors("{*}fig-group", "{*}supplementary-material")), None)
    grouped = above is not None and name_of(above) == "fig-group"
    holders = [element] if above is None else [above, element]
    captions = [one.find("{*}caption") for one in holders]
    cleaned = [clean_caption(_CLICK.sub("", text_of(caption))) for caption in captions]
    named = [*(element.iter("{*}attrib")), *(found for one in holders[:-1] for found in one.iterfind("{*}attrib"))]
    credits_ = [text for found in named if (text := all_words(found))]
    licence, words = _own_licence(element)
    own_label = text_of(element.find("{*}label"))
    label = own_label or next((text_of(one.find("{*}label")) for one in holders), "")
    shared = cleaned[0].text if grouped else ""
    text = " ".join(dict.fromkeys(part.text for part in cleaned if part.text))
    if speaks_of_panels(shared):
        text = cleaned[-1].text or _part_of(shared, own_label)
    is_video, pictures = _pictures(element)
    return Figure(
        id=element.get("id") or (above is not None and not grouped and above.get("id")) or f"figure-{number}",
        label=(label or cleaned[-1].label).strip(" .:"),
        caption=text,
        group_caption=shared,
        pictures=tuple(pictures),
        is_video=is_video,
        license=licence,
        license_text=words,
        is_foreign=any(part.speaks_of_owner for part in cleaned)
        or any(is_from_reference(caption) for caption in captions)
        or any(not _OWN_WORK.search(credit) for credit in credits_),
        is_readable=UNREADABLE not in text,
        removed=(*(piece for part in cleaned for piece in part.removed), *credits_),
    )


def _part_of(shared: str, label: str) -> str:
    """What the caption of a group says of the one figure with this label, `B` or `(b)`; empty where it does not."""
    letter = label.strip(" ().:").lower()
    panels = split_caption(shared)
    return next((part.text for part in panels.parts if part.letters == (letter,)), "") if panels is not None else ""


def _own_licence(element: Any) -> tuple[str | None, str]:
    """What the figure, its picture or what is around it states, the nearest first."""
    stated = [element.find(f"{{*}}{name}/{{*}}permissions") for name in ("graphic", "media", "alternatives/{*}graphic")]
    stated += [one.find("{*}permissions") for one in (element, *element.iterancestors())]
    return next((_licence(one) for one in stated if one is not None), (None, ""))


def _pictures(element: Any) -> tuple[bool, list[tuple[str, ...]]]:
    """Whether it is a video, and the names of its pictures or videos."""
    if name_of(element) == "media":
        href = (element.get(HREF) or "").strip()
        return True, [(href,)] if href else []
    shown = list(_shown(element))
    videos = [one for one in shown if any(name_of(media) == "media" and _is_video(media) for media in one)]
    names = []
    for alternatives in videos or shown:
        kept = [one for one in alternatives if (name_of(one) == "media" and _is_video(one)) == bool(videos)]
        hrefs = tuple(dict.fromkeys(href for one in kept if (href := (one.get(HREF) or "").strip())))
        if hrefs and hrefs not in names:
            names.append(hrefs)
    return bool(videos), names


def _shown(element: Any) -> Iterator[list[Any]]:
    """The graphics and media below an element; those in `alternatives` together."""
    for child in element:
        name = name_of(child)
        if name == "alternatives":
            yield list(child.iter("{*}graphic", "{*}media"))
        elif name in ("graphic", "media"):
            yield [child]
        elif name not in _NOT_PICTURES:
            yield from _shown(child)
