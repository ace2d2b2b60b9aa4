"""From a YAML mapping to a frozen dataclass, checked field by field against its type hints.

The fields of a stage are its options, so there is no second schema to keep in step. Nested options are nested
dataclasses; a union of dataclasses is told apart by the literal field that all of them share.
"""

from __future__ import annotations

import dataclasses
import math
import re
import types
import typing
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Literal, Union

import yaml

from pipelines.failure import TRACE, words
from pipelines.source_yaml import SpecError, known_keys, mapping, scalar, sequence, shape, suggest, where


def build(cls: type, node: yaml.Node, what: str) -> Any:
    """An instance of the dataclass `cls` from a mapping node.

    `what` names it in messages. Raises SpecError with `file:line` for an unknown or missing option, a value of the
    wrong type, and for whatever the class itself refuses with ValueError.
    """
    entries = mapping(node, what)
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
    known_keys(entries, fields, what, node)
    values = {name: convert(hints[name], child, f"option `{name}` of {what}") for name, child in entries.items()}
    missing = [
        name
        for name, field in fields.items()
        if name not in values and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        expected = ", ".join(f"`{name}: {_needed(hints[name])}`" for name in missing)
        raise SpecError(where(node), f"{what} needs {expected}; add it under `with:`")
    try:
        return cls(**values)
    except ValueError as error:
        named = [child for name, child in entries.items() if re.search(rf"\b{re.escape(name)}\b", str(error))]
        raise SpecError(where(named[0] if named else node), f"{what}: {error}") from error
    except Exception as error:  # a user's class may raise anything
        text = words(error, plainly=True)
        raise SpecError(where(node), f"{what} cannot be made: {text}; {TRACE}=1 shows all of it") from error


def _needed(hint: Any) -> str:
    """What to write for an option that is missing: of a dataclass the entries that it cannot do without."""
    if not (dataclasses.is_dataclass(hint) and isinstance(hint, type)):
        return describe(hint)
    hints = typing.get_type_hints(hint)
    none = dataclasses.MISSING
    needed = [field.name for field in dataclasses.fields(hint) if field.default is none is field.default_factory]
    return f"{{{', '.join(f'{name}: {describe(hints[name])}' for name in needed)}}}"


def describe(hint: Any) -> str:
    """A type hint in the words of a pipelines file."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(describe(argument) for argument in arguments)
    if origin is Literal:
        return " or ".join(repr(argument) for argument in arguments)
    if origin in (tuple, list, Sequence):
        return f"list of {describe(arguments[0])}" if arguments else "list"
    if origin in (dict, Mapping):
        return f"mapping to {describe(arguments[1])}"
    if hint is type(None):
        return "null"
    names = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    if isinstance(hint, type) and hint not in names:
        return f"mapping ({hint.__name__})" if dataclasses.is_dataclass(hint) else hint.__name__
    return names.get(hint, str(hint))


def convert(hint: Any, node: yaml.Node, what: str) -> Any:
    """The value of `node` as the type `hint`; SpecError says what was expected and what was found."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return _union(arguments, node, what)
    if origin is Literal:
        value = scalar(node)
        if value not in arguments or not any(type(value) is type(argument) for argument in arguments):
            close = suggest(str(value), map(str, arguments))
            raise SpecError(where(node), f"{what} cannot be {value!r}; {close}")
        return value
    if origin in (tuple, list, Sequence):
        return _sequence(origin, arguments, node, what)
    if origin in (dict, Mapping):
        value_hint = arguments[1]
        return {key: convert(value_hint, child, f"`{key}` in {what}") for key, child in mapping(node, what).items()}
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return build(hint, node, what)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(convert(Literal[tuple(member.value for member in hint)], node, what))
    return _plain(hint, node, what)


def _plain(hint: Any, node: yaml.Node, what: str) -> Any:
    if not isinstance(node, yaml.ScalarNode):
        raise SpecError(where(node), f"{what} must be {describe(hint)}, not {shape(node)}")
    value = scalar(node)
    if hint is float and type(value) in (int, float, str):
        number = _finite(value)
        if number is not None:
            return number
    elif hint in (str, int, bool, type(None)) and type(value) is hint:
        return value
    hint_text = " (put it in quotes)" if hint is str and value is not None else ""
    raise SpecError(where(node), f"{what} must be {describe(hint)}, not {value!r}{hint_text}")


def _finite(value: float | str) -> float | None:
    """A number that JSON and a fingerprint can hold; YAML 1.1 reads 1e-4 as text."""
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _sequence(origin: Any, arguments: tuple[Any, ...], node: yaml.Node, what: str) -> Any:
    items = sequence(node, what)
    if origin is tuple and len(arguments) > 0 and arguments[-1] is not Ellipsis:
        if len(items) != len(arguments):
            raise SpecError(where(node), f"{what} must have {len(arguments)} entries, not {len(items)}")
        return tuple(convert(hint, item, what) for hint, item in zip(arguments, items, strict=True))
    values = [convert(arguments[0], item, f"entry {i + 1} of {what}") for i, item in enumerate(items)]
    return values if origin is list else tuple(values)


def _union(arguments: tuple[Any, ...], node: yaml.Node, what: str) -> Any:
    if type(None) in arguments and isinstance(node, yaml.ScalarNode) and scalar(node) is None:
        return None
    options = [argument for argument in arguments if argument is not type(None)]
    classes = [option for option in options if dataclasses.is_dataclass(option) and isinstance(option, type)]
    if len(classes) > 1 and isinstance(node, yaml.MappingNode):
        return _tagged(classes, node, what)
    if len(options) == 1:
        return convert(options[0], node, what)
    plain_mapping = any(typing.get_origin(option) in (dict, Mapping) for option in options)
    if classes and isinstance(node, yaml.MappingNode) and not plain_mapping:
        return build(classes[0], node, what)  # the only one that a mapping can be, so its error is the one to tell
    errors = []
    for option in options:
        try:
            return convert(option, node, what)
        except SpecError as error:
            errors.append(error)
    deepest = [error for error in errors if error.where != where(node)]
    expected = " or ".join(describe(option) for option in options)
    raise deepest[0] if deepest else SpecError(where(node), f"{what} must be {expected}, not {shape(node)}")


def _tagged(classes: list[type], node: yaml.Node, what: str) -> Any:
    """Choose among dataclasses by the first literal field that all of them have."""
    hints = {cls: typing.get_type_hints(cls) for cls in classes}
    shared = [
        name for name in hints[classes[0]] if all(typing.get_origin(hints[cls].get(name)) is Literal for cls in classes)
    ]
    assert shared, f"{what}: the classes {classes} share no literal field that tells them apart"
    tag = shared[0]
    names = {value: cls for cls in classes for value in typing.get_args(hints[cls][tag])}
    entries = mapping(node, what)
    if tag not in entries:
        raise SpecError(where(node), f"{what} needs `{tag}`: one of {', '.join(map(repr, names))}")
    value = scalar(entries[tag])
    if value not in names:
        raise SpecError(where(entries[tag]), f"`{tag}` of {what} cannot be {value!r}; {suggest(str(value), names)}")
    return build(names[value], node, what)


def plain(value: Any) -> Any:
    """Normalised parameters for the fingerprint: nested dataclasses with their defaults as JSON values.

    Fields marked `metadata={"fingerprint": False}` cannot change the output and are left out.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: plain(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if field.metadata.get("fingerprint", True)
        }
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    return value.value if isinstance(value, Enum) else value
