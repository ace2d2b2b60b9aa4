"""Queries to the API of a MediaWiki: a batch at a time, continued as the answer says, with errors told apart.

https://www.mediawiki.org/wiki/API:Query. With `maxlag` a server whose copies lag behind asks to come back later; it
says so with status 200 and a Retry-After, as it does with other troubles of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from ingest.scrapers.answers import Ask
from ingest.scrapers.retry import MayPass
from shards.intake import Skip
from shards.reasons import Reason

if TYPE_CHECKING:
    from ingest.scrapers.visit import Visit

MAX_LAG_S = 5
_PASSING = ("maxlag", "ratelimited", "readonly", "internal_api_error", "dbconnection", "timeout")


def pages(visit: Visit, api: str, asked: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The pages that a query finds, each with all that was asked of it; Skip where the server refuses."""
    more: dict[str, str] = {}
    batch: dict[str, dict[str, Any]] = {}
    while True:
        query = {"action": "query", "format": "json", "formatversion": "2", "maxlag": str(MAX_LAG_S), **asked, **more}
        answer = visit.told(Ask(url=f"{api}?{urlencode(query)}", wanted="json"), _read)
        for page in answer.get("query", {}).get("pages", []):
            batch.setdefault(str(page["title"]), {}).update(page)
        following = answer.get("continue")
        if answer.get("batchcomplete") or not following:
            yield from batch.values()
            batch = {}
        if not following:
            return
        if following == more:
            raise Skip(Reason.CORRUPT, "the API continues where it was")
        more = {str(name): str(value) for name, value in following.items()}


def _read(data: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(data)
        error = answer.get("error")
        if error is not None:
            code = str(error["code"])
            if code.startswith(_PASSING):
                raise MayPass(Skip(Reason.HTTP_FAILED, f"the API says {code}"))
            raise Skip(Reason.WRONG_CONTENT, f"the API refuses the query: {code}")
        if not isinstance(answer.get("query", {}).get("pages", []), list):
            raise TypeError
        return dict(answer)
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        raise Skip(Reason.CORRUPT, f"no answer of a MediaWiki: {type(fault).__name__}") from None
