"""Which samples an evaluation looks at: by a column of the record or by an attribute. Imports nothing heavy."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from shards.attributes import ATTRIBUTES

COLUMNS = ("source", "modality", "specialty", "group", "license", "label_scope")
Where = Mapping[str, tuple[str, ...]]


def check_column(name: str, option: str) -> None:
    """ValueError, with a suggestion, unless `name` is a column or an attribute."""
    known = (*COLUMNS, *ATTRIBUTES)
    if name not in known:
        close = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {close[0]}?" if close else f"choose among {', '.join(known)}"
        raise ValueError(f"{option}: samples have no {name!r}; {hint}")


def matches(facts: Mapping[str, str], where: Where) -> bool:
    """Whether every named column has one of the values that are listed for it."""
    return all(facts.get(name, "") in values for name, values in where.items())


def words(where: Where) -> str:
    """A filter in words."""
    return " and ".join(f"{name} {' or '.join(values)}" for name, values in where.items()) or "all"
