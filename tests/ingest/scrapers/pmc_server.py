"""A bucket of articles, E-utilities and Europe PMC on the loopback, answering as the real ones do."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

DAY = "2026-11-03"
INVENTORIES = "inventory-reports/pmc-oa-opendata/metadata/"


@dataclass
class Archive:
    """What the bucket holds, and what searches find. `page` is the most folders or ids of one answer."""

    objects: dict[str, tuple[bytes, str]] = field(default_factory=dict)  # key -> body, kind
    found: dict[str, list[str]] = field(default_factory=dict)  # month (2025-01) -> PMCIDs
    page: int = 2
    asked: list[dict[str, str]] = field(default_factory=list)  # of searches
    errors: dict[str, Any] = field(default_factory=dict)  # month -> what esearch says in place of a result
    fail_once: bool = False

    def add(self, pmcid: str, xml: bytes, media: dict[str, bytes], number: int = 1, **facts: Any) -> None:
        """One version of an article."""
        folder = f"{pmcid}.{number}/"
        self.objects[f"{folder}{pmcid}.{number}.xml"] = (xml, "application/xml")
        for name, body in media.items():
            self.objects[folder + name] = (body, "image/jpeg")
        urls = {name: self.s3(folder + name) for name in (f"{pmcid}.{number}.xml", *media)}
        known = {
            "pmcid": pmcid,
            "version": number,
            "title": "A mass in the lung",
            "is_pmc_openaccess": True,
            "is_manuscript": False,
            "is_historical_ocr": False,
            "is_retracted": False,
            "license_code": "CC BY",
            "xml_url": urls.pop(f"{pmcid}.{number}.xml"),
            "media_urls": list(urls.values()),
            **facts,
        }
        body = json.dumps(known).encode()
        for key in (f"{folder}{pmcid}.{number}.json", f"metadata/{pmcid}.{number}.json"):
            self.objects[key] = (body, "application/json")

    def sha256(self, key: str) -> str:
        return hashlib.sha256(self.objects[key][0]).hexdigest()

    def s3(self, key: str) -> str:
        return f"s3://pmc-oa-opendata/{key}?md5={hashlib.md5(self.objects[key][0]).hexdigest()}"

    def inventory(self, day: str = DAY) -> None:
        """The inventory of all metadata, in two files."""
        folder = f"{INVENTORIES}{day}T01-00Z/"
        keys = [key for key in self.objects if key.startswith("metadata/")]
        files = []
        for number in range(2):
            rows = [f'"pmc-oa-opendata","{key}","{day}T00:00:00.000Z","etag"\n' for key in keys[number::2]]
            name = f"{INVENTORIES}data/{number}.csv.gz"
            self.objects[name] = (gzip.compress("".join(rows).encode()), "application/x-gzip")
            files.append({"key": name, "size": 1, "MD5checksum": "00"})
        manifest = {"sourceBucket": "pmc-oa-opendata", "version": "2016-11-30", "fileFormat": "CSV", "files": files}
        self.objects[f"{folder}manifest.json"] = (json.dumps(manifest).encode(), "application/json")

    def listing(self, prefix: str, delimiter: str, token: str) -> bytes:
        """ListObjectsV2, `page` folders at a time."""
        inside = [key for key in sorted(self.objects) if key.startswith(prefix)]
        folders = sorted(
            {prefix + rest.partition(delimiter)[0] + "/" for key in inside if "/" in (rest := key[len(prefix) :])}
        )
        start = int(token or 0)
        here, more = folders[start : start + self.page], start + self.page < len(folders)
        listed = "".join(f"<CommonPrefixes><Prefix>{one}</Prefix></CommonPrefixes>" for one in here)
        next_ = f"<NextContinuationToken>{start + self.page}</NextContinuationToken>" if more else ""
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>pmc-oa-opendata</Name><Prefix>{prefix}</Prefix>{next_}<KeyCount>{len(here)}</KeyCount><MaxKeys>1000"
            f"</MaxKeys><Delimiter>/</Delimiter><IsTruncated>{str(more).lower()}</IsTruncated>{listed}</ListBucketResult>"
        ).encode()

    def esearch(self, asked: dict[str, str]) -> bytes:
        """JSON of esearch; ids are numbers without PMC."""
        assert asked["db"] == "pmc"
        assert asked["term"].endswith("AND open_access[filter]")
        month = asked["mindate"][:7].replace("/", "-")
        if month in self.errors:
            error = self.errors.pop(month) if self.fail_once else self.errors[month]
            return json.dumps({"header": {}, "esearchresult": error}).encode()
        ids = [one[3:] for one in self.found.get(month, [])]
        start = int(asked["retstart"])
        here = ids[start : start + min(self.page, int(asked["retmax"]))]
        result = {"count": str(len(ids)), "retmax": str(len(here)), "retstart": str(start), "idlist": here}
        return json.dumps({"header": {"type": "esearch", "version": "0.3"}, "esearchresult": result}).encode()

    def europe(self, asked: dict[str, str]) -> bytes:
        """JSON of Europe PMC's search; the last page names itself as the next."""
        month = asked["query"].partition("FIRST_PDATE:[")[2][:7]
        ids = self.found.get(month, [])
        start = 0 if asked["cursorMark"] == "*" else int(asked["cursorMark"].removeprefix("mark/"))
        here = ids[start : start + self.page]
        results = [{"id": one, "source": "PMC", "pmcid": one} for one in here]
        answer: dict[str, Any] = {"version": "6.9", "hitCount": len(ids), "resultList": {"result": results}}
        answer["nextCursorMark"] = f"mark/{start + len(here)}"
        return json.dumps(answer).encode()


class Routes(dict[str, Any]):
    """The pages of a website, made when they are asked for."""

    def __init__(self, archive: Archive, page: Any) -> None:
        super().__init__()
        self.archive, self.page = archive, page

    def get(self, path: str, default: Any = None) -> Any:
        url = urlsplit(path)
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == "/bucket/" and asked.get("list-type") == "2":
            body = self.archive.listing(asked["prefix"], asked["delimiter"], asked.get("continuation-token", ""))
            return self.page(body, headers={"Content-Type": "application/xml"})
        if url.path in ("/eutils/esearch.fcgi", "/europe/search"):
            self.archive.asked.append(asked)
            body = (self.archive.esearch if "eutils" in url.path else self.archive.europe)(asked)
            return self.page(body, headers={"Content-Type": "application/json; charset=UTF-8"})
        found = self.archive.objects.get(unquote(url.path).removeprefix("/bucket/"))
        if found is None:
            return default
        body, kind = found
        etag = f'"{hashlib.md5(body).hexdigest()}"'
        return lambda request: (
            self.page(status=304, headers={"ETag": etag})
            if request.headers.get("If-None-Match") == etag
            else self.page(body, headers={"Content-Type": kind, "ETag": etag})
        )
