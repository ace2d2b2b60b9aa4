"""The form of a prompt's file, and what is wrong with one, by line.

    version: 1                     # raise it when the file changes; it stands in who wrote a caption
    system: ...                    # may be left out
    text: Describe {known} ...     # or `texts:`, one for each code of a modality and a `default`
    limits: ...                    # words that several texts share, as {limits}
    rules:                         # each may be left out
      opening: An endoscopic image of   # the first words of every answer
      most_words: 100
      shorten_over_tokens: 120          # an answer that is longer is asked to be shortened
      features: [color, shape]          # asked for; an answer that only lists them is not taken
    again:                         # the question after an answer that was not taken, by its reason, and a `default`
      answer_too_long: Say this in fewer words: {said}

Fields of a text: {known} what metadata and labels say, as the template captioner words it; {class} the present labels
of the picture; {modality}; {opening}; {features}; {most_words}; {limits}. In `again` also {question}, the first
question, and {said}, the answer that was not taken.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Never

import yaml

from captioning.answer_form import AnswerRules
from shards.reasons import Reason
from shards.stage import UserError
from shards.vocabulary import MODALITIES

FIELD = re.compile(r"\{(?P<name>\w+)\}")
FIELDS = ("known", "class", "modality", "opening", "features", "most_words", "limits")
AGAIN_FIELDS = (*FIELDS, "question", "said")
KEYS = ("version", "system", "text", "texts", "limits", "rules", "again")
RULES = ("opening", "most_words", "shorten_over_tokens", "features")
REASONS = tuple(reason.value for reason in Reason if reason.value.startswith("answer_"))


@dataclass(frozen=True, kw_only=True)
class PromptForm:
    """The content of a file, checked."""

    version: str
    system: str
    texts: Mapping[str, str]
    limits: str
    rules: AnswerRules
    again: Mapping[str, str]


def parse_prompt(content: bytes, file: str) -> PromptForm:
    """The prompt in a file's bytes; `file` is its name in errors. Raises UserError with the line."""
    try:
        root = yaml.compose(content, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UserError(f"{file}:{line}: not YAML: {error.problem}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{file}:1: not YAML in UTF-8: {error}") from error
    return _Reader(file).form(root)


class _Reader:
    """Reads one file; holds its name for errors."""

    def __init__(self, file: str) -> None:
        self.file = file

    def form(self, root: yaml.Node | None) -> PromptForm:
        if root is None:
            raise UserError(f"{self.file}:1: the file is empty: write `version: 1` and `text: ...`")
        keys = self.mapping(root, KEYS, "a prompt")
        if ("text" in keys) == ("texts" in keys):
            self.fail(root, "write either `text: ...` or `texts: {default: ...}`")
        if "version" not in keys:
            self.fail(root, "write `version: 1`, and raise it when the file changes")
        version = self.text(keys["version"], "version", ())
        if not re.fullmatch(r"[\w.-]+", version):
            self.fail(keys["version"], f"version: {version!r} holds other signs than letters, digits, `.`, `_` and `-`")
        rules = self.rules(keys["rules"]) if "rules" in keys else AnswerRules()
        limits = self.text(keys["limits"], "limits", _without(FIELDS, "limits")) if "limits" in keys else ""
        if "texts" in keys:
            texts = self.texts(keys["texts"], (*MODALITIES, "default"), "texts", FIELDS)
        else:
            texts = {"default": self.text(keys["text"], "text", FIELDS)}
        again = self.texts(keys["again"], (*REASONS, "default"), "again", AGAIN_FIELDS) if "again" in keys else {}
        system = self.text(keys["system"], "system", ()) if "system" in keys else ""
        for name, given in (("opening", rules.opening), ("features", rules.features), ("limits", limits)):
            if not given and any(f"{{{name}}}" in text for text in (*texts.values(), *again.values(), limits)):
                where = f"`{name}:`" if name == "limits" else f"`{name}:` below `rules:`"
                self.fail(root, f"a text has the field {{{name}}}: write {where}")
        return PromptForm(version=version, system=system, texts=texts, limits=limits, rules=rules, again=again)

    def rules(self, node: yaml.Node) -> AnswerRules:
        keys = self.mapping(node, RULES, "rules")
        found: dict[str, Any] = {}
        if "opening" in keys:
            found["opening"] = self.text(keys["opening"], "opening", ())
        for name in ("most_words", "shorten_over_tokens"):
            if name in keys:
                value = self.plain(keys[name])
                if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                    self.fail(keys[name], f"{name}: write a whole number of 1 or more, not {value!r}")
                found[name] = value
        if "features" in keys:
            value = self.plain(keys["features"])
            if not isinstance(value, list) or len(value) < 2 or not all(isinstance(each, str) for each in value):
                self.fail(keys["features"], "features: write a list of at least two, such as [color, shape]")
            found["features"] = tuple(value)
        return AnswerRules(**found)

    def texts(self, node: yaml.Node, known: tuple[str, ...], what: str, fields: tuple[str, ...]) -> dict[str, str]:
        keys = self.mapping(node, known, what)
        if not keys:
            self.fail(node, f"{what}: write at least `default: ...`")
        return {key: self.text(value, f"{what}.{key}", fields) for key, value in keys.items()}

    def text(self, node: yaml.Node, what: str, fields: tuple[str, ...]) -> str:
        if not isinstance(node, yaml.ScalarNode) or not node.value.strip():
            self.fail(node, f"{what}: write a text")
        text = str(node.value).strip()
        for match in FIELD.finditer(text):
            if match["name"] not in fields:
                known = ", ".join(f"{{{name}}}" for name in fields) or "none"
                self.fail(node, f"{what}: unknown field {match.group()}; its fields are {known}")
        return text

    def mapping(self, node: yaml.Node, known: tuple[str, ...], what: str) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            self.fail(node, f"{what} is a mapping with the keys {', '.join(known)}")
        found: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = str(key.value)
            if name not in known:
                self.fail(key, f"{what}: unknown key {name!r}; the keys are {', '.join(known)}")
            if name in found:
                self.fail(key, f"{what}: {name} is written twice: leave one out")
            found[name] = value
        return found

    def plain(self, node: yaml.Node) -> Any:
        return yaml.SafeLoader("").construct_object(node, deep=True)

    def fail(self, node: yaml.Node, what: str) -> Never:
        raise UserError(f"{self.file}:{node.start_mark.line + 1}: {what}")


def _without(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return tuple(each for each in names if each != name)
