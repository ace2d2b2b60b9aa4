"""Which pictures may leave for which server (DESIGN invariant 13).

A server on this machine, or on a host that the pipelines file trusts, processes data for nobody else. Any other is a
third party: it gets only rows whose terms answer `third_party_processing` with yes. Unknown is no: PhysioNet's
credentialed data, for one, may not be sent to third parties through their APIs
(physionet.org/news/post/gpt-responsible-use, 2023-04-18).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

from captioning.engine import Ask
from shards.intake import Skip
from shards.reasons import Reason


def foreign_hosts(urls: Sequence[str], trusted_hosts: Sequence[str]) -> list[str]:
    """The hosts of `urls` that are neither this machine nor trusted, each once.

    Raises ValueError for a url that is not http or https, holds credentials, or names no host.
    """
    found = []
    for url in urls:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise ValueError(f"urls: {url} is not of the form https://host[:port]/v1, without name and password")
        host = parts.hostname.rstrip(".").lower()
        if not _is_loopback(host) and host not in {each.rstrip(".").lower() for each in trusted_hosts}:
            found.append(host)
    return list(dict.fromkeys(found))


def refusal(ask: Ask, foreign: Sequence[str]) -> Skip | None:
    """Why the picture may not be sent to `foreign` hosts; None where it may. Looks at the terms alone."""
    term = ask.sample.terms.third_party_processing
    if not foreign or term.answer == "yes":
        return None
    return Skip(Reason.EGRESS_FORBIDDEN, f"third_party_processing is {term.answer}; server {', '.join(foreign)}")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
