"""The files of Wikimedia Commons: what the API says of each, as a picture with its words, licence and author."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from bs4 import BeautifulSoup

from ingest.scrapers import mediawiki
from ingest.scrapers.answers import Ask, Wanted
from ingest.scrapers.clean_text import clean_caption
from ingest.scrapers.crawl import Found, Source
from ingest.scrapers.html_page import text_of
from ingest.scrapers.licence_texts import kind_of, licence_of
from ingest.scrapers.modality_text import modality_of
from ingest.scrapers.provenance import Licence
from ingest.scrapers.wikimedia import WikimediaCommons
from shards.intake import Skip
from shards.reasons import Reason
from shards.stage import Unit

if TYPE_CHECKING:
    from ingest.scrapers.visit import Visit

PUBLIC_DOMAIN = "LicenseRef-public-domain"
_BATCH = "50"
_PICTURES = ("image/jpeg", "image/png", "image/tiff", "image/webp", "image/gif", "image/bmp", "image/x-ms-bmp")
_VIDEOS = ("video/webm", "video/ogg", "video/mp4", "video/mpeg", "application/ogg")
_EVIDENCE = 500  # characters


def commons_units(stage: WikimediaCommons) -> Iterator[Unit]:
    """One unit a category or search."""
    for kind, texts in (("category", stage.categories), ("search", stage.searches)):
        for text in dict.fromkeys(texts):
            known = hashlib.sha256(f"{kind}\n{text}".encode()).hexdigest()
            yield Unit(id=f"{stage.source}-commons..{known[:16]}", payload={kind: text}, inputs=(known,))


class CommonsSite:
    """The site pipeline of files."""

    def __init__(self, stage: WikimediaCommons) -> None:
        self.stage = stage

    def sources(self, visit: Visit, unit: Unit) -> Iterator[Source]:
        """Each file is a source; what the API says of it is all that is read."""
        seen: set[str] = set()
        try:
            for page in self._pages(visit, unit.payload):
                if page["title"] not in seen:
                    seen.add(page["title"])
                    yield Source(name=page["title"], read=partial(self._file, page))
        except Skip as skip:
            yield Source(name=unit.id, read=partial(_refuse, skip))

    def _pages(self, visit: Visit, payload: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        about = {
            "prop": "imageinfo",
            "iiprop": "url|size|sha1|mime|timestamp|extmetadata",
            "iiextmetadatamultilang": "1",
            **({"iiurlwidth": str(self.stage.width_px)} if self.stage.width_px else {}),
        }
        if "search" in payload:
            found = {"generator": "search", "gsrsearch": payload["search"], "gsrnamespace": "6", "gsrlimit": _BATCH}
            yield from mediawiki.pages(visit, self.stage.api, {**found, **about})
            return
        level, seen = [_category(payload["category"])], set()
        for depth in range(self.stage.depth + 1):
            inside: list[str] = []
            for category in level:
                if category in seen:
                    continue
                seen.add(category)
                members = {"generator": "categorymembers", "gcmtitle": category, "gcmlimit": _BATCH}
                yield from mediawiki.pages(visit, self.stage.api, {**members, "gcmtype": "file", **about})
                if depth < self.stage.depth:
                    found_inside = mediawiki.pages(visit, self.stage.api, {**members, "gcmtype": "subcat"})
                    inside += [page["title"] for page in found_inside]
            level = inside

    def _file(self, page: Mapping[str, Any]) -> list[Found]:
        try:
            (info, *_) = page["imageinfo"]
            said = {name: entry["value"] for name, entry in info["extmetadata"].items()}
            return [self._found(str(page["title"]), info, said)]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Skip(
                Reason.CORRUPT, f"what the API says of the file has another form: {type(error).__name__}"
            ) from None

    def _found(self, title: str, info: Mapping[str, Any], said: Mapping[str, Any]) -> Found:
        stage = self.stage
        caption = clean_caption(plain(in_language(said.get("ImageDescription"), stage.language)))
        artist, credit = (plain(in_language(said.get(name), stage.language)) for name in ("Artist", "Credit"))
        name = licence_of_file(said)
        words = "; ".join(str(said[key]) for key in ("LicenseShortName", "LicenseUrl", "UsageTerms") if said.get(key))
        evidence = f"{info['descriptionurl']}: {words}; by {artist or 'nobody named'}; {credit}"
        wider = stage.width_px and info.get("width", 0) > stage.width_px and info.get("thumburl")
        wanted: Wanted = "video" if stage.videos else "image"
        cells = {
            "title": title,
            "page_url": str(info["descriptionurl"]),
            "caption": caption.text or None,
            "license": name,
            "artist": artist or None,
            "credit": credit or None,
            "date": plain(in_language(said.get("DateTimeOriginal"), stage.language)) or None,
            "categories": str(said.get("Categories") or "").replace("|", "; ") or None,
            "sha1": str(info["sha1"]),
            "language": None,
            "modality": modality_of(caption.text),
        }
        return Found(
            ask=Ask(url=str(info["thumburl"] if wider and not stage.videos else info["url"]), wanted=wanted),
            name=title,
            cells=cells,
            licence=Licence(license=name or "", evidence=evidence[:_EVIDENCE]),
            refused=self._refused(info, said, name, caption.text),
        )

    def _refused(self, info: Mapping[str, Any], said: Mapping[str, Any], name: str | None, caption: str) -> Skip | None:
        stage = self.stage
        if str(said.get("NonFree", "")).lower() not in ("", "false", "0"):
            return Skip(Reason.LICENCE_NOT_ALLOWED, "the file is not free")
        restricted = set(str(said.get("Restrictions") or "").split("|")) - {"", *stage.restrictions}
        if restricted:
            return Skip(
                Reason.LICENCE_NOT_ALLOWED, f"restricted beyond its licence: {', '.join(sorted(restricted))[:80]}"
            )
        if name is None or kind_of(name) not in stage.licences:
            return Skip(Reason.LICENCE_NOT_ALLOWED, name or "no licence that is known")
        if info["mime"] not in (_VIDEOS if stage.videos else _PICTURES):
            return Skip(
                Reason.NOT_RECOGNISED, f"{str(info['mime'])[:40]} is no {'video' if stage.videos else 'picture'}"
            )
        return None if caption else Skip(Reason.NO_CAPTION, f"no description in {stage.language}")


def licence_of_file(said: Mapping[str, Any]) -> str | None:
    """The licence that the metadata of a file state: by its url, else by its short name; None where none is known."""
    url, short, code = (str(said.get(name) or "") for name in ("LicenseUrl", "LicenseShortName", "License"))
    found = (
        licence_of(url) or licence_of(code.upper()) or licence_of(short.upper())
    )  # `cc-by-sa-3.0-de` names a country
    if found is None and (short.lower() == "public domain" or code.lower() == "pd"):
        return PUBLIC_DOMAIN
    return found


def in_language(value: Any, language: str) -> str:
    """A text of the metadata in one language; a text without a language counts for any, and others for none."""
    if isinstance(value, dict):
        return str(value.get(language) or "")
    return str(value) if value is not None else ""


def plain(markup: str) -> str:
    """HTML as the text that a reader sees, on one line."""
    return text_of(BeautifulSoup(markup, "lxml")) if "<" in markup or "&" in markup else " ".join(markup.split())


def _category(name: str) -> str:
    return name if name.startswith("Category:") else f"Category:{name}"


def _refuse(skip: Skip) -> list[Found]:
    raise skip
