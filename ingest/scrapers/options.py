"""The options that every scraper shares: those of rows, and how its crawl behaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from ingest.columns import AttributeColumn, RowOptions
from ingest.rights import Rights
from ingest.scrapers.settings import Web
from shards.stage import Context, Contract, Kind

if TYPE_CHECKING:
    from shards.manifest import Sample

CONTRACT = Contract(
    gives=Kind.MANIFEST,
    adds=("media", "captions", "labels", "attributes", "group", "license", "terms"),
    services={"limiter": "ingest.scrapers.limiter:HostLimiter"},
    version=1,
)


@dataclass(frozen=True, kw_only=True)
class ScraperOptions(RowOptions):
    """Options of all scrapers. Columns are those that the site pipeline makes of a page, an article or a table."""

    contract: ClassVar[Contract] = CONTRACT
    needs_record: ClassVar[bool] = False  # whether every host must have a licence record, those of redirects too

    web: Web
    store: str = ""  # folder of the raw store; default: .store/<source> below the pipeline's root
    shortest_caption: int = 8  # characters; a shorter text is none
    longest_caption: int = 2000  # of a longer text the first sentences that fit
    languages: tuple[str, ...] = ()  # ISO 639-1 codes; texts in other languages, or in none that is sure, are rejected
    attribute_columns: Mapping[str, str | AttributeColumn] = field(default_factory=lambda: {"language": "language"})
    stop_after: int = 100  # rejects in a row that end a unit; what follows is recorded as not tried

    def __post_init__(self) -> None:
        RowOptions.__post_init__(self)
        for name in ("modality", "specialty"):
            if getattr(self, name) is None and getattr(self, f"{name}_column") is None:
                raise ValueError(f"{name} is not given: set `{name}` for all rows, or `{name}_column`")
        if self.stop_after < 1:
            raise ValueError(f"stop_after must be at least 1, not {self.stop_after}")
        if not 1 <= self.shortest_caption <= self.longest_caption:
            raise ValueError("shortest_caption must be at least 1 and at most longest_caption")
        for rule in self.web.hosts.values():
            if rule.record is not None and self.stated_rights()[rule.record.rights.license] != rule.record.rights:
                raise ValueError(
                    f"web: two records of {rule.record.rights.license} give different terms: name one LicenseRef-..."
                )

    def stated_rights(self) -> Mapping[str, Rights]:
        """Those of all rows and those of the hosts' records, by their licence."""
        records = [rule.record.rights for rule in self.web.hosts.values() if rule.record is not None]
        return {**{rights.license: rights for rights in records}, self.rights.license: self.rights}

    def provenance(self, sample: Sample) -> Mapping[str, str]:
        """What the raw store keeps of where a sample was fetched, for `medloom explain`."""
        from ingest.scrapers.provenance import told

        return told(sample.media.uri, sample.url or "")

    def store_folder(self, ctx: Context) -> Path:
        """Where the raw store lies."""
        return Path(ctx.resolve(self.store)) if self.store else ctx.kept(self.source)
