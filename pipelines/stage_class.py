"""From `module:Class` to a stage class: any importable class of one of the four shapes, nothing registered.

Only the module named is imported. Where the name is wrong, near names are suggested from a listing of files, which
imports nothing.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import importlib.util
import typing
from enum import StrEnum
from pathlib import Path
from typing import Any

from pipelines.failure import with_extra
from pipelines.house import PACKAGES, check_house
from pipelines.source_yaml import nearest, suggest
from shards.intake import place
from shards.stage import Contract


class Shape(StrEnum):
    """How a stage is run, read off its methods."""

    SOURCE = "source"
    TRANSFORM = "transform"
    BUILD = "build"
    JOB = "job"


HINT = "medloom's own stand in docs/datasets.md, and one of yours is a .py file beside the pipelines file"
METHODS = {
    Shape.SOURCE: ("units", "open"),
    Shape.BUILD: ("plan", "open", "commit"),
    Shape.JOB: ("run",),
    Shape.TRANSFORM: ("open",),
}


def known_modules() -> list[str]:
    """Dotted names of all modules of the six packages, by listing files."""
    house = check_house()
    return [
        ".".join(path.relative_to(house).with_suffix("").parts)
        for package in PACKAGES
        for path in sorted((house / package).rglob("*.py"))
        if path.name != "__init__.py"
    ]


def find(use: str, folder: Path) -> type:
    """The class that `use` names; ValueError says what is wrong with the name and suggests another.

    `folder` is that of the pipelines file, whose modules are suggested, too.
    """
    module_name, colon, class_name = use.partition(":")
    if not colon or not class_name.isidentifier() or not all(part.isidentifier() for part in module_name.split(".")):
        raise ValueError(
            f"`{use}` is not of the form `module:Class`, such as `ingest.converters.nifti_volumes:NiftiVolumes`"
        )
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and module_name != error.name and not module_name.startswith(f"{error.name}."):
            told = f"`{module_name}` needs the package `{error.name}`, which is not installed"
            raise ValueError(f"{told}{with_extra(error.name)}") from error
        beside = [path.stem for path in folder.glob("*.py")]
        near = nearest(module_name, [*known_modules(), *beside]) or HINT
        raise ValueError(f"there is no module `{module_name}`; {near}") from error
    except Exception as error:  # a user's module may raise anything; the pipelines file is where the user looks
        raise ValueError(f"`{module_name}` cannot be imported: {_at(error)}; mend it and try again") from error
    found = getattr(module, class_name, None)
    if not isinstance(found, type):
        stages = [name for name, value in vars(module).items() if hasattr(value, "contract")]
        raise ValueError(f"`{module_name}` has no stage `{class_name}`; {suggest(class_name, stages)}")
    if not isinstance(getattr(found, "contract", None), Contract):
        raise ValueError(f"`{use}` has no `contract = Contract(...)`; see docs/custom-stage.md")
    if not dataclasses.is_dataclass(found):
        raise ValueError(f"`{use}` is no dataclass; decorate it with @dataclass(frozen=True, kw_only=True)")
    try:
        typing.get_type_hints(found)
    except NameError as error:
        raise ValueError(
            f"`{use}` has an annotation that cannot be read: {error}; import it outside TYPE_CHECKING"
        ) from error
    shape_of(found, use)
    return found


def _at(error: Exception) -> str:
    """Type, place and text of an error in a user's module."""
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__} at {Path(error.filename or '?').name}:{error.lineno}: {error.msg}"
    return f"{place(error)}: {error}"


def shape_of(cls: type, use: str = "") -> Shape:
    """The shape of a stage class; ValueError when it has none of the four sets of methods."""
    for shape, methods in METHODS.items():
        if all(callable(getattr(cls, name, None)) for name in methods):
            return shape
    shapes = "; ".join(f"{shape}: {', '.join(methods)}" for shape, methods in METHODS.items())
    raise ValueError(f"`{use or cls.__name__}` has the methods of no shape ({shapes})")


def version_of(stage: Any) -> str:
    """The version that enters the fingerprint: the contract's integer, else the sha256 of the module's source."""
    version = stage.contract.version
    if version is not None:
        return str(version)
    spec = importlib.util.find_spec(type(stage).__module__)
    assert spec is not None
    assert spec.origin is not None
    return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()
