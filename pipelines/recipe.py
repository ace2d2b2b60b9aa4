"""Recipes: a published data set as a short YAML file over a generic converter.

A stage with `use: "recipe:chexpert"` is built from `ingest/recipes/chexpert.yaml`, or with `use: "recipe:./mine.yaml"`
from a file of the user's: its class and options, with the options of the pipelines file put over them. `needs` says
which options the user must give; their values also stand wherever the recipe writes their name in braces. What is
built is the stage that one could have written out by hand, so fingerprints and messages know nothing of recipes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from pipelines.house import check_house
from pipelines.source_yaml import SpecError, compose_file, known_keys, mapping, scalar, suggest, where

PREFIX = "recipe:"
KEYS = ("recipe", "version", "get", "layout", "overlaps", "notes", "needs", "use", "with")
REQUIRED = ("recipe", "version", "get", "layout", "needs", "use", "with")
VERIFIED = ("verified by ", "unverified")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a recipe says of itself, and the stage that it makes."""

    name: str
    title: str
    version: str  # of the data set, as its owner calls it
    get: str  # where it is to be had, and on what conditions
    layout: str  # `verified by <what>` or `unverified`
    overlaps: str
    notes: str
    needs: dict[str, str]  # option -> what the user has to give
    use: str
    options: yaml.MappingNode


def recipes_folder() -> Path:
    """Where the recipes of the house lie."""
    return check_house() / "ingest" / "recipes"


def recipe_names() -> list[str]:
    """The recipes of the house."""
    return sorted(path.stem for path in recipes_folder().glob("*.yaml"))


def read_recipe(name: str, folder: Path, at: str) -> Recipe:
    """The recipe `name`, or the one in a file (a path with `/`, below `folder`); SpecError says what is wrong."""
    if "/" in name:
        path, label = folder / Path(name).expanduser(), name
    else:
        path, label = recipes_folder() / f"{name}.yaml", f"ingest/recipes/{name}.yaml"
        if not path.is_file():
            raise SpecError(at, f"there is no recipe `{name}`; {suggest(name, recipe_names())}")
    top = compose_file(path, label)
    entries = mapping(top, "the recipe")
    known_keys(entries, KEYS, "the recipe", top)
    for key in REQUIRED:
        if key not in entries:
            raise SpecError(f"{label}:1", f"the recipe needs `{key}:`")
    texts = {key: str(scalar(entries[key])) for key in KEYS[:6] if key in entries}
    if not texts["layout"].startswith(VERIFIED):
        raise SpecError(where(entries["layout"]), "`layout` must be `verified by <what>` or `unverified`")
    options = entries["with"]
    mapping(options, "`with` of the recipe")
    assert isinstance(options, yaml.MappingNode)
    return Recipe(
        name=path.stem,
        title=texts["recipe"],
        version=texts["version"],
        get=texts["get"],
        layout=texts["layout"],
        overlaps=texts.get("overlaps", ""),
        notes=texts.get("notes", ""),
        needs={key: str(scalar(child)) for key, child in mapping(entries["needs"], "`needs` of the recipe").items()},
        use=str(scalar(entries["use"])),
        options=options,
    )


def page_row(recipe: Recipe) -> str:
    """The recipe's row in docs/recipes.md."""
    kind = recipe.use.rpartition(":")[2]
    needs = "; ".join(f"`{name}`: {text}" for name, text in recipe.needs.items())
    cells = [f"`{recipe.name}`", recipe.title, recipe.version, kind, needs, recipe.get, recipe.layout, recipe.overlaps]
    return f"| {' | '.join(cell.replace('|', '/') or '-' for cell in cells)} |"


def merged(recipe: Recipe, own: yaml.MappingNode, accepted: frozenset[str]) -> yaml.MappingNode:
    """The options of a stage: the recipe's, with the user's `own` put over them.

    `accepted` are the options of the class: what is needed and no option of it serves to fill in braces alone.
    """
    given = mapping(own, f"`with` of recipe `{recipe.name}`")
    lacking = [f"`{name}: {text}`" for name, text in recipe.needs.items() if name not in given]
    if lacking:
        raise SpecError(where(own), f"recipe `{recipe.name}` needs {', '.join(lacking)} under `with:`")
    words = {name: str(scalar(given[name])) for name in recipe.needs}
    pairs = [(key, _filled(child, words)) for key, child in recipe.options.value if scalar(key) not in given]
    pairs += [(key, child) for key, child in own.value if scalar(key) in accepted or scalar(key) not in recipe.needs]
    return yaml.MappingNode(own.tag, pairs, own.start_mark, own.end_mark)


def _filled(node: yaml.Node, words: dict[str, str]) -> yaml.Node:
    """A copy of a node with the names in braces replaced."""
    if isinstance(node, yaml.MappingNode):
        pairs = [(key, _filled(child, words)) for key, child in node.value]
        return yaml.MappingNode(node.tag, pairs, node.start_mark, node.end_mark)
    if isinstance(node, yaml.SequenceNode):
        return yaml.SequenceNode(
            node.tag, [_filled(item, words) for item in node.value], node.start_mark, node.end_mark
        )
    assert isinstance(node, yaml.ScalarNode)
    value = node.value
    for name, word in words.items():
        value = value.replace(f"{{{name}}}", word)
    if value == node.value:
        return node
    return yaml.ScalarNode("tag:yaml.org,2002:str", value, node.start_mark, node.end_mark)
