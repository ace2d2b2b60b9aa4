"""YAML with positions: every error names file and line, and duplicate keys are refused.

PyYAML's node tree is used instead of plain values, since a node knows where it stands. Only the safe tags are
accepted, aliases may not recurse, and the number of nodes is bounded, so a hostile file costs little.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

MAX_NODES = 100_000
MAX_DEPTH = 40
MERGE = "tag:yaml.org,2002:merge"  # of the key `<<`, which YAML 1.2 has no more
OPTION = "--"  # what is composed under such a name is a value of the command line, not a file


class SpecError(ValueError):
    """A mistake in a pipelines file. The text is `file:line: what is wrong; what to write instead`."""

    def __init__(self, where: str, message: str) -> None:
        super().__init__(f"{where}: {message}")
        self.where = where


def where(node: yaml.Node) -> str:
    """`file:line` of a node; of an option of the command line its name alone."""
    return _at(node.start_mark.name, node.start_mark.line + 1)


def _at(name: str, line: int) -> str:
    return name if name.startswith(OPTION) else f"{name}:{line}"


def nearest(word: str, known: Iterable[str]) -> str:
    """A question that names the nearest known word; empty where none is near."""
    close = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f"did you mean `{close[0]}`?" if close else ""


def suggest(word: str, known: Iterable[str]) -> str:
    """A sentence that names the nearest known word, or all of them."""
    names = sorted(known)
    if close := nearest(word, names):
        return close
    return f"known are {', '.join(f'`{name}`' for name in names)}" if names else "none is known here"


def compose(text: str, name: str) -> yaml.Node:
    """The node tree of one YAML document; raises SpecError with the line of a syntax error."""
    try:
        loader = yaml.SafeLoader(text)
        loader.name = name
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise SpecError(_at(name, line), f"not valid YAML: {error.problem or error}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise SpecError(
            _at(name, line), f"the character U+{error.character:04X} may not stand here; remove it"
        ) from error
    except RecursionError as error:
        raise SpecError(_at(name, 1), "nested too deep for a pipelines file; write fewer brackets") from error
    if node is None:
        raise SpecError(_at(name, 1), "the file is empty; start with `version: 1`")
    _bound(node)
    return node


def compose_file(path: Path, name: str) -> yaml.Node:
    """The node tree of a file; raises SpecError when it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise SpecError(name, "no such file; name one with `-f FILE` or go to its folder") from error
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(name, f"cannot be read: {error}") from error
    return compose(text, name)


def _bound(root: yaml.Node) -> None:
    count = 0
    stack = [(root, 0)]
    while stack:
        node, depth = stack.pop()
        count += 1
        if depth > MAX_DEPTH or count > MAX_NODES:
            raise SpecError(where(node), "nested too deep or too large for a pipelines file (are aliases recursive?)")
        if isinstance(node, yaml.MappingNode):
            stack += [(child, depth + 1) for pair in node.value for child in pair]
        elif isinstance(node, yaml.SequenceNode):
            stack += [(child, depth + 1) for child in node.value]


def mapping(node: yaml.Node, what: str) -> dict[str, yaml.Node]:
    """The entries of a mapping node; SpecError for another node, a key that is no text, or a key given twice."""
    if not isinstance(node, yaml.MappingNode):
        raise SpecError(where(node), f"{what} must be a mapping of `key: value`, not {shape(node)}")
    entries: dict[str, yaml.Node] = {}
    lines: dict[str, str] = {}
    for key_node, value_node in node.value:
        key = scalar(key_node)
        if not isinstance(key, str):
            raise SpecError(where(key_node), f"{what} has the key {key!r}, which is no text; put it in quotes")
        if key in entries:
            message = f"{what} has the key `{key}` twice (first at {lines[key]}); remove one or rename it"
            raise SpecError(where(key_node), message)
        entries[key] = value_node
        lines[key] = where(key_node)
    return entries


def sequence(node: yaml.Node, what: str) -> list[yaml.Node]:
    """The items of a sequence node."""
    if not isinstance(node, yaml.SequenceNode):
        raise SpecError(where(node), f"{what} must be a list like [a, b], not {shape(node)}")
    return list(node.value)


def scalar(node: yaml.Node) -> Any:
    """The value of a scalar node (text, number, true/false, null, date); SpecError for anything else."""
    if not isinstance(node, yaml.ScalarNode):
        raise SpecError(where(node), f"a single value is expected here, not {shape(node)}")
    if node.tag == MERGE:
        message = "`<<` merges no keys here: write them out; an alias can only stand for a whole value (`with: *usual`)"
        raise SpecError(where(node), message)
    try:
        value = yaml.SafeLoader("").construct_object(node)
        if isinstance(value, str):
            value.encode()
    except yaml.YAMLError as error:
        raise SpecError(where(node), f"the tag {node.tag} is not allowed here; write a plain value") from error
    except ValueError as error:  # a date that no calendar has, half of a surrogate pair
        raise SpecError(where(node), f"{node.value!r} cannot be read ({error}); put text in quotes") from error
    return value


def shape(node: yaml.Node) -> str:
    """What a node is, in words, for messages."""
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    value = scalar(node)
    return "nothing" if value is None else f"{value!r}"


def known_keys(entries: dict[str, yaml.Node], allowed: Iterable[str], what: str, node: yaml.Node) -> None:
    """Refuse keys of a mapping that are not in `allowed`, with the line of the key."""
    allowed = tuple(allowed)
    for key_node, _ in node.value:
        key = scalar(key_node)
        if key not in allowed:
            raise SpecError(where(key_node), f"{what} has no key `{key}`; {suggest(str(key), allowed)}")
