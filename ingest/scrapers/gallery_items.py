"""An item page of a gallery: the pictures in its blocks, and what is said of each of them and of no other.

A text that may speak of another picture is worse than none, so a picture is rejected where several share a page or a
block and several texts fit one field, and where another licence stands beside it than that of its row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import soupsieve
from bs4 import Tag

from ingest.columns import CaptionColumn
from ingest.rights import Rights
from ingest.scrapers.addresses import canonical
from ingest.scrapers.answers import Ask
from ingest.scrapers.clean_text import Cleaned, clean_caption
from ingest.scrapers.crawl import Found
from ingest.scrapers.gallery import Field, Gallery
from ingest.scrapers.html_page import HtmlPage, text_of
from ingest.scrapers.language import language_of
from ingest.scrapers.licence_texts import kind_of, licence_of, licences_in
from ingest.scrapers.provenance import Licence
from shards.intake import Skip
from shards.reasons import Reason

if TYPE_CHECKING:
    from ingest.scrapers.visit import Held

_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)
_CUSTOM = "LicenseRef-"


def parsed(held: Held) -> HtmlPage:
    """A page that was fetched."""
    charset = _CHARSET.search(held.entry.answer.header("Content-Type") or "")
    return HtmlPage(held.read(), held.final_url, charset[1] if charset else None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What a field says in one place: a text for each element that fits, and what is kept of it (may be blank)."""

    texts: tuple[str, ...]
    kept: tuple[str, ...]
    label: str = ""  # "Figure 3", taken out of the first
    owned: bool = False  # whether a text says that someone else owns the picture

    @property
    def differs(self) -> bool:
        """Whether more than one thing is said."""
        return len({text for text in self.kept if text}) > 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """A picture or video on the page."""

    url: str
    block: Tag
    element: Tag


