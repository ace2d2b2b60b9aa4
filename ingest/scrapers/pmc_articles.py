"""One article of PubMed Central: its newest version that may be used, its text in JATS, its figures with their files.

What keeps an article or a figure out, and where that is read:

    not in the open-access subset, code TDM or not allowed    metadata of the version
    retracted                the archive's flag; the title in metadata and JATS; type and relations in JATS
    licence of the article   the archive's code, with the version of the licence that JATS states
    licence of a figure      its own `permissions`, which override the article's
    figure of others         its caption or credit ("reproduced from"), whatever the licence says
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ingest.scrapers import pmc_bucket
from ingest.scrapers.answers import Ask, Wanted
from ingest.scrapers.crawl import Found, Source
from ingest.scrapers.figure_parts import marked, panel_cells, parts_of
from ingest.scrapers.jats import Article, Figure, is_retracted_title, read_article
from ingest.scrapers.language import language_of
from ingest.scrapers.licence_texts import kind_of, licence_of_code
from ingest.scrapers.modality_text import modality_of
from ingest.scrapers.panels import Panels, split_caption
from ingest.scrapers.pmc import PmcArticles
from ingest.scrapers.pmc_bucket import Version
from ingest.scrapers.pmc_ids import Named, articles_of
from ingest.scrapers.provenance import Licence
from ingest.scrapers.texts import settled
from shards.intake import Skip
from shards.reasons import Reason
from shards.stage import Unit

if TYPE_CHECKING:
    from ingest.scrapers.visit import Visit

_EVIDENCE = 500  # characters of a licence's words that are kept


class PmcSite:
    """The site pipeline of articles."""

    def __init__(self, stage: PmcArticles) -> None:
        self.stage = stage

    def sources(self, visit: Visit, unit: Unit) -> Iterator[Source]:
        """Each article is a source; its listing is asked for ahead."""
        for one in articles_of(self.stage, visit, unit):
            if one.refused is not None:
                yield Source(name=one.name, read=partial(_refuse, one.refused))
                continue
            first = self._first(one)
            yield Source(name=one.name, read=partial(self._figures, visit, one), asks=(first,))

    def _first(self, one: Named) -> Ask:
        bucket = self.stage.bucket
        if one.newest is not None:
            return pmc_bucket.metadata(bucket, one.name, one.newest)
        return pmc_bucket.listing(bucket, f"{one.name}.")

    def _figures(self, visit: Visit, one: Named) -> list[Found]:
        version = self._version(visit, one)
        held = visit.get(version.xml)
        article = read_article(held.read())
        if article.pmcid not in (None, version.pmcid):
            raise Skip(Reason.CORRUPT, "the text is of another article than its metadata")
        if article.is_retracted:
            raise Skip(Reason.RETRACTED, "by its text")
        found: dict[str, Found] = {}
        for figure in article.figures:
            if figure.is_video == self.stage.videos:
                for made in self._found(article, figure, version):
                    found.setdefault(made.name, made)
        if not found:
            raise Skip(Reason.NO_MEDIA, f"the article has no {'videos' if self.stage.videos else 'figures'}")
        return list(found.values())

    def _version(self, visit: Visit, one: Named) -> Version:
        """The newest version that is no author manuscript; Skip where it may not be used."""
        for number in self._numbers(visit, one):
            ask = pmc_bucket.metadata(self.stage.bucket, one.name, number)
            version = pmc_bucket.read_version(self.stage.bucket, one.name, number, visit.get(ask).read())
            if version.is_retracted or is_retracted_title(version.title):
                raise Skip(Reason.RETRACTED, f"by the metadata of version {number}")
            if not version.is_manuscript:
                return self._allowed(version)
        raise Skip(Reason.LICENCE_NOT_ALLOWED, "there are author manuscripts alone")

    def _numbers(self, visit: Visit, one: Named) -> Iterator[int]:
        """The versions, the newest first; the bucket is asked for what the inventory has not said."""
        if one.newest is not None:
            yield one.newest
        token, found = "", []
        while True:
            ask = pmc_bucket.listing(self.stage.bucket, f"{one.name}.", token)
            folders, token = pmc_bucket.folders(visit.get(ask).read())
            found += folders
            if not token:
                break
        numbers = pmc_bucket.numbers_of(one.name, found)
        if not numbers:
            raise Skip(Reason.HTTP_MISSING, "the bucket holds no version of it: it is not open, or its id is wrong")
        yield from (number for number in numbers if number != one.newest)

    def _allowed(self, version: Version) -> Version:
        if not version.is_open:
            raise Skip(Reason.LICENCE_NOT_ALLOWED, "not in the open-access subset")
        if version.code == "TDM":
            raise Skip(Reason.LICENCE_NOT_ALLOWED, "code TDM: it may be mined, and not shared")
        if version.code not in self.stage.licences:
            raise Skip(Reason.LICENCE_NOT_ALLOWED, f"code {version.code[:40] or 'of no licence'}")
        return version

    def _found(self, article: Article, figure: Figure, version: Version) -> list[Found]:
        licence, refused = self._licence(article, figure, version)
        name = f"{version.pmcid}/{figure.id}"
        cells: dict[str, str | None] = {
            "pmcid": version.pmcid,
            "figure": name,
            "doi": article.doi,
            "title": article.title or None,
            "journal": article.journal or None,
            "year": article.year,
            "article_type": article.article_type or None,
            "keywords": "; ".join(article.keywords) or None,
            "caption": figure.caption or None,
            "figure_label": figure.label or None,
            "panel": None,
            "compound": None,
            "license": licence.license or None,
            "language": language_of(figure.caption) or article.language,
            "modality": modality_of(figure.caption),
        }
        cells = marked(cells)
        wanted: Wanted = "video" if figure.is_video else "image"
        media = [pmc_bucket.media_of(names, version.media, video=figure.is_video) for names in figure.pictures]
        asks = list(dict.fromkeys(pmc_bucket.asked(ask, wanted) for ask in media if ask is not None))
        panels = split_caption(figure.caption)
        whole = Found(ask=asks[0] if asks else version.xml, name=name, cells=cells, licence=licence, refused=refused)
        refused = refused or _unfit(figure, any(ask is None for ask in media))
        if refused is None and len(asks) > 1:
            return _files(whole, panels, asks)
        if refused is None and panels is None:
            refused = self._left_out(cells)
        split = self.stage.split_panels and not figure.is_video
        return [replace(whole, refused=refused, expand=partial(parts_of, whole, panels) if split else None)]

    def _left_out(self, cells: Mapping[str, str | None]) -> Skip | None:
        """Why the options leave a figure out, where its panels could not change that."""
        try:
            settled(cells, self.stage)
        except Skip as skip:
            return skip
        return None

    def _licence(self, article: Article, figure: Figure, version: Version) -> tuple[Licence, Skip | None]:
        """The licence of a figure with its evidence, and why it may not be used."""
        where = f"{version.pmcid}.{version.number}"
        if figure.license_text:
            name = figure.license or ""
            licence = Licence(license=name, evidence=f"{where}, in the figure: {figure.license_text[:_EVIDENCE]}")
        else:
            name = licence_of_code(version.code, article.license_text) or ""
            words = article.license_text[:_EVIDENCE]
            licence = Licence(license=name, evidence=f"{where}, code {version.code}, in the article: {words}")
        if figure.is_foreign:
            return licence, Skip(Reason.LICENCE_NOT_ALLOWED, "the caption says that the figure is someone else's")
        if not name:
            said = "a licence of its own" if figure.license_text else "another licence than the archive's code"
            return licence, Skip(Reason.LICENCE_NOT_ALLOWED, f"{said}, which is not known")
        if kind_of(name) not in self.stage.licences:
            return licence, Skip(Reason.LICENCE_NOT_ALLOWED, f"{name} of the figure")
        return licence, None


def _files(whole: Found, panels: Panels | None, asks: list[Ask]) -> list[Found]:
    """A figure of several files: each is a panel where its name ends with the panel's letter."""
    letters = [pmc_bucket.stem(pmc_bucket.name_of(ask))[0][-1] for ask in asks]
    if panels is None or [part.letters for part in panels.parts] != [(letter,) for letter in letters]:
        why = "several files under one caption, which does not say what is what"
        return [replace(whole, refused=Skip(Reason.BAD_ROW, why))]
    return [
        replace(whole, ask=ask, name=f"{whole.name}/{part.letters[0]}", cells=panel_cells(whole.cells, panels, part))
        for ask, part in zip(asks, panels.parts, strict=True)
    ]


def _unfit(figure: Figure, lacks_file: bool) -> Skip | None:
    """Why a figure cannot be a sample, whatever its licence."""
    if not figure.caption:
        return Skip(Reason.NO_CAPTION, "the figure has none")
    if not figure.is_readable:
        return Skip(Reason.BAD_ROW, "the caption holds a formula or a character that has no plain text")
    if not figure.pictures:
        return Skip(Reason.NO_MEDIA, "the figure names no file")
    return Skip(Reason.NO_MEDIA, "the article has no file of that name") if lacks_file else None


def _refuse(skip: Skip) -> list[Found]:
    raise skip
