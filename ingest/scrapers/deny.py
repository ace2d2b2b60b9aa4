"""Sites whose terms forbid use for machine learning, or leave it unknown: `deny_list.yaml`, with dates and sources."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml


@dataclass(frozen=True, kw_only=True, slots=True)
class Denied:
    """One site, and why."""

    hosts: tuple[str, ...]
    says: str
    quoted_in: str
    date: str  # when the terms were read: a day or a month

    def __str__(self) -> str:
        return f"{self.says} (as quoted in {self.quoted_in}, {self.date})"


@cache
def deny_list() -> tuple[Denied, ...]:
    """The list as shipped."""
    text = (Path(__file__).parent / "deny_list.yaml").read_text("utf-8")
    return tuple(Denied(**{**entry, "hosts": tuple(entry["hosts"])}) for entry in yaml.safe_load(text))


def denied(host: str) -> Denied | None:
    """The entry that speaks of a host (lower case, no port) or of a domain above it."""
    return next((entry for entry in deny_list() for name in entry.hosts if f".{host}".endswith(f".{name}")), None)
