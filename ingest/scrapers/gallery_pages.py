"""The pages of a gallery: from a listing to its items, and from an item page to its pictures with their texts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from ingest.scrapers.addresses import canonical, host_of
from ingest.scrapers.answers import Ask
from ingest.scrapers.crawl import Found, Source
from ingest.scrapers.gallery import Gallery
from ingest.scrapers.gallery_items import ItemPage, parsed
from ingest.scrapers.html_page import HtmlPage
from shards.intake import Skip
from shards.reasons import Reason
from shards.stage import Unit

if TYPE_CHECKING:
    from ingest.scrapers.visit import Visit


def gallery_units(stage: Gallery) -> Iterator[Unit]:
    """One unit a start, known by its url; what comes before `..` is the host."""
    for url in stage.start:
        try:
            known, host = canonical(url), host_of(url)
        except Skip as skip:
            raise ValueError(f"start: {url} cannot be fetched: {skip}") from None
        names = [hashlib.sha256(text.encode()).hexdigest()[:12] for text in (host, known)]
        yield Unit(id=f"{stage.source}-{names[0]}..{names[1]}", payload={"start": url}, inputs=(known,))


class GalleryPages:
    """The site pipeline of a gallery."""

    def __init__(self, stage: Gallery) -> None:
        self.stage = stage

    def sources(self, visit: Visit, unit: Unit) -> Iterator[Source]:
        """The item pages, listing page by listing page; each once, whatever leads to it.

        A selector of links that leads nowhere is a reject, since all that lies behind it would be missing unsaid.
        """
        stage = self.stage
        start = unit.payload["start"]
        seen: set[str] = set()
        items: set[str] = set()
        waiting = [start]
        goes_on = not stage.next_page
        while waiting and len(seen) < stage.max_pages:
            url = waiting.pop(0)
            if canonical(url) in seen:
                continue
            seen.add(canonical(url))
            ask = Ask(url=url, wanted="page")
            if not stage.item:
                yield self._item(visit, ask)
            try:
                page = parsed(visit.page(ask))
            except Skip as skip:
                goes_on = True  # or not: nobody knows
                if stage.item:  # else the source above says so
                    yield _refused(url, skip)
                continue
            if stage.item:
                yield from self._listed(visit, page, url, items)
            for link in page.links(stage.next_page) if stage.next_page else []:
                goes_on = True
                known, refused = _checked(link)
                if refused is not None:
                    yield refused
                else:
                    waiting.append(known)
        if not goes_on:
            yield _refused(
                start, Skip(Reason.NO_MEDIA, f"no listing page has a link that fits `next_page` {stage.next_page!r}")
            )
        for url in waiting:
            yield _refused(url, Skip(Reason.NOT_TRIED, f"max_pages: {stage.max_pages} listing pages were read"))

    def _listed(self, visit: Visit, page: HtmlPage, url: str, items: set[str]) -> Iterator[Source]:
        """What a listing page leads to, without the known `items`, to which it is added."""
        links = page.links(self.stage.item)
        if not links:
            yield _refused(url, Skip(Reason.NO_MEDIA, f"no link on the page fits `item` {self.stage.item!r}"))
        for link in links:
            known, refused = _checked(link)
            if refused is not None:
                yield refused
            elif known not in items:
                items.add(known)
                yield self._item(visit, Ask(url=known, wanted="page"))

    def _item(self, visit: Visit, ask: Ask) -> Source:
        return Source(name=ask.url, read=partial(self._items, visit, ask), asks=(ask,))

    def _items(self, visit: Visit, ask: Ask) -> list[Found]:
        return ItemPage(self.stage, visit.page(ask)).found()


def _checked(link: str) -> tuple[str, Source | None]:
    """The canonical url of a link, and where it cannot be fetched what says so."""
    try:
        return canonical(link), None
    except Skip as skip:
        return link, _refused(link, skip)


def _refused(name: str, skip: Skip) -> Source:
    """A source that gives nothing but the reason."""

    def read() -> list[Found]:
        raise skip

    return Source(name=name, read=read)
