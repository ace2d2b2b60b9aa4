"""A website as listing pages, item pages, and pictures or videos with texts, by selectors alone and without code.

Selectors are those of CSS. A field is a column, and the options of all rows (caption, labels, licence, template, ...)
say what a column means. `docs/scraping.md` adds a site step by step.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from ingest.columns import AttributeColumn
from ingest.scrapers.options import CONTRACT, ScraperOptions
from shards.stage import Context, Contract, Unit

if TYPE_CHECKING:
    from ingest.scrapers.crawl import CrawlWorker

OF_PAGES = {"language": "language", "figure_label": "figure_label"}  # attribute -> column
OWN_FIELDS = ("page_url", "media_url", "page_title", "language", "figure_label")  # columns that every item has


@dataclass(frozen=True, kw_only=True)
class Field:
    """A column made of elements of the page: what their text or an attribute says."""

    select: str  # the first element that fits, or all with `join`
    attribute: str = ""  # its value in place of the element's text
    within: Literal["block", "page"] = "block"  # where it is looked for; where no block has it, the page is not tried
    join: str = ""  # what parts the texts of all elements that fit
    pattern: str = ""  # a regular expression with one group, searched in the text
    # as a caption: without "Figure 3.", marks of references and the like (ingest.scrapers.clean_text)
    clean: bool = False

    def __post_init__(self) -> None:
        check_selector(self.select)
        try:
            groups = re.compile(self.pattern).groups
        except re.error as error:
            raise ValueError(f"pattern {self.pattern!r} is no regular expression: {error}") from None
        if self.pattern and groups != 1:
            raise ValueError(f"pattern {self.pattern!r} must have one group in brackets, which is what is kept")


def check_selector(selector: str) -> None:
    """ValueError where `selector` is no CSS selector; told where beautifulsoup4 is installed."""
    if not selector.strip():
        raise ValueError("a selector is empty: write one of CSS, such as `figure img`")
    try:
        import soupsieve
    except ModuleNotFoundError:
        return
    try:
        soupsieve.compile(selector)
    except soupsieve.SelectorSyntaxError as error:
        raise ValueError(f"{selector!r} is no CSS selector: {str(error).splitlines()[0]}") from None


@dataclass(frozen=True, kw_only=True)
class Gallery(ScraperOptions):
    """Makes a manifest of one website. Columns: `fields`, and OWN_FIELDS."""

    contract: ClassVar[Contract] = replace(CONTRACT, version=2)

    start: tuple[str, ...]  # listing pages to begin with; each is a unit
    next_page: str = ""  # selector of the link to the next listing page
    item: str = ""  # selector of links to item pages; without it the listing pages are the item pages
    block: str = ""  # selector of the parts of an item page that belong to one picture; without it the whole page
    media: str = "img"  # selector of the picture or video inside a block; all that fit, each an item
    kind: Literal["image", "video"] = "image"
    fields: Mapping[str, str | Field] = field(default_factory=dict)  # column -> selector
    needs: tuple[str, ...] = ()  # fields without which a picture is rejected
    group: str | None = "page_url"  # pictures of one page are of one case
    group_is: Literal["series", "lesion", "article", "video", "slide"] = "article"
    attribute_columns: Mapping[str, str | AttributeColumn] = field(default_factory=lambda: dict(OF_PAGES))
    max_pages: int = 10_000  # listing pages of one start

    def __post_init__(self) -> None:
        ScraperOptions.__post_init__(self)
        if not self.start:
            raise ValueError("start: name at least one listing page")
        for selector in (self.next_page, self.item, self.block, self.media, *self.plain_fields()):
            if selector:
                check_selector(selector)
        clash = sorted(set(self.fields) & set(OWN_FIELDS))
        if clash:
            raise ValueError(f"fields: {clash} are columns that every item has; choose other names")
        unknown = sorted(set(self.columns().values()) - set(self.fields) - set(OWN_FIELDS))
        if unknown:
            raise ValueError(f"columns {unknown} are no fields; there are {', '.join([*self.fields, *OWN_FIELDS])}")
        if lacking := sorted(set(self.needs) - set(self.fields)):
            raise ValueError(f"needs: {lacking} are no fields; there are {', '.join(self.fields)}")
        if self.max_pages < 1:
            raise ValueError(f"max_pages must be at least 1, not {self.max_pages}")

    def plain_fields(self) -> list[str]:
        """Fields that are a selector and no more."""
        return [option for option in self.fields.values() if isinstance(option, str)]

    def field_options(self) -> dict[str, Field]:
        """All fields in the long form."""
        return {
            name: Field(select=option) if isinstance(option, str) else option for name, option in self.fields.items()
        }

    def units(self, ctx: Context) -> Iterator[Unit]:
        """One unit a start; those of one host stay in one slice of a run."""
        from ingest.scrapers.gallery_pages import gallery_units

        return gallery_units(self)

    @contextmanager
    def open(self, ctx: Context) -> Iterator[CrawlWorker]:
        """A worker with its session and its raw store."""
        from ingest.scrapers.crawl import crawl
        from ingest.scrapers.gallery_pages import GalleryPages

        with crawl(self, ctx, GalleryPages(self)) as worker:
            yield worker
