"""Which templates a row may be worded by, in which order, and the draw by its key.

A data set's own templates come first, from the one drawn on; where none of them fits, the general ones do. These are
of the same language. Findings come early in all of them, since text encoders cut at 64 to 120 tokens.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from captioning.filling import Template
from shards.canonical import sha256_all
from shards.phrasing import parse_template

WIDER = {  # clauses for the findings of a wider unit than the picture, narrowest first
    "slice": "with {{slice_findings}} in one of its slices",
    "series": "from a {series} with {{series_findings}}",
    "study": "from a study with {{study_findings}}",
    "patient": "from a patient with {{patient_findings}}",
}
DETAILS = "[, during {phase}][, {details}][, shown in {window:a}]"
BITS = {"order": 0, "picture": 1, "person": 2}  # of the draw: what each of them decides
TEMPLATE_BIT = 8  # from here on: which of a data set's templates


def draw(seed: int, key: str) -> int:
    """A number of 64 bits that depends on seed and key alone."""
    return int.from_bytes(hashlib.sha256(f"phrasing\0{seed}\0{key}".encode()).digest()[:8], "little")


def draws(seed: int, keys: Iterable[str]) -> npt.NDArray[np.uint64]:
    """`draw` for each of many keys."""
    digests = sha256_all(f"phrasing\0{seed}\0".encode(), map(str.encode, keys))
    return np.frombuffer(b"".join(digests), dtype="<u8")[::4].copy()


@lru_cache(maxsize=4096)
def orders(own: str | None, preposition: str, series: str) -> tuple[tuple[Template, ...], ...]:
    """For each way to begin, the templates to try in order; the last one fits any row.

    `own` is a cell of the manifest's column `template`; `preposition` and `series` are words of the picture's kind.
    """
    first = tuple(map(parse_template, own.split("\n"))) if own else ()
    general = [tuple(map(parse_template, texts)) for texts in _general(preposition, series)]
    turns = [first[start:] + first[:start] for start in range(max(len(first), 1))]
    return tuple(turn + last for turn in turns for last in general)


def order_of(drawn: int, orders_count: int) -> int:
    """Which of `orders` a draw means; two of them begin with each template."""
    return (drawn >> TEMPLATE_BIT) % (orders_count // 2) * 2 + (drawn >> BITS["order"]) % 2


def _general(preposition: str, series: str) -> Iterator[list[str]]:
    """Findings first, and the picture first."""
    clauses = {unit: clause.format(series=series) for unit, clause in WIDER.items()}
    openings = [(f"{{findings}} seen {preposition} {{picture:a}}", "")]
    openings += [(f"{clauses[unit]}: {{picture:a}}", unit) for unit in ("patient", "study", "series")]
    yield [text for opening, said in [*openings, ("{picture:a}", "")] for text in _closed(opening, said, clauses)]
    yield list(_closed("{picture:a}[ showing {findings}]", "", clauses))


def _closed(opening: str, said: str, clauses: dict[str, str]) -> Iterator[str]:
    """`opening` with the clauses that it does not hold, details, and whom the picture shows."""
    rest = {unit: f"[, {clause}]" for unit, clause in clauses.items() if unit != said}
    if "patient" in rest:  # a patient with findings and the person are one
        narrower = "".join(clause for unit, clause in rest.items() if unit != "patient")
        yield f"{opening}{narrower}, {clauses['patient']}, {{person:a}}{DETAILS}"
    yield f"{opening}{''.join(rest.values())}{DETAILS}[, from {{person:a}}]"
