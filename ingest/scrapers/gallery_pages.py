"""The pages of a gallery: from a listing to its items, and from an item page to its pictures with their texts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from bs4 import Tag

from ingest.scrapers.addresses import canonical, host_of
from ingest.scrapers.answers import Ask
from ingest.scrapers.clean_text import clean_caption
from ingest.scrapers.crawl import Found, Source
from ingest.scrapers.gallery import Field, Gallery
from ingest.scrapers.html_page import HtmlPage, text_of
from ingest.scrapers.language import language_of
from ingest.scrapers.licence_texts import licence_of
from ingest.scrapers.provenance import Licence
from shards.intake import Skip
from shards.reasons import Reason
from shards.stage import Unit

if TYPE_CHECKING:
    from ingest.scrapers.visit import Held, Visit

_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)


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
        self.fields = stage.field_options()

    def sources(self, visit: Visit, unit: Unit) -> Iterator[Source]:
        """The item pages, listing page by listing page; each once, whatever leads to it."""
        stage = self.stage
        seen: set[str] = set()
        items: set[str] = set()
        waiting = [unit.payload["start"]]
        while waiting and len(seen) < stage.max_pages:
            url = waiting.pop(0)
            if canonical(url) in seen:
                continue
            seen.add(canonical(url))
            ask = Ask(url=url, wanted="page")
            if not stage.item:
                yield Source(name=url, read=partial(self._items, visit, ask), asks=(ask,))
            try:
                page = self._page(visit, ask)
            except Skip as skip:
                if stage.item:  # else the source above says so
                    yield Source(name=url, read=partial(_refuse, skip))
                continue
            for link in page.links(stage.item) if stage.item else []:
                if (known := _known(link)) is not None and known not in items:
                    items.add(known)
                    asked = Ask(url=known, wanted="page")
                    yield Source(name=known, read=partial(self._items, visit, asked), asks=(asked,))
            waiting += [link for link in page.links(stage.next_page) if _known(link)] if stage.next_page else []
        for url in waiting:
            yield Source(name=url, read=partial(_refuse, Skip(Reason.NOT_TRIED, "max_pages listing pages were read")))

    def _page(self, visit: Visit, ask: Ask) -> HtmlPage:
        return parsed(visit.page(ask))

    def _items(self, visit: Visit, ask: Ask) -> list[Found]:
        held = visit.page(ask)
        page = parsed(held)
        blocks = page.soup.select(self.stage.block) if self.stage.block else [page.soup]
        found: dict[str, Found] = {}
        for block in blocks:
            for element in [block] if _fits(block, self.stage) else block.select(self.stage.media):
                url = page.media(element)
                if url is not None and (known := _known(url)) is not None and known not in found:
                    found[known] = self._found(page, held, block, known)
        if not found:
            raise Skip(Reason.NO_MEDIA, f"nothing on the page fits {self.stage.media!r}")
        return list(found.values())

    def _found(self, page: HtmlPage, held: Held, block: Tag, url: str) -> Found:
        title = page.soup.title
        cells: dict[str, str | None] = {
            "page_url": held.final_url,
            "media_url": url,
            "page_title": text_of(title) if title is not None else None,
        }
        texts: list[str] = []
        owned = False
        for name, option in self.fields.items():
            text = self._text(page, block, option)
            if text and option.clean:
                cleaned = clean_caption(text)
                owned = owned or cleaned.speaks_of_owner
                cells["figure_label"] = cleaned.label or cells.get("figure_label")
                text = cleaned.text
                texts.append(text)
            cells[name] = text or None
        cells["language"] = language_of(" ".join(texts)) if texts else None
        licence = None
        column = self.stage.license_column
        if column is not None and cells.get(column):
            stated = cells[column] or ""
            known = self.stage.license_names.get(stated) or licence_of(stated) or stated
            cells[column] = known
            licence = Licence(license=known, evidence=f"{held.final_url}: {stated}")
        lacking = [name for name in self.stage.needs if not cells.get(name)]
        refused = Skip(Reason.BAD_ROW, f"the page has no {lacking[0]}") if lacking else None
        if owned:
            refused = Skip(Reason.LICENCE_NOT_ALLOWED, "the caption says that the picture is someone else's")
        ask = Ask(url=url, wanted=self.stage.kind)
        return Found(ask=ask, name=url, cells=cells, licence=licence, refused=refused)

    def _text(self, page: HtmlPage, block: Tag, option: Field) -> str | None:
        within = page.soup if option.within == "page" else block
        texts = []
        for element in within.select(option.select, limit=0 if option.join else 1):
            value = element.get(option.attribute) if option.attribute else text_of(element)
            text = " ".join(value) if isinstance(value, list) else (value or "")
            if option.attribute in ("href", "src"):
                text = page.absolute(text) or ""
            if option.pattern:
                match = re.search(option.pattern, text)
                text = match[1] if match else ""
            if text.strip():
                texts.append(text.strip())
        return option.join.join(texts) if texts else None


def parsed(held: Held) -> HtmlPage:
    """A page that was fetched."""
    charset = _CHARSET.search(held.entry.answer.header("Content-Type") or "")
    return HtmlPage(held.read(), held.final_url, charset[1] if charset else None)


def _fits(block: Tag, stage: Gallery) -> bool:
    """Whether a block is itself the picture."""
    return bool(stage.block) and block in (block.parent or block).select(stage.media)


def _known(url: str) -> str | None:
    """The canonical url, None where it cannot be fetched."""
    try:
        return canonical(url)
    except Skip:
        return None


def _refuse(skip: Skip) -> list[Found]:
    raise skip
