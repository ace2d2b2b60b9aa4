"""The licence gate: a row goes on only where its licence is on the pipeline's list and its terms say what is asked.

Unknown is no: a licence that nobody looked at and a term that nobody answered are refused, with the reason in the
row's reject. Identifiers are those of the SPDX licence list, or `LicenseRef-<name>`; SPDX compares them without case.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from shards.vocabulary import TERM_ANSWERS, TERM_NAMES

if TYPE_CHECKING:
    import polars as pl

SPDX_ID = re.compile(r"[A-Za-z0-9.+-]+")


def answers(require_terms: Mapping[str, str | bool]) -> dict[str, str]:
    """The answers as words: YAML 1.1 reads an unquoted yes or no as true or false."""
    return {
        term: {True: "yes", False: "no"}[answer] if isinstance(answer, bool) else answer
        for term, answer in require_terms.items()
    }


def check_licences(allow_licenses: Sequence[str], require_terms: Mapping[str, str | bool]) -> None:
    """Raise ValueError where the list is empty or an entry cannot be a licence id, a term or an answer."""
    if not allow_licenses:
        raise ValueError("allow_licenses is empty, so every row would be refused: list ids such as CC-BY-4.0")
    for entry in allow_licenses:
        if not SPDX_ID.fullmatch(entry):
            raise ValueError(f"allow_licenses: {entry!r} is no SPDX id: write CC-BY-4.0, or LicenseRef-<name>")
    for term, answer in answers(require_terms).items():
        if term not in TERM_NAMES:
            raise ValueError(f"require_terms: there is no term {term!r}; the terms are {', '.join(TERM_NAMES)}")
        if answer not in TERM_ANSWERS:
            raise ValueError(f"require_terms: {term} cannot be {answer!r}; write {', '.join(TERM_ANSWERS)}")


def refusal(allow_licenses: Sequence[str], require_terms: Mapping[str, str | bool]) -> pl.Expr:
    """Why a row is refused, as text over the columns `license` and `terms`; null where it is allowed."""
    import polars as pl

    allowed = [entry.lower() for entry in allow_licenses]
    licence = pl.col("license")
    refusals = [pl.when(~licence.str.to_lowercase().is_in(allowed)).then(licence + pl.lit(" is not on the list"))]
    for term, wanted in answers(require_terms).items():
        answer = pl.col("terms").struct.field(term).struct.field("answer").fill_null("unknown")
        text = pl.format("{}: {} is {}, not {}", licence, pl.lit(term), answer, pl.lit(wanted))
        refusals.append(pl.when(answer != wanted).then(text))
    return pl.coalesce(refusals)
