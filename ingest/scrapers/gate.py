"""Whether a url may be fetched, and when: deny-list, licence record, robots.txt, TDMRep, the host's turn, headers.

What a site says is obeyed by default. Only a licence record of the host overrides it, and only what the record names;
what was said is noted all the same, for the provenance of the answer. What robots.txt says of use is overridden by
`opt_out`, and what it forbids by `robots`; it is not asked for where a record names both.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from ingest.scrapers import signals, tdmrep
from ingest.scrapers.addresses import canonical, host_of
from ingest.scrapers.answers import Answer, Headers
from ingest.scrapers.deny import denied
from ingest.scrapers.fetch import Fetcher
from ingest.scrapers.host_files import Outcome
from ingest.scrapers.robots import Robots, Verdict
from ingest.scrapers.settings import LicenceRecord, Signal, Web
from ingest.scrapers.signals import Statement
from ingest.scrapers.turns import HeldTurn, Turns
from shards.canonical import canonical_json
from shards.intake import Skip
from shards.reasons import Reason

NOTED = 1024  # urls of which it is remembered what was seen


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What was known of a url's permission when it was asked for."""

    url: str
    robots: Verdict | None  # None where a licence record overrides it
    statements: tuple[Statement, ...]
    record: LicenceRecord | None

    def as_json(self) -> dict[str, Any]:
        return {
            "url": self.url,
            "robots": self.robots.as_json() if self.robots else None,
            "statements": [statement.as_json() for statement in self.statements],
            "overrides": sorted(self.record.overrides) if self.record else [],
            "evidence": self.record.evidence if self.record else "",
        }


