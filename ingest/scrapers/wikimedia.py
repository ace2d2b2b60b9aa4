"""Files of Wikimedia Commons with their descriptions, by category or by search, over the API of MediaWiki.

Every file has its own licence, which the API states; what cannot be read as one is not taken. The User-Agent names
whoever runs the crawl, as Wikimedia's policy asks (https://meta.wikimedia.org/wiki/User-Agent_policy).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from ingest.columns import AttributeColumn, CaptionColumn
from ingest.rights import Rights
from ingest.scrapers.options import CONTRACT, ScraperOptions
from shards.stage import Context, Contract, Unit

if TYPE_CHECKING:
    from ingest.scrapers.crawl import CrawlWorker

API = "https://commons.wikimedia.org/w/api.php"
COLUMNS = (
    *("title", "page_url", "caption", "license", "artist", "credit", "date", "categories", "sha1", "language"),
    "modality",
)  # what every file has
LICENCES = ("CC0", "CC BY", "CC BY-SA", "public-domain")
OF_FILE = Rights(license="LicenseRef-file")


@dataclass(frozen=True, kw_only=True)
class WikimediaCommons(ScraperOptions):
    """Makes a manifest of files of Commons. Columns: COLUMNS."""

    contract: ClassVar[Contract] = CONTRACT

    rights: Rights = OF_FILE  # of no row: each has the licence of its file
    categories: tuple[str, ...] = ()  # "X-rays of the chest"; each is a unit
    depth: int = 0  # how far into the categories inside them
    searches: tuple[str, ...] = ()  # as in the site's own search: `incategory:Dermatology psoriasis`; each is a unit
    language: str = "en"  # of the description; files that have none in it, or of an unstated language, are rejected
    width_px: int = 0  # fetch a rendition of this width where the file is wider; 0: always the file itself
    videos: bool = False  # videos, and no pictures
    licences: tuple[str, ...] = LICENCES
    restrictions: tuple[str, ...] = ()  # such as `personality`: files with other ones are rejected
    api: str = API
    # columns of rows
    caption: str | CaptionColumn | None = "caption"
    license_column: str | None = "license"
    source_id: str | None = "sha1"
    attribute_columns: Mapping[str, str | AttributeColumn] = field(default_factory=lambda: {"language": "language"})

    def __post_init__(self) -> None:
        ScraperOptions.__post_init__(self)
        if not self.categories and not self.searches:
            raise ValueError("categories or searches: name at least one")
        if not re.fullmatch(r"https?://\S+/api\.php", self.api):
            raise ValueError(f"api: {self.api!r} must be the url of an api.php")
        if self.depth < 0 or self.width_px < 0:
            raise ValueError("depth and width_px must not be below 0")
        if not re.fullmatch(r"[a-z]{2,3}(?:-[a-z]+)*", self.language):
            raise ValueError(f"language: {self.language!r} is no code such as en")
        if not self.licences:
            raise ValueError("licences: none would leave nothing")
        unknown = sorted(set(self.columns().values()) - set(COLUMNS))
        if unknown:
            raise ValueError(f"columns {unknown} are not made of files; there are {', '.join(COLUMNS)}")

    def units(self, ctx: Context) -> Iterator[Unit]:
        """One unit a category or search; all in one slice of a run, since all ask one host."""
        from ingest.scrapers.commons_files import commons_units

        return commons_units(self)

    @contextmanager
    def open(self, ctx: Context) -> Iterator[CrawlWorker]:
        """A worker with its session and its raw store."""
        from ingest.scrapers.commons_files import CommonsSite
        from ingest.scrapers.crawl import crawl

        with crawl(self, ctx, CommonsSite(self)) as worker:
            yield worker
