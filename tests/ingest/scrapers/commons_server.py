"""A MediaWiki on the loopback that answers queries for files as Wikimedia Commons does."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit


@dataclass
class Commons:
    """Files by title, and what lies in which category. `batch` is the most pages of one answer."""

    url: str
    files: dict[str, tuple[bytes, dict[str, Any]]] = field(default_factory=dict)
    categories: dict[str, list[str]] = field(default_factory=dict)
    batch: int = 2
    apart: bool = False  # the pages of a batch come first without their imageinfo, as large answers do
    errors: list[dict[str, Any]] = field(default_factory=list)  # said before anything else, one an answer
    asked: list[dict[str, str]] = field(default_factory=list)

    def add(self, category: str, name: str, body: bytes, *, mime: str = "image/jpeg", **said: Any) -> None:
        """One file; `said` are its extended metadata, None for one that is absent."""
        metadata: dict[str, Any] = {
            "ImageDescription": {"en": "<p>Chest X-ray of a <b>man</b> with a mass.</p>", "_type": "lang"},
            "LicenseShortName": "CC BY-SA 4.0",
            "LicenseUrl": "https://creativecommons.org/licenses/by-sa/4.0",
            "License": "cc-by-sa-4.0",
            "UsageTerms": "Creative Commons Attribution-Share Alike 4.0",
            "Artist": '<a href="//commons.wikimedia.org/wiki/User:Doe">Jane Doe</a>',
            "Credit": '<span class="int-own-work">Own work</span>',
            "Restrictions": "",
            "Categories": f"{category}|Radiology",
            "DateTimeOriginal": "2020-02-03",
            **said,
        }
        known = {
            key: {"value": value, "source": "commons-desc-page"} for key, value in metadata.items() if value is not None
        }
        self.files[f"File:{name}"] = body, {"mime": mime, "extmetadata": known}
        self.categories.setdefault(category, []).append(f"File:{name}")

    def imageinfo(self, title: str, width: int) -> dict[str, Any]:
        body, known = self.files[title]
        name = quote(title.removeprefix("File:"))
        info = {
            "timestamp": "2020-02-03T00:00:00Z",
            "size": len(body),
            "width": 64,
            "height": 48,
            "url": f"{self.url}/upload/{name}",
            "descriptionurl": f"{self.url}/wiki/{quote(title)}",
            "sha1": hashlib.sha1(body).hexdigest(),
            **known,
        }
        if width:
            info |= {"thumburl": f"{self.url}/thumb/{name}", "thumbwidth": min(width, 64), "thumbheight": 24}
        return info

    def answer(self, asked: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
        """(JSON, headers) of one query."""
        self.asked.append(asked)
        assert (asked["action"], asked["format"], asked["formatversion"], asked["maxlag"]) == (
            "query",
            "json",
            "2",
            "5",
        )
        if self.errors:
            return {"error": self.errors.pop(0), "servedby": "mw1"}, {"Retry-After": "1"}
        if asked["generator"] == "search":
            found = [title for title in self.files if asked["gsrsearch"].lower() in title.lower()]
            place, limit = "gsroffset", int(asked["gsrlimit"])
        else:
            kind = "Category:" if asked["gcmtype"] == "subcat" else "File:"
            members = self.categories.get(asked["gcmtitle"].removeprefix("Category:"), [])
            found = [one for one in members if one.startswith(kind)]
            place, limit = "gcmcontinue", int(asked["gcmlimit"])
        start = int(asked.get(place, "0"))
        here = found[start : start + min(self.batch, limit)]
        pages: list[dict[str, Any]] = [
            {"pageid": number, "ns": 6, "title": title} for number, title in enumerate(here, 1)
        ]
        empty = self.apart and "prop" in asked and "iistart" not in asked
        if "prop" in asked and not empty:
            for page in pages:
                page["imageinfo"] = [self.imageinfo(page["title"], int(asked.get("iiurlwidth", "0")))]
        answer: dict[str, Any] = {"query": {"pages": pages}} if pages else {}
        if empty and pages:
            answer["continue"] = {"iistart": "1", place: str(start), "continue": "||"}
        else:
            answer["batchcomplete"] = True
            if start + self.batch < len(found):
                answer["continue"] = {place: str(start + self.batch), "continue": f"{place}||"}
        return answer, {}


class Routes(dict[str, Any]):
    """The pages of a website, made when they are asked for."""

    def __init__(self, commons: Commons, page: Any) -> None:
        super().__init__()
        self.commons, self.page = commons, page

    def get(self, path: str, default: Any = None) -> Any:
        url = urlsplit(path)
        if url.path == "/w/api.php":
            answer, headers = self.commons.answer({name: values[0] for name, values in parse_qs(url.query).items()})
            return self.page(json.dumps(answer).encode(), headers={"Content-Type": "application/json", **headers})
        where, _, name = url.path.removeprefix("/").partition("/")
        found = self.commons.files.get(f"File:{unquote(name)}")
        if where not in ("upload", "thumb") or found is None:
            return default
        return self.page(
            found[0] if where == "upload" else found[0] + b"\0", headers={"Content-Type": found[1]["mime"]}
        )
