"""A list of urls with their texts: a table one row of which is one picture or video on the web.

What img2dataset does, as a guest of the sites: every host needs a licence record in the pipelines file, since a list
says nothing of what may be done with what it names. A host's rows lie in one unit or in units of one slice of a run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ingest.rights import Rights
from ingest.scrapers.options import CONTRACT, ScraperOptions
from ingest.table_file import TableFile
from ingest.tables import check_table
from shards.stage import Context, Contract, Unit

if TYPE_CHECKING:
    from ingest.scrapers.crawl import CrawlWorker

HOST_LICENCE = "licence of the host"  # column, where the table has none
OF_HOST = Rights(license="LicenseRef-host")


@dataclass(frozen=True, kw_only=True)
class UrlList(ScraperOptions):
    """Makes a manifest of a table of urls. Columns are the table's."""

    contract: ClassVar[Contract] = CONTRACT
    needs_record: ClassVar[bool] = True

    rights: Rights = OF_HOST  # of no row: each has its own licence, or that of its host's record
    table: str | TableFile  # CSV, TSV, XLSX, JSON, JSONL or Parquet
    url_column: str = "url"
    md5_column: str = ""  # hex digest that the file must have
    kind: str = "image"  # what the urls give: image or video
    unit_rows: int = 1000

    def __post_init__(self) -> None:
        ScraperOptions.__post_init__(self)
        check_table(self.file.table, self.file.separator)
        if self.kind not in ("image", "video"):
            raise ValueError(f"kind must be image or video, not {self.kind!r}")
        if self.unit_rows < 1:
            raise ValueError(f"unit_rows must be at least 1, not {self.unit_rows}")

    def columns(self) -> dict[str, str]:
        """Those of the table, and the licence of the row's host where the table has none."""
        return {"license_column": HOST_LICENCE, **ScraperOptions.columns(self)}

    @property
    def file(self) -> TableFile:
        """The table with how it is written."""
        return TableFile(table=self.table) if isinstance(self.table, str) else self.table

    def units(self, ctx: Context) -> Iterator[Unit]:
        """Rows of the same hosts together."""
        from ingest.scrapers.url_rows import url_units

        return url_units(self, ctx)

    @contextmanager
    def open(self, ctx: Context) -> Iterator[CrawlWorker]:
        """A worker with its session and its raw store."""
        from ingest.scrapers.crawl import crawl
        from ingest.scrapers.url_rows import UrlRows

        with crawl(self, ctx, UrlRows(self, ctx)) as worker:
            yield worker
