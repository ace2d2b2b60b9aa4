"""An article in JATS (ANSI/NISO Z39.96): what it is, under which licence, and its figures with their captions.

Figures of answers, reviews and translations (`sub-article`, `response`) are not the article's. A figure may hold
figures (`fig-group`), each of which is then its own, with the group's caption before it. A licence inside a figure
overrides the article's, and so does a sentence that says whose the figure is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ingest.scrapers.clean_text import clean_caption
from ingest.scrapers.licence_texts import licence_of
from ingest.scrapers.safe_xml import parse_xml
from shards.intake import Skip
from shards.reasons import Reason

HREF = "{http://www.w3.org/1999/xlink}href"
_OTHERS = ("sub-article", "response")
_POINTERS = {"bibr", "table", "table-fn", "fn", "supplementary-material", "sec", "disp-formula", "corresp", "aff"}
_LEFT_OUT = {
    "inline-formula",
    "disp-formula",
    "tex-math",
    "math",
    "email",
    "ext-link",
    "uri",
    "table-wrap",
    "fn",
    "label",
}
_BLOCKS = {"p", "title", "list-item", "break", "def", "sec"}
_RETRACTIONS = ("retraction", "retracted-article")
RETRACTED = re.compile(r"^\W*(?:retracted|withdrawn|retraction)\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One figure or video of an article."""

    id: str  # of the element, else its place
    label: str  # "Figure 3"
    caption: str  # cleaned; the group's before its own
    group_caption: str  # cleaned
    hrefs: tuple[str, ...]  # names of its pictures or videos as the article writes them, often without an ending
    is_video: bool
    license: str | None  # SPDX id that the figure itself states
    license_text: str  # in which words; empty where the figure says nothing of its own
    is_foreign: bool  # the caption says that it is someone else's
    removed: tuple[str, ...]  # what was taken out of the caption


@dataclass(frozen=True, kw_only=True, slots=True)
class Article:
    """What an article says of itself, and its figures."""

    pmcid: str | None
    doi: str | None
    title: str
    journal: str
    article_type: str
    year: str | None
    keywords: tuple[str, ...]
    license: str | None  # SPDX id
    license_text: str
    is_retracted: bool  # by its type or its title
    figures: tuple[Figure, ...]


def read_article(data: bytes) -> Article:
    """The article in a JATS document; Skip(CORRUPT) where it is none."""
    root = parse_xml(data)
    article = root if _name(root) == "article" else root.find(".//{*}article")
    if article is None:
        raise Skip(Reason.CORRUPT, f"no article, but {_name(root)}")
    front = article.find("{*}front")
    meta = front if front is not None else article
    title = text_of(_first(meta, "title-group/article-title", "article-title"))
    kind = article.get("article-type", "")
    licence, words = _licence(_first(meta, "article-meta/permissions", "permissions"))
    related = {one.get("related-article-type", "") for one in meta.iterfind(".//{*}related-article")}
    return Article(
        pmcid=_id(meta, "pmc", "pmcid"),
        doi=_id(meta, "doi"),
        title=title,
        journal=text_of(_first(meta, "journal-title")),
        article_type=kind,
        year=text_of(_first(meta, "pub-date/year")) or None,
        keywords=tuple(word for one in meta.iterfind(".//{*}kwd") if (word := text_of(one))),
        license=licence,
        license_text=words,
        is_retracted=bool(RETRACTED.search(title))
        or kind in ("retraction", "retracted-article")
        or "retraction-forward" in related,
        figures=tuple(_figures(article)),
    )


def text_of(element: Any) -> str:
    """The words of an element on one line, without pointers to references, tables and formulas; "" for None."""
    return " ".join("".join(_pieces(element)).split()) if element is not None else ""


def _pieces(element: Any) -> Iterator[str]:
    yield element.text or ""
    for child in element:
        name = _name(child)
        pointer = name == "xref" and child.get("ref-type") in _POINTERS
        if not (pointer or name in _LEFT_OUT or (name == "sup" and _is_pointer(child))):
            yield " " if name in _BLOCKS else ""
            yield from _pieces(child)
            yield " " if name in _BLOCKS else ""
        yield child.tail or ""


