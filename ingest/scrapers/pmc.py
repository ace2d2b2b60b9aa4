"""PubMed Central's open-access articles as figures with their captions, from its bucket in the layout of 2026.

Which articles: a table of PMCIDs, a search by E-utilities or by Europe PMC, or the bucket's own daily inventory. The
licence of each article decides, and that of a figure before it. `docs/scraping.md` has an example of each.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, ClassVar, Literal

from ingest.columns import AttributeColumn, CaptionColumn
from ingest.rights import Rights
from ingest.scrapers.options import CONTRACT, ScraperOptions
from ingest.table_file import TableFile
from ingest.tables import check_table
from shards.stage import Context, Contract, Unit

if TYPE_CHECKING:
    from ingest.scrapers.crawl import CrawlWorker

BUCKET = "https://pmc-oa-opendata.s3.amazonaws.com/"
E_UTILITIES = "https://eutils.ncbi.nlm.nih.gov/entrez/eutils/"
EUROPE_PMC = "https://www.ebi.ac.uk/europepmc/webservices/rest/"
COLUMNS = (
    *("pmcid", "figure", "doi", "title", "journal", "year", "article_type", "keywords", "caption", "figure_label"),
    *("panel", "compound", "license", "language", "modality"),
)  # what every figure has
SHARED = ("CC0", "CC BY", "CC BY-SA", "CC BY-NC", "CC BY-NC-SA")  # what may be shared in a changed form
UNCHANGED = ("CC BY-ND", "CC BY-NC-ND")
OF_ARTICLE = Rights(license="LicenseRef-article")
OF_FIGURES = {"language": "language", "figure_label": "figure_label", "compound": "compound"}  # attribute -> column
_RETIRED = re.compile(
    r"^ftp:|ftp\.ncbi\.nlm\.nih\.gov|\boa_(?:package|pdf|bulk|comm|noncomm|other)|/oa\.fcgi", re.IGNORECASE
)
_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")


@dataclass(frozen=True, kw_only=True)
class PmcArticles(ScraperOptions):
    """Makes a manifest of the figures of articles. Columns: COLUMNS."""

    contract: ClassVar[Contract] = CONTRACT

    rights: Rights = OF_ARTICLE  # of no row: each has the licence of its article or figure
    # one of these four says which articles
    ids: str | TableFile = ""  # a table with PMCIDs
    query: str = ""  # of E-utilities, such as `case reports[pt] AND radiography[mh]`; open access is added
    europe_pmc: str = ""  # query of Europe PMC, such as `PUB_TYPE:"case-report"`; open access is added
    inventory: str = ""  # a day, 2026-11-03, of the last 30: all articles of the bucket's inventory of that day
    id_column: str = "pmcid"
    first_month: str = ""  # 2025-01; of a query: each month of publication from here ...
    last_month: str = ""  # ... to here is a unit
    slices: int = 256  # units of an inventory
    unit_articles: int = 100  # of a table
    stop_after: int = 1000  # an article has many figures, all of which may be left out
    licences: tuple[str, ...] = SHARED
    derivatives: bool = True  # what is made of the figures is a changed form: no licence with ND is then allowed
    videos: bool = False  # those of supplements and figures, and no pictures
    split_panels: bool = True  # a figure of several lettered pictures as one sample each, where that is certain
    bucket: str = BUCKET
    e_utilities: str = E_UTILITIES
    europe_pmc_url: str = EUROPE_PMC
    # columns of rows
    caption: str | CaptionColumn | None = "caption"
    license_column: str | None = "license"
    modality_column: str | None = "modality"
    source_id: str | None = "figure"
    group: str | None = "pmcid"
    group_is: Literal["series", "lesion", "article", "video", "slide"] = "article"
    attribute_columns: Mapping[str, str | AttributeColumn] = field(default_factory=lambda: dict(OF_FIGURES))

    def __post_init__(self) -> None:
        ScraperOptions.__post_init__(self)
        self._check_where()
        given = [name for name in ("ids", "query", "europe_pmc", "inventory") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError(f"give one of ids, query, europe_pmc and inventory, not {' and '.join(given) or 'none'}")
        if self.ids:
            check_table(self.file.table, self.file.separator)
        if self.inventory:
            date.fromisoformat(self.inventory)
        if (self.query or self.europe_pmc) and not self.months():
            raise ValueError("a query needs first_month and last_month, such as 2025-01 and 2025-12, in this order")
        if self.slices < 1 or self.unit_articles < 1:
            raise ValueError("slices and unit_articles must be at least 1")
        self._check_licences()
        if self.split_panels and not self.derivatives and set(self.licences) & set(UNCHANGED):
            raise ValueError("split_panels makes changed forms, which ND does not allow to share: set it to false")
        unknown = sorted(set(self.columns().values()) - set(COLUMNS))
        if unknown:
            raise ValueError(f"columns {unknown} are not made of articles; there are {', '.join(COLUMNS)}")

    def _check_where(self) -> None:
        for name in ("bucket", "e_utilities", "europe_pmc_url", "ids"):
            where = self.file.table if name == "ids" else getattr(self, name)
            if _RETIRED.search(where):
                raise ValueError(
                    f"{name}: {where!r} is of PMC's old layout (FTP, packages, oa_comm, OA web service), which was "
                    "moved to `deprecated/` on 13 April 2026, its removal announced for August 2026 (NLM Technical "
                    f"Bulletin 2026;468:e8): leave `bucket` as it is, {BUCKET}, and name articles by their PMCIDs"
                )
            if name != "ids" and not re.fullmatch(r"https?://.+/", where):
                raise ValueError(f"{name}: {where!r} must be a url that ends in a slash")

    def _check_licences(self) -> None:
        allowed = SHARED if self.derivatives else (*SHARED, *UNCHANGED)
        refused = [code for code in self.licences if code not in allowed]
        if "TDM" in refused:
            raise ValueError("licences: TDM marks author manuscripts that may be mined; it is no licence for figures")
        if set(refused) & set(UNCHANGED):
            raise ValueError(
                f"licences: {refused} allow no changed form, which resized and cropped pictures are: leave them out, "
                "or set `derivatives: false` where nothing of what is made will be shared"
            )
        if refused or not self.licences:
            raise ValueError(
                f"licences: {refused or 'none'} is no list of codes of PMC; there are {', '.join(allowed)}"
            )

    @property
    def file(self) -> TableFile:
        """The table of PMCIDs with how it is written."""
        return TableFile(table=self.ids) if isinstance(self.ids, str) else self.ids

    def months(self) -> list[tuple[int, int]]:
        """(year, month) of each unit of a query; empty where the options give no range."""
        ends = [_MONTH.fullmatch(text) for text in (self.first_month, self.last_month)]
        if ends[0] is None or ends[1] is None:
            return []
        first, last = (int(end[1]) * 12 + int(end[2]) - 1 for end in ends if end is not None)
        return [(month // 12, month % 12 + 1) for month in range(first, last + 1)]

    def units(self, ctx: Context) -> Iterator[Unit]:
        """Parts of the table, months, or slices of the inventory; all in one slice of a run, since all ask one host."""
        from ingest.scrapers.pmc_ids import pmc_units

        return pmc_units(self, ctx)

    @contextmanager
    def open(self, ctx: Context) -> Iterator[CrawlWorker]:
        """A worker with its session and its raw store."""
        from ingest.scrapers.crawl import crawl
        from ingest.scrapers.pmc_articles import PmcSite

        with crawl(self, ctx, PmcSite(self)) as worker:
            yield worker
