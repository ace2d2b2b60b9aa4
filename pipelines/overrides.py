"""`--set stage.option=value`: one value of the pipelines file changed for a run, checked like the file itself."""

from __future__ import annotations

import re
from collections.abc import Sequence

import yaml

from pipelines.source_yaml import SpecError, compose, scalar, where

COMMENTED = re.compile(r"(?![\s]*[\"'\[{])(.*\s)?#")  # of a value that stands in no quotes or brackets


def read_overrides(texts: Sequence[str]) -> dict[str, dict[str, yaml.Node]]:
    """`stage.option=value` to nodes by stage and option."""
    changes: dict[str, dict[str, yaml.Node]] = {}
    for text in texts:
        path, equals, value = text.partition("=")
        stage, dot, option = path.partition(".")
        if not equals or not dot or not option:
            raise SpecError(f"--set {text}", "write it as `--set stage.option=value`")
        if COMMENTED.match(value):
            message = f"`#` begins a comment in YAML; write --set '{path}=\"{value}\"'"
            raise SpecError(f"--set {path}", message)
        changes.setdefault(stage, {})[option] = compose(value if value.strip() else "''", f"--set {path}")
    return changes


def put(node: yaml.MappingNode, path: str, value: yaml.Node) -> yaml.MappingNode:
    """A copy of a mapping node with a dotted option set; the node itself may stand elsewhere too, by an alias."""
    head, _, rest = path.partition(".")
    pairs = list(node.value)
    for i, (key_node, child) in enumerate(pairs):
        if scalar(key_node) == head:
            if rest and not isinstance(child, yaml.MappingNode):
                raise SpecError(where(value), f"`{head}` has no options of its own, so `{path}` cannot be set")
            pairs[i] = (key_node, put(child, rest, value) if rest else value)
            break
    else:
        if rest:
            value = put(empty(value), rest, value)
        pairs.append((yaml.ScalarNode("tag:yaml.org,2002:str", head, value.start_mark, value.end_mark), value))
    return yaml.MappingNode(node.tag, pairs, node.start_mark, node.end_mark)


def empty(near: yaml.Node) -> yaml.MappingNode:
    """A mapping without entries, at the place of another node."""
    return yaml.MappingNode("tag:yaml.org,2002:map", [], near.start_mark, near.end_mark)
