"""Which pictures may leave for which server (DESIGN invariant 13).

A server on this machine, or on a host that the pipelines file trusts, processes data for nobody else. Any other is a
third party: it gets only rows whose terms answer `third_party_processing` with yes. Unknown is no: PhysioNet's
credentialed data, for one, may not be sent to third parties through their APIs
(physionet.org/news/post/gpt-responsible-use, 2023-04-18).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit

from captioning.engine import Ask
from shards.intake import Skip
from shards.reasons import Reason


def foreign_hosts(urls: Sequence[str], trusted_hosts: Sequence[str]) -> list[str]:
    """The hosts of `urls` that are neither this machine nor trusted, each once.

    Raises ValueError for a url that is not http or https, holds credentials or a query, or names no host.
    """
    found = []
    for url in urls:
        parts = _parts(url)
        if parts is None:
            raise ValueError(f"urls: {url} is not of the form https://host[:port]/v1, without name and password")
        host = str(parts.hostname).removesuffix(".").lower()
        if not _is_loopback(host) and host not in {each.removesuffix(".").lower() for each in trusted_hosts}:
            found.append(host)
    return list(dict.fromkeys(found))


def refusal(ask: Ask, foreign: Sequence[str]) -> Skip | None:
    """Why the picture may not be sent to `foreign` hosts; None where it may. Looks at the terms alone."""
    term = ask.sample.terms.third_party_processing
    if not foreign or term.answer == "yes":
        return None
    hosts = ", ".join(foreign)
    detail = f"third_party_processing is {term.answer}; server {hosts}, not in `trusted_hosts`"
    return Skip(Reason.EGRESS_FORBIDDEN, detail)


def _parts(url: str) -> SplitResult | None:
    """The parts of a url to which a path can be added; None for any other."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # raises ValueError for one that is none
    except ValueError:
        return None
    host_ends = parts.netloc.rpartition("]")[2]  # of an IPv6 address in brackets only a port may follow
    is_plain = host_ends == parts.netloc or host_ends[:1] in ("", ":")
    is_host = bool(parts.hostname) and "@" not in parts.netloc and is_plain
    return parts if is_host and parts.scheme in ("http", "https") and not re.search(r"[?#\s]", url) else None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