class Politeness(AbstractContextManager["Politeness"]):
    """The gate of all requests of a worker; safe for its threads."""

    def __init__(self, web: Web, limiter: Any, store: Path, *, needs_record: bool = False) -> None:
        """`limiter` is a `HostLimiter`, here or in another process; with `needs_record` a host must have one."""
        self._web = web
        self._needs_record = needs_record
        self._turns = Turns(web, limiter)
        self._fetcher = Fetcher(web, self._turns)
        self._robots = Robots(store / "robots", self._fetcher)
        self._tdm_files = tdmrep.TdmFiles(store / "robots", self._fetcher.through(_ByRobots(self)))
        self._seen: OrderedDict[str, Seen] = OrderedDict()
        self._lock = threading.Lock()

    def __exit__(self, *error: object) -> None:
        self._fetcher.__exit__(*error)

    def fetcher(self) -> Fetcher:
        """Fetches through this gate, over the session that fetches what hosts say of themselves."""
        return self._fetcher.through(self)

    @contextmanager
    def enter(self, url: str, check: Callable[[], None]) -> Iterator[_Turn]:
        """Hold the host's turn for one request; Skip with a reason of the web where it may not be made."""
        url = canonical(url)
        record, verdict = self.permitted(url, check)
        said = self._said_of_host(url, record, verdict, check)
        seen = Seen(url=url, robots=verdict, statements=tuple(said), record=record)
        self._note(seen)
        _obey(said, record)
        with self.turn(url, verdict, check) as turn:
            yield _Turn(self, turn, seen)

    def permitted(self, url: str, check: Callable[[], None]) -> tuple[LicenceRecord | None, Verdict | None]:
        """The record of a canonical url's host and the verdict of its robots.txt; Skip where either forbids it."""
        record = self._record(url)
        if _overridden(record, "robots"):
            return record, None
        verdict = self._robots.verdict(url, check)
        self._obey_robots(url, verdict)
        return record, verdict

    def turn(self, url: str, verdict: Verdict | None, check: Callable[[], None]) -> AbstractContextManager[HeldTurn]:
        """The host's turn, with the delay that its robots.txt asks for."""
        return self._turns.enter(url, check, verdict.crawl_delay_s if verdict else 0.0)

    def seen(self, *urls: str) -> str:
        """What was known of urls that were just asked for, such as the hops of an answer, as a JSON list."""
        with self._lock:
            known = [self._seen[url] for url in urls if url in self._seen]
        return canonical_json([seen.as_json() for seen in known])

    def obey_kept(self, answer: Answer, seen: str) -> None:
        """Skip where an answer that is kept would not be asked for any more: a record, or the list, has changed.

        `seen` is what was known of its hops when it was asked for.
        """
        records = [self._record(hop.url) for hop in answer.hops]
        record = records[-1]
        if self._needs_record and any(one.rights != record.rights for one in records if one and record):
            raise Skip(Reason.LICENCE_NOT_ALLOWED, f"it lies at {host_of(answer.final_url)}, whose record differs")
        _obey(signals.of_headers(answer.headers, answer.final_url, answer.fetched), record)
        for one in json.loads(seen):
            _obey(map(Statement.from_json, one["statements"]), self._record(one["url"]))

    def lapsed(self, seen: str) -> bool:
        """Whether a kept answer was had by a record that overrode what it does not override now."""
        for one in json.loads(seen):
            record = self._web.rule(host_of(one["url"])).record
            if set(one["overrides"]) - set(record.overrides if record else ()):
                return True
        return False

    def note_page(self, answer: Answer, seen: str, body: bytes) -> str:
        """`seen` with what an HTML page says of itself."""
        known = json.loads(seen)
        here = next((one for one in known if one["url"] == answer.final_url), None)
        if here is None:
            here = Seen(url=answer.final_url, robots=None, statements=(), record=None).as_json()
            known.append(here)
        said = [statement.as_json() for statement in signals.of_page(body, answer.final_url, answer.fetched)]
        here["statements"] += [statement for statement in said if statement not in here["statements"]]
        return canonical_json(known)

    def _record(self, url: str) -> LicenceRecord | None:
        """The licence record of a host that may be asked at all."""
        host = host_of(url)
        record = self._web.rule(host).record
        why = denied(host)
        if why is not None and not _overridden(record, "deny_list"):
            raise Skip(Reason.HOST_DENIED, f"{host}: {why}")
        if record is None and self._needs_record:
            raise Skip(Reason.NO_LICENCE_RECORD, f"{host}: give it a `record` under `web.hosts`")
        return record

    def _obey_robots(self, url: str, verdict: Verdict) -> None:
        file, longest_s = verdict.file, self._web.rule(host_of(url)).max_delay_s
        if file.outcome is Outcome.UNREACHABLE:
            raise Skip(Reason.ROBOTS_UNREACHABLE, f"{file.url}: {file.detail}")
        if not verdict.allowed:
            raise Skip(Reason.ROBOTS_DISALLOWED, ": ".join(filter(None, (file.url, verdict.line))))
        if verdict.crawl_delay_s > longest_s:
            delay = f"a Crawl-delay of {verdict.crawl_delay_s:g} s"
            raise Skip(Reason.ROBOTS_DISALLOWED, f"{file.url}: {delay}, and max_delay_s of the host is {longest_s:g} s")

    def _said_of_host(
        self, url: str, record: LicenceRecord | None, verdict: Verdict | None, check: Callable[[], None]
    ) -> list[Statement]:
        """What the files of a host say of the use of a url, until one reserves it.

        robots.txt is read for this where a record overrides what it forbids, too: it need not be there then. TDMRep's
        file is read where robots.txt does not forbid it.
        """
        obeyed = not _overridden(record, "opt_out")
        said = self._robots.statements(url, check) if obeyed or verdict is not None else []
        if not obeyed or any(one.reserves for one in said):
            return said
        file = urljoin(url, tdmrep.PATH)
        if verdict is None or self._robots.verdict(file, check).allowed:
            found = self._tdm_files.statement(url, check)
            said += [found] if found else []
        return said

    def _note(self, seen: Seen) -> None:
        with self._lock:
            self._seen[seen.url] = seen
            self._seen.move_to_end(seen.url)
            while len(self._seen) > NOTED:
                self._seen.popitem(last=False)


class _ByRobots:
    """The gate of TDMRep files: all that counts for a request but those files themselves."""

    def __init__(self, gate: Politeness) -> None:
        self._gate = gate

    def enter(self, url: str, check: Callable[[], None]) -> AbstractContextManager[HeldTurn]:
        url = canonical(url)
        _, verdict = self._gate.permitted(url, check)
        return self._gate.turn(url, verdict, check)


class _Turn:
    """A turn whose answer is looked at for what it says about its use."""

    def __init__(self, gate: Politeness, turn: HeldTurn, seen: Seen) -> None:
        self._gate = gate
        self._turn = turn
        self._seen = seen

    def answered(self, status: int, headers: Headers, seconds: float) -> None:
        self._turn.answered(status, headers, seconds)
        said = signals.of_headers(headers, self._seen.url, datetime.now(UTC))
        self._gate._note(replace(self._seen, statements=(*self._seen.statements, *said)))
        if status < 400:  # an error has nothing that could be used
            _obey(said, self._seen.record)

    def goes_on(self) -> None:
        self._turn.goes_on()


def _overridden(record: LicenceRecord | None, signal: Signal) -> bool:
    return record is not None and signal in record.overrides


def _obey(said: Iterable[Statement], record: LicenceRecord | None) -> None:
    for statement in said:
        if statement.reserves and not _overridden(record, "opt_out"):
            raise Skip(Reason.OPTED_OUT, str(statement))
