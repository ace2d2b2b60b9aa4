"""NCBI's E-utilities as a source of PMCIDs: `esearch` in the database `pmc`, a page at a time.

https://www.ncbi.nlm.nih.gov/books/NBK25499/; its ids are the digits of PMCIDs. At most three requests a second are
allowed, which one request at a time with the default pause keeps to.
"""

from __future__ import annotations

import json
from urllib.parse import urlencode

from ingest.scrapers.answers import Ask
from ingest.scrapers.retry import MayPass
from shards.intake import Skip
from shards.reasons import Reason

PAGE = 1000


def search(base: str, query: str, first: str, last: str, start: int) -> Ask:
    """One page of the open-access articles that fit and were published from one day to another (2025/01/31)."""
    asked = {
        "db": "pmc",
        "term": f"({query}) AND open_access[filter]",
        "datetype": "pdat",
        "mindate": first,
        "maxdate": last,
        "retstart": start,
        "retmax": PAGE,
        "retmode": "json",
        "tool": "medloom",
    }
    return Ask(url=f"{base}esearch.fcgi?{urlencode(asked)}", wanted="json")


def found(data: bytes) -> tuple[int, list[str]]:
    """(number of all that fit, PMCIDs of this page).

    Raises Skip where the query is wrong or the answer of another form, and MayPass where the engine has failed.
    """
    try:
        result = json.loads(data, strict=False)["esearchresult"]
        if "ERROR" in result:
            raise MayPass(Skip(Reason.HTTP_FAILED, "the search engine reports an error of its own"))
        unknown = result.get("errorlist") or {}
        if unknown.get("fieldsnotfound") or unknown.get("phrasesnotfound"):
            raise Skip(Reason.WRONG_CONTENT, "the query has a field or a phrase that the search engine does not know")
        return int(result["count"]), [f"PMC{int(number)}" for number in result["idlist"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Skip(Reason.CORRUPT, f"no answer of esearch: {type(error).__name__}") from None
