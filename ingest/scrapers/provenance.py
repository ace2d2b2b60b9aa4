"""The provenance of what was fetched: one row an answer, and the table that a unit keeps of its own.

The table is what makes a parser replaceable: it says of every url where its bytes lie, so that nothing is asked for a
second time, and what the site said about its use when it was asked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from ingest.scrapers.answers import Answer, Hop

_COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    "url": pl.String,  # canonical, as asked for
    "final_url": pl.String,
    "hops": pl.String,  # JSON: [url, status, address] of each answer on the way
    "status": pl.Int32,
    "headers": pl.String,  # JSON: [name, value] of the last answer, in order
    "fetched": pl.Datetime("us", "UTC"),
    "checked": pl.Datetime("us", "UTC"),  # when the server last said that it is unchanged; else as `fetched`
    "sha256": pl.String,  # of the body
    "body_bytes": pl.Int64,
    "opted_out": pl.Boolean,  # the headers reserve it, `seen` says in which words: no body was read
    "file": pl.String,  # below the store's folder `raw`; empty where there is no body
    "member": pl.String,  # of that tar; empty where the file is the body
    "seen": pl.String,  # JSON: what the site says about crawling and machine learning, with time and raw text
    "license": pl.String,  # as the page or article states it; empty where the site pipeline found none
    "license_evidence": pl.String,  # where and in which words
}
SCHEMA = pl.Schema(_COLUMNS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Licence:
    """What a page says about the licence of one file, and in which words."""

    license: str
    evidence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a body lies: a file below the store's folder `raw`, or a member of a tar there."""

    file: str = ""
    member: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One answer, where its body lies, what was seen with it, and when it was last known to be unchanged."""

    answer: Answer
    place: Place
    seen: str
    checked: datetime


def to_json(answer: Answer, seen: str) -> dict[str, Any]:
    """What lies beside a body that no unit has packed yet."""
    return {**asdict(answer), "fetched": answer.fetched.isoformat(), "seen": seen}


def from_json(value: Mapping[str, Any]) -> tuple[Answer, str]:
    """The inverse of `to_json`; KeyError, TypeError or ValueError where the file is damaged."""
    fields = dict(value)
    seen = str(fields.pop("seen"))
    fields["hops"] = tuple(Hop(**hop) for hop in fields["hops"])
    fields["headers"] = tuple((str(name), str(text)) for name, text in fields["headers"])
    fields["fetched"] = datetime.fromisoformat(fields["fetched"])
    return Answer(**fields), seen


def table(entries: Mapping[str, Entry], licences: Mapping[str, Licence]) -> pl.DataFrame:
    """The rows of some answers, sorted by url; `licences` by the url of the file that they speak of."""
    rows = []
    for url, entry in sorted(entries.items()):
        answer, said = entry.answer, licences.get(url)
        rows.append(
            {
                "url": url,
                "final_url": answer.final_url,
                "hops": json.dumps([[hop.url, hop.status, hop.address] for hop in answer.hops]),
                "status": answer.status,
                "headers": json.dumps(answer.headers, ensure_ascii=False),
                "fetched": answer.fetched,
                "checked": entry.checked,
                "sha256": answer.sha256,
                "body_bytes": answer.body_bytes,
                "opted_out": answer.opted_out,
                "file": entry.place.file,
                "member": entry.place.member,
                "seen": entry.seen,
                "license": said.license if said else "",
                "license_evidence": said.evidence if said else "",
            }
        )
    return pl.DataFrame(rows, schema=SCHEMA)


def entries(path: Path) -> tuple[dict[str, Entry], dict[str, Licence]]:
    """What a unit's table holds."""
    found: dict[str, Entry] = {}
    licences: dict[str, Licence] = {}
    for row in pl.read_parquet(path).iter_rows(named=True):
        found[row["url"]] = entry_of(row)
        if row["license"] or row["license_evidence"]:
            licences[row["url"]] = Licence(license=row["license"], evidence=row["license_evidence"])
    return found, licences


def entry_of(row: Mapping[str, Any]) -> Entry:
    """One row of a table."""
    answer = Answer(
        url=row["url"],
        hops=tuple(Hop(url=url, status=status, address=address) for url, status, address in json.loads(row["hops"])),
        status=row["status"],
        headers=tuple((name, value) for name, value in json.loads(row["headers"])),
        fetched=row["fetched"].replace(tzinfo=UTC),
        sha256=row["sha256"],
        body_bytes=row["body_bytes"],
        opted_out=row.get("opted_out", False),  # tables of before this column have none that are
    )
    place = Place(file=row["file"], member=row["member"])
    return Entry(answer=answer, place=place, seen=row["seen"], checked=row["checked"].replace(tzinfo=UTC))


def told(media: str, url: str) -> dict[str, str]:
    """What a person asks of the answer to `url` whose body lies in the file `media` of a raw store: phrase -> words."""
    file = Path(media)
    unit = file.stem.rpartition("-")[0] if file.suffix == ".tar" else ""  # else it lies alone in the unit's folder
    path = file.parent / f"{unit}.parquet" if unit else file.parent.with_name(f"{file.parent.name}.parquet")
    if not path.is_file():
        return {"kept in": f"{path}, which is not there any more"}
    try:
        rows = pl.scan_parquet(path).filter(pl.col("url") == url).collect()
    except pl.exceptions.PolarsError as error:
        return {"kept in": f"{path}, which is damaged ({type(error).__name__})"}
    if not rows.height:
        return {"kept in": f"{path}, which has no row of {url or 'it'}"}
    row = rows.row(0, named=True)
    entry = entry_of(row)
    found = {"came from": entry.answer.final_url, "fetched": _time(entry.answer.fetched)}
    if entry.checked != entry.answer.fetched:
        found["unchanged on"] = _time(entry.checked)
    evidence = f" ({row['license_evidence']})" if row["license_evidence"] else ""
    found["licence stated there"] = f"{row['license'] or 'none that is known'}{evidence}"
    return {**found, "kept in": str(path)}


def _time(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"
