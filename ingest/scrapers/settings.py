"""How a crawl behaves: who it says it is, how fast it goes, how much it takes, and what a host's owner has allowed.

The defaults are those of a guest: one request at a time to a host, slower where the host is slow, and whatever the host
says about crawling or about machine learning is obeyed. A host that is one's own, or whose owner has agreed, gets a
rule of its own with a licence record that says where that stands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from ingest.rights import Rights

TOKEN = "medloom"  # noqa: S105 - the product token of RFC 9309 2.2.1
SLOWEST_BYTES_PER_S = 2**13  # so that a piece of a body comes well before its host's turn is taken for lost
_CONTACT = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+|https?://\S+")
# the list that ships; what robots.txt forbids, and how fast it wants to be read; what it and others say of training
Signal = Literal["deny_list", "robots", "opt_out"]


@dataclass(frozen=True, kw_only=True)
class LicenceRecord:
    """What the owner of a host has allowed, and where that stands; the only thing that overrides what a site says."""

    rights: Rights
    evidence: str  # a letter and its date, a page of the site, a contract
    overrides: tuple[Signal, ...] = ()  # what need not be obeyed on this host

    def __post_init__(self) -> None:
        if not self.evidence.strip():
            raise ValueError("evidence must say where the owner allows it: a letter and its date, a page, a contract")


@dataclass(frozen=True, kw_only=True)
class HostRule:
    """How one host is treated. A Crawl-delay of its robots.txt that is longer than `min_delay_s` is kept to."""

    min_delay_s: float = 0.25  # between the answer to one request and the next request
    start_delay_s: float = 1.0  # before anything is known of the host
    max_delay_s: float = 60.0
    in_flight: int = 1  # requests at a time, in the whole run; 1 where the host has a Crawl-delay
    record: LicenceRecord | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.min_delay_s <= self.start_delay_s <= self.max_delay_s:
            raise ValueError("min_delay_s, start_delay_s and max_delay_s must rise from 0 on")
        if self.in_flight < 1:
            raise ValueError(f"in_flight must be at least 1, not {self.in_flight}")


@dataclass(frozen=True, kw_only=True)
class Web:
    """How a crawl behaves; the option `web` of every scraper."""

    # e-mail or page of whoever runs the crawl; it stands in the User-Agent
    contact: str = field(metadata={"fingerprint": False})
    hosts: Mapping[str, HostRule] = field(default_factory=dict)  # "example.org" or "*.example.org"; the longest counts
    every_host: HostRule = HostRule()
    # for one request with all hops, headers and body, and the longest silence; waiting for a turn is not counted
    deadline_s: float = field(default=60.0, metadata={"fingerprint": False})
    # the rate that a body must keep to in the long run: its bytes at this rate come on top of deadline_s
    slowest_bytes_per_s: int = field(default=2**17, metadata={"fingerprint": False})
    # of what may pass: 429, 500 to 599, broken connections
    tries: int = field(default=4, metadata={"fingerprint": False})
    max_page_bytes: int = 8 * 2**20  # pages, XML, JSON; on the wire and decoded
    max_media_bytes: int = 256 * 2**20  # pictures, videos, tables
    threads: int = field(default=8, metadata={"fingerprint": False})  # requests that one worker has under way
    refresh: str = ""  # a day, 2026-11-27: answers from before it are asked for again, if they have changed
    loopback: bool = False  # fetch from this machine and from private networks: for tests and for mirrors of one's own

    def __post_init__(self) -> None:
        if not _CONTACT.fullmatch(self.contact):
            raise ValueError(
                f"contact {self.contact!r} is neither an e-mail address nor a url: say who runs the crawl, so that a "
                "site's owner can write to you"
            )
        if self.deadline_s <= 0 or self.tries < 1 or self.threads < 1:
            raise ValueError("deadline_s must be above 0, and tries and threads at least 1")
        if self.slowest_bytes_per_s < SLOWEST_BYTES_PER_S:
            raise ValueError(f"slowest_bytes_per_s must be at least {SLOWEST_BYTES_PER_S}; raise deadline_s instead")
        if self.every_host.record is not None:
            raise ValueError("every_host: nobody can allow something for all hosts; name them under `hosts`")
        if self.refresh:
            date.fromisoformat(self.refresh)

    def rule(self, host: str) -> HostRule:
        """The rule of a host (lower case, no port): its own, that of the longest `*.` above it, or that of all."""
        if host in self.hosts:
            return self.hosts[host]
        parents = [name for name in self.hosts if name.startswith("*.") and host.endswith(name[1:])]
        return self.hosts[max(parents, key=len)] if parents else self.every_host

    @property
    def user_agent(self) -> str:
        """Who asks: an honest name and a contact (RFC 9309 2.2.1 wants the product token in it)."""
        return f"{TOKEN}/0.1 (+{self.contact})"
