"""A question as the text that a model was trained on: by its own chat template, pictures in their places.

A still stands before the question. A clip is several pictures, each with a text before it that says which frame it is
and when. A template that has no place for a system's text, or drops it, gets it at the head of the question. Thinking
is switched off where the template has a switch. Words of the model's own control language are taken out of the
question, since metadata may hold anything.
"""

from __future__ import annotations

import re
from typing import Any

import jinja2

from captioning.questions import Question
from shards.stage import UserError

OFF: dict[str, Any] = {"enable_thinking": False, "thinking": False}  # templates without such a switch do not look
PROBE = "Zyzzyva"  # a word that no template has of its own


class Chat:
    """The chat template of `processor`. Raises UserError where there is none, or none for pictures."""

    def __init__(self, processor: Any, name: str) -> None:
        self.tokenizer = processor.tokenizer
        template = getattr(processor, "chat_template", None) or self.tokenizer.chat_template
        self.template = template.get("default") if isinstance(template, dict) else template
        if not self.template:
            raise UserError(f"model: {name} has no chat template, so it takes no questions: name an instruct model")
        added = self.tokenizer.added_tokens_decoder.values()
        control = sorted({token.content for token in added if token.special}, key=len, reverse=True)
        self.control = re.compile("|".join(map(re.escape, control)) or r"(?!)")
        self.has_system = True
        self.has_system = self._keeps_system()
        try:
            is_blind = self.render("", "", ()) == self.render("", "", (None,))
        except jinja2.TemplateError as error:
            raise UserError(f"model: the chat template of {name} takes no question about a picture: {error}") from error
        if is_blind:
            raise UserError(f"model: the chat template of {name} has no place for pictures: name a model for pictures")

    def text(self, question: Question, pictures: int, times_s: tuple[float, ...]) -> str:
        """The whole prompt, with the model's sign for a picture in the place of each of them."""
        return self.render(question.system, question.text, times_s or (None,) * pictures)

    def render(self, system: str, text: str, pictures: tuple[float | None, ...]) -> str:
        """The prompt for pictures at times in seconds, or None for a still."""
        system, text = self.control.sub(" ", system), self.control.sub(" ", text)
        if system and not self.has_system:
            system, text = "", f"{system}\n\n{text}"
        content: list[dict[str, str]] = []
        for number, time_s in enumerate(pictures, start=1):
            if time_s is not None:
                content.append(_said(f"Frame {number} of {len(pictures)}, at {time_s:.2f} s:"))
            content.append({"type": "image"})
        messages = [{"role": "user", "content": [*content, _said(text)]}]
        if system:
            messages.insert(0, {"role": "system", "content": [_said(system)]})
        prompt: str = self.tokenizer.apply_chat_template(
            messages, chat_template=self.template, tokenize=False, add_generation_prompt=True, **OFF
        )
        return prompt

    def _keeps_system(self) -> bool:
        try:
            return PROBE in self.render(PROBE, "", (None,))
        except jinja2.TemplateError:  # some refuse the role
            return False


def _said(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}