def _is_pointer(sup: Any) -> bool:
    """Whether a superscript holds marks of references and no more."""
    return len(sup) > 0 and all(_name(child) == "xref" and child.get("ref-type") in _POINTERS for child in sup)


def _name(element: Any) -> str:
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def _first(element: Any, *paths: str) -> Any:
    for path in paths:
        found = element.find(".//" + "/".join(f"{{*}}{name}" for name in path.split("/")))
        if found is not None:
            return found
    return None


def _id(meta: Any, *kinds: str) -> str | None:
    for one in meta.iterfind(".//{*}article-id"):
        if one.get("pub-id-type") in kinds and (text := text_of(one)):
            return text
    return None


def _licence(permissions: Any) -> tuple[str | None, str]:
    """SPDX id and words of a `permissions` element; (None, "") where it states no licence."""
    if permissions is None:
        return None, ""
    found: list[str] = []
    for one in permissions.iter():
        if _name(one) in ("license", "license_ref", "ext-link", "uri"):
            found += [one.get(HREF) or "", (one.text or "") if _name(one) == "license_ref" else ""]
    urls = " ".join(dict.fromkeys(url.strip() for url in found if url.strip()))
    words = " ".join(" ".join("".join(one.itertext()).split()) for one in permissions.iterfind(".//{*}license"))
    owner = " ".join(
        " ".join("".join(one.itertext()).split()) for one in permissions.iterfind("{*}copyright-statement")
    )
    return licence_of(urls) or licence_of(words), " ".join(part for part in (urls, words, owner) if part)


def _all_words(element: Any) -> str:
    return " ".join("".join(element.itertext()).split())


def _figures(article: Any) -> Iterator[Figure]:
    number = 0
    for element in _own(article):
        name = _name(element)
        if name == "fig" or (name == "media" and _is_video(element)):
            if name == "media" and _inside(element, "fig"):
                continue
            number += 1
            yield _figure(element, number)


def _own(element: Any) -> Iterator[Any]:
    for child in element:
        if _name(child) not in _OTHERS:
            yield child
            yield from _own(child)


def _inside(element: Any, name: str) -> bool:
    return any(_name(one) == name for one in element.iterancestors())


def _is_video(media: Any) -> bool:
    href = (media.get(HREF) or "").lower()
    return media.get("mimetype") == "video" or href.endswith((".mp4", ".mov", ".avi", ".mpg", ".mpeg", ".webm", ".wmv"))


def _figure(element: Any, number: int) -> Figure:
    group = next((one for one in element.iterancestors() if _name(one) == "fig-group"), None)
    shared = (
        clean_caption(text_of(group.find("{*}caption")))
        if group is not None and group.find("{*}caption") is not None
        else None
    )
    own = clean_caption(text_of(element.find("{*}caption")))
    licence, words = _licence(element.find("{*}permissions"))
    credit = " ".join(text_of(one) for one in element.iterfind(".//{*}attrib"))
    foreign = own.speaks_of_owner or clean_caption(credit).speaks_of_owner or bool(shared and shared.speaks_of_owner)
    video = _name(element) == "media" or any(_is_video(one) for one in element.iterfind(".//{*}media"))
    holders = [element] if _name(element) == "media" else element.iter("{*}media" if video else "{*}graphic")
    hrefs = dict.fromkeys(href for one in holders if (href := (one.get(HREF) or "").strip()))
    label = text_of(element.find("{*}label")) or own.label
    return Figure(
        id=element.get("id") or f"figure-{number}",
        label=label.strip(" .:"),
        caption=" ".join(part for part in (shared.text if shared else "", own.text) if part),
        group_caption=shared.text if shared else "",
        hrefs=tuple(hrefs),
        is_video=video,
        license=licence,
        license_text=words,
        is_foreign=foreign,
        removed=(*(shared.removed if shared else ()), *own.removed, *([credit] if credit else [])),
    )
