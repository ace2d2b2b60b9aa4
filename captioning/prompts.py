"""Prompts as data: what a model is asked about a picture, and the rules that its answer must keep.

The form of the files is in captioning/prompt_file.py; those of medloom lie in captioning/prompts. A user's own may
change without a new number, so the start of its hash stands in its version.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from captioning.answer_checks import judge_answer
from captioning.answer_form import AnswerRules
from captioning.engine import Answer
from captioning.picture import picture_of
from captioning.prompt_file import FIELD, PromptForm, parse_prompt
from captioning.statements import OWN, statements
from captioning.template import word
from captioning.wording import listing, named
from shards.attributes import decode
from shards.canonical import sha256_hex
from shards.intake import Skip
from shards.manifest import Sample
from shards.reasons import Reason
from shards.stage import Context, UserError
from shards.vocabulary import MODALITIES

FOLDER = Path(__file__).parent / "prompts"
DEFAULT = "default"  # the text of every modality, or reason, that has none of its own
CONTROL = re.compile(r"<\|?[/\w][\w .:-]{0,30}\|?>|\[/?[A-Z_]{2,20}\]")  # of chat templates: <image>, [INST]
NO_LABEL = "no label says what the picture shows, and the prompt asks for its {class}"


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One prompt, read from its file."""

    version: str  # `<name>.<version>`, and of a user's own file also the start of its hash
    system: str = ""
    texts: Mapping[str, str]  # by modality
    rules: AnswerRules = field(default_factory=AnswerRules)
    limits: str = ""
    corrections: Mapping[str, str] = field(default_factory=dict)  # by code of a reason

    def ask(self, sample: Sample) -> str:
        """The question about `sample`; raises Skip where the prompt needs what is not known of it."""
        text = self.texts.get(sample.modality) or self.texts.get(DEFAULT)
        if text is None:
            raise Skip(Reason.NO_CAPTION, f"prompt {self.version} has no text for {sample.modality} pictures")
        return self._filled(text, sample)

    def judge(self, text: str, sample: Sample) -> Answer | Skip:
        """The caption that the answer makes, tidied; or the reason why it makes none."""
        return judge_answer(text, sample, self.rules, asked=self.instructions())

    def again(self, sample: Sample, reason: Reason, said: str) -> str:
        """The question after an answer that was not taken for `reason`."""
        text = self.corrections.get(reason.value) or self.corrections.get(DEFAULT)
        return self.ask(sample) if text is None else self._filled(text, sample, said)

    def instructions(self) -> tuple[str, ...]:
        """What the prompt says whatever the picture, sentence by sentence, without its fields."""
        texts = (self.system, self.limits, *self.texts.values(), *self.corrections.values())
        return tuple(dict.fromkeys(FIELD.sub(" ", text) for text in texts if text))

    def _filled(self, text: str, sample: Sample, said: str = "") -> str:
        """`text` with its fields; what is filled in is not looked at again for fields."""

        def value(match: re.Match[str]) -> str:
            name = match["name"]
            if name == "question":
                return self.ask(sample)
            if name == "limits":
                return self._filled(self.limits, sample)
            if name == "said":
                return " ".join(said.split())
            return CONTROL.sub(" ", self._field(name, sample))  # cells are data: a server would obey a control token

        return " ".join(FIELD.sub(value, text).split())

    def _field(self, name: str, sample: Sample) -> str:
        if name == "known":
            return word(sample, seed=0)[1]
        if name == "class":
            return present(sample)
        if name == "modality":
            return MODALITIES[sample.modality].name
        if name == "opening":
            return self.rules.opening
        if name == "features":
            return listing(list(self.rules.features))
        return str(self.rules.most_words)


def present(sample: Sample) -> str:
    """What the labels say is there in the picture itself: `a polyp`; raises Skip where they say nothing."""
    picture = picture_of(sample.modality, sample.media, decode(sample.attributes))
    own = statements(sample.labels, picture).get(OWN)
    if own is None or not own.present:
        raise Skip(Reason.NO_CAPTION, NO_LABEL)
    return listing([named(name) for name in own.present])


def read_prompt(name: str, ctx: Context) -> Prompt:
    """A prompt of medloom by name, or the user's own by the path of its file; raises UserError."""
    file = FOLDER / f"{name}.yaml"
    own = not re.fullmatch(r"\w+", name) or not file.is_file()
    if own:
        file = Path(ctx.resolve(name))
    try:
        content = file.read_bytes()
    except OSError as error:
        known = ", ".join(sorted(path.stem for path in FOLDER.glob("*.yaml")))
        raise UserError(
            f"prompt: {name} is neither a prompt of medloom ({known}) nor a file that can be read: {error}"
        ) from error
    form = parse_prompt(content, str(file))
    ending = f".{sha256_hex(content)[:8]}" if own else ""
    return _prompt(form, re.sub(r"[^\w.-]+", "-", f"{file.stem}.{form.version}{ending}"))


def _prompt(form: PromptForm, version: str) -> Prompt:
    return Prompt(
        version=version,
        system=form.system,
        texts=form.texts,
        rules=form.rules,
        limits=form.limits,
        corrections=form.again,
    )