class ItemPage:
    """One item page, read by the options of a gallery."""

    def __init__(self, stage: Gallery, held: Held) -> None:
        self.stage = stage
        self.page = parsed(held)
        self.url = held.final_url  # after redirects
        self.fields = stage.field_options()
        caption = stage.caption
        self.caption = caption.column if isinstance(caption, CaptionColumn) else caption
        self._shares: dict[int, int] = {}  # pictures of each block
        self._shared_by_all = 0  # pictures of the page
        self._readings: dict[tuple[int, str], Reading] = {}  # by the place and the field
        self._named: dict[int, frozenset[str]] = {}  # licences that a block names
        self._title = text_of(title) if (title := self.page.soup.title) is not None else None

    def found(self) -> list[Found]:
        """Its pictures, those among them that must be left out, and where it has none one reject that says so."""
        stage = self.stage
        if not self.blocks:
            return [self._nothing(self.url, f"nothing on the page fits `block` {stage.block!r}")]
        shown: list[Shown] = []
        left_out: list[Found] = []
        any_fits = False
        for number, block in enumerate(self.blocks, 1):
            fitting = (
                [block] if stage.block and soupsieve.match(stage.media, block) else self._inside(block, stage.media)
            )
            here = self._pictures(block, fitting)
            any_fits = any_fits or bool(fitting)
            if fitting and not here:
                name = f"{self.url} block {number}" if stage.block else self.url
                left_out.append(self._nothing(name, f"what fits `media` {stage.media!r} names no file"))
            self._shares[id(block)] = sum(_other_kind(one.element, stage.kind) is None for one in here)
            self._shared_by_all += self._shares[id(block)]
            shown += here
        if not any_fits:
            return [self._nothing(self.url, f"nothing on the page fits `media` {stage.media!r}")]
        return [*map(self._found, shown), *left_out]

    @cached_property
    def blocks(self) -> list[Tag]:
        """The parts that belong to one picture each; the whole page where no option tells them."""
        return list(self.page.soup.select(self.stage.block)) if self.stage.block else [self.page.soup]

    @cached_property
    def _block_ids(self) -> frozenset[int]:
        return frozenset(map(id, self.blocks))

    def _inside(self, block: Tag, selector: str) -> list[Tag]:
        """The elements of a block that fit, without those of a block inside it."""
        return [one for one in block.select(selector) if self._block_of(one) is block]

    def _block_of(self, element: Tag) -> Tag | None:
        return next((one for one in (element, *element.parents) if id(one) in self._block_ids), None)

    def _pictures(self, block: Tag, fitting: list[Tag]) -> list[Shown]:
        """Each file once; an element inside one that has named a file is the same picture in another size."""
        named: set[int] = set()
        urls: dict[str, Shown] = {}
        for element in fitting:
            if any(id(parent) in named for parent in element.parents):
                continue
            url = self.page.media(element)
            known = _known(url) if url is not None else None
            if known is not None:
                named.add(id(element))
                urls.setdefault(known, Shown(url=known, block=block, element=element))
        return list(urls.values())

    def _nothing(self, name: str, why: str) -> Found:
        return Found(ask=Ask(url=self.url), name=name, cells={}, refused=Skip(Reason.NO_MEDIA, why))

    def _found(self, shown: Shown) -> Found:
        readings = {name: self._reading(shown.block, name, option) for name, option in self.fields.items()}
        cells: dict[str, str | None] = {
            "page_url": self.url,
            "media_url": shown.url,
            "page_title": self._title,
            "figure_label": next((reading.label for reading in readings.values() if reading.label), None),
        }
        for name, reading in readings.items():
            join = self.fields[name].join
            cells[name] = join.join(filter(None, reading.kept)) if join else next(iter(reading.kept), "")
            cells[name] = cells[name] or None
        texts = [cells[name] or "" for name, option in self.fields.items() if option.clean]
        cells["language"] = language_of(" ".join(texts)) if any(texts) else None
        licence = self._licence(cells)
        why = next(self._reasons(shown, readings, cells, licence), None)
        refused = Skip(why.reason, f"{why.detail}, on {self.url}") if why is not None else None
        ask = Ask(url=shown.url, wanted=self.stage.kind)
        return Found(ask=ask, name=shown.url, cells=cells, licence=licence, refused=refused)

    def _reading(self, block: Tag, name: str, option: Field) -> Reading:
        """What a field says of the pictures of a block; found once for all of them."""
        whole = option.within == "page"
        place = id(self.page.soup if whole else block), name
        if place not in self._readings:
            self._readings[place] = self._read(block, name, option, whole=whole)
        return self._readings[place]

    def _read(self, block: Tag, name: str, option: Field, *, whole: bool) -> Reading:
        elements = self.page.soup.select(option.select) if whole else self._inside(block, option.select)
        texts = tuple(self._text(element, option) for element in elements)
        kept = [_matching(text, option.pattern) for text in texts]
        cleaned: list[Cleaned] = []
        if option.clean:
            cleaned = [clean_caption(text) for text in kept]
            kept = [one.text for one in cleaned]
        judged = texts if option.clean or name == self.caption else ()
        return Reading(
            texts=texts,
            kept=tuple(kept),
            label=next((one.label for one in cleaned if one.label), ""),
            owned=any(clean_caption(text).speaks_of_owner for text in judged),
        )

    def _text(self, element: Tag, option: Field) -> str:
        value = element.get(option.attribute) if option.attribute else text_of(element)
        text = " ".join(value) if isinstance(value, list) else (value or "")
        return (self.page.absolute(text) or "") if option.attribute in ("href", "src") else text

    def _licence(self, cells: dict[str, str | None]) -> Licence | None:
        """The licence that the page states; its column gets the SPDX id."""
        column = self.stage.license_column
        stated = cells.get(column) if column is not None else None
        if column is None or not stated:
            return None
        cells[column] = self._spdx(stated) or stated
        return Licence(license=cells[column] or "", evidence=f"{self.url}: {stated}")

    def _spdx(self, stated: str) -> str | None:
        return self.stage.license_names.get(stated) or licence_of(stated)

    def _reasons(
        self, shown: Shown, readings: dict[str, Reading], cells: dict[str, str | None], licence: Licence | None
    ) -> Iterator[Skip]:
        """Why the picture must be left out, the gravest first."""
        stage = self.stage
        if (kind := _other_kind(shown.element, stage.kind)) is not None:
            yield Skip(Reason.NO_MEDIA, f"<{shown.element.name}>: a stage of its own with `kind: {kind}` takes it")
        if any(reading.owned for reading in readings.values()):
            yield Skip(Reason.LICENCE_NOT_ALLOWED, "the caption says that the picture is someone else's")
        yield from self._licences(shown.block, readings, licence)
        yield from self._shared(shown.block, readings)
        for name in stage.needs:
            if not cells.get(name):
                select, texts = self.fields[name].select, readings[name].texts
                why = f"what fits {select!r} says nothing" if texts else f"nothing there fits {select!r}"
                yield Skip(Reason.BAD_ROW, f"no `{name}`: {why}")

    def _licences(self, block: Tag, readings: dict[str, Reading], licence: Licence | None) -> Iterator[Skip]:
        """Where it is not sure that the row's licence is that of the picture."""
        column = self.stage.license_column
        option = self.fields.get(column or "")
        if option is not None and column is not None:
            named = {known for text in readings[column].kept if (known := self._spdx(text)) is not None}
            if len(named) > 1 and not option.join:
                told = " and ".join(sorted(named))
                yield Skip(Reason.LICENCE_NOT_ALLOWED, f"{told}: `{column}` must fit the one of the picture")
            if licence is None and self.stage.blank_license == "reject":
                why = "what fits {!r} says nothing" if readings[column].texts else "nothing there fits {!r}"
                yield Skip(Reason.BAD_ROW, f"no licence is stated: {why.format(option.select)}")
            if licence is not None and not _is_licence(licence.license):
                yield Skip(
                    Reason.BAD_ROW, f"{licence.license!r} is no licence that is known: word it in `license_names`"
                )
            if licence is not None and option.within == "block":
                return  # it was taken from beside the picture
        held = licence.license if licence is not None else self.stage.rights.license
        if held.startswith(_CUSTOM) and not kind_of(held).startswith("CC "):
            return  # terms of the owner's own, which whoever wrote the pipelines file has read
        if id(block) not in self._named:
            links = " ".join(str(link["href"]) for link in block.select("[href]"))
            self._named[id(block)] = licences_in(text_of(block)) | licences_in(links)
        beside = self._named[id(block)] - {held}
        if other := sorted(one for one in beside if not (one.startswith(_CUSTOM) and kind_of(one) == kind_of(held))):
            yield Skip(
                Reason.LICENCE_NOT_ALLOWED,
                f"beside the picture stands {' and '.join(other)}, and the row's licence is {held}",
            )

    def _shared(self, block: Tag, readings: dict[str, Reading]) -> Iterator[Skip]:
        """Where pictures share texts that may be those of one of them."""
        of_block, of_page = self._shares[id(block)], self._shared_by_all
        for name, reading in readings.items():
            if name == self.stage.license_column:
                continue
            option = self.fields[name]
            sharing = of_page if option.within == "page" else of_block
            if sharing > 1 and reading.differs and not option.join:
                what = f"{len(reading.texts)} texts fit `{name}` and {sharing} pictures share them"
                yield Skip(Reason.BAD_ROW, f"{what}: select with `block` what belongs to one picture, or `join` them")
            if sharing > 1 and any(reading.kept) and option.within == "block" and not self.stage.block:
                what = f"{sharing} pictures of the page share `{name}`"
                yield Skip(
                    Reason.BAD_ROW,
                    f"{what}: select with `block` what belongs to one picture, or say `within: page` if it is of all",
                )


def _matching(text: str, pattern: str) -> str:
    """What a pattern keeps of a text."""
    if pattern:
        match = re.search(pattern, text)
        text = (match[1] or "") if match else ""
    return text.strip()


def _other_kind(element: Tag, asked: str) -> str | None:
    """`image` or `video` where the markup says that an element is one and the other was asked for."""
    is_video = element.name == "video" or (
        element.name == "source" and str(element.get("type") or "").startswith("video/")
    )
    kind = "video" if is_video else "image" if element.name in ("img", "picture") else asked
    return kind if kind != asked else None


def _is_licence(name: str) -> bool:
    """Whether rows can have it: an SPDX id, or LicenseRef-<name>."""
    try:
        return bool(Rights(license=name))
    except ValueError:
        return False


def _known(url: str) -> str | None:
    """The canonical url, None where it cannot be fetched."""
    try:
        return canonical(url)
    except Skip:
        return None
