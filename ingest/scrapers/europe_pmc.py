"""Europe PMC's search as a source of PMCIDs, a page at a time, each of which names the next (`cursorMark`).

https://europepmc.org/RestfulWebService. What is found is fetched from PubMed Central; the licence is read there.
"""

from __future__ import annotations

import json
from urllib.parse import urlencode

from ingest.scrapers.answers import Ask
from shards.intake import Skip
from shards.reasons import Reason

PAGE = 1000
START = "*"


def search(base: str, query: str, licences: tuple[str, ...], first: str, last: str, cursor: str) -> Ask:
    """One page of the open-access articles that fit, with one of some licences (`CC BY`), from one day to another."""
    free = " OR ".join(f'LICENSE:"{code.lower()}"' for code in licences)
    asked = {
        "query": f"({query}) AND OPEN_ACCESS:y AND ({free}) AND FIRST_PDATE:[{first} TO {last}]",
        "format": "json",
        "resultType": "lite",
        "pageSize": PAGE,
        "cursorMark": cursor,
    }
    return Ask(url=f"{base}search?{urlencode(asked)}", wanted="json")


def found(data: bytes) -> tuple[list[str], str]:
    """(PMCIDs of this page, mark of the next page or ""); Skip where the answer is of another form."""
    try:
        answer = json.loads(data)
        results = answer["resultList"]["result"]
        ids = [str(one["pmcid"]) for one in results if one.get("pmcid")]
        return ids, str(answer.get("nextCursorMark") or "") if results else ""
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Skip(Reason.CORRUPT, f"no answer of Europe PMC: {type(error).__name__}") from None
