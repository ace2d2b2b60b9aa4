"""One HTML page: its links, the media that its elements show, and its texts. Bad markup is mended as lxml mends it.

Where a picture lies differs from site to site: `src` may hold a blank until a script swaps it, so the attributes of
lazy loading come first, and of `srcset` the widest picture counts. Relative urls start at `<base href>`, else at the
url that the page came from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from urllib.parse import urljoin

from bs4 import BeautifulSoup, Tag
from bs4.element import PageElement

from ingest.scrapers.raised import raised
from shards.intake import Skip
from shards.reasons import Reason

LAZY = ("data-src", "data-original", "data-lazy-src", "data-lazy", "data-url", "data-full", "data-image")
LAZY_SETS = ("data-srcset", "data-lazy-srcset", "srcset")
MOST_TAGS = 200_000  # of a page: each costs half a kilobyte and fifteen microseconds
MOST_DEPTH = 500  # of tags inside one another: selectors look at all that are around an element
_CANDIDATE = re.compile(r"[\s,]*([^\s,]\S*)")
_SIZE = re.compile(r"(?:^|\s)(\d+(?:\.\d+)?)[wx](?=\s|$)")
_REFERENCES = re.compile(r"\[?\s*(\d{1,3}(?:\s*[,;\u2013-]\s*\d{1,3})*)\s*\]?")
_HIDDEN = ("script", "style", "noscript", "template")
_APART = ("br", "p", "div", "li", "td", "tr", "h1", "h2", "h3", "h4", "dd", "dt")
_SKIPPED = ("data:", "javascript:", "mailto:", "about:", "blob:")


class HtmlPage:
    """A parsed page; `url` is where it came from, after redirects."""

    def __init__(self, data: bytes, url: str, charset: str | None = None) -> None:
        """`charset` is that of the Content-Type header, which precedes what the page says of itself.

        Raises Skip(TOO_LARGE) for a page of more than MOST_TAGS tags, whose tree would fill the memory, or MOST_DEPTH.
        """
        if (tags := data.count(b"<")) > MOST_TAGS:
            raise Skip(Reason.TOO_LARGE, f"a page of {tags} tags, {MOST_TAGS} are read")
        self.soup = BeautifulSoup(data, "lxml", from_encoding=_known(charset))
        level: list[Tag] = [self.soup]
        for _ in range(MOST_DEPTH):
            level = [child for tag in level for child in tag.contents if isinstance(child, Tag)]
        if level:
            raise Skip(Reason.TOO_LARGE, f"a page of tags inside one another, more than {MOST_DEPTH} deep")
        self.url = url

    @cached_property
    def base(self) -> str:
        """What relative urls start at (HTML 4.2.3: the first `base` with an href)."""
        found = self.soup.find("base", href=True)
        return urljoin(self.url, _text(found, "href")) if isinstance(found, Tag) else self.url

    def absolute(self, link: str) -> str | None:
        """A link as an absolute url; None for what is no address of anything."""
        link = re.sub(r"[\t\r\n]", "", link).strip()
        if not link or link.startswith("#") or link.lower().startswith(_SKIPPED):
            return None
        try:
            return urljoin(self.base, link)
        except ValueError:
            return None

    def links(self, selector: str, within: Tag | None = None) -> list[str]:
        """Urls of the elements that fit: their href, or that of a link inside or around them; each once, in order."""
        found: dict[str, None] = {}
        for element in (within or self.soup).select(selector):
            link = element if element.has_attr("href") else element.find("a", href=True) or element.find_parent("a")
            if isinstance(link, Tag) and (url := self.absolute(_text(link, "href"))) is not None:
                found[url] = None
        return list(found)

    def media(self, element: Tag) -> str | None:
        """Url of the picture or video that an element shows: img, picture, video, source, a, object, meta or link."""
        for candidate in self._candidates(element):
            if (url := self.absolute(candidate)) is not None:
                return url
        return None

    def _candidates(self, element: Tag) -> Iterator[str]:
        if element.name in ("a", "link"):
            yield _text(element, "href")
            return
        if element.name in ("meta", "object"):
            yield _text(element, "content") or _text(element, "data")
            return
        around = element.find_parent("picture") if element.name == "img" else None
        sources = around.find_all("source") if around is not None else []
        for name in LAZY_SETS[:-1]:
            yield widest(_text(element, name))
            yield from (widest(_text(source, name)) for source in sources)
        yield from (_text(element, name) for name in LAZY)
        yield widest(_text(element, "srcset"))
        if around is not None:
            yield from self._sources(around)
        yield _text(element, "src")
        if element.name in ("picture", "video", "audio"):
            yield from self._sources(element)
        if element.name in ("picture", "figure", "div", "span", "li", "td"):
            inner = element.find(["img", "video"])
            if isinstance(inner, Tag):
                yield from self._candidates(inner)

    def _sources(self, element: Tag) -> Iterator[str]:
        for source in element.find_all("source"):
            if isinstance(source, Tag):
                yield from (widest(_text(source, name)) for name in LAZY_SETS)
                yield _text(source, "data-src") or _text(source, "src")


def widest(srcset: str) -> str:
    """The url with the largest width or density of a `srcset` (HTML 4.8.4.2.1); empty where there is none."""
    best, url, place = -1.0, "", 0
    while (found := _CANDIDATE.match(srcset, place)) is not None:
        candidate, place, said = found[1], found.end(), ""
        if not candidate.endswith(","):
            said, _, _ = srcset[place : place + 100].partition(",")
            place = end + 1 if (end := srcset.find(",", place)) >= 0 else len(srcset)
        size = _SIZE.search(said)
        if (size or not said.strip()) and float(size[1] if size else 1) > best:
            best, url = float(size[1] if size else 1), candidate.rstrip(",")
    return url


def text_of(element: Tag) -> str:
    """The text that a reader sees, on one line; sub- and superscripts join their word, and powers stay raised."""
    pieces: list[str] = []
    waiting: list[tuple[PageElement, bool, bool]] = [(element, False, False)]  # whether raised; whether it leads here
    while waiting:
        node, is_raised, is_pointer = waiting.pop()
        if isinstance(node, Tag):
            if node.name in _HIDDEN:
                continue
            if node.name in _APART and node is not element:
                pieces.append(" ")
            is_raised = is_raised or (node.name == "sup" and node is not element)
            is_pointer = is_pointer or (node.name == "a" and "#" in _text(node, "href"))
            waiting += [(child, is_raised, is_pointer) for child in reversed(node.contents)]
        elif type(node).__name__ == "NavigableString":
            before = "".join(pieces[-1:])[-1:]
            pieces.append(_raised(str(node), before, is_pointer) if is_raised and before != "[" else str(node))
    return " ".join("".join(pieces).split())


def _raised(text: str, before: str, is_pointer: bool) -> str:
    """Raised text after a character: numbers that are those of references in brackets, as they are written elsewhere.

    That they are is certain where they lead to a place on the page, where they are several, or behind a sentence.
    """
    mark = _REFERENCES.fullmatch(text.strip())
    if mark is not None and (is_pointer or not mark[1].isdigit() or before in (".", ",", ";", ":")):
        return f"[{mark[1]}]"
    return raised(text, before)


def _text(element: Tag, name: str) -> str:
    value = element.get(name)
    return " ".join(value) if isinstance(value, list) else (value or "").strip()


def _known(charset: str | None) -> str | None:
    """The name where Python has such a codec, else None."""
    import codecs

    try:
        return codecs.lookup(charset).name if charset else None
    except LookupError:
        return None
