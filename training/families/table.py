"""The model families by name. Adding one: a file beside this, a row here, a test."""

from __future__ import annotations

import importlib
from typing import Any

FAMILIES = {
    "msdm": "training.families.msdm:Msdm",
}


def family_class(name: str) -> Any:
    """The class of a family; only its module is imported. ValueError lists the families there are."""
    if name not in FAMILIES:
        raise ValueError(f"there is no model family {name!r}; known are {', '.join(FAMILIES)}")
    module, _, class_name = FAMILIES[name].partition(":")
    return getattr(importlib.import_module(module), class_name)
