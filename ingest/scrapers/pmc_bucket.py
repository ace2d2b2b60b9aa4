"""The bucket of PubMed Central's open-access subset: what it is asked, and what its answers say.

    PMC10009416.1/PMC10009416.1.xml       JATS; media lie beside it under the publisher's names
    metadata/PMC10009416.1.json           what the archive knows of the version
    inventory-reports/pmc-oa-opendata/metadata/<YYYY-MM-DDTHH-MMZ>/manifest.json

Source: the bucket's README.txt; NLM Technical Bulletin 2026;468:e8. Listings are those of S3's ListObjectsV2.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, unquote

from ingest.scrapers.answers import Ask, Wanted
from ingest.scrapers.safe_xml import parse_xml
from shards.intake import Skip
from shards.reasons import Reason

# the best first: publishers put small GIFs and unread TIFFs beside their JPEGs
PICTURES = ("jpg", "jpeg", "png", "tif", "tiff", "webp", "bmp", "gif")
VIDEOS = ("mp4", "m4v", "mov", "webm", "mkv", "avi", "mpg", "mpeg", "wmv")
INVENTORIES = "inventory-reports/pmc-oa-opendata/metadata/"
_OURS = re.compile(r"s3://[^/]+/(?P<key>[^?]+)(?:\?md5=(?P<md5>[0-9a-fA-F]{32}))?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Version:
    """One version of an article, as the archive describes it."""

    pmcid: str
    number: int
    title: str
    is_open: bool
    is_manuscript: bool
    is_retracted: bool
    code: str  # CC BY; TDM; empty where none is stated
    xml: Ask
    media: tuple[Ask, ...]


def listing(bucket: str, prefix: str, token: str = "") -> Ask:
    """What folders begin with `prefix`; keep the dot of `PMC1137.`, or PMC11370360 is among them."""
    more = f"&continuation-token={quote(token, safe='')}" if token else ""
    return Ask(url=f"{bucket}?list-type=2&prefix={quote(prefix, safe='')}&delimiter=/{more}", wanted="xml")


def folders(data: bytes) -> tuple[list[str], str]:
    """(folders of a listing, what the next part of it is asked with or ""); Skip(CORRUPT)."""
    root = parse_xml(data)
    if not root.tag.endswith("ListBucketResult"):
        raise Skip(Reason.CORRUPT, "no listing of a bucket")
    found = [(one.text or "").strip() for one in root.iterfind("{*}CommonPrefixes/{*}Prefix")]
    more = (root.findtext("{*}IsTruncated") or "").strip() == "true"
    token = (root.findtext("{*}NextContinuationToken") or "").strip()
    if more and not token:
        raise Skip(Reason.CORRUPT, "a listing that goes on and does not say how")
    return found, token if more else ""


def numbers_of(pmcid: str, found: Iterable[str]) -> list[int]:
    """The versions among the folders of a listing, the newest first: 10 is newer than 9."""
    pattern = re.compile(rf"{pmcid}\.(\d+)/")
    return sorted((int(match[1]) for one in found if (match := pattern.fullmatch(one))), reverse=True)


def metadata(bucket: str, pmcid: str, number: int) -> Ask:
    """What the archive knows of one version."""
    return Ask(url=f"{bucket}metadata/{pmcid}.{number}.json", wanted="json")


def read_version(bucket: str, pmcid: str, number: int, data: bytes) -> Version:
    """One version out of its metadata; Skip(CORRUPT) where it speaks of another, or of none."""
    try:
        found = json.loads(data)
        if str(found["pmcid"]) != pmcid or int(found["version"]) != number:
            raise Skip(Reason.CORRUPT, "metadata of another article or version")
        folder = f"{pmcid}.{number}/"
        return Version(
            pmcid=pmcid,
            number=number,
            title=str(found.get("title") or ""),
            is_open=_flag(found["is_pmc_openaccess"]),
            is_manuscript=_flag(found["is_manuscript"]),
            is_retracted=_flag(found["is_retracted"]),
            code=str(found.get("license_code") or ""),
            xml=asked(_ask(bucket, folder, found["xml_url"]), "xml"),
            media=tuple(_ask(bucket, folder, url) for url in found.get("media_urls") or []),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Skip(Reason.CORRUPT, f"metadata in another form: {type(error).__name__}") from None


def _flag(value: Any) -> bool:
    """A flag as JSON or a table writes it; ValueError for anything else, since none of them may be guessed."""
    return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[str(value).lower()]


def _ask(bucket: str, folder: str, url: Any) -> Ask:
    """`s3://bucket/key?md5=...` as a request over https; the key must lie in the version's own folder."""
    match = _OURS.fullmatch(url)
    if match is None or not unquote(match["key"]).startswith(folder):
        raise ValueError("a url of another place")
    return Ask(url=bucket + quote(unquote(match["key"]), safe="/"), md5=(match["md5"] or "").lower())


def asked(ask: Ask, wanted: Wanted) -> Ask:
    """The same request, with what its answer must be."""
    return replace(ask, wanted=wanted)


def name_of(ask: Ask) -> str:
    """The file's name."""
    return unquote(ask.url.rpartition("/")[2])


def media_of(names: Iterable[str], media: Iterable[Ask], *, video: bool) -> Ask | None:
    """The file that an article means by one of `names`, which are often without an ending; None where there is none.

    Compared are stems in lower case, since `x-g001`, `x-g001.tif` and `X-g001.JPG` are one picture.
    """
    endings = VIDEOS if video else PICTURES
    found: dict[str, Ask] = {}
    wanted = [stem(name)[0] for name in names]
    for ask in media:
        root, ending = stem(name_of(ask))
        if ending in endings and root in wanted:
            found.setdefault(ending, ask)
    return next((found[ending] for ending in endings if ending in found), None)


def stem(name: str) -> tuple[str, str]:
    """(name without its ending, ending), in lower case; of `pone.001.g002` the whole is the name."""
    base = name.rpartition("/")[2].lower()
    root, _, ending = base.rpartition(".")
    return (root, ending) if root and ending in (*PICTURES, *VIDEOS) else (base, "")


def manifest_keys(data: bytes) -> list[str]:
    """The files of an inventory; Skip(CORRUPT)."""
    try:
        keys = [str(one["key"]) for one in json.loads(data)["files"]]
    except (ValueError, KeyError, TypeError) as error:
        raise Skip(Reason.CORRUPT, f"the inventory's manifest is of another form: {type(error).__name__}") from None
    if not all(key.startswith(INVENTORIES) for key in keys):
        raise Skip(Reason.CORRUPT, "the inventory's manifest names files of another place")
    return keys
