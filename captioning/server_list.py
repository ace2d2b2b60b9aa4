"""What a server says of its models (`GET /v1/models`): that ours is there, and what it is.

Answers are kept under what the server says of the model, so only what stays the same from start to start counts, never
a time. Several servers must say the same: two models behind one name would caption one data set.
"""

from __future__ import annotations

from typing import Any

from captioning.server_reply import malformed, parsed

STABLE = ("root", "parent", "revision", "digest", "version")  # of an entry, where a server gives them
MOST_NAMED = 20


class UnknownModel(Exception):
    """The server has other models. The text names them."""


def listed(data: bytes, model: str) -> dict[str, str]:
    """The stable facts of `model` in a list of models; raises Skip(ANSWER_MALFORMED) and UnknownModel."""
    entries = parsed(data).get("data")
    if not isinstance(entries, list):
        raise malformed("no list of models")
    known = {entry["id"]: entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("id"), str)}
    entry = known.get(model, known.get(f"{model}:latest"))  # Ollama's tag of a name without one
    if entry is None:
        there = ", ".join(sorted(known)[:MOST_NAMED]) + (", ..." if len(known) > MOST_NAMED else "")
        raise UnknownModel(there or "none")
    return {name: entry[name] for name in STABLE if _is_told(entry.get(name))}


def _is_told(value: Any) -> bool:
    return isinstance(value, str) and bool(value)
